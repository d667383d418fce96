"""Declared objects: what `kubectl apply` brought, and what names what."""

from collections.abc import Sequence
from datetime import datetime

from angarium.domain.declarations import Declared, Endpoint, Kind, ObjectRef, Origin, Rejection, Topic
from angarium.domain.ports import Applied, Change, Version
from angarium.store import timetable
from angarium.store.rows import declared_of, encode, names
from angarium.store.statements import load
from angarium.store.times import optional_ms, to_ms
from angarium.store.transaction import Row, Session, Transaction, json_array

SQL = load("catalog")
CREDENTIALS = load("credentials")
_ANY = "*"


def key_of(ref: ObjectRef) -> tuple[str, str, str]:
    return (ref.kind.value, ref.namespace, ref.name)


def known(session: Session, ref: ObjectRef) -> Version | None:
    row = session.row(SQL["known"], *key_of(ref))
    return Version(row["uid"], row["generation"], row["fingerprint"]) if row else None


def declared(session: Session, ref: ObjectRef) -> Declared | None:
    row = session.row(SQL["declared"], *key_of(ref))
    return declared_of(row) if row else None


def catalog(session: Session, kind: Kind, namespace: str | None, origin: Origin | None = None) -> list[Declared]:
    return [declared_of(row) for row in session.stream(SQL["all"], kind=kind.value, namespace=namespace)]


def many(session: Session, refs: Sequence[ObjectRef]) -> dict[ObjectRef, Declared]:
    found = [declared_of(row) for row in session.stream(SQL["many"], json_array(names(refs)))]
    return {declared.ref: declared for declared in found}


def dependents(session: Session, refs: Sequence[ObjectRef]) -> frozenset[ObjectRef]:
    rows = session.rows(SQL["dependents"], json_array(names(refs)))
    return frozenset(ObjectRef(Kind(row["kind"]), row["namespace"], row["name"]) for row in rows)


def is_held(declared: Declared | None) -> bool:
    """Whether messages to this Endpoint have to wait: it is gone, rejected or suspended."""
    return declared is None or not isinstance(declared.spec, Endpoint) or declared.spec.suspend


def apply(tx: Transaction, objects: Sequence[Declared], now: datetime) -> Applied:
    return Applied(frozenset(declared.ref for declared in objects if _apply(tx, declared, now)))


def edit(tx: Transaction, ref: ObjectRef, change: Change, now: datetime) -> Declared | None:
    raise NotImplementedError


def _apply(tx: Transaction, declared: Declared, now: datetime) -> bool:
    row = tx.row(SQL["stored"], *key_of(declared.ref))
    before = declared_of(row) if row and row["deleted_ms"] is None else None
    if before and _version(before) == _version(declared):
        return False
    _put(tx, declared, now)
    _mention(tx, declared)
    if declared.ref.kind is Kind.SCHEDULE:
        timetable.adjust(tx, declared, before, now)
    if declared.ref.kind is Kind.TOKEN and before and before.uid != declared.uid:
        tx.run(CREDENTIALS["revoke"], declared.ref.namespace, declared.ref.name)
    return True


def _version(declared: Declared) -> tuple[str, int, str]:
    return (declared.uid, declared.generation, declared.fingerprint)


def _put(tx: Transaction, declared: Declared, now: datetime) -> None:
    tx.run(
        SQL["put"],
        *key_of(declared.ref),
        declared.uid,
        declared.generation,
        declared.fingerprint,
        to_ms(declared.created_at),
        to_ms(now),
        declared.ref.kind is Kind.ENDPOINT and is_held(declared),
        isinstance(declared.spec, Rejection),
        encode(declared.labels).decode(),
        declared.run_now,
        optional_ms(declared.last_slot),
        encode(declared.spec),
    )


def _mention(tx: Transaction, declared: Declared) -> None:
    ref = declared.ref
    tx.run(SQL["forget_mentions"], *key_of(ref))
    targets = [(target.kind.value, target.name) for target in declared.references()]
    if isinstance(declared.spec, Topic) and declared.spec.match_labels is not None:
        targets.append((Kind.ENDPOINT.value, _ANY))
    tx.insert(SQL["mention"], [(ref.namespace, kind, name, ref.kind.value, ref.name) for kind, name in targets])


def remove(tx: Transaction, refs: Sequence[tuple[ObjectRef, str | None]], now: datetime) -> frozenset[ObjectRef]:
    removed = set()
    for ref, uid in refs:
        row = tx.row(SQL["stored"], *key_of(ref))
        if row and row["deleted_ms"] is None and uid in (None, row["uid"]):
            _remove(tx, ref, row, now)
            removed.add(ref)
    return frozenset(removed)


def _remove(tx: Transaction, ref: ObjectRef, row: Row, now: datetime) -> None:
    tx.run(SQL["forget_mentions"], *key_of(ref))
    if ref.kind is Kind.ENDPOINT:
        tx.run(SQL["bury"], to_ms(now), row["seq"])
        return
    tx.run(SQL["delete"], row["seq"])
    if ref.kind is Kind.SCHEDULE:
        timetable.end(tx, ref, row["uid"])
    if ref.kind is Kind.TOKEN:
        tx.run(CREDENTIALS["revoke"], ref.namespace, ref.name)


class NamespaceCatalog:
    """The catalog that fan-out asks, as it is inside this operation; what was asked once is kept."""

    def __init__(self, session: Session, namespace: str) -> None:
        self._session = session
        self._namespace = namespace
        self._kept: dict[ObjectRef, Declared | None] = {}

    def endpoint(self, name: str) -> Declared | None:
        return self._find(ObjectRef(Kind.ENDPOINT, self._namespace, name))

    def topic(self, name: str) -> Declared | None:
        return self._find(ObjectRef(Kind.TOPIC, self._namespace, name))

    def endpoints_matching(self, labels: dict[str, str]) -> Sequence[Declared]:
        rows = self._session.rows(SQL["matching"], namespace=self._namespace, labels=encode(labels).decode())
        found = [declared_of(row) for row in rows]
        self._kept.update((declared.ref, declared) for declared in found)
        return found

    def _find(self, ref: ObjectRef) -> Declared | None:
        if ref not in self._kept:
            self._kept[ref] = declared(self._session, ref)
        return self._kept[ref]
