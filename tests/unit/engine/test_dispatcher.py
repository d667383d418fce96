"""The dispatcher over the real store: claiming, lanes, leases, races of leases, draining."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tests.support.fakes import FakeReferences, WallClock, leased
from tests.support.stores import accepted, attempt, changed, endpoint, firing, publication, schedule
from tests.support.waiting import until

from angarium.domain.declarations import ConcurrencyPolicy, Endpoint, Timing
from angarium.domain.errors import StoreError
from angarium.domain.messages import Claim, Leased, LeaseGrant, Message, MessageState, Outcome, Result
from angarium.domain.ports import Store
from angarium.engine.decisions import Decisions
from angarium.engine.dispatcher import Dispatcher, DispatchSettings
from angarium.engine.outcomes import Outcomes
from angarium.engine.scheduler import Scheduler
from angarium.engine.supervisor import Pulse

QUICK = DispatchSettings(capacity=40, per_lane=4, heartbeat=timedelta(milliseconds=50), settling=timedelta(seconds=1))


@dataclass
class Stage:
    """Performs attempts: each waits at the gate; `results` by url, else DELIVERED."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    results: Callable[[Leased], Outcome] = lambda one: Outcome(one, Result.DELIVERED, attempt(one.retried + 1))
    performed: list[Leased] = field(default_factory=list)
    running: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    async def perform(self, one: Leased) -> Outcome:
        self.performed.append(one)
        self.running[one.lane] += 1
        self.most[one.lane] = max(self.most[one.lane], self.running[one.lane])
        try:
            await self.gate.wait()
        finally:
            self.running[one.lane] -= 1
        return self.results(one)


@asynccontextmanager
async def dispatching(store: Store, stage: Stage, settings: DispatchSettings = QUICK) -> AsyncIterator[Dispatcher]:
    clock = WallClock()
    dispatcher = Dispatcher("me", store, stage.perform, Outcomes(store, [], clock), clock, settings)
    store.on_recall(dispatcher.recall)
    loops = [asyncio.create_task(loop(Pulse())) for loop in (dispatcher.claim, dispatcher.heartbeat)]
    try:
        yield dispatcher
    finally:
        stage.gate.set()
        await dispatcher.drain(timedelta(seconds=5))
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)


def to(host: str, count: int, **given: object) -> list[object]:
    now = datetime.now(UTC)
    return [publication(f"https://{host}/{n}", **{"created_at": now} | given) for n in range(count)]


async def states(store: Store, ids: Sequence[str], namespace: str = "shop") -> Counter[MessageState]:
    views = [await store.message(namespace, one, datetime.now(UTC)) for one in ids]
    return Counter(view.state for view in views if view)


async def test_what_waits_is_claimed_attempted_and_recorded(store: Store) -> None:
    stage = Stage()
    stage.gate.set()
    messages = await accepted(store, *to("a.test", 100))
    async with dispatching(store, stage) as dispatcher:
        await until(lambda: len(stage.performed) == 100)
        await until(lambda: dispatcher.held == 0)
        assert await states(store, [m.id for m in messages]) == {MessageState.DELIVERED: 100}
    assert len({one.message.id for one in stage.performed}) == 100


async def test_waking_claims_at_once(store: Store) -> None:
    stage = Stage()
    stage.gate.set()
    async with dispatching(store, stage, replace(QUICK, poll=timedelta(minutes=5))) as dispatcher:
        await asyncio.sleep(0.05)
        await accepted(store, *to("a.test", 1))
        dispatcher.wake()
        await until(lambda: len(stage.performed) == 1, 2)


async def test_a_delayed_message_is_claimed_when_it_is_due(store: Store) -> None:
    stage = Stage()
    stage.gate.set()
    due = datetime.now(UTC) + timedelta(milliseconds=300)
    await accepted(store, *to("a.test", 1, not_before=due))
    async with dispatching(store, stage, replace(QUICK, poll=timedelta(minutes=5))):
        await until(lambda: len(stage.performed) == 1, 3)
        assert datetime.now(UTC) >= due - timedelta(milliseconds=1)


