"""Batches over HTTP (contract 8.4, 23.4): one item for each element, in order, whatever became of the others."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.support.api import (
    OTHER_TOKEN,
    PUBLISH_ONLY_TOKEN,
    READ_ONLY_TOKEN,
    TOKEN,
    Api,
    Clock,
    Reply,
    orders,
    request_bytes,
    serving,
)

from angarium.api.connection import ConnectionLimits
from angarium.api.options import OptionLimits
from angarium.domain.declarations import Header, Topic, TopicMember
from angarium.domain.errors import LimitExceeded, StoreFull
from angarium.domain.ports import Store

URL = "https://e.test/x"


async def send(api: Api, *elements: Any, token: str = TOKEN) -> Reply:
    headers = (("Content-Type", "application/json"), ("Authorization", f"Bearer {token}"))
    return await api.request("POST", "/v2/batch", *headers, body=json.dumps(elements).encode())


async def stored(api: Api) -> int:
    return len((await api.request("GET", "/v2/events?count=1000")).json["events"])


async def test_nothing_makes_nothing(api: Api) -> None:
    reply = await send(api)
    assert (reply.status, reply.json) == (200, [])


async def test_one_element_is_an_array_too(api: Api) -> None:
    reply = await send(api, {"destination": URL})
    assert reply.status == 200
    [item] = reply.json
    assert set(item) == {"messageId", "url"}


async def test_items_are_in_the_order_of_the_elements_and_topics_are_nested(api: Api) -> None:
    await api.declare(("orders", orders()))
    reply = await send(
        api,
        {"destination": f"{URL}/1"},
        {"destination": "orders", "queue": "q"},
        {"destination": "nobody"},
        {"destination": "ftp://e.test"},
        {"destination": f"{URL}/2", "headers": {"Upstash-Retries": "x"}},
        {"destination": f"{URL}/3", "queue": "a b"},
        {"destination": f"{URL}/4", "queue": "q"},
    )
    assert reply.status == 200
    first, group, *refused, last = reply.json
    assert (first["url"], last["url"]) == (f"{URL}/1", f"{URL}/4")
    assert [item["url"] for item in group] == ["https://one.test/in", "https://two.test/in?x=1"]
    assert [set(item) for item in refused] == [{"error"}] * 4
    for index, (item, word) in enumerate(
        zip(refused, ("nobody", "destination", "Upstash-Retries", "queue"), strict=True)
    ):
        assert item["error"].startswith(f"batch[{index + 2}]: ")
        assert word in item["error"]
    assert {(await api.message(item["messageId"]))["queueName"] for item in (*group, last)} == {"q"}
    assert await stored(api) == 4


async def test_an_element_has_the_options_of_a_publish(api: Api) -> None:
    headers = {
        "upstash-method": "PUT",
        "upstash-retries": "1",
        "upstash-delay": "10s",
        "upstash-label": "a,b",
        "upstash-forward-x-a": "1",
        "upstash-callback": "https://c.test",
        "upstash-callback-forward-x-b": "2",
        "upstash-flow-control-key": "k",
        "upstash-flow-control-value": "rate=1",
        "upstash-telemetry-sdk": "x",
        "content-type": "text/xml",
    }
    reply = await send(api, {"destination": f"{URL}?upstash-retries=9&a=1", "headers": headers, "body": "größe"})
    message = await api.message(reply.json[0]["messageId"])
    view = {
        "url": f"{URL}?upstash-retries=9&a=1",
        "method": "PUT",
        "maxRetries": 1,
        "labels": ["a", "b"],
        "header": {"X-A": ["1"], "Content-Type": ["text/xml"]},
        "callback": "https://c.test",
        "callbackHeader": {"X-B": ["2"]},
        "flowControlKey": "k",
        "rate": 1,
        "body": "größe",
        "callerIP": "127.0.0.1",
    }
    assert view.items() <= message.items()
    assert message["notBefore"] == message["createdAt"] + 10_000


async def test_the_headers_of_the_request_are_about_the_request(api: Api) -> None:
    body = json.dumps([{"destination": URL}]).encode()
    reply = await api.request(
        "POST", "/v2/batch", ("Content-Type", "application/json"), ("Upstash-Retries", "9"), body=body
    )
    message = await api.message(reply.json[0]["messageId"])
    assert (message["maxRetries"], "header" in message) == (3, False)


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (None, None),
        ("", None),
        ("text", "text"),
        ("null", "null"),
        ({"a": [1, 2.5]}, '{"a":[1,2.5]}'),
        ([], "[]"),
        (0, "0"),
        (False, "false"),
    ],
)
async def test_bodies(api: Api, body: Any, content: str | None) -> None:
    reply = await send(api, {"destination": URL, "headers": {}, "queue": None, "body": body})
    assert (await api.message(reply.json[0]["messageId"])).get("body") == content


async def test_an_element_with_a_cron_is_refused_by_itself(api: Api) -> None:
    reply = await send(api, {"destination": URL, "headers": {"Upstash-Cron": "* * * * *"}}, {"destination": URL})
    assert [set(item) for item in reply.json] == [{"error"}, {"messageId", "url"}]
    assert (await api.request("GET", "/v2/schedules")).json == []


async def test_duplicates_within_a_batch_and_of_an_earlier_one(api: Api) -> None:
    element = {"destination": URL, "headers": {"Upstash-Deduplication-Id": "d"}}
    reply = await send(api, element, element)
    first, second = reply.json
    assert (reply.status, second) == (200, {**first, "deduplicated": True})
    again = await send(api, element)
    assert (again.status, again.json) == (200, [second])


async def test_default_headers_of_a_topic_are_under_those_of_the_element(api: Api) -> None:
    defaults = (Header("Upstash-Retries", "7"), Header("Upstash-Method", "PUT"))
    await api.declare(("hooks", Topic((TopicMember("u", url="https://u.test"),), headers=defaults)))
    reply = await send(api, {"destination": "hooks", "headers": {"upstash-retries": "1"}})
    message = await api.message(reply.json[0][0]["messageId"])
    assert (message["maxRetries"], message["method"]) == (1, "PUT")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "batch: "),
        (b"{", "batch: "),
        (b'{"destination": "https://e.test"}', "batch: "),
        (b'[{"destination": "https://e.test"}, {}]', "batch[1]: "),
        (b'[{"destination": "https://e.test"}, 5]', "batch[1]: "),
        (b'[{"destination": "https://e.test"}, {"destination": 5}]', "batch[1].destination: "),
        (b'[{"destination": "https://e.test"}, {"destination": "https://e.test", "queue": 1}]', "batch[1].queue: "),
        (b'[{"destination": "https://e.test"}, {"destination": "https://e.test", "headers": []}]', "batch[1].headers"),
        (b'[{"destination": "https://e.test", "body": "\xff"}]', "batch: "),
        (b"[" * 500_000, "batch"),
    ],
)
async def test_a_malformed_envelope_creates_nothing(api: Api, body: bytes, where: str) -> None:
    reply = await api.request("POST", "/v2/batch", body=body)
    assert reply.status == 400
    assert reply.error.startswith(where)
    assert await stored(api) == 0


@pytest.mark.parametrize(("token", "status"), [(PUBLISH_ONLY_TOKEN, 200), (READ_ONLY_TOKEN, 403), ("nobody", 401)])
async def test_which_tokens_may_send_batches(api: Api, token: str, status: int) -> None:
    assert (await send(api, {"destination": URL}, token=token)).status == status


async def test_messages_belong_to_the_tenant_whose_token_it_is(api: Api) -> None:
    await send(api, {"destination": URL}, token=OTHER_TOKEN)
    assert await stored(api) == 0


async def test_many_elements_keep_their_order(api: Api) -> None:
    reply = await send(api, *({"destination": f"{URL}/{n}", "queue": "q"} for n in range(1200)))
    assert [item["url"] for item in reply.json] == [f"{URL}/{n}" for n in range(1200)]
    ids = [item["messageId"] for item in reply.json]
    assert len(set(ids)) == 1200
    newest = (await api.request("GET", "/v2/events?count=1000")).json["events"]
    assert [entry["messageId"] for entry in newest] == ids[:-1001:-1]


async def test_a_batch_and_its_bodies_have_limits_of_their_own(store: Store, clock: Clock) -> None:
    limits = replace(OptionLimits(), body=1000, batch=3000)
    async with serving(store, clock, limits=ConnectionLimits(body=1000), option_limits=limits) as api:
        fitting, larger = {"destination": URL, "body": "x" * 1000}, {"destination": URL, "body": "x" * 1001}
        reply = await send(api, larger, fitting)
        assert (reply.status, [set(item) for item in reply.json]) == (200, [{"error"}, {"messageId", "url"}])
        assert "batch[0]: body: is 1001 bytes long" in reply.json[0]["error"]
        refused = await send(api, fitting, fitting, fitting)
        assert (refused.status, "3000 bytes" in refused.error) == (413, True)
        assert (await api.request("POST", f"/v2/publish/{URL}", body=b"x" * 1001)).status == 413


class Refusing:
    """A store that takes nothing."""

    def __init__(self, inner: Any, error: Exception) -> None:
        self.inner = inner
        self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def accept(self, publications: Any, grant: Any) -> Any:
        raise self.error


async def test_a_store_that_fails_asks_for_another_try(store: Store, clock: Clock) -> None:
    async with serving(Refusing(store, StoreFull("the disk is full")), clock) as api:  # type: ignore[arg-type]
        reply = await send(api, {"destination": URL}, {"destination": "ftp://e.test"})
        assert (reply.status, reply.error) == (503, "the disk is full")
        assert int(reply.headers["retry-after"]) > 0


async def test_a_tenants_limit_is_told_by_element(store: Store, clock: Clock) -> None:
    refusing = Refusing(store, LimitExceeded("1000000 messages wait", 1_000_000))
    async with serving(refusing, clock) as api:  # type: ignore[arg-type]
        reply = await send(api, {"destination": URL}, {"destination": URL})
        assert reply.status == 200
        assert [item["error"] for item in reply.json] == [f"batch[{n}]: 1000000 messages wait" for n in range(2)]


async def test_large_batches_take_turns(store: Store, clock: Clock) -> None:
    """While one large batch is being read, another waits unread, and small ones and publishes pass."""
    limits, body = (
        ConnectionLimits(body=1000, body_s=30),
        json.dumps([{"destination": URL, "body": "x" * 2000}]).encode(),
    )
    option_limits = replace(OptionLimits(), batch=3000)
    async with (
        serving(store, clock, limits=limits, option_limits=option_limits) as api,
        api.connect() as first,
        api.connect() as second,
    ):
        for connection in (first, second):  # accepted and read by the server, so that order is kept between them
            await connection.send(request_bytes("OPTIONS", "/v2/batch"))
            assert (await connection.reply()).status == 204
        whole = request_bytes("POST", "/v2/batch", body=body)
        await first.send(whole[:-1])
        await api.publish(URL)  # by then the server has seen what was sent before
        await second.send(whole)
        waiting = asyncio.create_task(second.reply())
        for _ in range(3):
            assert (await send(api, {"destination": URL})).status == 200
            await api.publish(URL)
        assert not waiting.done()
        await first.send(whole[-1:])
        assert (await first.reply()).status == 200
        assert (await waiting).status == 200


async def test_a_large_batch_does_not_wait_for_ever(store: Store, clock: Clock) -> None:
    limits, body = (
        ConnectionLimits(body=1000, body_s=0.3),
        json.dumps([{"destination": URL, "body": "x" * 2000}]).encode(),
    )
    option_limits = replace(OptionLimits(), batch=3000)
    async with serving(store, clock, limits=limits, option_limits=option_limits) as api, api.connect() as stalled:
        whole = request_bytes("POST", "/v2/batch", body=body)
        await stalled.send(whole[:-1])
        await api.publish(URL)
        replies = await asyncio.gather(*(api.request("POST", "/v2/batch", body=body) for _ in range(2)))
        assert {reply.status for reply in replies} <= {200, 503}
        assert (await stalled.reply()).status == 408
        assert (await api.request("POST", "/v2/batch", body=body)).status == 200
