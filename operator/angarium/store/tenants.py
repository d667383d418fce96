"""Removes a tenant: first what could bring new messages, then the rest piece by piece."""

from collections.abc import Sequence

from angarium.domain.declarations import Kind
from angarium.domain.views import Holdings
from angarium.store.portions import MOST_BYTES, fitting
from angarium.store.statements import load
from angarium.store.transaction import Session, Transaction, json_array

SQL = load("tenant")
_AT_ONCE = ("tokens", "signing_keys", "declared", "mentions", "schedules", "endpoint_stats", "queues")
PIECEMEAL = ("lanes", "log", "dead_letters", "deduplication", "flow_controls", "runs")
"""Large tables. What was in flight may bring rows to them until the messages are gone."""

_WEIGHTY = ("log", "dead_letters")
_AT_LAST = ("queues", "usage", "identity")


def identify(tx: Transaction, namespace: str, uid: str) -> None:
    tx.run(SQL["identify"], namespace=namespace, uid=uid)


def known(session: Session) -> dict[str, str | None]:
    """Every tenant that holds anything, with its namespace's uid as far as it was told."""
    return {row["namespace"]: row["uid"] for row in session.rows(SQL["tenants"])}


def holdings(session: Session, namespace: str) -> Holdings:
    """Reads past all messages of other tenants: for a person who waits."""
    found = {row["what"]: row["number"] for row in session.rows(SQL["holdings"], namespace=namespace)}
    return Holdings({kind: found.pop(kind) for kind in Kind if kind in found}, **found)


def close(tx: Transaction, namespace: str) -> None:
    """Nothing gets in or out from now on: tokens, keys and objects go at once."""
    for name in _AT_ONCE:
        tx.run(SQL[name], namespace=namespace)


def clear_some(tx: Transaction, namespace: str, table: str, limit: int) -> int:
    """Remove some rows of a tenant in a large table, one of `PIECEMEAL`. Returns how many went."""
    some = SQL[f"some_{table}"]
    if table not in _WEIGHTY:
        return tx.run(some, namespace=namespace, limit=limit)
    rows = fitting(tx.objects(some, namespace=namespace, limit=limit), MOST_BYTES, "weight")
    return tx.run(SQL[f"delete_{table}"], json_array(row["key"] for row in rows))


def some_messages(session: Session, namespace: str, after: int, limit: int) -> list[int]:
    """The next messages of a tenant, in order of acceptance: as many as may go at once."""
    rows = session.objects(SQL["some_messages"], namespace=namespace, after=after, limit=limit)
    return [row["seq"] for row in fitting(rows, MOST_BYTES, "weight")]


def clear_messages(tx: Transaction, namespace: str, messages: Sequence[int]) -> None:
    rows = tx.rows(SQL["still_theirs"], namespace=namespace, seqs=json_array(messages))
    tx.recall(rows)
    seqs = json_array(row["seq"] for row in rows)
    for name in ("delete_bodies", "delete_attempts", "delete_messages"):
        tx.run(SQL[name], seqs)


def clear_rest(tx: Transaction, namespace: str) -> None:
    """Remove what is left when the messages are gone."""
    for name in _AT_LAST:
        tx.run(SQL[name], namespace)
