"""What an outcome sets free is claimed at once, although the dispatcher's next look is minutes away."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.stores import accepted, attempt, endpoint, publication
from tests.support.waiting import until
from tests.unit.engine.test_dispatcher import QUICK, Stage, dispatching, to

from angarium.domain.declarations import Callback, DeliveryOptions, Destination, FlowControl
from angarium.domain.messages import Leased, Outcome, Result
from angarium.domain.ports import Store

RARELY = replace(QUICK, poll=timedelta(minutes=5))
ONE = DeliveryOptions(flow_control=FlowControl("k", parallelism=1))


def open_stage() -> Stage:
    stage = Stage()
    stage.gate.set()
    return stage


def numbers(stage: Stage) -> list[str]:
    return [(one.message.url or "").rpartition("/")[2] for one in stage.performed]


@pytest.mark.parametrize("given", [{"queue": "mine"}, {"options": ONE}], ids=["queue", "flow control"])
async def test_the_next_one_follows_in_order(store: Store, given: dict[str, object]) -> None:
    stage = open_stage()
    await accepted(store, *to("a.test", 50, **given))
    async with dispatching(store, stage, RARELY):
        await until(lambda: len(stage.performed) == 50)
    assert stage.most == {"shop/a.test": 1}
    assert numbers(stage) == [str(n) for n in range(50)]


async def test_a_retry_lets_others_of_its_key_start_meanwhile(store: Store) -> None:
    def first_fails(one: Leased) -> Outcome:
        if one.retried == 0 and (one.message.url or "").endswith("/0"):
            return Outcome(one, Result.RETRY, attempt(1, 500), datetime.now(UTC) + timedelta(milliseconds=300))
        return Outcome(one, Result.DELIVERED, attempt(one.retried + 1))

    stage = Stage(results=first_fails)
    stage.gate.set()
    await accepted(store, *to("a.test", 3, options=ONE))
    async with dispatching(store, stage, RARELY):
        await until(lambda: len(stage.performed) == 4)
    assert numbers(stage) == ["0", "1", "2", "0"]


async def test_a_declared_limit_of_an_endpoint_lets_the_next_start(store: Store) -> None:
    spec = endpoint().spec
    await store.apply([endpoint(spec=replace(spec, options=ONE))], datetime.now(UTC))  # type: ignore[type-var]
    stage = open_stage()
    await accepted(store, *[publication(endpoint="billing", created_at=datetime.now(UTC))] * 20)
    async with dispatching(store, stage, RARELY):
        await until(lambda: len(stage.performed) == 20)
    assert stage.most == {"shop/endpoint/billing": 1}


async def test_a_window_that_ends_lets_the_next_start(store: Store) -> None:
    limits = FlowControl("k", rate=2, period=timedelta(seconds=1))
    stage = open_stage()
    await accepted(store, *to("a.test", 4, options=DeliveryOptions(flow_control=limits)))
    async with dispatching(store, stage, RARELY):
        await until(lambda: len(stage.performed) == 2)
        await until(lambda: len(stage.performed) == 4, 3)


async def test_callbacks_go_out_and_the_queue_goes_on_after_them(store: Store) -> None:
    callback = Callback(Destination(url="https://back.test/back"))
    stage = open_stage()
    await accepted(store, *to("a.test", 3, queue="mine", callback=callback))
    async with dispatching(store, stage, RARELY):
        await until(lambda: len(stage.performed) == 6)
    assert numbers(stage) == ["0", "back", "1", "back", "2", "back"]


async def test_a_slow_queue_holds_back_no_other(store: Store) -> None:
    stage = Stage()
    await accepted(store, *to("a.test", 5, queue="slow"))
    async with dispatching(store, stage, RARELY) as dispatcher:
        await until(lambda: len(stage.performed) == 1)
        await accepted(store, *to("b.test", 1, queue="quick"), *to("a.test", 1))
        dispatcher.wake()
        await until(lambda: len(stage.performed) == 3)
        assert dispatcher.held == 3
        stage.gate.set()
        await until(lambda: len(stage.performed) == 7)


async def test_a_delayed_message_takes_a_free_place_in_time(store: Store) -> None:
    stage = open_stage()
    due = datetime.now(UTC) + timedelta(milliseconds=300)
    await accepted(store, *to("a.test", 1, queue="mine", not_before=due))
    async with dispatching(store, stage, RARELY):
        await until(lambda: len(stage.performed) == 1, 3)
        assert datetime.now(UTC) >= due - timedelta(milliseconds=1)
