"""Declared objects as rows: reading them, writing one, and what names what. Who may change which: `ownership`."""

import os
from collections.abc import Sequence
from datetime import datetime

from angarium.domain.declarations import (
    Declared,
    Endpoint,
    Kind,
    ObjectRef,
    Origin,
    Queue,
    Rejection,
    Spec,
    Topic,
)
from angarium.domain.errors import QuotaReached
from angarium.domain.ids import ID_ENTROPY, new_id
from angarium.domain.instants import optional_ms, to_ms
from angarium.domain.ports import Version
from angarium.store.rows import declared_of, encode, names
from angarium.store.statements import load
from angarium.store.transaction import Session, Transaction, json_array

SQL = load("catalog")
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
    rows = session.stream(SQL["all"], kind=kind.value, namespace=namespace, origin=origin.value if origin else None)
    return [declared_of(row) for row in rows]


def versions(
    session: Session, kind: Kind, namespace: str | None, origin: Origin | None = None
) -> dict[ObjectRef, Version]:
    rows = session.rows(SQL["versions"], kind=kind.value, namespace=namespace, origin=origin.value if origin else None)
    return {
        ObjectRef(kind, row["namespace"], row["name"]): Version(row["uid"], row["generation"], row["fingerprint"])
        for row in rows
    }


def many(session: Session, refs: Sequence[ObjectRef], *, bodies: bool = True) -> dict[ObjectRef, Declared]:
    statement = SQL["many"] if bodies else SQL["many_without_bodies"]
    found = [declared_of(row) for row in session.stream(statement, json_array(names(refs)))]
    return {declared.ref: declared for declared in found}


def dependents(session: Session, refs: Sequence[ObjectRef]) -> frozenset[ObjectRef]:
    rows = session.rows(SQL["dependents"], json_array(names(refs)))
    return frozenset(ObjectRef(Kind(row["kind"]), row["namespace"], row["name"]) for row in rows)


def is_held(declared: Declared | None) -> bool:
    """Whether messages to this Endpoint have to wait: it is gone, rejected or suspended."""
    return declared is None or not isinstance(declared.spec, Endpoint) or declared.spec.suspend


def make_queue(tx: Transaction, namespace: str, name: str, now: datetime) -> Declared:
    """A queue of parallelism 1, made over the API because somebody put a message into it (contract 8.1)."""
    ref = ObjectRef(Kind.QUEUE, namespace, name)
    made = api_object(ref, Queue(), now, now)
    put(tx, made, now)
    return made


def check_quota(session: Session, kind: Kind, namespace: str, most: int) -> None:
    """Raises QuotaReached if the tenant has as many objects of this kind as it may make over the API."""
    row = session.row(SQL["made"], kind.value, namespace)
    if row and row["count"] >= most:
        text = f"namespace {namespace!r} has reached its limit of {most} {kind.value}s made over the API; delete one"
        raise QuotaReached(text)


def api_object(ref: ObjectRef, spec: Spec, created_at: datetime, now: datetime) -> Declared:
    """A new object of the API."""
    return Declared(ref, api_uid(now), 1, "1", created_at, spec, origin=Origin.API)


def api_uid(now: datetime) -> str:
    """An object made over the API has no uid of Kubernetes, so it gets one of ours."""
    return new_id("api_", to_ms(now), os.urandom(ID_ENTROPY))


def put(tx: Transaction, declared: Declared, now: datetime) -> None:
    """Insert or replace the row, and what the object names."""
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
        declared.origin.value,
    )
    _mention(tx, declared)


def _mention(tx: Transaction, declared: Declared) -> None:
    ref = declared.ref
    tx.run(SQL["forget_mentions"], *key_of(ref))
    targets = [(target.kind.value, target.name) for target in declared.references()]
    if isinstance(declared.spec, Topic) and declared.spec.match_labels is not None:
        targets.append((Kind.ENDPOINT.value, _ANY))
    tx.insert(SQL["mention"], [(ref.namespace, kind, name, ref.kind.value, ref.name) for kind, name in targets])


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
