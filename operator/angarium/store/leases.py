"""Leases: messages handed to a dispatcher for a while, in turns, and taken back."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import merge
from typing import NamedTuple

from angarium.domain.fanout import lane_of, url_now
from angarium.domain.instants import from_ms, to_ms
from angarium.domain.messages import Claim, Leased, LeaseGrant, LogState, Lost, MessageState
from angarium.store import queues
from angarium.store.intake import SQL
from angarium.store.journal import log_row, write_log
from angarium.store.places import SQL as QUEUES
from angarium.store.room import Room
from angarium.store.rows import endpoint_of, message_of
from angarium.store.starts import SKEW_MS, effective_key
from angarium.store.starts import SQL as FLOW_CONTROL
from angarium.store.transaction import Row, Transaction, json_array

_MOST_BYTES = 4 * 2**20
"""Of bodies read in one step: SQLite has them in memory several times then, and makes no value of a gigabyte."""


class _Due(NamedTuple):
    """A message that may be leased: in this order the oldest comes first."""

    due_ms: int
    seq: int
    size: int
    destination: str
    flow: str | None


class Turns:
    """Whose turn it is among tenants; remembered between claims, so that small claims are fair too."""

    def __init__(self) -> None:
        self._last = ""

    def order(self, namespaces: Iterable[str]) -> list[str]:
        """By name, beginning after the tenant that was served last."""
        return sorted(namespaces, key=lambda namespace: (namespace <= self._last, namespace))

    def served(self, namespace: str) -> None:
        self._last = namespace


def claim(tx: Transaction, grant: LeaseGrant, now: datetime, monotonic: float, turns: Turns) -> Claim:
    _give_back(tx, tx.rows(SQL["expired"], owner=grant.owner, now=monotonic))
    queues.let_join(tx, now)
    tx.settle()
    room = Room(grant)
    chosen = _choose(tx, room, grant, now, turns)
    leased = [one for some in _pieces(chosen) for one in _lease(tx, some, grant, now)]
    tx.settle()
    return Claim(tuple(leased), _next_due(tx, now), frozenset(room.full_lanes), room.lacking)


def _next_due(tx: Transaction, now: datetime) -> datetime | None:
    """When a message becomes due, a window lets one start, or the delay of one ends that a queue has a place for."""
    sources = (SQL["next_due"], FLOW_CONTROL["next_open"], QUEUES["next_joining"])
    rows = [tx.row(sql, now=to_ms(now)) for sql in sources]
    return from_ms(min(row[0] for row in rows if row)) if any(rows) else None


def _choose(tx: Transaction, room: Room, grant: LeaseGrant, now: datetime, turns: Turns) -> list[_Due]:
    """Due messages: one of each tenant in turn, a tenant's oldest first.

    As long as lanes and grant have room and flow control lets them start.
    """
    lanes: defaultdict[str, list[Row]] = defaultdict(list)
    for row in tx.stream(SQL["due_lanes"], now=to_ms(now), closed=json_array(grant.closed_lanes), skew=SKEW_MS):
        # A tenant's oldest messages are in its first lanes; of the others there may be any number.
        if len(lanes[row["namespace"]]) < grant.room:
            lanes[row["namespace"]].append(row)
    page = min(grant.lane_room, 1 + grant.room // max(1, sum(map(len, lanes.values()))))

    def due(lane: Row) -> Iterator[_Due]:
        # Cut off here: a lane's backlog is not to be read past what the lane may take.
        backlog = _due(tx, lane, now, page)
        while (
            room.opens(lane["destination"])
            and tx.starts.open(lane["namespace"], lane["flow"], now)
            and (found := next(backlog, None))
            and room.opens(lane["destination"], found.size)
        ):
            yield found

    waiting = {name: merge(*map(due, lanes[name])) for name in turns.order(lanes)}
    chosen: list[_Due] = []
    while waiting:
        for namespace in list(waiting):
            if room.full:
                return chosen
            found = next(waiting[namespace], None)
            if found is None:
                del waiting[namespace]
            elif tx.starts.open(namespace, found.flow, now) and room.take(found.destination, found.size):
                tx.starts.start(namespace, found.flow, now)
                chosen.append(found)
                turns.served(namespace)
    return chosen


def _due(tx: Transaction, lane: Row, now: datetime, page: int) -> Iterator[_Due]:
    """In order, read page by page so that many lanes at once cost little."""
    due_ms, seq = 0, 0
    given = {"lane": lane["lane"], "now": to_ms(now), "most": page}
    while rows := tx.objects(SQL["due_of_lane"], **given, due_ms=due_ms, seq=seq):
        for row in rows:
            due_ms, seq = row["due_ms"], row["seq"]
            yield _Due(due_ms, seq, row["size"], lane["destination"], lane["flow"])


def _pieces(chosen: Sequence[_Due]) -> Iterator[list[int]]:
    """Their numbers in order, with bodies of not more than a few MiB at a time, unless a single one is larger."""
    piece: list[int] = []
    size = 0
    for due in chosen:
        if piece and size + due.size > _MOST_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(due.seq)
        size += due.size
    if piece:
        yield piece


def _lease(tx: Transaction, seqs: Sequence[int], grant: LeaseGrant, now: datetime) -> list[Leased]:
    given = json_array(seqs)
    tx.run(SQL["lease"], owner=grant.owner, until=grant.until, seqs=given)
    leased, log = [], []
    for row, body in tx.objects_with_bodies(SQL["leased"], given):
        endpoint = endpoint_of(row)
        message = message_of(row, body)
        gated = tx.starts.gates(row["namespace"], effective_key(row["flow"], row["endpoint"]))
        lane = f"{message.namespace}/{lane_of(message.url, message.endpoint)}"
        leased.append(Leased(message, row["retried"], row["lease"], lane, endpoint, gated))
        url = url_now(message.url, endpoint, message.endpoint)
        log.append(log_row(message.namespace, row["seq"], to_ms(now), LogState.ACTIVE, url))
        tx.touch_lane(row["lane"])
    write_log(tx, log)
    return leased


def fence_of(leased: Leased) -> tuple[str, int]:
    return leased.message.id, leased.lease


def fenced(tx: Transaction, leased: Iterable[Leased]) -> dict[tuple[str, int], Row]:
    """The rows of those leases that are still in force, by `fence_of`."""
    rows = tx.objects(SQL["held_by_lease"], json_array(map(fence_of, leased)))
    return {(row["id"], row["lease"]): row for row in rows}


def renew(tx: Transaction, leased: Sequence[Leased], until: float) -> list[Leased | Lost]:
    rows = {row["id"]: row for row in tx.objects(SQL["bound_now"], json_array(item.message.id for item in leased))}
    renewed = [_as_it_is_now(item, rows.get(item.message.id)) for item in leased]
    held = [rows[item.message.id]["seq"] for item in renewed if isinstance(item, Leased)]
    tx.run(SQL["renew"], until=until, seqs=json_array(held))
    return renewed


def _as_it_is_now(leased: Leased, row: Row | None) -> Leased | Lost:
    if row is None or row["finished_ms"] is not None:
        return Lost.ENDED
    if (row["lease"], row["state"]) != (leased.lease, MessageState.DELIVERING.value):
        return Lost.EXPIRED
    return replace(leased, endpoint=endpoint_of(row))


def release(tx: Transaction, leased: Sequence[Leased]) -> None:
    rows = list(fenced(tx, leased).values())
    _give_back(tx, rows)
    tx.run(SQL["forget_activity"], json_array(row["seq"] for row in rows))


def void(tx: Transaction, owner: str) -> int:
    rows = tx.rows(SQL["foreign"], owner=owner)
    _give_back(tx, rows)
    return len(rows)


def _give_back(tx: Transaction, rows: Sequence[Row]) -> None:
    if not rows:
        return
    tx.run(SQL["unlease"], json_array(row["seq"] for row in rows))
    for row in rows:
        tx.end_lease(row)
