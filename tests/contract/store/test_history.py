import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.fakes import START, FakeClock
from tests.support.stores import (
    DAY,
    NS,
    SECOND,
    accepted,
    endpoint,
    failed,
    firing,
    grant,
    ids,
    leased,
    publication,
    schedule,
    topic,
)

from angarium.domain.declarations import DeliveryOptions, Destination, FlowControl
from angarium.domain.errors import InvalidInput
from angarium.domain.messages import LogState
from angarium.domain.ports import Limits, Retention, Store
from angarium.domain.views import DeadLetter, HistoryFilter
from angarium.store import open_store


async def letters(store: Store, count: int) -> list[DeadLetter]:
    """Dead letters one second apart, oldest first."""
    for n in range(count):
        (item,) = await leased(store, publication())
        await store.record([failed(item)], START + n * SECOND)
    return list((await store.dead_letters(HistoryFilter(NS, newest_first=False))).items)


class TestPages:
    @pytest.mark.parametrize("newest_first", [True, False])
    async def test_pages_of_the_log_give_everything_once(self, store: Store, newest_first: bool) -> None:
        await accepted(store, *(publication(created_at=START + (n // 3) * SECOND) for n in range(10)))
        everything = await store.log(HistoryFilter(NS, newest_first=newest_first))
        assert everything.cursor is None
        times = [entry.time for entry in everything.items]
        assert times == sorted(times, reverse=newest_first)
        got, cursor = [], None
        while True:
            page = await store.log(HistoryFilter(NS, newest_first=newest_first, count=4, cursor=cursor))
            got += page.items
            cursor = page.cursor
            if cursor is None:
                break
            assert len(page.items) == 4
        assert tuple(got) == everything.items

    async def test_the_leading_number_of_a_cursor_falls_also_within_a_millisecond(self, store: Store) -> None:
        await accepted(store, *(publication(created_at=START) for _ in range(3)))
        numbers, cursor = [], None
        while not numbers or cursor is not None:
            page = await store.log(HistoryFilter(NS, count=1, cursor=cursor))
            cursor = page.cursor
            numbers += [int(cursor.partition("-")[0])] if cursor else []
        assert len(numbers) == 2 and numbers[0] > numbers[1]

    async def test_an_exact_last_page_has_no_cursor(self, store: Store) -> None:
        await accepted(store, *(publication() for _ in range(4)))
        assert (await store.log(HistoryFilter(NS, count=4))).cursor is None

    async def test_a_cursor_outlives_what_was_before_it(self, store: Store) -> None:
        oldest, *rest = await letters(store, 5)
        page = await store.dead_letters(HistoryFilter(NS, newest_first=False, count=2))
        await store.purge(Retention(dead_letters=DAY), START + DAY + SECOND + SECOND / 2, 100)
        assert oldest not in (await store.dead_letters(HistoryFilter(NS))).items
        following = await store.dead_letters(HistoryFilter(NS, newest_first=False, count=9, cursor=page.cursor))
        assert list(following.items) == rest[1:]

    @pytest.mark.parametrize("by_ids", [False, True])
    async def test_large_bodies_make_short_pages(self, store: Store, by_ids: bool) -> None:
        body = bytes(2**20)
        sent = await accepted(store, *(publication(body=body, created_at=START + n * SECOND) for n in range(20)))
        where = HistoryFilter(NS, message_ids=[message.id for message in sent] if by_ids else ())
        got, sizes = [], []
        cursor: str | None = None
        while cursor is not None or not got:
            page = await store.log(replace(where, cursor=cursor))
            got += [entry.message.id for entry in page.items]
            sizes.append(sum(len(entry.message.body) for entry in page.items))
            cursor = page.cursor
        assert got == [message.id for message in reversed(sent)]
        assert max(sizes) <= 8 * 2**20
        assert len(sizes) == 3

    async def test_what_is_larger_than_a_page_has_its_own(self, store: Store) -> None:
        items = await leased(store, *(publication(body=bytes(9 * 2**20)) for _ in range(2)))
        await store.record([failed(item) for item in items], START)
        first = await store.dead_letters(HistoryFilter(NS))
        second = await store.dead_letters(HistoryFilter(NS, cursor=first.cursor))
        ids = [letter.id for letter in (*first.items, *second.items)]
        assert len(set(ids)) == 2
        by_id = await store.dead_letters(HistoryFilter(NS, dlq_ids=ids))
        assert [letter.id for letter in by_id.items] == ids[:1]
        following = await store.dead_letters(HistoryFilter(NS, dlq_ids=ids, cursor=by_id.cursor))
        assert [letter.id for letter in following.items] == ids[1:]

    async def test_a_bare_time_is_a_place_to_start(self, store: Store) -> None:
        await accepted(store, *(publication(created_at=START + n * SECOND) for n in range(4)))
        cursor = str(round((START + 2 * SECOND).timestamp() * 1000))
        page = await store.log(HistoryFilter(NS, cursor=cursor))
        assert [entry.time for entry in page.items] == [START + n * SECOND for n in (2, 1, 0)]

    @pytest.mark.parametrize("cursor", ["", "x", "1-", "-1", "1-2-3", "1.5", "٣", "9" * 30])
    async def test_a_malformed_cursor(self, store: Store, cursor: str) -> None:
        for read in (store.log, store.dead_letters):
            with pytest.raises(InvalidInput) as caught:
                await read(HistoryFilter(NS, cursor=cursor))
            assert caught.value.field == "cursor"


@settings(deadline=None, max_examples=25)
@given(
    newest_first=st.booleans(),
    count=st.integers(1, 4),
    steps=st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 3)), min_size=1, max_size=12),
)
def test_no_row_is_lost_or_repeated_while_rows_are_added(
    newest_first: bool, count: int, steps: list[tuple[int, int]]
) -> None:
    """Whatever comes between two pages, at whatever time by the clock: what was there first is seen, and all once."""

    async def turn_pages() -> None:
        store = open_store(None, limits=Limits(), new_id=ids(), clock=FakeClock(), retention=Retention())
        now = START
        try:
            await _given_up(store, 6, now)
            first = {letter.id for letter in (await store.dead_letters(HistoryFilter(NS))).items}
            seen: list[str] = []
            where = HistoryFilter(NS, newest_first=newest_first, count=count)
            for shift, added in [*steps, *[(0, 0)] * 100]:
                page = await store.dead_letters(where)
                seen += [letter.id for letter in page.items]
                if page.cursor is None:
                    break
                where = replace(where, cursor=page.cursor)
                now += shift * timedelta(milliseconds=1)
                await _given_up(store, added, now)
            assert len(seen) == len(set(seen)), "none twice"
            assert first <= set(seen), "none lost"
        finally:
            await store.close()

    asyncio.run(turn_pages())


async def _given_up(store: Store, count: int, now: datetime) -> None:
    items = await leased(store, *(publication() for _ in range(count)))
    await store.record([failed(item) for item in items], now)


class TestFilters:
    @pytest.fixture
    async def filled(self, store: Store) -> Store:
        """One dead letter per way to be found."""
        await store.apply(
            [endpoint(), topic("orders", "billing"), schedule(destination=Destination(url="http://s/"))], START
        )
        (due,) = (await store.due_schedules(START, 10)).schedules
        plain = publication("https://Host.test:8443/a/b?q=1", labels=("x", "y"), caller_ip="10.0.0.1", queue="work")
        flow = DeliveryOptions(flow_control=FlowControl("slow, but sure", rate=5))
        items = await leased(store, plain, publication(topic="orders", labels=("z",), options=flow))
        (fired,) = await store.fire([firing(due, START)], grant())
        for n, item in enumerate([*items, *fired.leased]):
            url = item.message.url or "https://billing.test/in"
            await store.record([failed(item, [500, 404, None][n], url=url)], START + n * SECOND)
        return store

    @pytest.mark.parametrize(
        ("condition", "found"),
        [
            ({}, "012"),
            ({"urls": ["https://Host.test:8443/a/b?q=1"]}, "0"),
            ({"urls": ["https://billing.test/in", "http://s/"]}, "12"),
            ({"hosts": ["HOST.test"]}, "0"),
            ({"hosts": ["host.test:8443"]}, "0"),
            ({"hosts": ["host.test:1"]}, ""),
            ({"paths": ["/a/b"]}, "0"),
            ({"paths": ["/A/b"]}, ""),
            ({"topics": ["orders"]}, "1"),
            ({"schedules": ["report"]}, "2"),
            ({"queues": ["work", "none"]}, "0"),
            ({"flow_keys": ["slow, but sure"]}, "1"),
            ({"queues": ["none"]}, ""),
            ({"labels": ["y", "z"]}, "01"),
            ({"labels": ["y"], "topics": ["orders"]}, ""),
            ({"caller_ips": ["10.0.0.1"]}, "0"),
            ({"response_statuses": [404, 0]}, "12"),
            ({"since": START + SECOND}, "12"),
            ({"until": START + SECOND}, "01"),
            ({"since": START + SECOND, "until": START + SECOND}, "1"),
        ],
        ids=str,
    )
    async def test_conditions(self, filled: Store, condition: dict[str, Any], found: str) -> None:
        everything = (await filled.dead_letters(HistoryFilter(NS, newest_first=False))).items
        page = await filled.dead_letters(HistoryFilter(NS, newest_first=False, **condition))
        assert "".join(str(everything.index(item)) for item in page.items) == found
        by_id = {item.message.id: str(n) for n, item in enumerate(everything)}
        errors = HistoryFilter(NS, newest_first=False, states=[LogState.ERROR], **condition)
        assert "".join(by_id[entry.message.id] for entry in (await filled.log(errors)).items) == found
        named = HistoryFilter(NS, newest_first=False, message_ids=list(by_id), **condition)
        assert (await filled.dead_letters(named)).items == page.items

    async def test_states_are_those_of_entries(self, filled: Store) -> None:
        page = await filled.log(HistoryFilter(NS, states=[LogState.FAILED, LogState.ERROR]))
        assert [entry.state for entry in page.items] == [LogState.FAILED, LogState.ERROR] * 3

    async def test_message_ids_find_all_however_many(self, filled: Store) -> None:
        some = [item.message.id for item in (await filled.dead_letters(HistoryFilter(NS))).items[:2]]
        page = await filled.log(HistoryFilter(NS, message_ids=[*some, "msg_none"], count=1))
        assert len(page.items) == 8 and page.cursor is None
        assert {entry.message.id for entry in page.items} == set(some)

    async def test_dead_letter_ids_win(self, filled: Store) -> None:
        first, second, _ = (await filled.dead_letters(HistoryFilter(NS))).items
        where = HistoryFilter(NS, dlq_ids=[second.id, first.id, "none", "1-1"], labels=["none"], count=1)
        page = await filled.dead_letters(where)
        assert page.items == (first, second) and page.cursor is None


async def test_dead_letter_ids_are_unique_within_one_millisecond(store: Store) -> None:
    items = await leased(store, *(publication() for _ in range(50)))
    await store.record([failed(item) for item in items], START)
    found = (await store.dead_letters(HistoryFilter(NS))).items
    assert len({letter.id for letter in found}) == 50


async def test_an_ended_message_is_hidden_after_its_retention(store: Store) -> None:
    (item,) = await leased(store, publication())
    await store.record([failed(item)], START)
    assert await store.message(NS, item.message.id, START + 3 * DAY) is not None
    assert await store.message(NS, item.message.id, START + 3 * DAY + timedelta(milliseconds=1)) is None
    assert len((await store.log(HistoryFilter(NS))).items) == 4