async def test_a_retry_comes_when_it_is_due_without_polling(store: Store) -> None:
    def fail_once(one: Leased) -> Outcome:
        if one.retried:
            return Outcome(one, Result.DELIVERED, attempt(2))
        return Outcome(one, Result.RETRY, attempt(1, 500), datetime.now(UTC) + timedelta(milliseconds=200))

    stage = Stage(results=fail_once)
    stage.gate.set()
    (message,) = await accepted(store, *to("a.test", 1))
    async with dispatching(store, stage, replace(QUICK, poll=timedelta(minutes=5))) as dispatcher:
        await until(lambda: len(stage.performed) == 2, 3)
        assert [one.retried for one in stage.performed] == [0, 1]
        await until(lambda: dispatcher.held == 0)
        assert await states(store, [message.id]) == {MessageState.DELIVERED: 1}


async def test_a_retry_without_delay_is_never_lost_between_two_leases(store: Store) -> None:
    def fail_often(one: Leased) -> Outcome:
        if one.retried == 50:
            return Outcome(one, Result.DELIVERED, attempt(51))
        return Outcome(one, Result.RETRY, attempt(one.retried + 1, 500), datetime.now(UTC) - timedelta(seconds=1))

    stage = Stage(results=fail_often)
    stage.gate.set()
    messages = await accepted(store, *to("a.test", 4))
    async with dispatching(store, stage, replace(QUICK, poll=timedelta(minutes=5))) as dispatcher:
        await until(lambda: len(stage.performed) == 4 * 51, 20)
        await until(lambda: dispatcher.held == 0)
        assert await states(store, [m.id for m in messages]) == {MessageState.DELIVERED: 4}


class SlowOutcomes(Outcomes):
    """Writes nothing before the gate opens."""

    gate: asyncio.Event

    async def record(self, outcome: Outcome) -> bool:
        await self.gate.wait()
        return await super().record(outcome)


async def test_a_lane_goes_on_while_what_ended_in_it_is_written(store: Store) -> None:
    clock, stage = WallClock(), Stage()
    stage.gate.set()
    outcomes = SlowOutcomes(store, [], clock)
    outcomes.gate = asyncio.Event()
    dispatcher = Dispatcher("me", store, stage.perform, outcomes, clock, replace(QUICK, per_lane=1))
    loop = asyncio.create_task(dispatcher.claim(Pulse()))
    await accepted(store, *to("a.test", 10))
    dispatcher.wake()
    await until(lambda: len(stage.performed) == 10)
    assert dispatcher.held == 10 and stage.most == {"shop/a.test": 1}
    outcomes.gate.set()
    await until(lambda: dispatcher.held == 0)
    await dispatcher.drain(timedelta(seconds=5))
    await loop


async def test_one_slow_lane_neither_exceeds_its_cap_nor_holds_up_others(store: Store) -> None:
    stage = Stage()
    await accepted(store, *to("slow.test", 60))
    async with dispatching(store, stage) as dispatcher:
        await until(lambda: stage.running["shop/slow.test"] == 4)
        for host in ("b.test", "c.test"):
            await accepted(store, *to(host, 3))
            dispatcher.wake()
            await until(lambda host=host: stage.running[f"shop/{host}"] == 3)  # type: ignore[misc]
        assert dispatcher.held <= 40
        stage.gate.set()
        await until(lambda: len(stage.performed) == 66)
        assert stage.most["shop/slow.test"] == 4


async def test_memory_is_bounded_by_the_capacity(store: Store) -> None:
    stage = Stage()
    for number in range(30):
        await accepted(store, *to(f"h{number}.test", 5))
    async with dispatching(store, stage) as dispatcher:
        await until(lambda: dispatcher.held == 40)
        assert dispatcher.grant(10, 0).room == 0
        stage.gate.set()
        await until(lambda: len(stage.performed) == 150)


