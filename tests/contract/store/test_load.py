"""What the store tells of its load: since when something is due that nothing holds back, and the writer's own work."""

from datetime import timedelta

import pytest
from tests.support.fakes import START, FakeClock
from tests.support.stores import NS, SECOND, accepted, endpoint, grant, leased, postponed, publication, retry

from angarium.domain.declarations import DeliveryOptions, FlowControl
from angarium.domain.errors import NotFound, StoreError
from angarium.domain.flow_control import Pause
from angarium.domain.ports import Store

LIMITED = DeliveryOptions(flow_control=FlowControl("user-1", rate=5))


async def test_nothing_is_due_where_nothing_waits_or_its_time_has_not_come(store: Store, clock: FakeClock) -> None:
    assert (await store.backlog()).oldest_claimable is None
    await accepted(store, publication(not_before=START + 10 * SECOND), publication(not_before=START + 20 * SECOND))
    backlog = await store.backlog()
    assert (backlog.oldest_claimable, backlog.oldest_due) == (None, START + 10 * SECOND)
    clock.advance(15 * SECOND)
    assert (await store.backlog()).oldest_claimable == START + 10 * SECOND
    await store.claim(grant(), clock.now())
    assert (await store.backlog()).oldest_claimable is None, "it is on its way"


async def test_a_retry_counts_from_its_own_time(store: Store, clock: FakeClock) -> None:
    (one,) = await leased(store, publication())
    await store.record([retry(one, after=5 * SECOND)], START)
    clock.advance(7 * SECOND)
    assert (await store.backlog()).oldest_claimable == START + 5 * SECOND


async def test_what_is_held_back_on_purpose_is_not_counted(store: Store, clock: FakeClock) -> None:
    await store.apply([endpoint(suspend=True)], START)
    await accepted(store, publication(endpoint="billing"))
    await store.change_flow_control(NS, "user-1", Pause(True), START)
    await accepted(store, publication(options=LIMITED))
    await accepted(store, publication(queue="orders"), publication(queue="orders"))
    await store.claim(grant(), START)
    clock.advance(timedelta(hours=1))
    backlog = await store.backlog()
    assert (backlog.oldest_claimable, backlog.oldest_due) == (None, START)
    await store.apply([endpoint(suspend=False, generation=2, fingerprint="2")], clock.now())
    assert (await store.backlog()).oldest_claimable == START, "resumed, it has been due since it was accepted"


async def test_what_was_put_off_is_due_when_it_is_to_be_tried_again(store: Store, clock: FakeClock) -> None:
    (one,) = await leased(store, publication())
    await store.record([postponed(one, after=15 * SECOND)], START)
    clock.advance(SECOND)
    assert (await store.backlog()).oldest_claimable is None
    clock.advance(15 * SECOND)
    assert (await store.backlog()).oldest_claimable == START + 15 * SECOND


async def test_the_writer_counts_commits_with_their_operations(store: Store) -> None:
    before = store.figures()
    commits, operations = sum(before.writer.commit.counts), before.writer.operations.total
    await accepted(store, publication())
    await accepted(store, publication())
    after = store.figures()
    assert sum(after.writer.commit.counts) == sum(after.writer.turn.counts) == commits + 2
    assert after.writer.operations.total == operations + 2
    assert (after.writer.failures, after.waiting) == (0, 0)
    assert after.file > 0 and after.wal > 0 and after.free > 0


async def test_an_operation_that_is_refused_is_no_failure_of_the_store(store: Store) -> None:
    answers, _ = await store.accept([publication(topic="missing")], None)
    assert isinstance(answers[0], NotFound)
    assert store.figures().writer.failures == 0


async def test_a_store_that_is_closed_still_tells_what_it_did(store: Store) -> None:
    await accepted(store, publication())
    await store.close()
    with pytest.raises(StoreError):
        await store.backlog()
    assert sum(store.figures().writer.commit.counts) > 0
