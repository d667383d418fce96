"""Keeps the database small: what has ended goes after its retention, in small batches.

Three things keep an ended message's row: a log entry, a dead letter, a run that a status may show. Whoever removes
one of them looks whether it was the last (`_sweep`), so that nothing has to be searched for.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.fanout import lane_of
from angarium.domain.ports import Retention
from angarium.store.cancellation import give_up
from angarium.store.statements import load
from angarium.store.times import to_ms
from angarium.store.transaction import Row, Transaction, json_array

SQL = load("housekeeping")


def fail_orphans(
    tx: Transaction, deleted_before: datetime, now: datetime, limit: int
) -> Mapping[ObjectRef, Sequence[str]]:
    failed: dict[ObjectRef, list[str]] = {}
    for tombstone in tx.rows(SQL["tombstones"], to_ms(deleted_before)):
        if limit <= 0:
            break
        ids = _fail_orphans_of(tx, tombstone, now, limit)
        if ids:
            failed[ObjectRef(Kind.ENDPOINT, tombstone["namespace"], tombstone["name"])] = ids
            limit -= len(ids)
    return failed


def _fail_orphans_of(tx: Transaction, tombstone: Row, now: datetime, limit: int) -> list[str]:
    """Give up what waits; once nothing refers to the Endpoint any more, forget it."""
    namespace, name = tombstone["namespace"], tombstone["name"]
    lane = f"{namespace}/{lane_of(None, name)}"
    orphans = tx.rows(SQL["orphans"], lane=lane, limit=limit)
    give_up(tx, orphans, f"EndpointDeleted: Endpoint {name!r} was deleted and has not come back", now)
    if len(orphans) < limit and not tx.row(SQL["in_flight"], lane):
        tx.run(SQL["forget_endpoint"], tombstone["seq"])
        tx.run(SQL["forget_stats"], namespace, name)
    return [row["id"] for row in orphans]


def purge(tx: Transaction, retention: Retention, now: datetime, limit: int) -> int:
    """Rows removed, or looked at for the last time; at most about `limit`, the oldest kind first."""
    gone = 0
    for step, cutoff in (
        (_purge_log, now - retention.log),
        (_purge_dead_letters, now - retention.dead_letters),
        (_purge_messages, now - retention.messages),
        (_purge_runs, now),
    ):
        if gone < limit:
            gone += step(tx, to_ms(cutoff), limit - gone)
    return gone


def _purge_log(tx: Transaction, cutoff: int, limit: int) -> int:
    rows = tx.rows(SQL["old_log"], cutoff=cutoff, limit=limit)
    for row in rows:
        tx.charge(row["namespace"], stored_bytes=-row["size"])
    tx.run(SQL["delete_log"], json_array(row["id"] for row in rows))
    _sweep(tx, {row["message"] for row in rows})
    return len(rows)


def _purge_dead_letters(tx: Transaction, cutoff: int, limit: int) -> int:
    rows = tx.rows(SQL["old_dead_letters"], cutoff=cutoff, limit=limit)
    for row in rows:
        tx.charge(row["namespace"], stored_bytes=-row["size"], dead_letters=-1)
    tx.run(SQL["delete_dead_letters"], json_array(row["id"] for row in rows))
    _sweep(tx, {row["message"] for row in rows})
    return len(rows)


def _purge_messages(tx: Transaction, cutoff: int, limit: int) -> int:
    seqs = [row["seq"] for row in tx.rows(SQL["aged"], cutoff=cutoff, limit=limit)]
    tx.run(SQL["mark_aged"], json_array(seqs))
    _sweep(tx, seqs)
    return len(seqs)


def _purge_runs(tx: Transaction, cutoff: int, limit: int) -> int:
    """Runs too old to be listed: their messages lose the protection, and those without messages go."""
    seqs = json_array(row["seq"] for row in tx.rows(SQL["left_runs"], limit))
    count = tx.run(SQL["mark_left"], seqs)
    _sweep(tx, [row["seq"] for row in tx.rows(SQL["messages_of_runs"], seqs)])
    tx.run(SQL["delete_empty_runs"], seqs)
    return count


def _sweep(tx: Transaction, messages: Collection[int]) -> None:
    """Of these messages, remove the bodies and the rows that nothing needs any more."""
    given = json_array(messages)
    bodies = tx.rows(SQL["spare_bodies"], given)
    for row in bodies:
        tx.charge(row["namespace"], stored_bytes=-row["size"])
    tx.run(SQL["delete_bodies"], json_array(row["message"] for row in bodies))
    spare = tx.rows(SQL["spare_messages"], given)
    seqs = json_array(row["seq"] for row in spare)
    tx.run(SQL["delete_attempts"], seqs)
    tx.run(SQL["delete_messages"], seqs)
    tx.run(SQL["delete_empty_runs"], json_array({row["run"] for row in spare if row["run"] is not None}))