LARGE = b"x" * 1000
"""In the tests of bytes the budget is 8000 of them, and a lane's share 1000."""
SMALL_MEMORY = replace(QUICK, capacity_bytes=8000, poll=timedelta(minutes=5))


@dataclass
class Weighing(Stage):
    """Remembers the most bytes that the dispatcher held at the start of an attempt."""

    dispatcher: Dispatcher | None = None
    most_bytes: int = 0

    async def perform(self, one: Leased) -> Outcome:
        if self.dispatcher is not None:
            self.most_bytes = max(self.most_bytes, self.dispatcher.held_bytes)
        return await super().perform(one)


async def test_bodies_held_stay_within_their_budget(store: Store) -> None:
    stage = Weighing()
    for number in range(10):
        await accepted(store, *to(f"h{number}.test", 5, body=LARGE))
    async with dispatching(store, stage, SMALL_MEMORY) as dispatcher:
        stage.dispatcher = dispatcher
        await until(lambda: dispatcher.held_bytes == 8000)
        assert dispatcher.held == 8 and dispatcher.grant(1, 1000).room_bytes == 0
        stage.gate.set()
        await until(lambda: len(stage.performed) == 50)
        await until(lambda: dispatcher.held == 0)
        assert dispatcher.held_bytes == 0
    assert stage.most_bytes == 8000
    assert len({one.message.id for one in stage.performed}) == 50


async def test_a_body_larger_than_the_budget_is_delivered_alone(store: Store) -> None:
    stage = Weighing()
    stage.gate.set()
    await accepted(store, *to("a.test", 3, body=LARGE), *to("huge.test", 2, body=LARGE * 9), *to("b.test", 3))
    async with dispatching(store, stage, SMALL_MEMORY) as dispatcher:
        stage.dispatcher = dispatcher
        await until(lambda: len(stage.performed) == 8)
        await until(lambda: dispatcher.held == 0)
    assert stage.most_bytes == 9000


async def test_nothing_published_overtakes_a_body_that_waits_for_room(store: Store) -> None:
    stage = Stage()
    await accepted(store, *(one for n in range(6) for one in to(f"h{n}.test", 1, body=LARGE)))
    async with dispatching(store, stage, SMALL_MEMORY) as dispatcher:
        await until(lambda: dispatcher.held_bytes == 6000)
        (large,) = await accepted(store, *to("large.test", 1, body=LARGE * 4))
        dispatcher.wake()
        await until(lambda: dispatcher._starved)
        assert (dispatcher.grant(1, 10).room, dispatcher.grant(1, 10).room_bytes) == (0, 0)
        stage.gate.set()
        await until(lambda: stage.performed[-1].message.id == large.id)
        await until(lambda: dispatcher.held == 0)
        assert dispatcher.grant(1, 10).room == 1


async def test_a_slow_lane_of_large_bodies_holds_up_no_other(store: Store) -> None:
    stage = Stage()
    await accepted(store, *to("slow.test", 30, body=LARGE))
    async with dispatching(store, stage, SMALL_MEMORY) as dispatcher:
        await until(lambda: stage.running["shop/slow.test"] > 0)
        await accepted(store, *to("b.test", 2, body=b"x" * 500))
        dispatcher.wake()
        await until(lambda: stage.running["shop/b.test"] == 2)
        assert dispatcher.held_bytes <= 3000
        stage.gate.set()
        await until(lambda: len(stage.performed) == 32)


async def test_a_published_body_larger_than_the_budget_goes_at_once_if_nothing_is_held(store: Store) -> None:
    dispatcher = Dispatcher("me", store, Stage().perform, Outcomes(store, [], WallClock()), WallClock(), SMALL_MEMORY)
    first, second = dispatcher.grant(1, 9000), dispatcher.grant(1, 1)
    assert (first.room_bytes, first.any_size, second.room_bytes, second.any_size) == (8000, True, 0, False)


