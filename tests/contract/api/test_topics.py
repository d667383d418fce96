"""URL groups made over the API (contract 12, 15.6, 23.3)."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.support.api import OTHER_TOKEN, READ_ONLY_TOKEN, Api, Clock, serving

from angarium.domain.declarations import Kind
from angarium.domain.ports import Store
from angarium.service.objects import Quotas

A, B, C = ({"url": f"https://{letter}.test/in"} for letter in "abc")
GROUP = "/v2/topics/orders"
ENDPOINTS = f"{GROUP}/endpoints"


async def add(api: Api, *endpoints: object) -> None:
    await api.done("POST", ENDPOINTS, body={"endpoints": endpoints})


async def endpoints(api: Api) -> Any:
    return (await api.done("GET", GROUP))["endpoints"]


async def test_the_first_endpoints_make_the_group(api: Api) -> None:
    assert await api.done("GET", "/v2/topics") == []
    await add(api, A, {**B, "name": "b"})
    now_ms = int(api.clock.now().timestamp() * 1000)
    expected = {"name": "orders", "createdAt": now_ms, "updatedAt": now_ms, "endpoints": [A, {**B, "name": "b"}]}
    assert await api.done("GET", GROUP) == expected
    assert await api.done("GET", "/v2/topics") == [expected]


async def test_endpoints_are_merged_and_the_time_of_change_is_shown(api: Api) -> None:
    await add(api, A, B)
    created = (await api.done("GET", GROUP))["createdAt"]
    api.clock.time += timedelta(seconds=5)
    await add(api, {**B, "name": "b"}, C)
    group = await api.done("GET", GROUP)
    assert group["endpoints"] == [A, {**B, "name": "b"}, C]
    assert (group["createdAt"], group["updatedAt"]) == (created, created + 5000)


async def test_endpoints_are_removed_by_a_json_body_and_the_last_takes_the_group_along(api: Api) -> None:
    await add(api, A, {**B, "name": "b"}, C)
    await api.done("DELETE", ENDPOINTS, body={"endpoints": [{"name": "b"}, {"url": "https://unknown.test"}]})
    assert await endpoints(api) == [A, C]
    await api.done("DELETE", ENDPOINTS, body={"endpoints": [A, C]})
    assert (await api.request("GET", GROUP)).status == 404
    assert await api.done("GET", "/v2/topics") == []
    assert (await api.request("DELETE", ENDPOINTS, body=json.dumps({"endpoints": [A]}).encode())).status == 404


async def test_deleting_is_idempotent(api: Api) -> None:
    await api.done("DELETE", GROUP)
    await add(api, A)
    await api.done("DELETE", GROUP)
    await api.done("DELETE", GROUP)
    assert (await api.request("GET", GROUP)).status == 404


async def test_an_empty_or_missing_name_is_no_name(api: Api) -> None:
    await add(api, {**A, "name": ""}, {**B, "name": None})
    assert await endpoints(api) == [A, B]


async def test_publishing_reaches_each_endpoint_and_messages_outlive_the_group(api: Api) -> None:
    await add(api, A, {**B, "name": "b"})
    published = await api.publish("orders")
    assert [item["url"] for item in published] == [A["url"], B["url"]]
    assert published[1]["endpointName"] == "b"
    await api.done("DELETE", GROUP)
    message = await api.message(published[1]["messageId"])
    assert (message["url"], message["topicName"], message["endpointName"]) == (B["url"], "orders", "b")


async def test_default_headers_are_shown_replaced_and_applied(api: Api) -> None:
    await add(api, A)
    await api.done("PATCH", GROUP, body={"headers": {"upstash-retries": "0", "Upstash-Forward-X": ["1", "2"]}})
    shown = await api.done("GET", GROUP)
    assert shown["headers"] == {"Upstash-Retries": ["0"], "Upstash-Forward-X": ["1", "2"]}
    message = await api.message((await api.publish("orders"))[0]["messageId"])
    assert (message["maxRetries"], message["header"]) == (0, {"X": ["1", "2"]})
    await api.done("PATCH", GROUP, body={"headers": {}})
    assert "headers" not in await api.done("GET", GROUP)
    assert (await api.message((await api.publish("orders"))[0]["messageId"]))["maxRetries"] == 3


async def test_default_headers_need_a_group(api: Api) -> None:
    reply = await api.request("PATCH", GROUP, body=b'{"headers": {}}')
    assert reply.status == 404 and "'orders'" in reply.error


BAD_ENDPOINTS = [
    (b"", "body"),
    (b"[", "body"),
    (b"\xff\xfe", "body"),
    (b"[]", "body"),
    (b"null", "body"),
    (b"[" * 100_000, "body"),
    (b"{}", "endpoints"),
    (b'{"endpoints": {}}', "endpoints"),
    (b'{"endpoints": []}', "endpoints"),
    (b'{"endpoints": null}', "endpoints"),
    (b'{"endpoints": ["https://a.test"]}', "endpoints[0]"),
    (b'{"endpoints": [{"url": "https://a.test"}, {"name": "x"}]}', "endpoints[1].url"),
    (b'{"endpoints": [{"url": 1}]}', "endpoints[0].url"),
    (b'{"endpoints": [{"url": "ftp://a.test"}]}', "endpoints[0].url"),
    (b'{"endpoints": [{"url": "http://169.254.169.254/latest"}]}', "endpoints[0].url"),
    (b'{"endpoints": [{"url": "https://a.test/\\u0000"}]}', "endpoints[0].url"),
    (b'{"endpoints": [{"url": "https://a.test", "name": 1}]}', "endpoints[0].name"),
    (b'{"endpoints": [{"url": "https://a.test", "name": "\\ud800"}]}', "body"),
    (b'{"endpoints": [{"url": "https://a.test/", "name": "\xff"}]}', "body"),
    (json.dumps({"endpoints": [{"url": "https://a.test", "name": "x" * 513}]}).encode(), "endpoints[0].name"),
    (json.dumps({"endpoints": [{"url": f"https://{n}.test"} for n in range(101)]}).encode(), "endpoints"),
]


@pytest.mark.parametrize(("body", "field"), BAD_ENDPOINTS)
async def test_bad_endpoints_are_named_and_nothing_is_made(api: Api, body: bytes, field: str) -> None:
    reply = await api.request("POST", ENDPOINTS, body=body)
    assert (reply.status, reply.error.partition(": ")[0]) == (400, field)
    assert (await api.request("GET", GROUP)).status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"endpoints": [{}]}', "endpoints[0]"),
        (b'{"endpoints": [{"name": ""}]}', "endpoints[0]"),
        (b'{"endpoints": [{"url": 1}]}', "endpoints[0].url"),
        (b'{"endpoints": []}', "endpoints"),
        (b"", "body"),
    ],
)
async def test_what_to_remove_has_to_be_said(api: Api, body: bytes, field: str) -> None:
    await add(api, A)
    reply = await api.request("DELETE", ENDPOINTS, body=body)
    assert (reply.status, reply.error.partition(": ")[0]) == (400, field)
    assert await endpoints(api) == [A]


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        (None, "headers"),
        ([], "headers"),
        ({"X": 1}, "headers[X]"),
        ({"X": None}, "headers[X]"),
        ({"X": ["a", 1]}, "headers[X]"),
        ({"X": "a\nb"}, "headers[X]"),
        ({"a b": "c"}, "headers[a b]"),
        ({"upstash-retries": "many"}, "Upstash-Retries"),
        ({"Upstash-Callback": "nowhere"}, "Upstash-Callback"),
        ({"X": ["1"] * 101}, "headers"),
    ],
)
async def test_bad_default_headers_are_named(api: Api, headers: object, field: str) -> None:
    await add(api, A)
    reply = await api.request("PATCH", GROUP, body=json.dumps({"headers": headers}).encode())
    assert (reply.status, reply.error.partition(": ")[0]) == (400, field)
    assert "headers" not in await api.done("GET", GROUP)


@pytest.mark.parametrize("name", ["a%20b", "%C3%BC", "a%2Fb", "x" * 257, ".."])
async def test_a_group_needs_a_good_name(api: Api, name: str) -> None:
    reply = await api.request("POST", f"/v2/topics/{name}/endpoints", body=json.dumps({"endpoints": [A]}).encode())
    assert reply.status == 400 and reply.error.startswith("topic: ")


async def test_names_of_64_characters_and_more_are_fine(api: Api) -> None:
    name = "aZ09-_." * 20
    await api.done("POST", f"/v2/topics/{name}/endpoints", body={"endpoints": [A]})
    assert (await api.done("GET", f"/v2/topics/{name}"))["name"] == name


async def test_a_full_tenant_still_changes_what_it_has(store: Store, clock: Clock) -> None:
    async with serving(store, clock, quotas=Quotas({Kind.TOPIC: 1})) as api:
        await add(api, A)
        refused = await api.request("POST", "/v2/topics/more/endpoints", body=json.dumps({"endpoints": [A]}).encode())
        assert refused.status == 412 and "limit of 1" in refused.error
        await add(api, B)
        assert await endpoints(api) == [A, B]


async def test_readers_may_read_and_others_see_nothing(api: Api) -> None:
    await add(api, A)
    reader, other = (("Authorization", f"Bearer {token}") for token in (READ_ONLY_TOKEN, OTHER_TOKEN))
    assert len(await api.done("GET", "/v2/topics", reader)) == 1
    assert (await api.request("DELETE", GROUP, reader)).status == 403
    assert await api.done("GET", "/v2/topics", other) == []
    await api.done("DELETE", GROUP, other)
    assert await endpoints(api) == [A]
