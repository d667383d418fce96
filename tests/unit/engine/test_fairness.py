"""Many slow lanes together: they leave room for others, in places and in bytes."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.fakes import WallClock
from tests.support.stores import accepted, attempt, endpoint, publication
from tests.support.waiting import until

from angarium.domain.messages import Leased, Outcome, Result
from angarium.domain.ports import Store
from angarium.engine.dispatcher import Dispatcher, DispatchSettings
from angarium.engine.outcomes import Outcomes
from angarium.engine.supervisor import Pulse

SETTINGS = DispatchSettings(capacity=100, capacity_bytes=100_000, per_lane=20, poll=timedelta(minutes=5))
SLOW = 20
EACH = 30


@dataclass
class Destinations:
    """Those named slow answer when the gate opens; others at once, one turn of the loop later."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)

    async def perform(self, one: Leased) -> Outcome:
        self.begun[one.lane] += 1
        await (self.gate.wait() if "slow" in one.lane else asyncio.sleep(0))
        self.ended[one.lane] += 1
        return Outcome(one, Result.DELIVERED, attempt(one.retried + 1))


def to(host: str, count: int, size: int) -> list[object]:
    now = datetime.now(UTC)
    return [publication(f"https://{host}/{n}", created_at=now, body=b"x" * size) for n in range(count)]


def goes_at_once(dispatcher: Dispatcher, lane: str, size: int) -> bool:
    """Whether a message that is published now is leased in the same transaction."""
    grant = dispatcher.grant(1, size)
    dispatcher.offer(grant, ())
    return grant.room == 1 and lane not in grant.closed_lanes


@pytest.mark.parametrize("size", [2, 1_000], ids=["places", "bytes"])
@pytest.mark.parametrize("slow", [1, 5, SLOW])
async def test_slow_lanes_together_leave_room_for_others(store: Store, slow: int, size: int) -> None:
    destinations, clock = Destinations(), WallClock()
    dispatcher = Dispatcher("me", store, destinations.perform, Outcomes(store, [], clock), clock, SETTINGS)
    for number in range(slow):
        await accepted(store, *to(f"slow{number}.test", EACH, size))
    loop = asyncio.create_task(dispatcher.claim(Pulse()))
    await until(lambda: len(destinations.begun) == slow)
    await accepted(store, *to("quick.test", 200, size))
    dispatcher.wake()
    await until(lambda: destinations.ended["shop/quick.test"] == 200)
    assert not destinations.gate.is_set()
    await until(lambda: goes_at_once(dispatcher, "shop/quick.test", size))
    destinations.gate.set()
    await until(lambda: sum(destinations.ended.values()) == 200 + slow * EACH)
    await dispatcher.drain(timedelta(seconds=5))
    await loop


@pytest.mark.parametrize("size", [2, 1_000], ids=["places", "bytes"])
@pytest.mark.parametrize("answers", [False, True], ids=["hangs", "answers"])
async def test_a_host_at_its_cap_leaves_room_for_others(store: Store, size: int, answers: bool) -> None:
    """Its Endpoints hold what waits for a place there, and no more of the room than slow destinations do."""
    running, most = Counter[str](), Counter[str]()
    destinations, clock = Destinations(), WallClock()

    async def perform(one: Leased) -> Outcome:
        host = "quick" if one.endpoint is None else "shared"
        running[host] += 1
        most[host] = max(most[host], running[host])
        try:
            if host == "shared" and answers:
                await asyncio.sleep(0.02)
            return await destinations.perform(one)
        finally:
            running[host] -= 1

    if answers:
        destinations.gate.set()
    settings = replace(SETTINGS, per_host=10)
    dispatcher = Dispatcher("me", store, perform, Outcomes(store, [], clock), clock, settings)
    names = [f"slow{number}" for number in range(SLOW)]
    now = datetime.now(UTC)
    await store.apply([endpoint(name, f"https://shared.test/{name}") for name in names], now)
    waiting = [publication(endpoint=name, created_at=now, body=b"x" * size) for name in names for _ in range(EACH)]
    await accepted(store, *waiting)
    loop = asyncio.create_task(dispatcher.claim(Pulse()))
    await until(lambda: most["shared"] == 10)
    await accepted(store, *to("quick.test", 200, size))
    dispatcher.wake()
    await until(lambda: destinations.ended["shop/quick.test"] == 200)
    assert answers or running["shared"] == 10
    await until(lambda: goes_at_once(dispatcher, "shop/quick.test", size))
    destinations.gate.set()
    await until(lambda: sum(destinations.ended.values()) == 200 + SLOW * EACH)
    assert most["shared"] == 10
    assert {destinations.ended[f"shop/endpoint/{name}"] for name in names} == {EACH}
    await dispatcher.drain(timedelta(seconds=5))
    await loop


@pytest.mark.parametrize("capacity", [4, 40])
async def test_a_lane_that_fills_the_room_again_and_again_never_waits_for_the_next_poll(
    store: Store, capacity: int
) -> None:
    async def perform(one: Leased) -> Outcome:
        await asyncio.sleep(0.05)
        ended.add(one.message.id)
        return Outcome(one, Result.DELIVERED, attempt(1))

    ended: set[str] = set()
    clock, settings = WallClock(), replace(SETTINGS, capacity=capacity, per_lane=1000)
    dispatcher = Dispatcher("me", store, perform, Outcomes(store, [], clock), clock, settings)
    loop = asyncio.create_task(dispatcher.claim(Pulse()))
    await accepted(store, *to("a.test", 10 * capacity, 2))
    dispatcher.wake()
    await until(lambda: len(ended) == 10 * capacity)
    await dispatcher.drain(timedelta(seconds=5))
    await loop


async def test_a_lane_alone_holds_no_more_than_it_leaves_free(store: Store) -> None:
    destinations, clock = Destinations(), WallClock()
    settings = replace(SETTINGS, per_lane=1000)
    dispatcher = Dispatcher("me", store, destinations.perform, Outcomes(store, [], clock), clock, settings)
    await accepted(store, *to("slow.test", 200, 2))
    loop = asyncio.create_task(dispatcher.claim(Pulse()))
    await until(lambda: destinations.begun["shop/slow.test"] >= 40)
    await asyncio.sleep(0.1)  # what it must not do has no event
    assert dispatcher.held <= 75
    destinations.gate.set()
    await until(lambda: sum(destinations.ended.values()) == 200)
    await dispatcher.drain(timedelta(seconds=5))
    await loop
