"""Many slow lanes together: they leave room for others, in places and in bytes."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.fakes import WallClock
from tests.support.stores import accepted, attempt, publication
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