async def test_a_grant_keeps_its_room_until_it_is_offered(store: Store) -> None:
    dispatcher = Dispatcher("me", store, Stage().perform, Outcomes(store, [], WallClock()), WallClock(), QUICK)
    first, second = dispatcher.grant(30, 0), dispatcher.grant(30, 0)
    assert (first.owner, first.room, second.room, dispatcher.grant(1, 0).room) == ("me", 20, 10, 1)
    dispatcher.offer(first, ())
    assert dispatcher.grant(50, 0).room == 9, "29 are free, and 20 of them are the half of which it is not"


async def test_what_is_accepted_under_a_grant_is_attempted_without_a_claim(store: Store) -> None:
    stage = Stage()
    stage.gate.set()
    clock = WallClock()
    dispatcher = Dispatcher("me", store, stage.perform, Outcomes(store, [], clock), clock, QUICK)
    grant = dispatcher.grant(3, 6)
    _, given = await store.accept(to("a.test", 3), grant)  # type: ignore[arg-type]
    dispatcher.offer(grant, given)
    await until(lambda: len(stage.performed) == 3)
    await until(lambda: dispatcher.held == 0)
    await dispatcher.drain(timedelta(0))


async def test_leases_are_renewed_while_an_attempt_runs(store: Store) -> None:
    stage = Stage()
    settings = replace(QUICK, lease=timedelta(milliseconds=300), poll=timedelta(milliseconds=20))
    (message,) = await accepted(store, *to("a.test", 1))
    async with dispatching(store, stage, settings) as dispatcher:
        await until(lambda: len(stage.performed) == 1)
        await asyncio.sleep(1)
        assert len(stage.performed) == 1
        stage.gate.set()
        await until(lambda: dispatcher.held == 0)
        assert await states(store, [message.id]) == {MessageState.DELIVERED: 1}
    assert [one.lease for one in stage.performed] == [1]


async def test_an_expired_lease_is_taken_again_by_the_attempt_that_runs(store: Store) -> None:
    stage = Stage()
    settings = replace(
        QUICK, lease=timedelta(milliseconds=50), heartbeat=timedelta(minutes=1), poll=timedelta(milliseconds=20)
    )
    (message,) = await accepted(store, *to("a.test", 1))
    async with dispatching(store, stage, settings) as dispatcher:
        await until(lambda: len(stage.performed) == 1)
        await asyncio.sleep(0.4)
        stage.gate.set()
        await until(lambda: dispatcher.held == 0)
        assert await states(store, [message.id]) == {MessageState.DELIVERED: 1}
    assert len(stage.performed) == 1


async def test_a_message_leased_again_before_its_outcome_was_heard_of_is_attempted_again() -> None:
    """The store commits a retry that is due at once, and a claim leases it, before `record` returns."""
    again = leased("msg_1", lease=2, retried=1)

    class Racing:
        async def record(self, outcomes: Sequence[Outcome], now: datetime) -> Sequence[bool]:
            if outcomes[0].leased.lease == 1:
                dispatcher.offer(dispatcher.grant(1, 7), [again])
            return [True]

    stage = Stage()
    stage.gate.set()
    clock = WallClock()
    store = Racing()
    dispatcher = Dispatcher("me", store, stage.perform, Outcomes(store, [], clock), clock)  # type: ignore[arg-type]
    dispatcher.offer(dispatcher.grant(1, 7), [leased("msg_1", lease=1)])
    await until(lambda: dispatcher.held == 0)
    assert [one.lease for one in stage.performed] == [1, 2]


async def test_a_lost_lease_is_let_go(store: Store) -> None:
    stage = Stage()
    (message,) = await accepted(store, *to("a.test", 1))
    async with dispatching(store, stage) as dispatcher:
        await until(lambda: len(stage.performed) == 1)
        assert await store.void_leases("another") == 1
        taken = await store.claim(LeaseGrant("another", 1e12, 1, 1), datetime.now(UTC))
        assert [one.message.id for one in taken.leased] == [message.id]
        stage.gate.set()
        await until(lambda: dispatcher.held == 0)
        assert await states(store, [message.id]) == {MessageState.DELIVERING: 1}


