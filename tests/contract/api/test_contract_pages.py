"""Pages (contract 5): whatever is added or removed between two of them, no row is lost and none comes twice."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.api import Api, Clock, serving
from tests.support.deliveries import deliver

from angarium.domain.ids import ID_ENTROPY, new_id
from angarium.domain.messages import Response
from angarium.domain.ports import Limits, Retention
from angarium.store import open_store

URL = "https://e.test/in"
Steps = list[tuple[int, int]]
"""Between two pages: by how many milliseconds the clock moves (also back), and how many rows are added."""


@asynccontextmanager
async def opened() -> AsyncIterator[Api]:
    """An API of its own for each example."""
    clock = Clock()

    def message_id(now: datetime) -> str:
        return new_id("msg_", int(now.timestamp() * 1000), os.urandom(ID_ENTROPY))

    store = open_store(None, limits=Limits(), new_id=message_id, clock=clock, retention=Retention())
    try:
        async with serving(store, clock) as api:
            yield api
    finally:
        await store.close()


async def add(api: Api, count: int) -> None:
    """So many dead letters, each with four entries in the log."""
    for _ in range(count):
        await api.publish(URL, ("Upstash-Retries", "0"))
    if count:
        await deliver(api, Response(500))


def identity(route: str, row: Any) -> str:
    return str(row["dlqId"]) if route == "dlq" else f"{row['messageId']} {row['state']}"


async def turn(api: Api, route: str, order: str, count: int, steps: Steps) -> list[str]:
    """All pages, the last of which has no cursor."""
    key = {"dlq": "messages"}.get(route, route)
    query, seen = f"/v2/{route}?order={order}&count={count}", list[str]()
    cursor = ""
    for shift, added in [*steps, *[(0, 0)] * 200]:
        page = await api.done("GET", query + cursor)
        seen += [identity(route, row) for row in page[key]]
        assert len(page[key]) <= count
        if "cursor" not in page:
            return seen
        assert isinstance(page["cursor"], str) and page["cursor"]
        cursor = f"&cursor={page['cursor']}"
        api.clock.time += timedelta(milliseconds=shift)
        await add(api, added)
    raise AssertionError("the pages have no end")


@settings(deadline=None, max_examples=25)
@given(
    route=st.sampled_from(["events", "logs", "dlq"]),
    order=st.sampled_from(["latestFirst", "earliestFirst"]),
    count=st.integers(1, 4),
    steps=st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2)), min_size=1, max_size=8),
)
def test_reading_while_rows_are_added(route: str, order: str, count: int, steps: Steps) -> None:
    async def read() -> None:
        async with opened() as api:
            await add(api, 4)
            first = set(await turn(api, route, order, 100, []))
            seen = await turn(api, route, order, count, steps)
            assert len(seen) == len(set(seen)), "none twice"
            assert first <= set(seen), "none lost"

    asyncio.run(read())


@settings(deadline=None, max_examples=15)
@given(
    count=st.integers(1, 3),
    order=st.sampled_from(["latestFirst", "earliestFirst"]),
    steps=st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2)), min_size=1, max_size=6),
)
def test_deleting_page_by_page_while_rows_are_added(count: int, order: str, steps: Steps) -> None:
    async def delete() -> None:
        async with opened() as api:
            await add(api, 5)
            first = {row["dlqId"] for row in (await api.done("GET", "/v2/dlq"))["messages"]}
            deleted, more, cursor, added_all = 0, True, "", 5
            plan = iter(steps)
            while more:
                answer = await api.done("DELETE", f"/v2/dlq?count={count}&order={order}{cursor}")
                deleted += answer["deleted"]
                more = "cursor" in answer
                cursor = f"&cursor={answer.get('cursor')}"
                shift, added = next(plan, (0, 0)) if more else (0, 0)
                api.clock.time += timedelta(milliseconds=shift)
                await add(api, added)
                added_all += added
            left = {row["dlqId"] for row in (await api.done("GET", "/v2/dlq"))["messages"]}
            assert not first & left, "none lost"
            assert deleted + len(left) == added_all, "none counted twice"

    asyncio.run(delete())


@pytest.mark.parametrize("order", ["latestFirst", "earliestFirst"])
async def test_retrying_page_by_page_makes_one_message_of_each(api: Api, order: str) -> None:
    await add(api, 7)
    made: list[str] = []
    cursor, more = "", True
    while more:
        reply = await api.request("POST", f"/v2/dlq/retry?count=3&order={order}{cursor}")
        made += [item["messageId"] for item in reply.json["responses"]]
        more = "cursor" in reply.json
        cursor = f"&cursor={reply.json.get('cursor')}"
    assert (len(made), len(set(made))) == (7, 7)
    assert (await api.done("GET", "/v2/dlq"))["messages"] == []


@pytest.mark.parametrize("order", ["latestFirst", "earliestFirst"])
async def test_reading_while_others_publish(api: Api, order: str) -> None:
    for number in range(60):
        await api.publish(f"{URL}/{number}")
    first = set(await turn(api, "logs", order, 1000, []))

    async def publisher() -> None:
        for number in range(40):
            await api.publish(f"{URL}/more/{number}")

    publishers = [asyncio.create_task(publisher()) for _ in range(3)]
    for _ in range(3):
        seen = await turn(api, "logs", order, 7, [])
        assert len(seen) == len(set(seen)), "none twice"
        assert first <= set(seen), "none lost"
    await asyncio.gather(*publishers)
    assert len(await turn(api, "logs", order, 50, [])) == 180


@pytest.mark.parametrize("cursor", ["x", "1-", "1-2-3", "%00", "9" * 40])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v2/events"), ("GET", "/v2/logs"), ("GET", "/v2/dlq"), ("DELETE", "/v2/dlq"), ("POST", "/v2/dlq/retry")],
)
async def test_a_malformed_cursor_is_refused_on_every_route(api: Api, method: str, path: str, cursor: str) -> None:
    await add(api, 1)
    reply = await api.request(method, f"{path}?cursor={cursor}")
    assert (reply.status, reply.error.partition(":")[0]) == (400, "cursor")
    assert len((await api.done("GET", "/v2/dlq"))["messages"]) == 1


async def test_a_time_in_milliseconds_is_a_cursor_of_the_log(api: Api) -> None:
    start_ms = int(api.clock.now().timestamp() * 1000)
    for number in range(3):
        await api.publish(f"{URL}/{number}")
        api.clock.time += timedelta(milliseconds=1)
    page = await api.done("GET", f"/v2/events?cursor={start_ms + 1}")
    assert [entry["url"][-1] for entry in page["events"]] == ["1", "0"]


async def test_filters_hold_on_all_pages(api: Api) -> None:
    for number in range(6):
        await api.publish(f"{URL}/{number}", ("Upstash-Label", "odd" if number % 2 else "even"))
    seen, cursor = [], ""
    for expected in (1, 1, 1):
        page = await api.done("GET", f"/v2/events?label=odd&count=1{cursor}")
        assert len(page["events"]) == expected
        seen += [entry["url"][-1] for entry in page["events"]]
        cursor = f"&cursor={page.get('cursor')}"
    assert (seen, cursor) == (["5", "3", "1"], "&cursor=None")
