"""Housekeeping: rounds, batches, orphans and their notice, a store in trouble."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from tests.support.fakes import Bell, LoopClock, Recorder, WallClock
from tests.support.stores import accepted, endpoint, publication
from tests.support.waiting import until

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.errors import StoreError
from angarium.domain.notices import EndpointOrphansFailed, PlaceFreed
from angarium.domain.ports import Retention, Store
from angarium.engine.janitor import HousekeepingSettings, Janitor
from angarium.engine.supervisor import Pulse

BILLING = ObjectRef(Kind.ENDPOINT, "shop", "billing")
ORDERS = ObjectRef(Kind.QUEUE, "shop", "orders")


@dataclass
class Rooms:
    """A HousekeepingStore that says how often it was asked, and has so many rows to remove."""

    rows: int = 0
    orphans: list[list[str]] = field(default_factory=list)
    held: list[list[str]] = field(default_factory=list)
    failing: int = 0
    pages: int = 0
    given: list[int] = field(default_factory=list)
    purges: list[tuple[datetime, int]] = field(default_factory=list)
    cutoffs: list[datetime] = field(default_factory=list)

    async def fail_orphans(
        self, deleted_before: datetime, now: datetime, limit: int
    ) -> Mapping[ObjectRef, Sequence[str]]:
        if self.failing:
            self.failing -= 1
            raise StoreError("the disk does not answer")
        self.cutoffs.append(deleted_before)
        return {BILLING: self.orphans.pop(0)} if self.orphans else {}

    async def free_places(self, ended_before: datetime, now: datetime, limit: int) -> Mapping[ObjectRef, Sequence[str]]:
        assert now - ended_before == timedelta(hours=24)
        return {ORDERS: self.held.pop(0)} if self.held else {}

    async def give_back(self, limit: int) -> int:
        given = min(limit, self.pages)
        self.pages -= given
        self.given.append(given)
        return given

    async def purge(self, retention: Retention, now: datetime, limit: int) -> int:
        removed = min(limit, self.rows)
        self.rows -= removed
        self.purges.append((now, removed))
        return removed


async def run(rooms: Rooms, recorder: Recorder, for_s: float, bell: Bell | None = None) -> None:
    janitor = Janitor(rooms, Retention(), [recorder], bell or Bell(), LoopClock())  # type: ignore[arg-type]
    running = asyncio.create_task(janitor.run(Pulse()))
    await asyncio.sleep(for_s)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.looptime
async def test_a_round_a_minute() -> None:
    rooms = Rooms()
    await run(rooms, Recorder(), 150)
    assert len(rooms.cutoffs) == len(rooms.purges) == 3


@pytest.mark.looptime
async def test_much_to_remove_goes_in_small_batches_with_pauses() -> None:
    rooms = Rooms(rows=1200)
    await run(rooms, Recorder(), 30)
    assert [removed for _, removed in rooms.purges] == [500, 500, 200, 0]
    assert all(b[0] - a[0] >= timedelta(milliseconds=10) for a, b in zip(rooms.purges, rooms.purges[1:], strict=False))


@pytest.mark.looptime
async def test_space_that_became_free_is_given_back_after_that() -> None:
    rooms = Rooms(rows=10, pages=1500)
    await run(rooms, Recorder(), 30)
    assert rooms.given == [500, 500, 500, 0]


@pytest.mark.looptime
async def test_places_that_callbacks_held_too_long_are_freed_and_told_and_who_waited_is_claimed() -> None:
    recorder, bell = Recorder(), Bell()
    await run(Rooms(held=[["msg_1", "msg_2"], ["msg_3"]]), recorder, 30, bell)
    assert recorder.notices == [PlaceFreed(ORDERS, f"msg_{n}") for n in (1, 2, 3)]
    assert bell.rung == 2


@pytest.mark.looptime
async def test_orphans_are_told_batch_by_batch() -> None:
    recorder = Recorder()
    await run(Rooms(orphans=[["msg_1", "msg_2"], ["msg_3"]]), recorder, 30)
    assert recorder.notices == [
        EndpointOrphansFailed(BILLING, ("msg_1", "msg_2")),
        EndpointOrphansFailed(BILLING, ("msg_3",)),
    ]


@pytest.mark.looptime
async def test_a_store_in_trouble_is_asked_again_in_the_next_round() -> None:
    rooms = Rooms(failing=2)
    await run(rooms, Recorder(), 150)
    assert len(rooms.cutoffs) == 1


async def test_messages_of_an_endpoint_that_stays_deleted_fail(store: Store) -> None:
    clock, recorder = WallClock(), Recorder()
    await store.apply([endpoint()], clock.now())
    (message,) = await accepted(store, publication(endpoint="billing", created_at=clock.now()))
    await store.remove([(BILLING, None)], clock.now())
    settings = HousekeepingSettings(every=timedelta(milliseconds=20), orphan_grace=timedelta(milliseconds=200))
    running = asyncio.create_task(Janitor(store, Retention(), [recorder], Bell(), clock, settings).run(Pulse()))
    await until(lambda: bool(recorder.notices))
    assert recorder.notices == [EndpointOrphansFailed(BILLING, (message.id,))]
    view = await store.message("shop", message.id, clock.now())
    assert view is not None and view.state == "Failed"
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
