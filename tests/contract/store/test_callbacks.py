"""Callbacks come to be in the operation that records the outcome which causes them (contract 20)."""

import json
from dataclasses import replace
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
    Endpoint,
    Header,
    Kind,
    ObjectRef,
    Redaction,
)
from angarium.domain.errors import LimitExceeded
from angarium.domain.messages import Leased, LogState, Message, MessageState, Overrides, Publication
from angarium.domain.ports import Limits, Store
from angarium.domain.views import HistoryFilter

TOLD, WARNED = "https://told.test/in", "https://warned.test/in"
BILLING = ObjectRef(Kind.ENDPOINT, NS, "billing")


def telling(url: str | None = None, **given: Any) -> Publication:
    """A publication with both callbacks."""
    both = {"callback": Callback(Destination(url=TOLD)), "failure_callback": Callback(Destination(url=WARNED))}
    return publication(url, **both | given)


async def callbacks(store: Store) -> list[Message]:
    """Those that wait, oldest first."""
    claim = await store.claim(grant(), START + timedelta(hours=1))
    await store.release(claim.leased)
    return [item.message for item in claim.leased if item.message.source is not None]


async def one(store: Store, **given: Any) -> Leased:
    (item,) = await leased(store, telling(**given))
    return item


def body(message: Message) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(message.body)
    return decoded


class TestWhen:
    async def test_a_delivery_causes_the_callback_alone(self, store: Store) -> None:
        item = await one(store)
        await store.record([delivered(item)], START)
        (told,) = await callbacks(store)
        assert (told.url, told.source, told.created_at) == (TOLD, item.message.id, START)
        assert (body(told)["status"], body(told)["sourceMessageId"]) == (200, item.message.id)

    async def test_every_attempt_causes_one_and_the_last_failure_the_failure_callback_too(self, store: Store) -> None:
        item = await one(store)
        await store.record([retry(item)], START)
        due = (await store.claim(grant(), START + 10 * SECOND)).leased
        (item,) = [each for each in due if each.message.id == item.message.id]
        await store.record([failed(item)], START + 10 * SECOND)
        await store.release(due)
        found = await callbacks(store)
        assert [(each.url, body(each)["retried"]) for each in found] == [(TOLD, 0), (TOLD, 1), (WARNED, 1)]

    async def test_a_failure_callback_names_the_dead_letter(self, store: Store) -> None:
        items = await leased(store, *(telling() for _ in range(3)))
        await store.record([failed(item) for item in items], START)
        letters = {letter.message.id: letter.id for letter in (await store.dead_letters(HistoryFilter(NS))).items}
        named = {
            body(each)["sourceMessageId"]: body(each)["dlqId"] for each in await callbacks(store) if each.url == WARNED
        }
        assert named == letters and len(letters) == 3

    async def test_an_id_of_a_dead_letter_is_not_given_again(self, store: Store) -> None:
        (first,) = await leased(store, telling())
        await store.record([failed(first)], START)
        deleted = await store.delete_dead_letters(HistoryFilter(NS))
        (second,) = await leased(store, telling())
        await store.record([failed(second)], START)
        (letter,) = (await store.dead_letters(HistoryFilter(NS))).items
        assert letter.id not in deleted.items

    async def test_no_attempt_no_callback(self, store: Store) -> None:
        item = await one(store)
        await store.record([postponed(item)], START)
        assert await callbacks(store) == []

    async def test_canceling_causes_none(self, store: Store) -> None:
        await one(store)
        await store.cancel(HistoryFilter(NS), 10, START)
        assert await callbacks(store) == []

    async def test_a_lost_lease_causes_none(self, store: Store) -> None:
        item = await one(store)
        await store.cancel(HistoryFilter(NS), 10, START)
        assert await store.record([failed(item)], START) == [False]
        assert await callbacks(store) == []

    async def test_a_callback_that_fails_causes_none(self, store: Store) -> None:
        item = await one(store)
        await store.record([delivered(item)], START)
        (callback,) = (await store.claim(grant(), START)).leased
        await store.record([failed(callback)], START)
        assert await callbacks(store) == []
        (letter,) = (await store.dead_letters(HistoryFilter(NS))).items
        assert letter.message.source == item.message.id

    async def test_giving_up_the_messages_of_a_deleted_endpoint_tells_of_failure_only(self, store: Store) -> None:
        await store.apply([endpoint()], START)
        (message,) = await accepted(store, telling(endpoint="billing"))
        await store.remove([(BILLING, None)], START)
        await store.fail_orphans(START + SECOND, START + 2 * SECOND, 10)
        (warned,) = await callbacks(store)
        (letter,) = (await store.dead_letters(HistoryFilter(NS))).items
        assert warned.url == WARNED
        assert (body(warned)["status"], body(warned)["url"]) == (0, "endpoint:billing")
        assert (body(warned)["dlqId"], body(warned)["sourceMessageId"]) == (letter.id, message.id)


