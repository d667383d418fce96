"""What Kopf is given to talk with: the same session for the same credentials, and documents that it can read."""

from collections.abc import AsyncIterator

import aiohttp
import kopf
import pytest
from aiohttp import web

from angarium.kube.nesting import MAX_DEPTH, shallow
from angarium.kube.session import Sessions

DEEP = b"[" * 5000 + b"]" * 5000
LINES = [b'{"a": 1}', DEEP, b'{"b": "' + b"x" * 300_000 + b'"}', b'{"last": 1']


async def answer(request: web.BaseRequest) -> web.StreamResponse:
    if request.path == "/list":
        return web.Response(body=b'{"items": [' + DEEP + b", 1]}", content_type="application/json")
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"\n".join(LINES))
    return response


@pytest.fixture
async def url() -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer))  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def info(url: str, token: str = "one") -> kopf.ConnectionInfo:
    return kopf.ConnectionInfo(server=url, scheme="Bearer", token=token)


async def test_the_same_credentials_give_the_same_session(url: str) -> None:
    sessions = Sessions()
    first, again, other = sessions.of(info(url)), sessions.of(info(url)), sessions.of(info(url, "two"))
    assert first is again
    assert other != first
    assert other.aiohttp_session.headers["Authorization"] == "Bearer two"
    for one in (first, other):
        await one.aiohttp_session.close()


async def test_documents_come_cut(url: str) -> None:
    async with Sessions().of(info(url)).aiohttp_session as session:
        async with session.get(f"{url}/list") as listed:
            found = await listed.json()
        assert found["items"][1] == 1
        async with session.get(f"{url}/watch") as watched:
            lines = [line async for line in watched.content.iter_chunked(2**20)]
        assert lines == [*(shallow(line) + b"\n" for line in LINES[:-1]), LINES[-1]]
        assert lines[1].count(b"[") == MAX_DEPTH
        assert isinstance(session, aiohttp.ClientSession)