async def test_a_lost_lease_that_waits_for_its_lane_is_never_attempted(store: Store) -> None:
    stage = Stage()
    settings = replace(QUICK, per_lane=1)
    await accepted(store, *to("a.test", 2))
    async with dispatching(store, stage, settings) as dispatcher:
        await until(lambda: dispatcher.held == 2)
        await store.void_leases("another")
        await store.claim(LeaseGrant("another", 1e12, 2, 2), datetime.now(UTC))
        await until(lambda: dispatcher.held == 1)
        stage.gate.set()
        await until(lambda: dispatcher.held == 0)
    assert len(stage.performed) == 1


async def test_a_message_that_waits_for_its_lane_goes_to_the_endpoint_as_it_is_when_it_runs(store: Store) -> None:
    stage = Stage()
    settings = replace(QUICK, per_lane=1, heartbeat=timedelta(minutes=5), poll=timedelta(minutes=5))
    wrong = endpoint(url="https://wrong.test/")
    right = changed(wrong, spec=Endpoint("https://right.test/"))
    await store.apply([wrong], datetime.now(UTC))
    await accepted(store, *(publication(endpoint="billing", created_at=datetime.now(UTC)) for _ in range(2)))
    async with dispatching(store, stage, settings) as dispatcher:
        await until(lambda: dispatcher.held == 2)
        await store.apply([right], datetime.now(UTC))
        dispatcher.bindings.wake()
        await until(lambda: any(one.leased.endpoint == right.spec for one in dispatcher._flights.values()))
        stage.gate.set()
        await until(lambda: dispatcher.held == 0)
    assert [(one.endpoint, one.lease) for one in stage.performed] == [(wrong.spec, 1), (right.spec, 1)]


async def test_messages_that_wait_for_a_host_go_at_once_when_their_endpoint_leads_elsewhere(store: Store) -> None:
    stage = Stage()
    settings = replace(QUICK, per_host=1, heartbeat=timedelta(minutes=5), poll=timedelta(minutes=5))
    names = ("one", "two", "three")
    await store.apply([endpoint(name, f"https://hangs.test/{name}") for name in names], datetime.now(UTC))
    await accepted(store, *(publication(endpoint=name, created_at=datetime.now(UTC)) for name in names))
    async with dispatching(store, stage, settings) as dispatcher:
        await until(lambda: dispatcher.held == 3 and len(stage.performed) == 1)
        elsewhere = next(name for name in names if name != stage.performed[0].message.endpoint)
        healed = Endpoint("https://answers.test/")
        await store.apply([changed(endpoint(elsewhere), spec=healed)], datetime.now(UTC))
        dispatcher.bindings.wake()
        await until(lambda: len(stage.performed) == 2)
        assert stage.performed[1].endpoint == healed
        stage.gate.set()
        await until(lambda: dispatcher.held == 0)
    assert len(stage.performed) == 3


async def test_a_canceled_message_that_waits_for_its_lane_is_dropped_as_soon_as_it_is_told(store: Store) -> None:
    stage = Stage()
    settings = replace(QUICK, per_lane=1, heartbeat=timedelta(minutes=5), poll=timedelta(minutes=5))
    clock = WallClock()
    declared = schedule(policy=ConcurrencyPolicy.REPLACE, timing=Timing(every=timedelta(seconds=1), anchor=clock.now()))
    await store.apply([declared], clock.now() - timedelta(seconds=9))
    async with dispatching(store, stage, settings) as dispatcher:
        await accepted(store, *to("billing.test", 1))
        dispatcher.wake()
        await until(lambda: dispatcher.held == 1)
        scheduler = Scheduler(store, Decisions(FakeReferences()), dispatcher, [], clock)
        canceled = await run_by_slot(store, dispatcher, clock.now() - timedelta(seconds=3))
        await until(lambda: canceled.id in dispatcher._flights)
        turning = asyncio.create_task(scheduler.run(Pulse()))
        try:
            await until(lambda: canceled.id not in dispatcher._flights)
        finally:
            turning.cancel()
        assert await states(store, [canceled.id]) == {MessageState.CANCELED: 1}
        stage.gate.set()
        await until(lambda: dispatcher.held == 0)
    assert canceled.id not in {one.message.id for one in stage.performed}


