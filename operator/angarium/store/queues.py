"""Queues: settings that change, delays that end, places that callbacks hold for too long (contract 22)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.instants import to_ms
from angarium.store.places import SQL
from angarium.store.transaction import Transaction, json_array


def adjust(tx: Transaction, ref: ObjectRef, now: datetime) -> None:
    """What is declared of this Queue was changed, or is no more: let in whom there is room for now."""
    tx.places.refresh([(ref.namespace, ref.name)], now)


def let_join(tx: Transaction, now: datetime) -> None:
    """Delayed messages whose time has come join their queues, and take the places that are free."""
    due = tx.rows(SQL["joining"], now=to_ms(now))
    tx.places.refresh([(row["namespace"], row["name"]) for row in due], now)


def free_places(
    tx: Transaction, ended_before: datetime, now: datetime, limit: int
) -> Mapping[ObjectRef, Sequence[str]]:
    rows = tx.rows(SQL["held_too_long"], before=to_ms(ended_before), limit=limit)
    tx.run(SQL["free"], json_array(row["seq"] for row in rows))
    freed: defaultdict[ObjectRef, list[str]] = defaultdict(list)
    for row in rows:
        tx.places.free(row["namespace"], row["queue"], now)
        freed[ObjectRef(Kind.QUEUE, row["namespace"], row["queue"])].append(row["id"])
    return freed
