"""Limits of size and time, broken requests, and the end of the server: JSON, and no harm to anyone else."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from tests.support.api import GRACE, TOKEN, Api, Clock, request_bytes, serving

from angarium.api.connection import ConnectionLimits
from angarium.domain.errors import AngariumError, LimitExceeded, SettingsError, StoreError, StoreFull
from angarium.domain.ports import Store

LIMITS = ConnectionLimits(
    body=1000, drain=200_000, line=4096, headers=50, head_s=0.3, body_s=0.3, idle_s=5, linger_s=0.2
)
PUBLISH = "/v2/publish/https://e.test"
HEAD = f"POST {PUBLISH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n".encode()


@pytest.fixture
async def small(store: Store, clock: Clock) -> AsyncIterator[Api]:
    async with serving(store, clock, limits=LIMITS) as served:
        yield served


async def test_a_body_of_exactly_the_limit_is_taken(small: Api) -> None:
    assert (await small.request("POST", PUBLISH, body=b"x" * 1000)).status == 200


@pytest.mark.parametrize("size", [1001, 100_000])
async def test_a_body_over_the_limit_is_413_and_the_connection_stays_usable(small: Api, size: int) -> None:
    async with small.connect() as wire:
        reply = await wire.request("POST", PUBLISH, body=b"x" * size)
        assert reply.status == 413
        assert "1000 bytes" in reply.error
        assert (await wire.request("POST", PUBLISH, body=b"y")).status == 200


@pytest.mark.parametrize("sizes", [[500, 500], [999, 2], [1, 100_000, 5]])
async def test_chunked_bodies_have_the_same_limit(small: Api, sizes: list[int]) -> None:
    async with small.connect() as wire:
        chunks = b"".join(b"%x\r\n" % size + b"x" * size + b"\r\n" for size in sizes)
        await wire.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
        reply = await wire.reply()
        assert reply.status == (200 if sum(sizes) <= 1000 else 413)
        assert (await wire.request("POST", PUBLISH)).status == 200


async def test_a_body_far_over_the_limit_ends_the_connection(small: Api) -> None:
    async with small.connect() as wire:
        await wire.send(HEAD + b"Content-Length: 10000000\r\n\r\n" + b"x" * 1000)
        reply = await wire.reply()
        assert (reply.status, reply.headers["connection"]) == (413, "close")
        assert await wire.closed()


async def test_a_refused_upload_is_read_before_the_connection_goes_on(small: Api) -> None:
    async with small.connect() as wire:
        wrong = await wire.request("POST", PUBLISH, ("Authorization", "Bearer no"), body=b"x" * 50_000)
        assert wrong.status == 401
        assert (await wire.request("POST", "/v2/nothing", body=b"x" * 50_000)).status == 404
        assert (await wire.request("GET", "/v2/logs", body=b"x" * 50_000)).status == 200


async def test_expect_continue_is_answered_before_the_body(small: Api) -> None:
    async with small.connect() as wire:
        await wire.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        await wire.send(b"abc")
        assert (await small.message((await wire.reply()).json["messageId"]))["body"] == "abc"
        await wire.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 3000\r\n\r\n")
        assert (await wire.reply()).status == 413
        assert await wire.closed()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /v2/logs HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"BREW /v2/logs HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v2/logs HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n", 400),
        (b"GET /v2/logs HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", 400),
        (b"GET /v2/logs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /v2/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /v2/logs HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 60 + b"\r\n", 400),
        (b"GET /v2/logs HTTP/1.1\r\nHost: x\r\nX-Secret: " + b"s" * 5000 + b"\r\n\r\n", 431),
        (b"GET http://[::1?qstash_token=sss HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v2/logs?" + b"s" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
    ],
)
async def test_what_is_not_http_gets_json_and_the_end(
    small: Api, sent: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with small.connect() as wire:
        await wire.send(sent)
        reply = await wire.reply()
        assert reply.status == status
        assert reply.error.startswith("malformed HTTP request: ")
        assert "sss" not in reply.error
        assert await wire.closed()
    assert caplog.records == []


async def test_a_broken_chunk_ends_the_request(small: Api) -> None:
    async with small.connect() as wire:
        await wire.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab")
        await wire.send(b"cde\r\nzz\r\n")
        assert (await wire.reply()).status in (400, 408)
        assert await wire.closed()
    assert (await small.request("GET", "/v2/logs")).json == {"logs": []}


async def test_a_client_that_leaves_in_the_middle_of_a_body_harms_nothing(
    small: Api, caplog: pytest.LogCaptureFixture
) -> None:
    for ending in (b"", b"x" * 10):
        async with small.connect() as wire:
            await wire.send(HEAD + b"Content-Length: 100\r\n\r\n" + ending)
    assert (await small.request("GET", "/v2/logs")).json == {"logs": []}
    assert caplog.records == []


async def test_a_head_that_never_completes_ends(small: Api) -> None:
    async with small.connect() as wire:
        await wire.send(b"GET /v2/logs HTTP/1.1\r\nHost:")
        async with asyncio.timeout(3):
            assert await wire.closed()


async def test_a_head_that_trickles_ends(small: Api) -> None:
    async with small.connect() as wire:
        assert (await wire.request("GET", "/v2/logs")).status == 200
        await wire.send(b"GET /v2/logs HTTP/1.1\r\n")
        ended = asyncio.create_task(wire.closed())
        async with asyncio.timeout(3):
            while not ended.done():
                wire.writer.write(b"A: b\r\n")
                await asyncio.wait([ended], timeout=0.05)
        assert ended.result()


async def test_a_stalled_upload_ends_with_408(small: Api) -> None:
    async with small.connect() as wire:
        await wire.send(HEAD + b"Content-Length: 100\r\n\r\nabc")
        reply = await wire.reply()
        assert (reply.status, reply.headers["connection"]) == (408, "close")
        assert "0.3 s" in reply.error
        assert await wire.closed()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /v2/logs HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", 200),
        (b"CONNECT e.test:443 HTTP/1.1\r\n", 404),
        (b"GET /v2/logs HTTP/1.0\r\n", 200),
    ],
)
async def test_odd_requests_get_an_ordinary_answer(small: Api, head: bytes, status: int) -> None:
    async with small.connect() as wire:
        await wire.send(head + f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        reply = await wire.reply()
        assert reply.status == status
        assert reply.json


async def test_pipelined_requests_are_answered_in_order(api: Api) -> None:
    async with api.connect() as wire:
        await wire.send(
            request_bytes("POST", PUBLISH, body=b"1")
            + request_bytes("GET", "/v2/nothing")
            + request_bytes("GET", "/v2/logs")
        )
        assert [(await wire.reply()).status for _ in range(3)] == [200, 404, 200]


@dataclass
class Failing:
    """A store whose writes and reads fail with `error`."""

    inner: Any
    error: Exception

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def accept(self, publications: Any, grant: Any) -> Any:
        raise self.error

    async def message(self, namespace: str, message_id: str, now: datetime) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [StoreFull("the disk is full"), StoreError("the database is locked")])
async def test_store_errors_ask_for_another_try(store: Store, clock: Clock, error: Exception) -> None:
    async with serving(Failing(store, error), clock) as api:  # type: ignore[arg-type]
        for method, target in (("POST", PUBLISH), ("GET", "/v2/messages/m")):
            reply = await api.request(method, target)
            assert (reply.status, reply.error) == (503, str(error))
            assert int(reply.headers["retry-after"]) > 0
        assert [grant for grant, _ in api.dispatch.offered] == api.dispatch.granted


async def test_a_tenants_limit_is_a_burst_429(store: Store, clock: Clock) -> None:
    async with serving(Failing(store, LimitExceeded("1000000 messages wait", 1_000_000)), clock) as api:  # type: ignore[arg-type]
        reply = await api.request("POST", PUBLISH)
        assert reply.status == 429
        assert int(reply.headers["retry-after"]) > 0
        assert reply.headers["burst-ratelimit-limit"] == "1000000"
        assert reply.headers["burst-ratelimit-remaining"] == "0"
        assert int(reply.headers["burst-ratelimit-reset"]) > clock.now().timestamp()
        assert not {"ratelimit-limit", "x-ratelimit-limit-requests"} & set(reply.headers)


@pytest.mark.parametrize("defect", [ZeroDivisionError("a detail"), AngariumError("a detail")])
async def test_a_defect_is_500_without_a_trace(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture, defect: Exception
) -> None:
    async with serving(Failing(store, defect), clock) as api:  # type: ignore[arg-type]
        reply = await api.request("POST", f"{PUBLISH}?qstash_token={TOKEN}")
        assert reply.status == 500
        assert reply.error.startswith("internal error")
        assert "detail" not in reply.error
        [record] = caplog.records
        assert record.levelno == logging.ERROR
        assert record.exc_info is not None
        assert record.exc_info[1] is defect
        assert record.getMessage() == "POST /v2/publish failed"
        assert (await api.request("GET", "/v2/logs")).status == 200


@dataclass
class Slow:
    """A store that accepts when it is told to."""

    inner: Any
    begun: asyncio.Event
    go: asyncio.Event

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def accept(self, publications: Any, grant: Any) -> Any:
        self.begun.set()
        await self.go.wait()
        return await self.inner.accept(publications, grant)


async def test_closing_finishes_what_runs_and_refuses_the_rest(store: Store, clock: Clock) -> None:
    slow = Slow(store, asyncio.Event(), asyncio.Event())
    async with serving(slow, clock) as api, api.connect() as busy, api.connect() as idle:  # type: ignore[arg-type]
        assert (await idle.request("GET", "/v2/logs")).status == 200
        await busy.send(request_bytes("POST", PUBLISH, body=b"last"))
        await slow.begun.wait()
        closing = asyncio.create_task(api.server.close(GRACE))
        await asyncio.sleep(0)
        refused = await idle.request("POST", PUBLISH)
        assert (refused.status, refused.headers["connection"]) == (503, "close")
        assert int(refused.headers["retry-after"]) > 0
        assert "shutting down" in refused.error
        assert await idle.closed()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", api.port)
        slow.go.set()
        last = await busy.reply()
        assert (last.status, last.headers["connection"]) == (200, "close")
        await closing
        assert await busy.closed()


async def test_publishing_that_is_closed_is_503(api: Api) -> None:
    await api.publishing.close()
    reply = await api.request("POST", PUBLISH)
    assert (reply.status, reply.headers["connection"]) == (503, "close")
    assert int(reply.headers["retry-after"]) > 0


async def test_closing_ends_idle_connections_at_once(api: Api) -> None:
    async with api.connect() as idle:
        assert (await idle.request("GET", "/v2/logs")).status == 200
        await api.server.close(GRACE)
        assert await idle.closed()


async def test_localhost_is_both_loopbacks(store: Store, clock: Clock) -> None:
    async with serving(store, clock, host="localhost") as api:
        async with api.connect("127.0.0.1") as wire:
            assert (await wire.request("GET", "/v2/logs")).status == 200
        async with api.connect("::1") as wire:
            published = (await wire.request("POST", PUBLISH)).json
        assert (await api.message(published["messageId"]))["callerIP"] == "::1"


async def test_a_port_in_use_is_one_clear_line(api: Api, store: Store, clock: Clock) -> None:
    line = rf"^cannot listen on 127\.0\.0\.1 port {api.port}: address already in use;"
    with pytest.raises(SettingsError, match=line):
        async with serving(store, clock, port=api.port):
            pass