async def run_by_slot(store: Store, dispatcher: Dispatcher, slot: datetime) -> Message:
    """The message of a run of the one Schedule that is due, handed to the dispatcher."""
    (due,) = (await store.due_schedules(datetime.now(UTC), 1)).schedules
    grant = dispatcher.grant(1, 100)
    (fired,) = await store.fire([firing(due, slot, wake_at=slot, now=slot)], grant)
    dispatcher.offer(grant, fired.leased)
    return fired.leased[0].message


async def test_drain_lets_attempts_end_and_gives_back_what_waits(store: Store) -> None:
    stage = Stage()
    messages = await accepted(store, *to("a.test", 8))
    async with dispatching(store, stage) as dispatcher:
        await until(lambda: dispatcher.held == 8)
        draining = asyncio.create_task(dispatcher.drain(timedelta(seconds=5)))
        await asyncio.sleep(0.05)
        assert dispatcher.grant(5, 10).room == 0
        stage.gate.set()
        await draining
        found = await states(store, [m.id for m in messages])
        assert found == {MessageState.DELIVERED: 4, MessageState.WAITING: 4}
    assert len(stage.performed) == 4


async def test_drain_cuts_attempts_off_after_the_grace_period(store: Store) -> None:
    stage = Stage()
    messages = await accepted(store, *to("a.test", 3))
    async with dispatching(store, stage) as dispatcher:
        await until(lambda: len(stage.performed) == 3)
        await dispatcher.drain(timedelta(milliseconds=50))
        assert await states(store, [m.id for m in messages]) == {MessageState.WAITING: 3}
        assert dispatcher.held == 0 and stage.running.total() == 0
        claim = await store.claim(LeaseGrant("next", 1e12, 10, 10), datetime.now(UTC))
        assert sorted((one.message.id, one.retried) for one in claim.leased) == sorted((m.id, 0) for m in messages)


async def test_drain_waits_for_grants_under_way(store: Store) -> None:
    async with dispatching(store, Stage()) as dispatcher:
        grant = dispatcher.grant(5, 10)
        draining = asyncio.create_task(dispatcher.drain(timedelta(0)))
        await asyncio.sleep(0.05)
        answers, given = await store.accept(to("a.test", 2), grant)  # type: ignore[arg-type]
        assert len(given) == 2 and not draining.done()
        dispatcher.offer(grant, given)
        await draining
        ids = [one.message.id for one in given]
        assert await states(store, ids) == {MessageState.WAITING: 2}


async def test_a_store_that_fails_for_a_while_stops_nothing(store: Store) -> None:
    failures = {"claim": 2, "renew": 2}

    class Failing:
        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        async def claim(self, grant: LeaseGrant, now: datetime) -> Claim:
            return await self._maybe("claim", store.claim(grant, now))

        async def renew(self, held: Sequence[Leased], until_s: float) -> Sequence[Leased | None]:
            return await self._maybe("renew", store.renew(held, until_s))

        async def _maybe(self, name: str, call):  # type: ignore[no-untyped-def]
            failures[name] -= 1
            if failures[name] >= 0:
                call.close()
                raise StoreError("the disk does not answer")
            return await call

    stage = Stage()
    await accepted(store, *to("a.test", 3))
    settings = replace(QUICK, poll=timedelta(milliseconds=50))
    async with dispatching(Failing(), stage, settings) as dispatcher:  # type: ignore[arg-type]
        await until(lambda: len(stage.performed) == 3)
        await until(lambda: failures["renew"] < 0)
        stage.gate.set()
        await until(lambda: dispatcher.held == 0)
