"""The health server: ok, what is wrong line by line, and metrics; on its own port."""

from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from angarium.api.health import HealthServer


@pytest.fixture
def problems() -> dict[str, list[str]]:
    return {"live": [], "ready": []}


@pytest.fixture
async def client(problems: dict[str, list[str]]) -> AsyncIterator[httpx.AsyncClient]:
    registry = CollectorRegistry()
    Counter("tries", "Tries.", registry=registry).inc(3)

    async def metrics() -> bytes:
        return generate_latest(registry)

    async def ready() -> list[str]:
        return problems["ready"]

    server = HealthServer(lambda: problems["live"], ready, metrics)
    port = await server.start("127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as connected:
        yield connected
    await server.close()


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/readyz?verbose"])
async def test_all_well_is_ok(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert (await client.head(path)).status_code == 200


async def test_problems_are_named(client: httpx.AsyncClient, problems: dict[str, list[str]]) -> None:
    problems["live"] = ["the scheduler has not turned for 61 s", "the writer has not turned for 70 s"]
    answer = await client.get("/livez")
    assert (answer.status_code, answer.text) == (503, "\n".join(problems["live"]) + "\n")
    assert (await client.get("/readyz")).status_code == 200
    problems["ready"] = ["the first resync is not done"]
    assert (await client.get("/readyz")).status_code == 503


async def test_metrics_are_in_the_text_format(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "tries_total 3.0" in answer.text


async def test_nothing_else_is_there(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2/keys")).status_code == 404
    assert (await client.post("/livez")).status_code == 405
    assert (await client.post("/metrics")).headers["allow"] == "GET, HEAD"
