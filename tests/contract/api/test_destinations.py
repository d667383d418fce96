"""Contract 1.1 over the wire: the request target reaches the message byte for byte."""

import pytest
from tests.support.api import TOKEN, Api, orders

TARGETS = [
    ("https://example.com", "https://example.com"),
    ("https://example.com/", "https://example.com/"),
    (
        "https://example.com/a%20b/%C3%BC?x=1&y=a%20b&upstash-retries=3",
        "https://example.com/a%20b/%C3%BC?x=1&y=a%20b",
    ),
    ("https://example.com/b//c/d", "https://example.com/b//c/d"),
    ("https://example.com/a/../b/./c/", "https://example.com/a/../b/./c/"),
    (
        "https://user:pa@ex.com:8443/p%2Fq?u=https://z.com/?k=1",
        "https://user:pa@ex.com:8443/p%2Fq?u=https://z.com/?k=1",
    ),
    ("HTTP://EXAMPLE.com/A", "HTTP://EXAMPLE.com/A"),
    ("https:/example.com/a", "https://example.com/a"),
    ("https://e.test/?b=2&upstash-delay=5s&a=1&&Upstash-X=1", "https://e.test/?b=2&a=1&&Upstash-X=1"),
    (f"https://e.test/?qstash_token={TOKEN}&x={TOKEN}", f"https://e.test/?x={TOKEN}"),
    ("https://e.test/p?x=%C3%BC+%2B", "https://e.test/p?x=%C3%BC+%2B"),
]


@pytest.mark.parametrize(("rest", "url"), TARGETS)
async def test_the_destination_is_kept_byte_for_byte(api: Api, rest: str, url: str) -> None:
    published = await api.publish(rest)
    assert published["url"] == url
    assert (await api.message(published["messageId"]))["url"] == url


async def test_an_absolute_request_target_is_the_same_request(api: Api) -> None:
    reply = await api.request("POST", f"{api.base_url}/v2/publish/https://e.test//x?y=1")
    assert reply.json["url"] == "https://e.test//x?y=1"


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "ftp://e.test",
        "my%20group",
        "e.test/x",
        "https://",
        "https://e.test:0",
        "https://e.test/#x",
        "api/llm",
        "a?x=1",
    ],
)
async def test_a_bad_destination_is_named(api: Api, rest: str) -> None:
    reply = await api.request("POST", f"/v2/publish/{rest}")
    assert reply.status == 400
    assert reply.error.startswith("destination: ")


@pytest.mark.parametrize("bad", ["\x00", "\x01", "\x7f", "ü", "\udcfc", " "])
async def test_a_target_must_be_ascii_without_controls(api: Api, bad: str) -> None:
    reply = await api.request("POST", f"/v2/publish/https://e.test/a{bad}b")
    assert reply.status == 400
    assert reply.error


async def test_a_topic_gets_one_message_per_member_in_a_bare_array(api: Api) -> None:
    await api.declare(("orders", orders()))
    published = await api.publish("orders?upstash-retries=1", body=b"x")
    assert [(item["url"], item["endpointName"]) for item in published] == [
        ("https://one.test/in", "one"),
        ("https://two.test/in?x=1", "two"),
    ]
    for item in published:
        message = await api.message(item["messageId"])
        assert (message["topicName"], message["endpointName"]) == ("orders", item["endpointName"])
        assert (message["url"], message["maxRetries"], message["body"]) == (item["url"], 1, "x")


async def test_an_unknown_topic_is_not_found(api: Api) -> None:
    reply = await api.request("POST", "/v2/publish/orders")
    assert reply.status == 404
    assert "'orders'" in reply.error
