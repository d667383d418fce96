"""The official Python SDK, unchanged, sync and async: what it sends is understood, and it understands the answers."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from qstash import AsyncQStash, QStash
from qstash.dlq import ListDlqMessagesResponse
from qstash.errors import QStashError, RateLimitExceededError
from qstash.log import ListLogsResponse, LogState
from qstash.message import Message, PublishResponse
from qstash.signing_key import SigningKey
from tests.support.api import TOKEN, Api, attempt, orders

from angarium.domain.errors import LimitExceeded
from angarium.domain.messages import Response

Sdk = Callable[[Callable[[Any], Any]], Awaitable[Any]]
URL = "https://example.com/a/../b//c?x=1&y=a%20b"


@pytest.fixture(params=["sync", "async"])
async def sdk(request: pytest.FixtureRequest, api: Api) -> AsyncIterator[Sdk]:
    """Runs a call on either client: `await sdk(lambda client: client.log.list())`."""
    if request.param == "sync":
        client = QStash(TOKEN, base_url=api.base_url + "/", retry=False)

        async def call_sync(use: Callable[[Any], Any]) -> Any:
            return await asyncio.to_thread(use, client)

        yield call_sync
        client.http._client.close()
        return
    async_client = AsyncQStash(TOKEN, base_url=api.base_url + "/", retry=False)

    async def call_async(use: Callable[[Any], Any]) -> Any:
        answer = use(async_client)
        assert inspect.isawaitable(answer)
        return await answer

    yield call_async
    await async_client.http._client.aclose()


async def test_publish_with_every_option(sdk: Sdk) -> None:
    published = await sdk(
        lambda client: client.message.publish(
            url=URL,
            body=b"\xff\x00",
            content_type="application/octet-stream",
            method="PUT",
            headers={"test-header": "a, b", "Upstash-Delay": "5s", "Upstash-Forward-X-Own": "1"},
            retries=0,
            retry_delay="1000 * (1 + retried)",
            delay="1h30m3s",
            timeout="30s",
            label="one,two",
        )
    )
    assert isinstance(published, PublishResponse)
    assert published.deduplicated is False
    message = await sdk(lambda client: client.message.get(published.message_id))
    assert isinstance(message, Message)
    assert message.message_id == published.message_id
    assert message.url == "https://example.com/b//c?x=1&y=a%20b"
    assert (message.body, message.body_base64) == (None, "/wA=")
    assert message.method == "PUT"
    assert message.headers == {
        "Content-Type": ["application/octet-stream"],
        "Test-Header": ["a, b"],
        "Upstash-Delay": ["5s"],
        "X-Own": ["1"],
    }
    assert (message.max_retries, message.retry_delay_expression) == (0, "1000 * (1 + retried)")
    assert message.not_before == message.created_at + 5_403_000
    assert message.label == "one"
    assert message.caller_ip == "127.0.0.1"
    assert (message.url_group, message.endpoint, message.queue, message.schedule_id) == (None, None, None, None)
    assert message.flow_control is None


async def test_publish_json(sdk: Sdk) -> None:
    published = await sdk(lambda client: client.message.publish_json(url="https://e.test", body={"größe": 1}))
    message = await sdk(lambda client: client.message.get(published.message_id))
    assert message.body == '{"gr\\u00f6\\u00dfe": 1}'
    assert message.headers == {"Content-Type": ["application/json"]}
    empty = await sdk(lambda client: client.message.publish_json(url="https://e.test"))
    assert (await sdk(lambda client: client.message.get(empty.message_id))).body == "null"


async def test_publish_without_anything(sdk: Sdk) -> None:
    published = await sdk(lambda client: client.message.publish(url="https://e.test"))
    message = await sdk(lambda client: client.message.get(published.message_id))
    assert (message.url, message.body, message.body_base64) == ("https://e.test", None, None)
    assert (message.headers, message.max_retries) == (None, 3)


async def test_integers_are_seconds(sdk: Sdk, api: Api) -> None:
    at = int(api.clock.now().timestamp()) + 60
    published = await sdk(
        lambda client: client.message.publish(url="https://e.test", not_before=at, delay=5, timeout=7)
    )
    message = await sdk(lambda client: client.message.get(published.message_id))
    assert message.not_before == at * 1000
    logs = (await sdk(lambda client: client.log.list(filter={"message_id": published.message_id}))).logs
    assert [(log.timeout, log.next_delivery_time) for log in logs] == [(7000, at * 1000)]


async def test_publish_to_a_group(sdk: Sdk, api: Api) -> None:
    await api.declare(("orders", orders()))
    published = await sdk(lambda client: client.message.publish_json(url_group="orders", body=1))
    assert isinstance(published, list)
    assert [item.url for item in published] == ["https://one.test/in", "https://two.test/in?x=1"]
    message = await sdk(lambda client: client.message.get(published[1].message_id))
    assert (message.url_group, message.endpoint, message.url) == ("orders", "two", "https://two.test/in?x=1")


async def test_logs(sdk: Sdk, api: Api) -> None:
    published = await sdk(
        lambda client: client.message.publish(url="https://e.test", body="x", retry_delay="1000", label="a")
    )
    await attempt(api, Response(500, (("X-A", "1"),), b"no"), more=True)
    await attempt(api, Response(200))
    listed = await sdk(lambda client: client.log.list())
    assert isinstance(listed, ListLogsResponse)
    assert listed.cursor is None
    assert [log.state for log in listed.logs] == [
        LogState.DELIVERED,
        LogState.ACTIVE,
        LogState.RETRY,
        LogState.ERROR,
        LogState.ACTIVE,
        LogState.CREATED,
    ]
    assert {
        (log.message_id, log.url, log.retry_delay_expression, log.label, log.body_base64) for log in listed.logs
    } == {(published.message_id, "https://e.test", "1000", "a", "eA==")}
    failed = listed.logs[3]
    assert (failed.response_status, failed.response_headers, failed.response_body) == (500, {"X-A": ["1"]}, "bm8=")
    delivered = await sdk(
        lambda client: client.log.list(filter={"message_id": published.message_id, "state": LogState.DELIVERED})
    )
    assert len(delivered.logs) == 1
    by_ids = await sdk(lambda client: client.log.list(filter={"message_ids": [published.message_id, "msg_0"]}))
    assert len(by_ids.logs) == 6
    page = await sdk(lambda client: client.log.list(count=4))
    rest = await sdk(lambda client: client.log.list(count=4, cursor=page.cursor))
    assert [log.state for log in page.logs + rest.logs] == [log.state for log in listed.logs]
    assert rest.cursor is None


async def test_dead_letters(sdk: Sdk, api: Api) -> None:
    published = await sdk(lambda client: client.message.publish(url="https://e.test", body="x", retries=0))
    await attempt(api, Response(404, (("Content-Type", "text/plain"),), b"404 Not Found"))
    listed = await sdk(lambda client: client.dlq.list())
    assert isinstance(listed, ListDlqMessagesResponse)
    assert listed.cursor is None
    [letter] = listed.messages
    assert (letter.message_id, letter.url, letter.body) == (published.message_id, "https://e.test", "x")
    assert (letter.response_status, letter.response_body) == (404, "404 Not Found")
    assert (letter.response_headers, letter.max_retries) == ({"Content-Type": ["text/plain"]}, 0)
    assert letter.dlq_id
    for query, count in (({"message_id": published.message_id}, 1), ({"response_status": 500}, 0)):
        found = await sdk(lambda client, query=query: client.dlq.list(filter=query))
        assert len(found.messages) == count


async def test_signing_keys(sdk: Sdk) -> None:
    keys = await sdk(lambda client: client.signing_key.get())
    assert isinstance(keys, SigningKey)
    assert keys.current.startswith("sig_")
    assert keys.next.startswith("sig_")


async def test_errors_reach_the_caller(sdk: Sdk, api: Api) -> None:
    with pytest.raises(QStashError, match="status: 404, body: .*msg_none"):
        await sdk(lambda client: client.message.get("msg_none"))
    with pytest.raises(QStashError, match="status: 400, body: .*Upstash-Flow-Control-Value"):
        await sdk(lambda client: client.message.publish(url="https://e.test", flow_control={"key": "k", "rate": 0}))
    with pytest.raises(QStashError, match="status: 400, body: .*destination"):
        await sdk(lambda client: client.message.publish(url="ftp://e.test"))


async def test_a_tenants_limit_is_the_sdks_rate_limit_error(
    sdk: Sdk, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(publications: Any, grant: Any) -> Any:
        return [LimitExceeded("1000000 messages wait", 1_000_000) for _ in publications], ()

    monkeypatch.setattr(api.store, "accept", refuse)
    with pytest.raises(RateLimitExceededError) as refused:
        await sdk(lambda client: client.message.publish(url="https://e.test"))
    assert (refused.value.limit, refused.value.remaining) == ("1000000", "0")
