"""Deduplication over HTTP (contract 22.1): 202 with the first message's id, and what counts as the same."""

import asyncio
import json
from datetime import timedelta

import pytest
from tests.support.api import OTHER_TOKEN, Api, Reply

URL = "https://e.test/x"
BY_ID = ("Upstash-Deduplication-Id", "order 1")
BY_CONTENT = ("Upstash-Content-Based-Deduplication", "True")


async def send(api: Api, *headers: tuple[str, str], rest: str = URL, body: bytes = b"x") -> Reply:
    return await api.request("POST", f"/v2/publish/{rest}", *headers, body=body)


@pytest.mark.parametrize("header", [BY_ID, BY_CONTENT])
async def test_a_duplicate_is_202_with_the_first_id(api: Api, header: tuple[str, str]) -> None:
    first = await send(api, header)
    assert (first.status, "deduplicated" in first.json) == (200, False)
    again = await send(api, header)
    assert again.status == 202
    assert again.json == {**first.json, "deduplicated": True}
    assert len((await api.request("GET", "/v2/events")).json["events"]) == 1


async def test_the_window_is_ten_minutes_from_the_first(api: Api) -> None:
    first = await send(api, BY_ID)
    api.clock.time += timedelta(minutes=9, seconds=59)
    assert (await send(api, BY_ID)).status == 202
    api.clock.time += timedelta(seconds=1)
    again = await send(api, BY_ID)
    assert (again.status, again.json["messageId"] == first.json["messageId"]) == (200, False)


async def test_an_id_wins_over_content_and_covers_any_message(api: Api) -> None:
    await send(api, BY_ID)
    assert (await send(api, BY_ID, rest="https://other.test", body=b"y")).status == 202
    assert (await send(api, BY_CONTENT)).status == 200
    assert (await send(api, BY_CONTENT, ("Upstash-Deduplication-Id", "order 2"))).status == 200


@pytest.mark.parametrize(
    ("rest", "headers", "body", "status"),
    [
        (URL, [], b"x", 202),
        (URL, [("Upstash-Retries", "1"), ("Upstash-Telemetry-Sdk", "other"), ("Upstash-Label", "l")], b"x", 202),
        (f"{URL}?upstash-delay=5s", [("User-Agent", "other"), ("X-Trace", "7")], b"x", 202),
        (URL, [("upstash-forward-x-a", "1")], b"x", 202),
        (f"{URL}?y=1", [], b"x", 200),
        (URL, [], b"y", 200),
        (URL, [("Upstash-Forward-X-A", "2")], b"x", 200),
        (URL, [("Upstash-Forward-X-B", "1")], b"x", 200),
        (URL, [("Content-Type", "text/plain")], b"x", 200),
        (URL, [("Upstash-Queue-Name", "q")], b"x", 200),
    ],
)
async def test_what_counts_as_the_same_content(
    api: Api, rest: str, headers: list[tuple[str, str]], body: bytes, status: int
) -> None:
    given = {"upstash-forward-x-a": "1", "content-type": "application/json"}
    await send(api, BY_CONTENT, *given.items())
    given = {**given, **{name.lower(): value for name, value in headers}}
    assert (await send(api, BY_CONTENT, *given.items(), rest=rest, body=body)).status == status


async def test_false_is_no_deduplication(api: Api) -> None:
    for _ in range(2):
        assert (await send(api, ("Upstash-Content-Based-Deduplication", "False"))).status == 200


async def test_members_of_a_topic_are_deduplicated_one_by_one(api: Api) -> None:
    async def add(*urls: str) -> None:
        endpoints = {"endpoints": [{"url": url} for url in urls]}
        reply = await api.request("POST", "/v2/topics/group/endpoints", body=json.dumps(endpoints).encode())
        assert reply.status == 200, reply.body

    await add("https://one.test", "https://two.test")
    first = await send(api, BY_ID, rest="group")
    again = await send(api, BY_ID, rest="group")
    assert again.status == 202
    assert again.json == [{**item, "deduplicated": True} for item in first.json]
    await add("https://new.test")
    grown = await send(api, BY_ID, rest="group")
    assert grown.status == 200
    assert [(item["url"], item.get("deduplicated")) for item in grown.json] == [
        ("https://one.test", True),
        ("https://two.test", True),
        ("https://new.test", None),
    ]
    await api.request("DELETE", "/v2/topics/group/endpoints", body=b'{"endpoints": [{"url": "https://one.test"}]}')
    await add("https://last.test")
    shifted = await send(api, BY_ID, rest="group")
    assert [item.get("deduplicated") for item in shifted.json] == [True, True, None]


async def test_it_goes_on_after_cancellation_and_ends_at_the_tenant(api: Api) -> None:
    first = await send(api, BY_ID)
    await api.request("DELETE", f"/v2/messages/{first.json['messageId']}")
    assert (await send(api, BY_ID)).status == 202
    other = await send(api, BY_ID, ("Authorization", f"Bearer {OTHER_TOKEN}"))
    assert (other.status, other.json["messageId"] == first.json["messageId"]) == (200, False)


async def test_of_many_at_once_one_is_stored(api: Api) -> None:
    replies = await asyncio.gather(*(send(api, BY_ID, body=str(n).encode()) for n in range(20)))
    assert sorted(reply.status for reply in replies) == [200] + [202] * 19
    assert len({reply.json["messageId"] for reply in replies}) == 1
