"""What may be large is changed in pieces, so that the writer is never held up for long."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import pairwise

import pytest
from tests.support.api import Dispatch
from tests.support.fakes import START, FakeClock
from tests.support.stores import (
    DAY,
    NS,
    SECOND,
    accepted,
    delivered,
    endpoint,
    failed,
    firing,
    grant,
    ids,
    publication,
    schedule,
    topic,
)

from angarium.domain.declarations import Callback, DeliveryOptions, Destination, FlowControl, Kind, ObjectRef
from angarium.domain.ids import dlq_id
from angarium.domain.messages import Leased, Lost, Outcome
from angarium.domain.ports import Limits, Retention
from angarium.domain.views import HistoryFilter
from angarium.service.dead_letters import DeadLetters
from angarium.store import SqliteStore, history, open_store, ownership, portions, tenants
from angarium.store.portions import MOST_BYTES

QUEUE = ObjectRef(Kind.QUEUE, NS, "orders")


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    opened = open_store(None, limits=Limits(), new_id=ids(), clock=FakeClock(), retention=Retention())
    yield opened
    await opened.close()


def statements(store: SqliteStore) -> list[str]:
    """What is executed from now on."""
    executed: list[str] = []
    store._connection.set_trace_callback(executed.append)
    return executed


def in_pieces_of(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(portions, "_FIRST", rows)
    monkeypatch.setattr(portions, "MOST_ROWS", rows)


async def stored_bytes(store: SqliteStore) -> int:
    rows = await store._read(lambda session: session.rows("SELECT length(body) AS size FROM bodies"))
    return sum(row["size"] for row in rows)


async def test_a_full_queue_is_deleted_piece_by_piece_and_nobody_is_let_in(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pieces_of(monkeypatch, 10)
    _, (first,) = await store.accept([publication(queue="orders") for _ in range(35)], grant())
    executed = statements(store)
    assert await store.edit(QUEUE, lambda _: None, START) is None
    assert sum(sql == "BEGIN IMMEDIATE" for sql in executed) == 5
    assert not any(sql.startswith("UPDATE messages SET queued = 0") for sql in executed)
    assert (await store.backlog()).waiting == 0
    assert await store.declared(QUEUE) is None
    assert (await store.renew([first], 2000.0)) == [Lost.ENDED]


async def test_a_queue_that_stays_keeps_its_messages(store: SqliteStore) -> None:
    await accepted(store, *(publication(queue="orders") for _ in range(3)))
    await store.edit(QUEUE, lambda before: before, START)
    assert (await store.backlog()).waiting == 3
    shrink = partial(ownership.shrink, ref=QUEUE, change=lambda before: before, now=START, limit=9)
    assert not await store._write(shrink)


async def test_a_tenant_goes_piece_by_piece(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    in_pieces_of(monkeypatch, 4)
    await store.apply([endpoint()], START)
    many = [
        publication(dedup_key=bytes([n]) * 32, options=DeliveryOptions(flow_control=FlowControl(f"k{n}", rate=1)))
        for n in range(10)
    ]
    await accepted(store, *many)
    await accepted(store, publication(namespace="other", dedup_key=b"x" * 32))
    executed = statements(store)
    await store.purge_namespace(NS, START)
    for table in tenants.PIECEMEAL:
        assert any(f"FROM {table} WHERE" in sql and "LIMIT 4" in sql for sql in executed), table
    assert not await store.flow_controls(NS, "", START)
    assert set(await store.tenants()) == {"other"}
    (again,) = await accepted(store, publication(dedup_key=bytes([1]) * 32))
    assert again.namespace == NS


async def test_what_is_canceled_goes_piece_by_piece(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    in_pieces_of(monkeypatch, 10)
    await accepted(store, *(publication() for _ in range(35)))
    executed = statements(store)
    assert (await store.cancel(HistoryFilter(NS), 100, START)).count == 35
    assert sum(sql == "BEGIN IMMEDIATE" for sql in executed) == 4
    assert (await store.backlog()).waiting == 0


@pytest.mark.parametrize("outcome", [delivered, failed])
async def test_large_bodies_past_their_retention_go_a_few_at_a_time(
    store: SqliteStore, outcome: Callable[[Leased], Outcome]
) -> None:
    many = [publication(body=bytes(MOST_BYTES // 4)) for _ in range(10)]
    _, leased = await store.accept(many, grant())
    await store.record([outcome(item) for item in leased], START)
    left = [await stored_bytes(store)]
    while await store.purge(Retention(), START + 30 * DAY, 500):
        left.append(await stored_bytes(store))
        assert left[-2] - left[-1] <= MOST_BYTES
    assert left[-1] == 0


async def test_large_bodies_of_a_tenant_go_a_few_at_a_time(store: SqliteStore) -> None:
    await accepted(store, *(publication(body=bytes(MOST_BYTES // 4)) for _ in range(10)))
    executed = statements(store)
    await store.purge_namespace(NS, START)
    assert sum(sql.startswith("DELETE FROM bodies") for sql in executed) >= 3
    assert await stored_bytes(store) == 0


async def test_orphans_whose_callbacks_repeat_large_bodies_fail_a_few_at_a_time(store: SqliteStore) -> None:
    await store.apply([endpoint()], START)
    told = Callback(Destination(url="https://told.test/"))
    body = bytes(MOST_BYTES // 4)
    await accepted(store, *(publication(endpoint="billing", failure_callback=told, body=body) for _ in range(10)))
    await store.remove([(ObjectRef(Kind.ENDPOINT, NS, "billing"), None)], START)
    batches = []
    while gone := await store.fail_orphans(START + SECOND, START + SECOND, 500):
        batches += [len(ids) for ids in gone.values()]
    assert batches == [4, 4, 2]
    assert (await store.backlog()).waiting == 10, "their callbacks"


async def test_runs_of_many_messages_leave_the_list_a_few_at_a_time(store: SqliteStore) -> None:
    declared = schedule(destination=Destination(topic="all"))
    endpoints = [endpoint(f"e{n}") for n in range(20)]
    await store.apply([declared, topic("all", *(each.ref.name for each in endpoints)), *endpoints], START)
    for n in range(10):
        (due,) = (await store.due_schedules(START + DAY, 10)).schedules
        (fired,) = await store.fire([firing(due, START + n * SECOND)], grant(1000, lane_room=1000))
        await store.record([delivered(item) for item in fired.leased], START)
    await store.remove([(declared.ref, None)], START)
    left = []
    while await store.purge(Retention(log=DAY, messages=DAY), START + 8 * DAY, 50):
        left.append(await store._read(lambda session: len(session.rows("SELECT 1 FROM messages"))))
    assert left[-1] == 0
    assert max(before - after for before, after in pairwise([200, *left])) <= 50
    assert not await store._read(lambda session: session.rows("SELECT 1 FROM runs"))


async def test_outcomes_that_come_while_a_tenant_goes_leave_nothing_of_it(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (one, other) = await store.accept([publication(), publication()], grant())
    clear = store._clear_tables

    async def clear_and_end(namespace: str) -> None:
        await clear(namespace)
        await store.record([failed(one), delivered(other)], START)

    monkeypatch.setattr(store, "_clear_tables", clear_and_end)
    await store.purge_namespace(NS, START)
    for table in ("log", "dead_letters", "messages", "lanes", "usage"):
        rows = await store._read(lambda session, table=table: session.rows(f"SELECT * FROM {table}"))  # type: ignore[misc]
        assert not rows, table


@pytest.mark.parametrize("by", ["dlq_ids", "message_ids"])
async def test_listed_letters_with_large_bodies_are_all_deleted_a_few_at_a_time(store: SqliteStore, by: str) -> None:
    _, leased = await store.accept([publication(body=bytes(2**20)) for _ in range(20)], grant())
    await store.record([failed(item) for item in leased], START)
    letters = await store._read(lambda session: history.letters(session, HistoryFilter(NS)))
    listed = {
        "message_ids": [item.message.id for item in leased],
        "dlq_ids": [dlq_id(letter["time_ms"], letter["seq"]) for letter in letters],
    }
    executed = statements(store)
    service = DeadLetters(store, Dispatch(), [], FakeClock())
    deleted = await service.delete(HistoryFilter(NS, **{by: listed[by]}))  # type: ignore[arg-type]
    assert (deleted.count, deleted.cursor) == (20, None)
    assert sum(sql == "BEGIN IMMEDIATE" for sql in executed) >= 3
    assert (await store.backlog()).dead_letters == 0


async def test_many_deleted_endpoints_are_looked_at_a_few_at_a_time_and_one_in_use_holds_up_none(
    store: SqliteStore,
) -> None:
    endpoints = [endpoint(f"e{n:03}") for n in range(160)]
    await store.apply(endpoints, START)
    _, (flying,) = await store.accept([publication(endpoint="e000")], grant())
    (last,) = await accepted(store, publication(endpoint="e159"))
    await store.remove([(each.ref, None) for each in endpoints], START)
    executed = statements(store)
    failed_now = await store.fail_orphans(START + SECOND, START + SECOND, 100)
    assert failed_now == {endpoints[-1].ref: [last.id]}
    assert sum(sql == "BEGIN IMMEDIATE" for sql in executed) == 4
    assert await store.fail_orphans(START + SECOND, START + SECOND, 100) == {}
    left = await store._read(lambda session: session.rows("SELECT name FROM declared"))
    assert [row["name"] for row in left] == ["e000"]
    await store.record([delivered(flying)], START)
    assert await store.fail_orphans(START + SECOND, START + SECOND, 100) == {}
    assert not await store._read(lambda session: session.rows("SELECT name FROM declared"))


async def test_a_claim_may_have_more_bytes_of_bodies_than_sqlite_takes_as_one_value(store: SqliteStore) -> None:
    bodies = [bytes([n]) * (n * 2**20 // 2) for n in range(12)]
    messages = await accepted(store, *[publication(body=body) for body in bodies])
    store._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 6 * 2**20)
    claim = await store.claim(grant(), START)
    assert [one.message.id for one in claim.leased] == [message.id for message in messages]
    assert [one.message.body for one in claim.leased] == bodies
