"""Who changes declared objects: resources by `apply` and `remove`, the API by `edit`; neither touches the other's.

An object made over the API is taken over by a resource of its name, and never the other way round.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from angarium.domain.declarations import Declared, Endpoint, Kind, ObjectRef, Origin, Queue
from angarium.domain.errors import OwnedByResource, QuotaReached
from angarium.domain.instants import to_ms
from angarium.domain.ports import Applied, Change
from angarium.store import flow_control, queues, timetable
from angarium.store.cancellation import cancel_queue
from angarium.store.catalog import SQL, api_object, api_uid, check_quota, declared, key_of, put
from angarium.store.rows import declared_of, encode
from angarium.store.statements import load
from angarium.store.transaction import Row, Transaction

CREDENTIALS = load("credentials")
HOUSEKEEPING = load("housekeeping")
MOST_BYTES = 64 * 2**20
"""Of one kind and tenant, as they are stored: bodies of Schedules are what can be large."""


def apply(tx: Transaction, objects: Sequence[Declared], now: datetime) -> Applied:
    changed, taken_over = set(), set()
    for one in objects:
        before = declared(tx, one.ref)
        if before and _version(before) == _version(one):
            continue
        _write(tx, one, before, now)
        changed.add(one.ref)
        if before and before.origin is Origin.API:
            taken_over.add(one.ref)
    return Applied(frozenset(changed), frozenset(taken_over))


def edit(tx: Transaction, ref: ObjectRef, change: Change, now: datetime, most: int | None) -> Declared | None:
    before = declared(tx, ref)
    if before and before.origin is Origin.RESOURCE:
        raise OwnedByResource(ref.kind.value, ref.namespace, ref.name)
    after = change(before)
    if after is before:
        return before
    if after is None:
        _end(tx, ref, now)
        return None
    if before is None and most is not None:
        check_quota(tx, ref.kind, ref.namespace, most)
    after = _numbered(ref, before, after, now)
    _write(tx, after, before, now)
    if before is None or len(encode(after.spec)) > len(encode(before.spec)):
        _check_size(tx, ref)
    return replace(after, applied_at=now)


def shrink(tx: Transaction, ref: ObjectRef, change: Change, now: datetime, limit: int) -> bool:
    """Before an edit that removes a queue: cancel so many of its messages. True: there may be more than are few.

    So that neither the edit nor any step before it holds up the writer for long, however full the queue is.
    """
    before = declared(tx, ref)
    if before is None or before.origin is Origin.RESOURCE or change(before) is not None:
        return False
    return cancel_queue(tx, ref.namespace, ref.name, now, limit) == limit


def remove(tx: Transaction, refs: Sequence[tuple[ObjectRef, str | None]], now: datetime) -> frozenset[ObjectRef]:
    removed = set()
    for ref, uid in refs:
        row = tx.row(SQL["declared"], *key_of(ref))
        if row and row["origin"] == Origin.RESOURCE.value and uid in (None, row["uid"]):
            _remove(tx, ref, row, now)
            removed.add(ref)
    return frozenset(removed)


def _version(declared: Declared) -> tuple[str, int, str]:
    return (declared.uid, declared.generation, declared.fingerprint)


def _numbered(ref: ObjectRef, before: Declared | None, after: Declared, now: datetime) -> Declared:
    """The uid and the generation are not the caller's to choose: the scheduler fences its decisions by them."""
    uid, generation = (before.uid, before.generation + 1) if before else (api_uid(now), 1)
    return replace(after, ref=ref, uid=uid, generation=generation, fingerprint=str(generation), origin=Origin.API)


def _check_size(tx: Transaction, ref: ObjectRef) -> None:
    """After a write that made an object, or made one larger: what is listed has to fit into memory."""
    row = tx.row(SQL["made"], ref.kind.value, ref.namespace)
    if row and row["bytes"] > MOST_BYTES:
        made = f"{ref.kind.value}s made over the API; delete one"
        raise QuotaReached(f"namespace {ref.namespace!r} has reached its limit of {MOST_BYTES // 2**20} MiB of {made}")


def _write(tx: Transaction, declared: Declared, before: Declared | None, now: datetime) -> None:
    ref = declared.ref
    put(tx, declared, now)
    match ref.kind:
        case Kind.SCHEDULE:
            timetable.adjust(tx, declared, before, now)
        case Kind.QUEUE:
            queues.adjust(tx, ref, now)
        case Kind.ENDPOINT:
            flow_control.adjust(tx, declared, now)
            if _url_of(before) != _url_of(declared):
                tx.run(HOUSEKEEPING["forget_stats"], ref.namespace, ref.name)
        case Kind.TOKEN:
            if before and before.uid != declared.uid:
                tx.run(CREDENTIALS["revoke"], ref.namespace, ref.name)


def _url_of(declared: Declared | None) -> str | None:
    return declared.spec.url if declared and isinstance(declared.spec, Endpoint) else None


def _remove(tx: Transaction, ref: ObjectRef, row: Row, now: datetime) -> None:
    """A resource is gone. Messages stay, and a queue that has some stays with them."""
    if ref.kind is Kind.QUEUE and tx.row(SQL["in_queue"], ref.namespace, ref.name):
        before = declared_of(row)
        spec = before.spec if isinstance(before.spec, Queue) else Queue()
        _write(tx, api_object(ref, spec, before.created_at, now), before, now)
        return
    if ref.kind is Kind.ENDPOINT:
        tx.run(SQL["forget_mentions"], *key_of(ref))
        tx.run(SQL["bury"], to_ms(now), row["seq"])
        return
    _delete(tx, ref, row, now)


def _end(tx: Transaction, ref: ObjectRef, now: datetime) -> None:
    """The API deletes what is its own, and the messages of a queue with it."""
    row = tx.row(SQL["declared"], *key_of(ref))
    if row is None:
        return
    if ref.kind is Kind.QUEUE:
        cancel_queue(tx, ref.namespace, ref.name, now)
    _delete(tx, ref, row, now)


def _delete(tx: Transaction, ref: ObjectRef, row: Row, now: datetime) -> None:
    tx.run(SQL["forget_mentions"], *key_of(ref))
    tx.run(SQL["delete"], row["seq"])
    if ref.kind is Kind.QUEUE:
        queues.adjust(tx, ref, now)
    if ref.kind is Kind.SCHEDULE:
        timetable.end(tx, ref, row["uid"])
    if ref.kind is Kind.TOKEN:
        tx.run(CREDENTIALS["revoke"], ref.namespace, ref.name)
