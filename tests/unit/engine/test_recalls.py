"""Messages that end while the dispatcher holds them, canceled or purged: their attempts end too, whatever the race."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.fakes import FakeClock, WallClock
from tests.support.stores import accepted, changed, endpoint, publication
from tests.support.waiting import until

from angarium.domain.declarations import DeliveryOptions, Endpoint, FlowControl, Kind, ObjectRef
from angarium.domain.messages import LogState, MessageState
from angarium.domain.ports import Store
from angarium.domain.views import HistoryFilter
from angarium.engine.dispatcher import Dispatcher
from angarium.engine.recalls import Recalls

from .test_dispatcher import QUICK, SlowOutcomes, Stage, dispatching, states, to

LANE = "shop/a.test"
CALM = replace(QUICK, heartbeat=timedelta(minutes=5), poll=timedelta(minutes=5))
"""Nothing happens by itself: who was not told does nothing."""


async def cancel(store: Store, ids: Sequence[str] = ()) -> int:
    return (await store.cancel(HistoryFilter("shop", message_ids=tuple(ids)), 1000, datetime.now(UTC))).count


async def handed_over(store: Store, dispatcher: Dispatcher, count: int, **given: object) -> list[str]:
    """Straight to the dispatcher, as publishers' messages go. Returns the ids of those that were leased."""
    grant = dispatcher.grant(count, 100)
    _, leased = await store.accept(to("a.test", count, **given), grant)  # type: ignore[arg-type]
    dispatcher.offer(grant, leased)
    return [one.message.id for one in leased]


async def log_of(store: Store, message_id: str) -> list[LogState]:
    page = await store.log(HistoryFilter("shop", message_ids=(message_id,), newest_first=False))
    return [entry.state for entry in page.items]


async def test_attempts_under_way_end_and_the_next_of_their_lane_begin(store: Store) -> None:
    stage = Stage()
    async with dispatching(store, stage, CALM) as dispatcher:
        ids = [one.id for one in await accepted(store, *to("a.test", 8))]
        dispatcher.wake()
        await until(lambda: stage.running[LANE] == 4)
        assert await cancel(store, ids[:4]) == 4
        await until(lambda: len(stage.performed) == 8)
        assert stage.running[LANE] == stage.most[LANE] == dispatcher.held == 4
        stage.gate.set()
        await until(lambda: dispatcher.held == 0)
    assert await states(store, ids) == {MessageState.CANCELED: 4, MessageState.DELIVERED: 4}
    ended = [LogState.CREATED, LogState.ACTIVE, LogState.CANCEL_REQUESTED, LogState.CANCELED]
    assert [await log_of(store, one) for one in ids[:4]] == [ended] * 4


async def test_those_that_wait_for_their_lane_are_never_attempted(store: Store) -> None:
    stage = Stage()
    async with dispatching(store, stage, replace(CALM, per_lane=1)) as dispatcher:
        (first,), (second,) = [await handed_over(store, dispatcher, 1) for _ in range(2)]
        assert dispatcher.held == 2
        assert await cancel(store, [second]) == 1
        await until(lambda: dispatcher.held == 1)
        stage.gate.set()
        await until(lambda: dispatcher.held == 0)
    assert [one.message.id for one in stage.performed] == [first]


async def test_an_attempt_that_has_not_had_its_first_turn_is_never_made(store: Store) -> None:
    stage = Stage()
    async with dispatching(store, stage, replace(CALM, per_lane=1)) as dispatcher:
        grants = [dispatcher.grant(1, 100) for _ in range(2)]
        leased = [(await store.accept(to("a.test", 1), grant))[1][0] for grant in grants]  # type: ignore[arg-type]
        for grant, one in zip(grants, leased, strict=True):
            dispatcher.offer(grant, [one])
        dispatcher._recall([leased[0].message.id])
        await until(lambda: len(stage.performed) == 1)
        assert dispatcher.held == 1 and stage.performed == leased[1:]


async def test_a_lease_that_is_still_on_its_way_when_its_message_ends_is_not_taken(store: Store) -> None:
    stage = Stage()
    async with dispatching(store, stage, CALM) as dispatcher:
        grant = dispatcher.grant(2, 100)
        _, leased = await store.accept(to("a.test", 2), grant)  # type: ignore[arg-type]
        assert await cancel(store, [leased[0].message.id]) == 1
        dispatcher.offer(grant, leased)
        await until(lambda: len(stage.performed) == 1)
        assert dispatcher.held == 1 and stage.performed == [leased[1]]


