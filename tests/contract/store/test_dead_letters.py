"""Dead letters that leave: deleted, or published anew (contract 5, 9)."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.fakes import START
from tests.support.stores import (
    DAY,
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
    schedule,
    topic,
)

from angarium.domain.declarations import (
    Callback,
    DeliveryOptions,
    Destination,
    FlowControl,
    Header,
    Kind,
    ObjectRef,
    Redaction,
)
from angarium.domain.errors import InvalidInput, LimitExceeded, QuotaReached
from angarium.domain.messages import LogState, Message, MessageState, Overrides, Publication
from angarium.domain.ports import Limits, Retention, Retried, Store
from angarium.domain.views import DeadLetter, HistoryFilter

AS_IT_WAS = Overrides()
LATER = START + timedelta(hours=1)
BILLING = ObjectRef(Kind.ENDPOINT, NS, "billing")


async def letters(store: Store, *publications: Publication) -> list[DeadLetter]:
    """Their messages given up, one second apart. Oldest first."""
    for n, each in enumerate(publications):
        items = (await store.accept([each], grant()))[1]
        await store.record([failed(item) for item in items], START + n * SECOND)
    return await everything(store)


async def everything(store: Store) -> list[DeadLetter]:
    """Oldest first, over all pages."""
    found: list[DeadLetter] = []
    cursor: str | None = None
    while True:
        page = await store.dead_letters(HistoryFilter(NS, newest_first=False, cursor=cursor))
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return found


async def left(store: Store) -> list[str]:
    return [letter.id for letter in await everything(store)]


async def retried(store: Store, overrides: Overrides = AS_IT_WAS, **where: Any) -> Retried:
    return await store.retry_dead_letters(HistoryFilter(NS, **where), overrides, None, LATER)


def some(count: int) -> list[Publication]:
    return [publication(f"https://{n}.test/") for n in range(count)]


class TestDelete:
    async def test_by_id_others_are_skipped_and_other_filters_ignored(self, store: Store) -> None:
        one, two, three = await letters(store, *some(3))
        where = HistoryFilter(NS, dlq_ids=[three.id, one.id, "1-1", "none"], labels=["none"], count=1)
        page = await store.delete_dead_letters(where)
        assert set(page.items) == {one.id, three.id} and page.cursor is None
        assert await left(store) == [two.id]
        assert (await store.delete_dead_letters(where)).items == ()

    async def test_a_letter_is_deleted_once_however_many_ask_at_once(self, store: Store) -> None:
        await letters(store, *(publication() for _ in range(3)))
        pages = await asyncio.gather(*(store.delete_dead_letters(HistoryFilter(NS)) for _ in range(5)))
        assert sorted(len(page.items) for page in pages) == [0, 0, 0, 0, 3]
        assert (await store.backlog()).dead_letters == 0

    async def test_of_another_tenant_nothing_goes(self, store: Store) -> None:
        (one,) = await letters(store, publication())
        assert (await store.delete_dead_letters(HistoryFilter("other", dlq_ids=[one.id]))).items == ()
        assert (await store.delete_dead_letters(HistoryFilter("other"))).items == ()
        assert await left(store) == [one.id]

    @pytest.mark.parametrize("newest_first", [True, False])
    async def test_pages_follow_each_other_although_what_was_before_is_gone(
        self, store: Store, newest_first: bool
    ) -> None:
        ids = [letter.id for letter in await letters(store, *some(7))]
        gone: list[str] = []
        cursor: str | None = None
        while cursor is not None or not gone:
            where = HistoryFilter(NS, newest_first=newest_first, count=3, cursor=cursor)
            page = await store.delete_dead_letters(where)
            gone += page.items
            cursor = page.cursor
        assert gone == (ids[::-1] if newest_first else ids)
        assert await left(store) == [] and (await store.backlog()).dead_letters == 0

    async def test_an_exact_last_page_has_no_cursor_and_none_matches_nothing(self, store: Store) -> None:
        await letters(store, *some(2))
        page = await store.delete_dead_letters(HistoryFilter(NS, labels=["none"]))
        assert (page.items, page.cursor) == ((), None)
        assert (await store.delete_dead_letters(HistoryFilter(NS, count=2))).cursor is None

    @pytest.mark.parametrize("cursor", ["x", "1-", "", "9" * 30])
    async def test_a_malformed_cursor_deletes_nothing(self, store: Store, cursor: str) -> None:
        (one,) = await letters(store, publication())
        with pytest.raises(InvalidInput):
            await store.delete_dead_letters(HistoryFilter(NS, cursor=cursor))
        with pytest.raises(InvalidInput):
            await retried(store, cursor=cursor)
        assert await left(store) == [one.id]

    @pytest.mark.parametrize("limits", [Limits(stored_bytes=20)])
    async def test_its_bytes_are_given_back_when_the_message_has_aged(self, store: Store, limits: Limits) -> None:
        await letters(store, publication(body=b"12345678"))
        while await store.purge(Retention(messages=DAY, log=DAY), START + DAY + SECOND, 100):
            pass
        await store.delete_dead_letters(HistoryFilter(NS))
        assert len(await accepted(store, publication(body=b"1" * 20))) == 1


class TestRetry:
    async def test_a_new_message_as_the_old_one_was(self, store: Store) -> None:
        await store.apply([endpoint(), topic("orders", "billing")], START)
        given = publication(
            topic="orders",
            options=DeliveryOptions(
                "PUT", (Header("X-A", "1"),), 9 * SECOND, 0, "1000", FlowControl("slow", parallelism=1)
            ),
            body=b"\x00",
            labels=("a", "b"),
            caller_ip="10.0.0.1",
            queue="work",
            callback=Callback(Destination(url="https://told.test/")),
            redaction=Redaction(body=True),
        )
        (letter,) = await letters(store, given)
        answer = await retried(store)
        (new,) = answer.messages
        old = letter.message
        assert new == replace(old, id=new.id, created_at=LATER, not_before=LATER)
        assert new.id != old.id
        assert (answer.urls, answer.matched, answer.cursor) == (("https://billing.test/in",), 1, None)
        view = await store.message(NS, new.id, LATER)
        assert view is not None and (view.message, view.retried, view.state) == (new, 0, MessageState.WAITING)
        assert await left(store) == []
        assert (await store.backlog()).dead_letters == 0

    async def test_of_a_schedule_it_keeps_the_name_and_leaves_the_run(self, store: Store) -> None:
        await store.apply([schedule()], START)
        (due,) = (await store.due_schedules(START, 10)).schedules
        (fired,) = await store.fire([firing(due, START)], grant())
        await store.record([failed(fired.leased[0])], START)
        (new,) = (await retried(store)).messages
        assert (new.schedule, new.run) == ("report", None)
        (item,) = (await store.claim(grant(), LATER)).leased
        await store.record([delivered(item)], LATER)
        view = (await store.schedule_views([due.declared.ref]))[due.declared.ref]
        assert view.last_success is None and view.last_failure == START

    async def test_it_is_leased_at_once_if_there_is_room(self, store: Store) -> None:
        await letters(store, *some(2))
        answer = await store.retry_dead_letters(HistoryFilter(NS), AS_IT_WAS, grant(1), LATER)
        assert len(answer.messages) == 2 and [item.message for item in answer.leased] == [answer.messages[0]]

    async def test_each_leaf_field_is_overridden_on_its_own(self, store: Store) -> None:
        old = DeliveryOptions("PUT", (Header("X-A", "1"), Header("X-B", "1")), 9 * SECOND, 5, "1000")
        (letter,) = await letters(store, publication(options=old, labels=("a",), queue="work"))
        flow = FlowControl("slow", rate=1)
        told, warned = (Callback(Destination(url=f"https://{name}.test/")) for name in ("told", "warned"))
        changes = Overrides(
            DeliveryOptions("PATCH", (Header("x-a", "2"),), SECOND, 0, "5", flow),
            ("b",),
            LATER + SECOND,
            "other",
            told,
            warned,
            Redaction(names=("x-a",)),
        )
        (new,) = (await retried(store, changes)).messages
        expected = replace(
            letter.message,
            id=new.id,
            created_at=LATER,
            method="PATCH",
            headers=(Header("X-B", "1"), Header("x-a", "2")),
            timeout=SECOND,
            max_retries=0,
            retry_delay="5",
            flow_control=flow,
            labels=("b",),
            not_before=LATER + SECOND,
            queue="other",
            callback=told,
            failure_callback=warned,
            redaction=Redaction(names=("x-a",)),
        )
        assert new == expected

    async def test_what_was_hidden_stays_hidden(self, store: Store) -> None:
        await letters(store, publication(redaction=Redaction(body=True, names=("x-a",))))
        (new,) = (await retried(store, Overrides(redaction=Redaction(names=("x-b",))))).messages
        assert new.redaction == Redaction(body=True, names=("x-a", "x-b"))

    async def test_a_delayed_callback_is_refused_where_a_queue_would_wait_for_it(self, store: Store) -> None:
        (letter,) = await letters(store, publication(queue="work"))
        late = Callback(Destination(url="https://told.test/"), delay=SECOND)
        with pytest.raises(InvalidInput, match="Upstash-Callback-Delay"):
            await retried(store, Overrides(callback=late))
        assert await left(store) == [letter.id]

    async def test_it_joins_its_queue_at_the_tail_the_oldest_letter_first(self, store: Store) -> None:
        first = await letters(store, *(publication(f"https://{n}.test/", queue="work") for n in range(3)))
        (waiting,) = await accepted(store, publication(queue="work"))
        answer = await retried(store)
        assert [message.url for message in answer.messages] == [letter.message.url for letter in first]
        started: list[Message] = []
        while items := (await store.claim(grant(), LATER)).leased:
            started += [item.message for item in items]
            await store.record([delivered(item) for item in items], LATER)
        assert [message.id for message in started] == [waiting.id, *(message.id for message in answer.messages)]

    async def test_listed_letters_in_the_order_of_the_list_whatever_is_missing(self, store: Store) -> None:
        one, two, three = await letters(store, *some(3))
        listed = [three.id, "1-1", one.id, "none", three.id, f"0{two.id}"]
        answer = await retried(store, dlq_ids=listed, labels=["none"], count=1)
        assert [message.url for message in answer.messages] == ["https://2.test/", "https://0.test/"]
        assert (answer.matched, answer.cursor) == (2, None)
        assert await left(store) == [two.id]
        again = await retried(store, dlq_ids=listed)
        assert (again.messages, again.matched) == ((), 0)

    async def test_of_another_tenant_nothing_is_retried(self, store: Store) -> None:
        (one,) = await letters(store, publication())
        where = HistoryFilter("other", dlq_ids=[one.id])
        assert (await store.retry_dead_letters(where, AS_IT_WAS, None, LATER)).messages == ()

    async def test_pages_follow_each_other(self, store: Store) -> None:
        urls = {letter.message.url for letter in await letters(store, *some(7))}
        got: list[str | None] = []
        cursor: str | None = None
        while cursor is not None or not got:
            page = await retried(store, count=3, cursor=cursor)
            got += [message.url for message in page.messages]
            cursor = page.cursor
        assert len(got) == 7 and set(got) == urls and await left(store) == []

    async def test_one_letter_has_one_successor_however_many_ask_at_once(self, store: Store) -> None:
        await letters(store, *(publication() for _ in range(3)))
        answers = await asyncio.gather(*(retried(store) for _ in range(5)))
        assert sorted(len(answer.messages) for answer in answers) == [0, 0, 0, 0, 3]
        assert sorted(answer.matched for answer in answers) == [0, 0, 0, 0, 3]
        assert (await store.backlog()).dead_letters == 0

    async def test_what_has_no_endpoint_any_more_stays_and_is_passed_over(self, store: Store) -> None:
        await store.apply([endpoint()], START)
        gone, *_ = await letters(store, publication(endpoint="billing"), *some(2))
        await store.remove([(BILLING, None)], START)
        got, cursor = 0, None
        for _ in range(3):
            page = await retried(store, count=1, cursor=cursor)
            got, cursor = got + len(page.messages), page.cursor
            assert page.matched == 1
        assert (got, cursor) == (2, None)
        assert await left(store) == [gone.id]
        await store.apply([endpoint(uid="another")], START)
        assert len((await retried(store)).messages) == 1

    @pytest.mark.parametrize("limits", [Limits(queues=1)], ids=["one queue"])
    async def test_it_makes_no_queue_more_than_the_tenant_may_have(self, store: Store, limits: Limits) -> None:
        (letter,) = await letters(store, publication(queue="orders"))
        with pytest.raises(QuotaReached):
            await retried(store, replace(AS_IT_WAS, queue="another"))
        assert await left(store) == [letter.id]
        (message,) = (await retried(store)).messages
        assert message.queue == "orders"

    @pytest.mark.parametrize("limits", [Limits(waiting=1)])
    async def test_at_the_limit_of_the_tenant_nothing_changes(self, store: Store, limits: Limits) -> None:
        both = await letters(store, *some(2))
        with pytest.raises(LimitExceeded):
            await retried(store)
        assert await left(store) == [letter.id for letter in both]
        assert len((await store.log(HistoryFilter(NS, states=[LogState.CREATED]))).items) == 2
        assert (await store.backlog()).waiting == 0

    @pytest.mark.parametrize("limits", [Limits(stored_bytes=30)])
    async def test_a_body_that_nothing_else_needs_makes_room_for_its_successor(
        self, store: Store, limits: Limits
    ) -> None:
        body = b"1" * 18
        await letters(store, publication(body=body))
        while await store.purge(Retention(messages=DAY, log=DAY), START + DAY + SECOND, 100):
            pass
        (new,) = (await retried(store)).messages
        view = await store.message(NS, new.id, LATER)
        assert view is not None and view.message.body == body

    async def test_the_old_message_may_go_and_the_new_one_keeps_its_body(self, store: Store) -> None:
        (letter,) = await letters(store, publication(body=b"kept"))
        (new,) = (await retried(store)).messages
        view = await store.message(NS, letter.message.id, START)
        assert view is not None and view.message.body == b"kept", "it can still be looked at"
        while await store.purge(Retention(), START + 30 * DAY, 100):
            pass
        assert await store.message(NS, letter.message.id, START) is None
        (item,) = (await store.claim(grant(), LATER)).leased
        assert (item.message.id, item.message.body) == (new.id, b"kept")

    @pytest.mark.parametrize("by_id", [True, False])
    async def test_large_bodies_make_short_pages(self, store: Store, by_id: bool) -> None:
        ids = [letter.id for letter in await letters(store, *(publication(body=bytes(3 * 2**20)) for _ in range(5)))]
        sizes: list[int] = []
        cursor: str | None = None
        while cursor is not None or not sizes:
            page = await retried(store, dlq_ids=ids if by_id else (), cursor=cursor)
            sizes.append(len(page.messages))
            cursor = page.cursor
        assert sizes == [2, 2, 1]

    async def test_a_callback_stays_one(self, store: Store) -> None:
        told = Callback(Destination(url="https://told.test/"))
        (item,) = await leased(store, publication(callback=told))
        await store.record([delivered(item)], START)
        (callback,) = (await store.claim(grant(), START)).leased
        await store.record([failed(callback)], START)
        (new,) = (await retried(store, Overrides(queue="work", callback=told))).messages
        assert (new.source, new.queue, new.callback) == (item.message.id, None, None)
