"""The client against a small HTTP server: what an API server can answer that a well-behaved one in tests does not."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from angarium.kube.access import configuration
from angarium.kube.client import (
    FIELD_MANAGER,
    FIRST_PAGE,
    JSON_PATCH,
    LARGEST_PAGE,
    SMALLEST_PAGE,
    KubeClient,
    KubeError,
)

UNKNOWN = '299 - "unknown field \\"status.surprise\\""'


async def answer(request: web.Request) -> web.Response:
    match request.path:
        case "/warns":
            return web.json_response({}, headers={"Warning": UNKNOWN})
        case "/text":
            return web.Response(text="a proxy's page")
        case "/list":
            return web.json_response([])
        case "/writes":
            return web.json_response(dict(request.query))
        case "/objects":
            return web.json_response(page_of(request))
        case "/refused":
            return web.json_response({"kind": "Status", "message": "not for you"}, status=403)
    return web.Response(status=503, text="away")


SIZES = [100] * 300 + [100_000] * 300 + [100] * 300
asked: list[int] = []


def page_of(request: web.Request) -> dict[str, Any]:
    """Objects of these sizes, as many as are asked for; the continue token is the number of the next one."""
    assert request.headers["Accept-Encoding"] == "identity"
    limit, start = int(request.query["limit"]), int(request.query.get("continue", 0))
    asked.append(limit)
    items = [{"number": number, "text": "x" * SIZES[number]} for number in range(len(SIZES))[start : start + limit]]
    following = start + len(items)
    return {"metadata": {"continue": str(following)} if following < len(SIZES) else {}, "items": items}


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


async def test_each_write_says_whose_it_is(client: KubeClient) -> None:
    """In managedFields: what forwards requests may put its own User-Agent there."""
    assert await client.create("/writes", {}) == {"fieldManager": FIELD_MANAGER}
    assert await client.patch("/writes", {}, JSON_PATCH) == {"fieldManager": FIELD_MANAGER}


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


async def test_pages_are_as_long_as_the_size_of_the_objects_allows(client: KubeClient) -> None:
    pages = [page async for page in client.pages("/objects")]
    assert [one["number"] for page in pages for one in page] == list(range(len(SIZES)))
    assert asked[:2] == [FIRST_PAGE, LARGEST_PAGE], "small objects, long pages"
    assert min(asked) == SMALLEST_PAGE, "large objects, short pages"
    assert asked[-1] == LARGEST_PAGE, "and back again"


def test_a_proxy_of_the_environment_counts_unless_the_api_server_is_excepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "inside.test")
    proxies = [proxy_of(tmp_path, f"https://{host}:6443") for host in ("outside.test", "inside.test")]
    assert proxies == ["http://proxy.test:3128", None]
    assert proxy_of(tmp_path, "http://outside.test") is None


def proxy_of(folder: Path, server: str) -> str | None:
    file = folder / "kubeconfig"
    user = {"name": "it", "user": {"token": "t"}}
    context = {"name": "it", "context": {"cluster": "it", "user": "it"}}
    content = {"clusters": [{"name": "it", "cluster": {"server": server}}], "users": [user], "contexts": [context]}
    file.write_text(yaml.safe_dump({**content, "apiVersion": "v1", "kind": "Config", "current-context": "it"}))
    proxy: str | None = asyncio.run(configuration(file)).proxy
    return proxy


async def test_nobody_there(client: KubeClient) -> None:
    config = Configuration()
    config.host = "http://127.0.0.1:1"
    away = KubeClient(config)
    with pytest.raises(KubeError, match="did not answer GET /x") as raised:
        await away.get("/x")
    assert raised.value.unreachable
    await away.close()