async def test_what_its_end_makes_way_for_never_runs_beside_it(store: Store) -> None:
    stage = Stage()
    one_at_once = DeliveryOptions(flow_control=FlowControl("shared", parallelism=1))
    async with dispatching(store, stage, CALM) as dispatcher:
        await accepted(store, *to("a.test", 20, options=one_at_once))
        dispatcher.wake()
        for count in range(1, 21):
            await until(lambda count=count: len(stage.performed) == count)  # type: ignore[misc]
            # As near to each other as can be: the claim is in the writer's line before the answer to the cancel is.
            await asyncio.gather(cancel(store, [stage.performed[-1].message.id]), asyncio.to_thread(dispatcher.wake))
            dispatcher.wake()
        await until(lambda: dispatcher.held == 0)
    assert stage.most[LANE] == 1


async def test_an_attempt_that_has_ended_is_judged_by_the_store(store: Store) -> None:
    clock, stage = WallClock(), Stage()
    stage.gate.set()
    outcomes = SlowOutcomes(store, [], clock)
    outcomes.gate = asyncio.Event()
    dispatcher = Dispatcher("me", store, stage.perform, outcomes, clock, CALM)
    store.on_recall(dispatcher.recall)
    (one,) = await handed_over(store, dispatcher, 1)
    await until(lambda: all(flight.settling for flight in dispatcher._flights.values()))
    assert await cancel(store) == 1
    await asyncio.sleep(0.05)  # what must not happen has no event
    assert dispatcher.held == 1
    outcomes.gate.set()
    await until(lambda: dispatcher.held == 0)
    assert await states(store, [one]) == {MessageState.CANCELED: 1}
    await dispatcher.drain(timedelta(0))


async def test_an_attempt_goes_on_when_its_lease_has_run_out_until_its_message_ends(store: Store) -> None:
    stage = Stage()
    settings = replace(CALM, lease=timedelta(milliseconds=50))
    declared = endpoint(url="https://a.test/")
    suspended = changed(declared, spec=Endpoint("https://a.test/", suspend=True))
    await store.apply([declared], datetime.now(UTC))
    async with dispatching(store, stage, settings) as dispatcher:
        await accepted(store, publication(endpoint="billing", created_at=datetime.now(UTC)))
        dispatcher.wake()
        await until(lambda: len(stage.performed) == 1)
        await store.apply([suspended], datetime.now(UTC))
        ids = [stage.performed[0].message.id]

        async def given_back() -> bool:
            dispatcher.wake()
            return await states(store, ids) == {MessageState.WAITING: 1}

        await until(given_back)
        dispatcher.bindings.wake()
        await asyncio.sleep(0.05)  # what must not happen has no event
        assert stage.running.total() == dispatcher.held == 1
        assert await cancel(store) == 1
        dispatcher.bindings.wake()
        await until(lambda: dispatcher.held == 0)
        await until(lambda: stage.running.total() == 0)


async def test_attempts_end_while_the_dispatcher_drains(store: Store) -> None:
    stage = Stage()
    async with dispatching(store, stage, CALM) as dispatcher:
        ids = await handed_over(store, dispatcher, 4)
        await until(lambda: stage.running[LANE] == 4)
        draining = asyncio.create_task(dispatcher.drain(timedelta(minutes=5)))
        await asyncio.sleep(0)
        assert await cancel(store) == 4
        await asyncio.wait_for(draining, 10)
    assert await states(store, ids) == {MessageState.CANCELED: 4}


@pytest.mark.parametrize("purge", [True, False], ids=["tenant", "queue"])
async def test_a_tenant_that_is_removed_and_a_queue_that_is_deleted_end_attempts(store: Store, purge: bool) -> None:
    stage = Stage()
    async with dispatching(store, stage, CALM) as dispatcher:
        await handed_over(store, dispatcher, 1, queue="orders")
        await until(lambda: stage.running[LANE] == 1)
        if purge:
            await store.purge_namespace("shop", datetime.now(UTC))
        else:
            await store.edit(ObjectRef(Kind.QUEUE, "shop", "orders"), lambda _: None, datetime.now(UTC))
        await until(lambda: dispatcher.held == 0)
        assert stage.running[LANE] == 0


async def test_a_recall_after_the_end_of_the_loop_hurts_nobody(store: Store) -> None:
    def elsewhere() -> Dispatcher:
        async def made() -> Dispatcher:
            return Dispatcher("me", store, Stage().perform, SlowOutcomes(store, [], WallClock()), WallClock(), CALM)

        return asyncio.run(made())

    (await asyncio.to_thread(elsewhere)).recall(["msg_1"])


def test_what_was_recalled_is_remembered_as_long_as_a_lease_lasts() -> None:
    clock = FakeClock()
    recalls = Recalls(timedelta(seconds=30), clock)
    recalls.add(["msg_1"])
    clock.advance(timedelta(seconds=20))
    recalls.add(["msg_2"])
    assert "msg_1" in recalls and "msg_2" in recalls
    clock.advance(timedelta(seconds=11))
    recalls.add(["msg_3"])
    assert "msg_1" not in recalls and "msg_2" in recalls and "msg_3" in recalls
