"""Publishing: one transaction for what waits together, leases handed on, and an orderly end."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.api import Dispatch, Watcher

from angarium.domain.declarations import Destination
from angarium.domain.errors import AngariumError, NotFound, StoreFull
from angarium.domain.fanout import expand
from angarium.domain.messages import Acceptance, Leased, LeaseGrant, Publication
from angarium.domain.notices import Accepted, MembersMissing
from angarium.service.publishing import MOST_AT_ONCE, MOST_BYTES_AT_ONCE, TOPIC_ROOM, Draining, Publishing

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Accepting:
    """The one method of the store that publishing uses: leases as far as there is room."""

    def __init__(self) -> None:
        self.calls: list[tuple[Publication, ...]] = []
        self.failure: Exception | None = None

    async def accept(
        self, publications: Sequence[Publication], grant: LeaseGrant
    ) -> tuple[Sequence[Acceptance | AngariumError], Sequence[Leased]]:
        self.calls.append(tuple(publications))
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        answers: list[Acceptance | AngariumError] = []
        leased: list[Leased] = []
        for number, publication in enumerate(publications):
            if publication.destination.topic:
                answers.append(NotFound(publication.destination.topic))
                continue
            acceptance = expand(publication, None, lambda _, number=number: f"msg_{number}")  # type: ignore[arg-type]
            answers.append(acceptance)
            if len(leased) < grant.room:
                leased.append(Leased(acceptance.messages[0], 0, 1, "lane"))
        return answers, leased


def to_url(number: int) -> Publication:
    return Publication("shop", Destination(url=f"https://e.test/{number}"), NOW)


def to_topic(name: str) -> Publication:
    return Publication("shop", Destination(topic=name), NOW)


def publishing(store: Any, dispatch: Dispatch, watcher: Watcher) -> Publishing:
    return Publishing(store, dispatch, [watcher])


async def test_what_waits_together_is_one_transaction() -> None:
    store, dispatch, watcher = Accepting(), Dispatch(room=100), Watcher()
    service = publishing(store, dispatch, watcher)
    answers = await asyncio.gather(*(service.publish(to_url(number)) for number in range(5)))
    assert [answer.urls for answer in answers] == [(f"https://e.test/{number}",) for number in range(5)]
    assert [len(call) for call in store.calls] == [5]
    [(grant, leased)] = dispatch.offered
    assert (grant.room, len(leased), dispatch.wakes) == (5, 5, 0)
    assert len(watcher.notices) == 5


async def test_what_was_not_leased_wakes_the_dispatcher() -> None:
    store, dispatch, watcher = Accepting(), Dispatch(room=1), Watcher()
    service = publishing(store, dispatch, watcher)
    await asyncio.gather(*(service.publish(to_url(number)) for number in range(3)))
    assert [len(leased) for _, leased in dispatch.offered] == [1]
    assert dispatch.wakes == 1


async def test_one_refusal_does_not_touch_the_others() -> None:
    store, dispatch, watcher = Accepting(), Dispatch(room=100), Watcher()
    service = publishing(store, dispatch, watcher)
    answers = await asyncio.gather(
        service.publish(to_topic("none")), service.publish(to_url(1)), return_exceptions=True
    )
    assert isinstance(answers[0], NotFound)
    assert isinstance(answers[1], Acceptance)
    assert dispatch.granted[0].room == TOPIC_ROOM + 1
    assert len(watcher.notices) == 1


class LeavingOut(Accepting):
    """Every publication is one to a Topic of which a listed Endpoint does not exist."""

    async def accept(
        self, publications: Sequence[Publication], grant: LeaseGrant
    ) -> tuple[Sequence[Acceptance | AngariumError], Sequence[Leased]]:
        to_urls = [replace(one, destination=Destination(url="https://e.test/")) for one in publications]
        answers, leased = await super().accept(to_urls, grant)
        accepted = [answer for answer in answers if isinstance(answer, Acceptance)]
        of_topic = [(replace(one.messages[0], topic="orders"),) for one in accepted]
        return [Acceptance(messages, ("https://e.test/",), ("audit",)) for messages in of_topic], leased


async def test_members_that_do_not_exist_are_told() -> None:
    watcher = Watcher()
    service = publishing(LeavingOut(), Dispatch(room=1), watcher)
    await service.publish(replace(to_url(1), destination=Destination(topic="orders")))
    accepted, missing = watcher.notices
    assert isinstance(accepted, Accepted)
    assert missing == MembersMissing("shop", "orders", ("audit",))


async def test_room_is_given_back_when_the_store_fails() -> None:
    store, dispatch, watcher = Accepting(), Dispatch(room=100), Watcher()
    store.failure = StoreFull("the disk is full")
    service = publishing(store, dispatch, watcher)
    answers = await asyncio.gather(*(service.publish(to_url(n)) for n in range(2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreFull, StoreFull]
    assert dispatch.offered == [(dispatch.granted[0], ())]
    assert watcher.notices == []
    store.failure = None
    await service.publish(to_url(3))


async def test_closing_stores_what_was_taken_and_takes_no_more() -> None:
    store, dispatch, watcher = Accepting(), Dispatch(room=100), Watcher()
    service = publishing(store, dispatch, watcher)
    taken = asyncio.create_task(service.publish(to_url(1)))
    await asyncio.sleep(0)
    await service.close()
    assert (await taken).urls == ("https://e.test/1",)
    with pytest.raises(Draining, match="try again"):
        await service.publish(to_url(2))
    assert len(store.calls) == 1


async def publish_many(service: Publishing, publications: Iterable[Publication]) -> list[Acceptance | AngariumError]:
    return [answer async for answer in service.publish_many(publications)]


async def test_many_are_stored_in_their_order_in_few_transactions() -> None:
    store, dispatch, watcher = Accepting(), Dispatch(room=100), Watcher()
    count = 2 * MOST_AT_ONCE + 1
    answers = await publish_many(publishing(store, dispatch, watcher), map(to_url, range(count)))
    assert [answer.urls for answer in answers if isinstance(answer, Acceptance)] == [
        (f"https://e.test/{number}",) for number in range(count)
    ]
    assert [len(call) for call in store.calls] == [MOST_AT_ONCE, MOST_AT_ONCE, 1]
    assert len(watcher.notices) == count


async def test_large_bodies_among_many_share_a_transaction_with_few() -> None:
    store, dispatch = Accepting(), Dispatch()
    body = b"x" * (MOST_BYTES_AT_ONCE // 2)
    await publish_many(publishing(store, dispatch, Watcher()), [replace(to_url(n), body=body) for n in range(5)])
    assert [len(call) for call in store.calls] == [2, 2, 1]


async def test_many_are_asked_for_as_they_are_stored_and_others_come_between() -> None:
    store, made = Accepting(), []

    def publications() -> Iterator[Publication]:
        for number in range(MOST_AT_ONCE + 5):
            made.append(number)
            yield to_url(number)

    service = publishing(store, Dispatch(), Watcher())
    many = asyncio.create_task(publish_many(service, publications()))
    await asyncio.sleep(0)
    assert len(made) == MOST_AT_ONCE
    await service.publish(to_url(9999))
    assert not many.done()
    await many
    assert [call[0].destination.url for call in store.calls][1] == "https://e.test/9999"


async def test_one_of_many_that_is_refused_stops_no_other() -> None:
    service = publishing(Accepting(), Dispatch(), Watcher())
    answers = await publish_many(service, [to_url(1), to_topic("t"), to_url(2)])
    assert [type(answer) for answer in answers] == [Acceptance, NotFound, Acceptance]


async def test_many_find_a_failing_store_and_an_end() -> None:
    store = Accepting()
    service = publishing(store, Dispatch(), Watcher())
    store.failure = StoreFull("the disk is full")
    assert [type(answer) for answer in await publish_many(service, [to_url(1), to_url(2)])] == [StoreFull, StoreFull]
    store.failure = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await publish_many(service, [to_url(1)])
    store.failure = None
    many = asyncio.create_task(publish_many(service, map(to_url, range(MOST_AT_ONCE + 1))))
    await asyncio.sleep(0)
    await service.close()
    answers = await many
    assert [type(answer) for answer in answers] == [Acceptance] * MOST_AT_ONCE + [Draining]
    assert [type(answer) for answer in await publish_many(service, [to_url(1)])] == [Draining]
