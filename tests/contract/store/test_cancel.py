"""Messages that have not ended are canceled at once, wherever they are (contract 6, 8.3, 21)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.support.fakes import START
from tests.support.stores import (
    NS,
    SECOND,
    accepted,
    delivered,
    endpoint,
    failed,
    firing,
    grant,
    leased,
    publication,
    retry,
    schedule,
    topic,
)

from angarium.domain.declarations import (
    ConcurrencyPolicy,
    DeliveryOptions,
    Destination,
    FlowControl,
    Kind,
    ObjectRef,
)
from angarium.domain.messages import LogState, Lost, MessageState
from angarium.domain.ports import Store
from angarium.domain.views import HistoryFilter

ALL = 10_000
MINUTE = timedelta(minutes=1)


async def cancel(store: Store, limit: int = ALL, **where: Any) -> int:
    return (await store.cancel(HistoryFilter(NS, **where), limit, START + SECOND)).count


async def state(store: Store, message_id: str) -> MessageState:
    view = await store.message(NS, message_id, START)
    assert view is not None
    return view.state


class TestWherever:
    async def test_waiting_delayed_retrying_queued_and_in_flight(self, store: Store) -> None:
        flying, failing = await leased(store, publication(), publication())
        await store.record([retry(failing)], START)
        others = await accepted(
            store,
            publication(),
            publication(not_before=START + timedelta(days=1)),
            publication(queue="work"),
            publication(queue="work"),
            publication(queue="work", not_before=START + timedelta(days=1)),
        )
        ids = [flying.message.id, failing.message.id, *(message.id for message in others)]
        assert await cancel(store) == 7
        assert {await state(store, message_id) for message_id in ids} == {MessageState.CANCELED}
        assert await cancel(store) == 0
        assert (await store.claim(grant(), START + timedelta(days=2))).leased == ()
        backlog = await store.backlog()
        assert (backlog.waiting, backlog.delivering, backlog.oldest_due) == (0, 0, None)

    async def test_both_steps_are_logged(self, store: Store) -> None:
        (message,) = await accepted(store, publication())
        await cancel(store, message_ids=[message.id])
        entries = (await store.log(HistoryFilter(NS, newest_first=False))).items
        assert [entry.state for entry in entries] == [LogState.CREATED, LogState.CANCEL_REQUESTED, LogState.CANCELED]
        assert {entry.url for entry in entries} == {message.url}

    async def test_the_outcome_of_what_was_in_flight_is_not_written(self, store: Store) -> None:
        (item,) = await leased(store, publication())
        assert await cancel(store) == 1
        assert await store.record([delivered(item)], START) == [False]
        assert await store.renew([item], 9999.0) == [Lost.ENDED]
        assert await state(store, item.message.id) is MessageState.CANCELED

    async def test_who_holds_it_is_told_before_anybody_hears_of_the_end(self, store: Store) -> None:
        told: list[str] = []
        store.on_recall(told.extend)
        retried, flying, delivering = await leased(store, publication(), publication(), publication())
        await store.record([retry(retried), delivered(delivering)], START)
        await accepted(store, publication())
        assert await cancel(store) == 3
        assert told == [flying.message.id], "nobody holds the one that waits, nor the one that waits for its retry"

    async def test_a_queue_that_is_deleted_and_a_tenant_that_is_removed_are_told_too(self, store: Store) -> None:
        told: list[str] = []
        store.on_recall(told.extend)
        queued, other = await leased(store, publication(queue="orders"), publication())
        await store.edit(ObjectRef(Kind.QUEUE, NS, "orders"), lambda _: None, START)
        assert told == [queued.message.id]
        await store.purge_namespace(NS, START)
        assert told == [queued.message.id, other.message.id]
        assert await store.renew([queued, other], 9999.0) == [Lost.ENDED, Lost.ENDED]

    async def test_a_run_that_is_replaced_is_told(self, store: Store) -> None:
        told: list[str] = []
        store.on_recall(told.extend)
        await store.apply([schedule(policy=ConcurrencyPolicy.REPLACE)], START)
        (due,) = (await store.due_schedules(START + MINUTE, 1)).schedules
        (first,) = await store.fire([firing(due, START + MINUTE)], grant())
        (due,) = (await store.due_schedules(START + 2 * MINUTE, 1)).schedules
        (second,) = await store.fire([firing(due, START + 2 * MINUTE)], grant())
        assert told == [one.message.id for one in first.leased] == list(second.runs[0].canceled_ids)

    async def test_what_has_ended_does_not_count(self, store: Store) -> None:
        good, bad, third = await leased(store, publication(), publication(), publication())
        await store.record([delivered(good), failed(bad)], START)
        ids = [good.message.id, bad.message.id, third.message.id, "msg_none"]
        assert await cancel(store, message_ids=ids) == 1
        assert await cancel(store, message_ids=ids) == 0
        assert await state(store, good.message.id) is MessageState.DELIVERED

    async def test_a_canceled_message_frees_its_place_and_its_start(self, store: Store) -> None:
        flow = DeliveryOptions(flow_control=FlowControl("slow", parallelism=1))
        first = await leased(store, publication(queue="work"), publication("https://f.test/", options=flow))
        behind = await accepted(store, publication(queue="work"), publication("https://f.test/", options=flow))
        assert (await store.claim(grant(), START)).leased == ()
        assert await cancel(store, message_ids=[item.message.id for item in first]) == 2
        claimed = (await store.claim(grant(), START + SECOND)).leased
        assert {item.message.id for item in claimed} == {message.id for message in behind}

    async def test_the_run_of_a_canceled_message_goes_on_to_its_end(self, store: Store) -> None:
        await store.apply([schedule()], START)
        (due,) = (await store.due_schedules(START, 10)).schedules
        await store.fire([firing(due, START)], None)
        assert await cancel(store, schedules=["report"]) == 1
        view = (await store.schedule_views([due.declared.ref]))[due.declared.ref]
        assert [member.state for member in view.runs[0].members] == [MessageState.CANCELED]


class TestCount:
    async def test_no_more_than_asked_for(self, store: Store) -> None:
        await leased(store, *(publication() for _ in range(3)))
        await accepted(store, *(publication(queue="work") for _ in range(3)), *(publication() for _ in range(3)))
        assert [await cancel(store, 4) for _ in range(4)] == [4, 4, 1, 0]

    async def test_two_at_once_count_every_message_once(self, store: Store) -> None:
        await accepted(store, *(publication(f"https://{n % 7}.test/") for n in range(200)))
        counts = await asyncio.gather(*(cancel(store, 50) for _ in range(6)))
        assert sum(counts) == 200 and await cancel(store) == 0

    async def test_another_tenant_is_not_touched(self, store: Store) -> None:
        mine = await accepted(store, publication(), publication(queue="work"))
        others = await accepted(store, *(publication(namespace=name) for name in ("shop2", "sho", "a")))
        others += [item.message for item in await leased(store, publication(namespace="other", queue="work"))]
        assert await cancel(store, message_ids=[message.id for message in others]) == 0
        assert await cancel(store) == len(mine)
        assert (await store.backlog()).waiting + (await store.backlog()).delivering == len(others)


class TestFilters:
    @pytest.fixture
    async def filled(self, store: Store) -> Store:
        """Messages 0 to 5: in a lane, delayed, to an Endpoint of a Topic, in a queue, in flight, of a schedule."""
        await store.apply(
            [endpoint(), topic("orders", "billing"), schedule(destination=Destination(url="http://s/"))], START
        )
        flow = DeliveryOptions(flow_control=FlowControl("slow, but sure", rate=5))
        later = START + timedelta(days=1)
        await accepted(
            store,
            publication("https://Host.test:8443/a/b?q=1", labels=("x", "y"), caller_ip="10.0.0.1"),
            publication("https://d.test/a/b", not_before=later, options=flow),
            publication(topic="orders", labels=("z",)),
            publication("https://q.test/", queue="work", not_before=later),
        )
        await leased(store, publication("https://f.test/", labels=("y",), created_at=START + SECOND))
        (due,) = (await store.due_schedules(START, 10)).schedules
        await store.fire([firing(due, START, now=START + 2 * SECOND)], None)
        return store

    @pytest.mark.parametrize(
        ("condition", "found"),
        [
            ({}, "012345"),
            ({"urls": ["https://Host.test:8443/a/b?q=1"]}, "0"),
            ({"urls": ["https://billing.test/in", "http://s/"]}, "25"),
            ({"urls": ["https://billing.test/"]}, ""),
            ({"hosts": ["HOST.test"]}, "0"),
            ({"hosts": ["host.test:8443", "q.test"]}, "03"),
            ({"paths": ["/a/b"]}, "01"),
            ({"paths": ["/in"]}, "2"),
            ({"topics": ["orders"]}, "2"),
            ({"schedules": ["report"]}, "5"),
            ({"queues": ["work", "none"]}, "3"),
            ({"flow_keys": ["slow, but sure"]}, "1"),
            ({"labels": ["y", "z"]}, "024"),
            ({"labels": ["y"], "caller_ips": ["10.0.0.1"]}, "0"),
            ({"labels": ["none"]}, ""),
            ({"since": START + SECOND}, "45"),
            ({"until": START}, "0123"),
            ({"since": START + SECOND, "until": START + SECOND}, "4"),
            ({"message_ids": ["msg_0001"], "labels": ["none"]}, "0"),
        ],
        ids=str,
    )
    async def test_conditions(self, filled: Store, condition: dict[str, Any], found: str) -> None:
        assert await cancel(filled, **condition) == len(found)
        states = [await state(filled, f"msg_{n + 1:04}") for n in range(6)]
        assert "".join(str(n) for n, one in enumerate(states) if one is MessageState.CANCELED) == found
