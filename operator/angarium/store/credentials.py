"""Tokens (as hashes) and the signing keys of each tenant."""

from angarium.domain.credentials import Credential, SigningKeys
from angarium.domain.declarations import Access
from angarium.domain.errors import Conflict, InvalidInput, NotFound
from angarium.store.statements import load
from angarium.store.transaction import Row, Session, Transaction

SQL = load("credentials")


def credentials(session: Session) -> list[Credential]:
    rows = session.rows(SQL["all"])
    return [Credential(row["namespace"], row["name"], row["hash"], Access(row["access"])) for row in rows]


def put_credential(tx: Transaction, credential: Credential) -> None:
    holder = tx.row(SQL["holder"], credential.hash)
    if holder and (holder["namespace"], holder["name"]) != (credential.namespace, credential.name):
        # Whose it is stays untold: the asker may not know the other tenant.
        raise InvalidInput("token", "another Token has the same text; let Angarium make a new one")
    tx.run(SQL["put"], credential.namespace, credential.name, credential.hash, credential.access.value)


def revoke_credential(tx: Transaction, namespace: str, name: str) -> None:
    tx.run(SQL["revoke"], namespace, name)


def signing_keys(session: Session) -> dict[str, SigningKeys]:
    return {row["namespace"]: _keys(row) for row in session.rows(SQL["all_keys"])}


def put_signing_keys(tx: Transaction, namespace: str, keys: SigningKeys, *, replace: bool) -> SigningKeys:
    row = tx.row(SQL["keys"], namespace)
    if row and not replace:
        held = _keys(row)
        if (held.current, held.next) != (keys.current, keys.next):
            return held
    tx.run(SQL["put_keys"], namespace, keys.current, keys.next, keys.adopted)
    return keys


def rotate_signing_keys(tx: Transaction, namespace: str, fresh: str) -> SigningKeys:
    row = tx.row(SQL["keys"], namespace)
    if row is None:
        raise NotFound(f"namespace {namespace!r} has no signing keys yet")
    if row["adopted"]:
        raise Conflict(
            f"the signing keys of namespace {namespace!r} are those of a Secret that Angarium does not own, and would "
            "differ from it: delete that Secret (its Token then gets one of ours, with a new token), then rotate"
        )
    rotated = SigningKeys(row["next"], fresh)
    tx.run(SQL["put_keys"], namespace, rotated.current, rotated.next, False)
    return rotated


def _keys(row: Row) -> SigningKeys:
    return SigningKeys(row["current"], row["next"], bool(row["adopted"]))
