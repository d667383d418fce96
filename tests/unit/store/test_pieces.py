"""What may be large is changed in pieces, so that the writer is never held up for long."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
from tests.support.fakes import START, FakeClock
from tests.support.stores import NS, accepted, endpoint, grant, ids, publication

from angarium.domain.declarations import DeliveryOptions, FlowControl, Kind, ObjectRef
from angarium.domain.ports import Limits, Retention
from angarium.store import SqliteStore, open_store, ownership, tenants

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


async def test_a_full_queue_is_deleted_piece_by_piece_and_nobody_is_let_in(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "AT_ONCE", 10)
    _, (first,) = await store.accept([publication(queue="orders") for _ in range(35)], grant())
    executed = statements(store)
    assert await store.edit(QUEUE, lambda _: None, START) is None
    assert sum(sql == "BEGIN IMMEDIATE" for sql in executed) == 5
    assert not any(sql.startswith("UPDATE messages SET queued = 0") for sql in executed)
    assert (await store.backlog()).waiting == 0
    assert await store.declared(QUEUE) is None
    assert (await store.renew([first], 2000.0)) == [None]


async def test_a_queue_that_stays_keeps_its_messages(store: SqliteStore) -> None:
    await accepted(store, *(publication(queue="orders") for _ in range(3)))
    await store.edit(QUEUE, lambda before: before, START)
    assert (await store.backlog()).waiting == 3
    assert not await store._write(partial(ownership.shrink, ref=QUEUE, change=lambda before: before, now=START))


async def test_a_tenant_goes_piece_by_piece(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants, "_PIECE", 4)
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
        assert any(sql.startswith(f"DELETE FROM {table}") and "LIMIT 4" in sql for sql in executed), table
    assert not await store.flow_controls(NS, "", START)
    assert set(await store.tenants()) == {"other"}
    (again,) = await accepted(store, publication(dedup_key=bytes([1]) * 32))
    assert again.namespace == NS