class TestWhat:
    async def test_a_callback_is_an_ordinary_message(self, store: Store) -> None:
        item = await one(
            store,
            redaction=Redaction(body=True),
            caller_ip="10.0.0.1",
            queue="orders",
            options=DeliveryOptions(retry_limit=7),
        )
        await store.record([delivered(item)], START)
        (told,) = await callbacks(store)
        assert (told.method, told.max_retries, told.queue) == ("POST", 7, None)
        assert told.headers == (Header("Content-Type", "application/json"),)
        assert (told.redaction, told.caller_ip) == (Redaction(body=True), "10.0.0.1")
        view = await store.message(NS, told.id, START)
        assert view is not None and view.message == told and view.state is MessageState.WAITING
        entries = (await store.log(HistoryFilter(NS, message_ids=[told.id], newest_first=False))).items
        assert entries[0].state is LogState.CREATED

    async def test_to_an_endpoint(self, store: Store) -> None:
        await store.apply([endpoint("pager", "https://pager.test/")], START)
        item = await one(store, callback=Callback(Destination(endpoint="pager")))
        await store.record([delivered(item)], START)
        (claimed,) = (await store.claim(grant(), START)).leased
        assert claimed.message.endpoint == "pager" and isinstance(claimed.endpoint, Endpoint)

    async def test_a_delay(self, store: Store) -> None:
        item = await one(store, callback=Callback(Destination(url=TOLD), delay=timedelta(minutes=1)))
        await store.record([delivered(item)], START)
        assert (await store.claim(grant(), START + 59 * SECOND)).leased == ()
        assert len((await store.claim(grant(), START + 60 * SECOND)).leased) == 1

    async def test_to_an_endpoint_that_does_not_exist_it_is_a_dead_letter_at_once(self, store: Store) -> None:
        item = await one(store, callback=Callback(Destination(endpoint="pager")), queue="orders")
        await accepted(store, publication(queue="orders"))
        assert await store.record([delivered(item)], START) == [True]
        view = await store.message(NS, item.message.id, START)
        assert view is not None and view.state is MessageState.DELIVERED
        (letter,) = (await store.dead_letters(HistoryFilter(NS))).items
        assert (letter.message.source, letter.url) == (item.message.id, "endpoint:pager")
        assert letter.error.startswith("EndpointMissing: ")
        (following,) = (await store.claim(grant(), START)).leased
        assert following.message.queue == "orders", "it holds no place"
        await store.apply([endpoint("pager", "https://pager.test/")], START)
        retried = await store.retry_dead_letters(HistoryFilter(NS), Overrides(), grant(), START)
        assert [message.source for message in retried.messages] == [item.message.id]

    @pytest.mark.parametrize("limits", [Limits(waiting=1, stored_bytes=2)])
    async def test_limits_of_the_tenant_do_not_hold_it_back(self, store: Store, limits: Limits) -> None:
        item = await one(store)
        await accepted_or_refused(store)
        assert await store.record([failed(item)], START) == [True]
        assert len(await callbacks(store)) == 2
        answers, _ = await store.accept([publication(body=b"")], None)
        assert isinstance(answers[0], LimitExceeded), "but it counts"


async def test_the_outcome_and_its_callbacks_are_stored_together_or_not_at_all(store: Store) -> None:
    """An operation that the store refuses, because an id is taken, leaves nothing of the outcome."""
    item = await one(store)
    with pytest.raises(Exception, match="UNIQUE"):
        await _record_with_a_taken_id(store, item)
    view = await store.message(NS, item.message.id, START)
    assert view is not None and view.state is MessageState.DELIVERING
    assert (await store.dead_letters(HistoryFilter(NS))).items == ()
    assert await store.record([failed(item)], START) == [True]
    assert len(await callbacks(store)) == 2


async def _record_with_a_taken_id(store: Any, item: Leased) -> None:
    kept = store._terms
    store._terms = replace(kept, new_id=lambda _: item.message.id)
    try:
        await store.record([failed(item)], START)
    finally:
        store._terms = kept


async def accepted_or_refused(store: Store) -> None:
    answers, _ = await store.accept([publication()], None)
    assert isinstance(answers[0], LimitExceeded)
