"""What Forbid and Replace take for an active run: one with a message that is not terminal, wherever it is."""

from dataclasses import replace

import pytest
from tests.support.fakes import START
from tests.support.firings import again, begun, fire, shown
from tests.support.stores import SECOND, delivered, endpoint, grant, leased, publication, retry, schedule, topic

from angarium.domain.declarations import Callback, ConcurrencyPolicy, DeliveryOptions, Destination, FlowControl
from angarium.domain.messages import MessageState
from angarium.domain.ports import Store

MINUTE = 60 * SECOND


@pytest.mark.parametrize("what", ["destination", "body"])
async def test_what_cannot_start_replaces_nothing(store: Store, what: str) -> None:
    await store.apply([endpoint("a"), topic("orders", "a")], START)
    found = await begun(store, schedule(policy=ConcurrencyPolicy.REPLACE, destination=Destination(topic="orders")))
    (old,) = (await fire(store, found, START, room=1)).leased
    if what == "destination":
        await store.remove([(topic("orders").ref, None)], START)
        fired = await fire(store, await again(store), START + SECOND)
    else:
        problem = ("RefNotFound", "ConfigMap 'report' does not exist")
        fired = await fire(store, await again(store), START + SECOND, publication=None, problem=problem)
    (run,) = fired.runs
    assert run.problem is not None and run.canceled_ids == ()
    assert await store.record([delivered(old)], START) == [True]


async def test_replace_cancels_all_messages_of_a_fan_out_wherever_they_are(store: Store) -> None:
    """On its way, to be retried, behind a suspended Endpoint; what has ended stays as it is."""
    names = ["under-way", "retried", "suspended", "over"]
    await store.apply([*map(endpoint, names), topic("orders", *names)], START)
    await store.apply([endpoint("suspended", suspend=True, generation=2, fingerprint="2")], START)
    found = await begun(store, schedule(policy=ConcurrencyPolicy.REPLACE, destination=Destination(topic="orders")))
    leased_ = {one.message.endpoint: one for one in (await fire(store, found, START, room=9)).leased}
    assert set(leased_) == {"under-way", "retried", "over"}
    await store.record([retry(leased_["retried"]), delivered(leased_["over"])], START)
    fired = await fire(store, await again(store), START + SECOND, room=9)
    assert len(fired.runs[0].canceled_ids) == 3
    newer, older = (await shown(store)).runs
    assert sorted(member.state for member in older.members) == sorted([MessageState.CANCELED] * 3 + [
        MessageState.DELIVERED
    ])  # fmt: skip
    assert not any(member.state.terminal for member in newer.members)
    assert await store.record([delivered(leased_["under-way"])], START) == [False]
    claimed = (await store.claim(grant(), START + MINUTE)).leased
    assert {one.message.run for one in claimed} <= {newer.run}


@pytest.mark.parametrize("policy", [ConcurrencyPolicy.FORBID, ConcurrencyPolicy.REPLACE])
async def test_a_run_in_a_queue_is_active_until_its_turn_is_over(store: Store, policy: ConcurrencyPolicy) -> None:
    (first,) = await leased(store, publication(queue="line"))
    found = await begun(store, schedule(policy=policy))
    sent = publication(queue="line")
    await fire(store, found, START, publication=sent, room=9)
    fired = await fire(store, await again(store), START + SECOND, publication=sent, room=9)
    assert fired.runs[0].forbidden is (policy is ConcurrencyPolicy.FORBID)
    assert len(fired.runs[0].canceled_ids) == (policy is ConcurrencyPolicy.REPLACE)
    await store.record([delivered(first)], START)
    (next_,) = (await store.claim(grant(), START)).leased
    newest = (await shown(store)).runs[0].run
    assert next_.message.run == newest, "a canceled message keeps no place"


@pytest.mark.parametrize("policy", [ConcurrencyPolicy.FORBID, ConcurrencyPolicy.REPLACE])
async def test_callbacks_keep_no_run_active(store: Store, policy: ConcurrencyPolicy) -> None:
    """Nor does the next run cancel them: what happened is told."""
    found = await begun(store, schedule(policy=policy))
    sent = publication(callback=Callback(Destination(url="https://told.test/")))
    (one,) = (await fire(store, found, START, publication=sent, room=9)).leased
    await store.record([delivered(one)], START)
    fired = await fire(store, await again(store), START + SECOND, room=9)
    assert (fired.runs[0].forbidden, fired.runs[0].canceled_ids) == (False, ())
    claimed = (await store.claim(grant(), START)).leased
    assert [item.message.source for item in claimed if item.message.source] == [one.message.id]


async def test_replace_makes_room_under_flow_control(store: Store) -> None:
    """With one at a time, the new message starts in the place of the canceled one."""
    found = await begun(store, schedule(policy=ConcurrencyPolicy.REPLACE))
    sent = publication(options=DeliveryOptions(flow_control=FlowControl("one", parallelism=1)))
    await fire(store, found, START, publication=sent, room=9)
    fired = await fire(store, await again(store), START + SECOND, publication=sent, room=9)
    claimed = (await store.claim(grant(), START + SECOND)).leased
    assert [one.message.run for one in (*fired.leased, *claimed)] == [fired.runs[0].run]


async def test_a_manual_run_is_canceled_by_the_next_slot_and_cancels_nothing(store: Store) -> None:
    first = schedule(policy=ConcurrencyPolicy.REPLACE)
    await fire(store, await begun(store, first), START)
    found = await begun(store, replace(first, run_now="1", fingerprint="asked"))
    manual = await fire(store, found, manual=True)
    assert manual.runs[0].acceptance and manual.runs[0].canceled_ids == ()
    fired = await fire(store, await again(store), START + SECOND)
    assert len(fired.runs[0].canceled_ids) == 2
