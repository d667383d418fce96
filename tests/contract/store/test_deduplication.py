"""Deduplication by key: the first message stands for all of its window (contract 22.1)."""

import asyncio
from datetime import timedelta

import pytest
from tests.support.fakes import START, FakeClock
from tests.support.stores import DAY, NS, delivered, endpoint, grant, leased, publication, topic

from angarium.domain.declarations import FlowControl
from angarium.domain.errors import LimitExceeded
from angarium.domain.messages import Acceptance, Duplicate
from angarium.domain.ports import Limits, Retention, Store
from angarium.store import open_store

KEY = b"k" * 32
WINDOW = timedelta(minutes=10)


async def answer(store: Store, **given: object) -> Acceptance:
    (got,), _ = await store.accept([publication(**{"dedup_key": KEY} | given)], None)  # type: ignore[arg-type]
    assert isinstance(got, Acceptance), got
    return got


async def test_a_duplicate_is_not_stored_and_names_the_first(store: Store) -> None:
    first = await answer(store)
    again = await answer(store, body=b"another body")
    (message,) = first.messages
    assert first.duplicates == ()
    assert again.messages == again.urls == ()
    assert again.duplicates == (Duplicate(0, message.id, first.urls[0]),)
    assert (await store.backlog()).waiting == 1


async def test_the_window_counts_from_the_first_and_outlives_its_delivery(store: Store) -> None:
    (item,) = await leased(store, publication(dedup_key=KEY))
    await store.release([item])
    last = START + WINDOW - timedelta(milliseconds=1)
    assert (await answer(store, created_at=last)).duplicates[0].message_id == item.message.id
    renewed = await answer(store, created_at=START + WINDOW)
    assert len(renewed.messages) == 1
    again = await answer(store, created_at=START + WINDOW + timedelta(seconds=1))
    assert again.duplicates[0].message_id == renewed.messages[0].id


async def test_a_clock_that_was_set_back_does_not_stretch_the_window(store: Store) -> None:
    ahead = await answer(store, created_at=START + DAY)
    assert (await answer(store, created_at=START + DAY - timedelta(seconds=30))).duplicates
    (now,) = (await answer(store)).messages
    assert ahead.messages[0].id != now.id
    assert (await answer(store)).duplicates[0].message_id == now.id


async def test_keys_and_tenants_are_apart(store: Store) -> None:
    await answer(store)
    assert (await answer(store, dedup_key=b"o" * 32)).messages
    assert (await answer(store, namespace="other")).messages
    assert len((await store.accept([publication(), publication()], None))[0]) == 2


async def test_within_one_transaction_the_first_wins(store: Store) -> None:
    answers, items = await store.accept([publication(dedup_key=KEY)] * 3, grant())
    got = [one for one in answers if isinstance(one, Acceptance)]
    assert [len(one.messages) for one in got] == [1, 0, 0]
    assert {one.message_id for each in got[1:] for one in each.duplicates} == {got[0].messages[0].id}
    assert len(items) == 1


async def test_many_at_once_leave_one(store: Store) -> None:
    got = await asyncio.gather(*(answer(store) for _ in range(20)))
    assert sum(len(one.messages) for one in got) == 1
    assert len({(one.messages or one.duplicates)[0] for one in got}) == 2
    assert (await store.backlog()).waiting == 1


async def test_each_member_of_a_group_has_a_window_of_its_own(store: Store) -> None:
    await store.apply([endpoint("a"), endpoint("b"), topic("orders", "a")], START)
    first = await answer(store, topic="orders")
    await store.apply([topic("orders", "a", "b", fingerprint="2")], START)
    second = await answer(store, topic="orders")
    assert [one.endpoint for one in second.messages] == ["b"]
    url = "https://billing.test/in"
    assert second.duplicates == (Duplicate(0, first.messages[0].id, url, "member-a"),)


async def test_a_duplicate_counts_for_no_limit_changes_no_flow_control_and_makes_no_queue(store: Store) -> None:
    await answer(store)
    options = publication().options
    limited = type(options)(flow_control=FlowControl("fast", 1))
    await answer(store, queue="mine", options=limited)
    assert await store.flow_control(NS, "fast", START) is None


@pytest.mark.parametrize("limits", [Limits(waiting=1)])
async def test_what_is_refused_leaves_no_key_behind(store: Store, limits: Limits) -> None:
    (item,) = await leased(store, publication())
    (got,), _ = await store.accept([publication(dedup_key=KEY)], None)
    assert isinstance(got, LimitExceeded)
    await store.record([delivered(item)], START)
    assert (await answer(store)).messages


async def test_the_window_is_a_setting() -> None:
    given = {"limits": Limits(), "clock": FakeClock(), "retention": Retention()}
    store = open_store(None, new_id=lambda _: "msg_1", dedup_window=DAY, **given)  # type: ignore[arg-type]
    await answer(store)
    assert (await answer(store, created_at=START + DAY - WINDOW)).duplicates
    await store.close()
