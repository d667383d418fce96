"""Keeps the database small: what has ended goes after its retention, in small batches."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from angarium.domain.callbacks import Report
from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.fanout import lane_of
from angarium.domain.instants import to_ms
from angarium.domain.ports import Retention
from angarium.domain.reasons import FailureReason
from angarium.store import deduplication, flow_control
from angarium.store.callbacks import Callbacks
from angarium.store.endings import give_up, gone
from angarium.store.intake import Terms
from angarium.store.letters import remove
from angarium.store.portions import MOST_BYTES, fitting
from angarium.store.remains import sweep, sweep_runs
from angarium.store.rows import message_of
from angarium.store.statements import load
from angarium.store.transaction import Row, Transaction, json_array

SQL = load("housekeeping")
_FLOW_CONTROL_KEPT = timedelta(hours=1)
"""How long a flow-control key that nothing uses stays known, so that it can be looked at after the work is done."""

_TOMBSTONES_AT_ONCE = 50
_PAGES_AT_ONCE = 100  # each is moved by a step of its own, some 50 µs
_PAGES_KEPT = 4096  # 16 MiB
_SHARE_KEPT = 4
"""One page in so many may be free for good."""


class Looked(NamedTuple):
    """What failed, by Endpoint, and the deleted Endpoint that was looked at last (None: no others are left)."""

    failed: Mapping[ObjectRef, Sequence[str]]
    last: tuple[int, int] | None


def fail_orphans(
    tx: Transaction, deleted_before: datetime, after: tuple[int, int], now: datetime, limit: int, terms: Terms
) -> Looked:
    """Messages of a few of the Endpoints deleted before this, which come after this one in the order of deletion."""
    failed: dict[ObjectRef, list[str]] = {}
    given = {"before": to_ms(deleted_before), "after_ms": after[0], "after": after[1]}
    tombstones = tx.rows(SQL["tombstones"], **given, limit=_TOMBSTONES_AT_ONCE)
    for tombstone in tombstones:
        ids = _fail_orphans_of(tx, tombstone, now, limit, terms)
        if ids:
            failed[ObjectRef(Kind.ENDPOINT, tombstone["namespace"], tombstone["name"])] = ids
            limit -= len(ids)
        if limit <= 0:
            break
    more = len(tombstones) == _TOMBSTONES_AT_ONCE
    return Looked(failed, (tombstones[-1]["deleted_ms"], tombstones[-1]["seq"]) if more else None)


def _fail_orphans_of(tx: Transaction, tombstone: Row, now: datetime, limit: int, terms: Terms) -> list[str]:
    """Give up what waits; once nothing refers to the Endpoint any more, forget it."""
    namespace, name = tombstone["namespace"], tombstone["name"]
    destination = f"{namespace}/{lane_of(None, name)}"
    found = tx.rows(SQL["orphans"], namespace=namespace, endpoint=name, destination=destination, limit=limit)
    orphans = fitting(found, MOST_BYTES, "weight")
    letters = give_up(
        tx, orphans, f"{FailureReason.ENDPOINT_DELETED}: Endpoint {name!r} was deleted and has not come back", now
    )
    callbacks = Callbacks(tx, terms, now)
    for row in tx.stream(SQL["telling"], json_array(letters)):
        callbacks.tell(Report(message_of(row), gone(row), row["retried"], None, letters[row["seq"]], attempted=False))
    callbacks.store()
    if orphans == found and len(found) < limit and not tx.row(SQL["in_flight"], namespace=namespace, endpoint=name):
        tx.run(SQL["forget_endpoint"], tombstone["seq"])
        tx.run(SQL["forget_stats"], namespace, name)
    return [row["id"] for row in orphans]


def give_back(tx: Transaction, limit: int) -> int:
    """Give free pages at the end of the file back to the disk, at most `limit`. Returns how many; 0: few are free.

    What is free is used again, so a share stays; without that the file would shrink and grow with every hour.
    """
    free, pages = _pragma(tx, "freelist_count"), _pragma(tx, "page_count")
    spare = min(limit, _PAGES_AT_ONCE, free - max(_PAGES_KEPT, pages // _SHARE_KEPT))
    for _ in range(spare):
        tx.run("PRAGMA incremental_vacuum(1)")  # takes one step per page, whatever number is given
    return max(0, spare)


def _pragma(tx: Transaction, name: str) -> int:
    row = tx.row(f"PRAGMA {name}")
    return int(row[0]) if row else 0


def purge(tx: Transaction, retention: Retention, now: datetime, limit: int) -> int:
    """Rows removed, or looked at for the last time; at most about `limit`, the log first."""
    count = 0
    for step, cutoff in (
        (_purge_log, now - retention.log),
        (_purge_dead_letters, now - retention.dead_letters),
        (_purge_messages, now - retention.messages),
        (_purge_runs, now),
        (_purge_keys, now),
    ):
        if count < limit:
            count += step(tx, cutoff, limit - count)
    return count


def _purge_log(tx: Transaction, cutoff: datetime, limit: int) -> int:
    rows = fitting(tx.objects(SQL["old_log"], cutoff=to_ms(cutoff), limit=limit), MOST_BYTES, "size")
    for row in rows:
        tx.charge(row["namespace"], stored_bytes=-row["size"])
    tx.run(SQL["delete_log"], json_array(row["id"] for row in rows))
    sweep(tx, {row["message"] for row in rows})
    return len(rows)


def _purge_dead_letters(tx: Transaction, cutoff: datetime, limit: int) -> int:
    rows = fitting(tx.objects(SQL["old_dead_letters"], cutoff=to_ms(cutoff), limit=limit), MOST_BYTES, "weight")
    remove(tx, rows)
    return len(rows)


def _purge_messages(tx: Transaction, cutoff: datetime, limit: int) -> int:
    rows = fitting(tx.objects(SQL["aged"], cutoff=to_ms(cutoff), limit=limit), MOST_BYTES, "weight")
    seqs = [row["seq"] for row in rows]
    tx.run(SQL["mark_aged"], json_array(seqs))
    sweep(tx, seqs)
    return len(seqs)


def _purge_runs(tx: Transaction, cutoff: datetime, limit: int) -> int:
    """Runs too old to be listed: their messages lose the protection, and those without messages go."""
    runs = [row["seq"] for row in fitting(tx.objects(SQL["left_runs"], limit), limit, "messages")]
    seqs = json_array(runs)
    count = tx.run(SQL["mark_left"], seqs)
    sweep(tx, [row["seq"] for row in tx.objects(SQL["messages_of_runs"], seqs)])
    sweep_runs(tx, runs)
    return count


def _purge_keys(tx: Transaction, now: datetime, limit: int) -> int:
    """Keys of deduplication and of flow control that have no effect any more."""
    count = deduplication.purge(tx, now, limit)
    return count + flow_control.purge(tx, now - _FLOW_CONTROL_KEPT, now, limit)


def touch(tx: Transaction) -> None:
    """Writes a page without changing anything, to learn whether that can be done."""
    version = tx.rows("PRAGMA user_version")[0][0]
    tx.run(f"PRAGMA user_version = {version}")
