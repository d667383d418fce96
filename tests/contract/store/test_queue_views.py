"""What a Queue's status is made of: how many are in it, since when the oldest waits, and what the front waits for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.support.fakes import START
from tests.support.stores import (
    NS,
    SECOND,
    accepted,
    declared,
    delivered,
    endpoint,
    failed,
    grant,
    leased,
    postponed,
    publication,
    retry,
)

from angarium.domain.declarations import (
    Callback,
    DeliveryOptions,
    Destination,
    FlowControl,
    Kind,
    ObjectRef,
    Queue,
)
from angarium.domain.messages import Publication
from angarium.domain.ports import Store
from angarium.domain.views import Block, BlockReason, QueueView

REPORTS = ObjectRef(Kind.QUEUE, NS, "reports")
NOTHING = QueueView()


def queued(at: timedelta = timedelta(0), **given: Any) -> Publication:
    return publication(queue="reports", created_at=START + at, **given)


async def declare(store: Store, parallelism: int = 1, *, suspend: bool = False) -> None:
    await store.apply([declared(Kind.QUEUE, "reports", Queue(parallelism, suspend))], START)


async def view(store: Store, at: timedelta = timedelta(0)) -> QueueView:
    return (await store.queue_views([REPORTS], START + at))[REPORTS]


async def test_an_empty_queue_shows_nothing(store: Store) -> None:
    await declare(store)
    assert await view(store) == NOTHING


async def test_queues_that_do_not_exist_are_left_out(store: Store) -> None:
    assert await store.queue_views([REPORTS], START) == {}


async def test_other_tenants_queues_do_not_count(store: Store) -> None:
    await declare(store)
    await accepted(store, publication(queue="reports", namespace="other"))
    await leased(store, publication(queue="invoices"))
    assert await view(store) == NOTHING


async def test_a_queue_that_moves_is_not_blocked_and_the_oldest_waiting_is_told(store: Store) -> None:
    await declare(store)
    (first,) = await leased(store, queued())
    assert await view(store) == QueueView(1)
    await accepted(store, queued(SECOND), queued(2 * SECOND))
    assert await view(store, 3 * SECOND) == QueueView(3, START + SECOND)
    await store.record([delivered(first)], START + 3 * SECOND)
    assert (await view(store, 3 * SECOND)).lag == 2


async def test_a_retry_blocks_since_the_last_attempt_until_it_is_due(store: Store) -> None:
    await declare(store)
    (first,) = await leased(store, queued())
    await accepted(store, queued(SECOND))
    await store.record([retry(first)], START + 2 * SECOND)
    seen = await view(store, 3 * SECOND)
    tried = START + timedelta(milliseconds=12)
    assert seen == QueueView(2, START + SECOND, Block(first.message.id, tried, BlockReason.RETRY))
    assert (await view(store, 11 * SECOND)).blocked_by is None


async def test_a_message_that_was_put_off_blocks_since_it_joined(store: Store) -> None:
    await declare(store)
    (first,) = await leased(store, queued())
    await store.record([postponed(first)], START + SECOND)
    assert (await view(store, SECOND)).blocked_by == Block(first.message.id, START, BlockReason.RETRY)


async def test_a_suspended_endpoint_blocks_before_its_retry_is_due(store: Store) -> None:
    await declare(store)
    await store.apply([endpoint(suspend=True)], START)
    (message,) = await accepted(store, queued(endpoint="billing"))
    blocked = Block(message.id, START, BlockReason.ENDPOINT_SUSPENDED)
    assert await view(store, SECOND) == QueueView(1, START, blocked)


async def test_an_endpoint_that_is_gone_blocks(store: Store) -> None:
    await declare(store)
    await store.apply([endpoint()], START)
    (message,) = await accepted(store, queued(endpoint="billing"))
    await store.remove([(ObjectRef(Kind.ENDPOINT, NS, "billing"), None)], START)
    assert (await view(store, SECOND)).blocked_by == Block(message.id, START, BlockReason.ENDPOINT_SUSPENDED)


async def test_a_full_window_blocks_until_it_ends(store: Store) -> None:
    await declare(store, 2)
    limits = DeliveryOptions(flow_control=FlowControl("k", rate=1, period=60 * SECOND))
    (first,) = await leased(store, queued(options=limits))
    (second,) = await accepted(store, queued(SECOND, options=limits))
    assert (await view(store, 2 * SECOND)).blocked_by is None
    await store.record([delivered(first)], START + 2 * SECOND)
    blocked = Block(second.id, START + SECOND, BlockReason.FLOW_CONTROL)
    assert await view(store, 3 * SECOND) == QueueView(1, START + SECOND, blocked)
    assert (await view(store, 61 * SECOND)).blocked_by is None


async def test_the_limits_of_an_endpoint_block(store: Store) -> None:
    await declare(store)
    options = DeliveryOptions(flow_control=FlowControl(rate=1, period=60 * SECOND))
    await store.apply([endpoint(options=options)], START)
    (first,) = await leased(store, queued(endpoint="billing"))
    (second,) = await accepted(store, queued(SECOND, endpoint="billing"))
    await store.record([delivered(first)], START + 2 * SECOND)
    blocked = (await view(store, 3 * SECOND)).blocked_by
    assert blocked is not None and (blocked.message_id, blocked.reason) == (second.id, BlockReason.FLOW_CONTROL)


async def test_callbacks_hold_the_place_of_a_message_that_has_ended(store: Store) -> None:
    await declare(store)
    report = Callback(Destination(url="https://reports.test/"))
    (first,) = await leased(store, queued(callback=report))
    await accepted(store, queued(SECOND))
    await store.record([delivered(first)], START + 2 * SECOND)
    blocked = Block(first.message.id, START + 2 * SECOND, BlockReason.CALLBACK)
    assert await view(store, 3 * SECOND) == QueueView(1, START + SECOND, blocked)


async def test_a_delay_blocks_only_while_nobody_else_has_a_place(store: Store) -> None:
    await declare(store)
    (message,) = await accepted(store, queued(not_before=START + 30 * SECOND))
    delay = Block(message.id, START, BlockReason.DELAY)
    assert await view(store, SECOND) == QueueView(1, None, delay)
    (other,) = await leased(store, queued(SECOND))
    assert await view(store, 2 * SECOND) == QueueView(2)
    await store.record([failed(other)], START + 2 * SECOND)
    assert (await view(store, 2 * SECOND)).blocked_by == delay
    assert (await view(store, 31 * SECOND)).waiting_since == START + 30 * SECOND


async def test_with_several_places_one_that_moves_is_enough(store: Store) -> None:
    await declare(store, 2)
    await accepted(store, queued(), queued(SECOND))
    first, second = (await store.claim(grant(), START + SECOND)).leased
    await store.record([retry(first)], START + SECOND)
    assert (await view(store, 2 * SECOND)).blocked_by is None
    await store.record([retry(second, 20 * SECOND)], START + 2 * SECOND)
    blocked = (await view(store, 3 * SECOND)).blocked_by
    assert blocked is not None and blocked.message_id == first.message.id


async def test_a_suspended_queue_tells_since_when_its_messages_wait(store: Store) -> None:
    await declare(store, suspend=True)
    await accepted(store, queued(), room=10)
    assert await view(store, SECOND) == QueueView(1, START)


async def test_many_queues_are_read_at_once(store: Store) -> None:
    other = replace(REPORTS, name="invoices")
    await store.apply([declared(Kind.QUEUE, name, Queue()) for name in ("reports", "invoices")], START)
    await store.accept([queued(), publication(queue="invoices")], grant(10))
    views = await store.queue_views([REPORTS, other], START)
    assert {ref: one.lag for ref, one in views.items()} == {REPORTS: 1, other: 1}
