"""The client against a small HTTP server: what an API server can answer that a well-behaved one in tests does not."""

import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from angarium.kube.client import JSON_PATCH, KubeClient, KubeError

UNKNOWN = '299 - "unknown field \\"status.surprise\\""'


async def answer(request: web.Request) -> web.Response:
    match request.path:
        case "/warns":
            return web.json_response({}, headers={"Warning": UNKNOWN})
        case "/text":
            return web.Response(text="a proxy's page")
        case "/list":
            return web.json_response([])
        case "/refused":
            return web.json_response({"kind": "Status", "message": "not for you"}, status=403)
    return web.Response(status=503, text="away")


@pytest.fixture
async def client() -> AsyncIterator[KubeClient]:
    runner = web.ServerRunner(web.Server(answer))  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    config = Configuration()
    config.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = KubeClient(config)
    yield client
    await client.close()
    await runner.cleanup()


async def test_a_warning_is_logged_once(client: KubeClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "angarium.kube"):
        for _ in range(2):
            await client.patch("/warns", {}, JSON_PATCH)
    assert [record.getMessage() for record in caplog.records] == [f"the API server warns about PATCH /warns: {UNKNOWN}"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/refused", 403, "GET /refused: not for you"),
        ("/elsewhere", 503, "GET /elsewhere: HTTP 503"),
        ("/text", 0, "is no JSON"),
        ("/list", 0, "is no object"),
    ],
)
async def test_errors_are_told_apart(client: KubeClient, path: str, status: int, words: str) -> None:
    with pytest.raises(KubeError, match=words) as raised:
        await client.get(path)
    assert raised.value.status == status
    assert raised.value.unreachable == (status != 403)


async def test_nobody_there(client: KubeClient) -> None:
    config = Configuration()
    config.host = "http://127.0.0.1:1"
    away = KubeClient(config)
    with pytest.raises(KubeError, match="did not answer GET /x") as raised:
        await away.get("/x")
    assert raised.value.unreachable
    await away.close()
