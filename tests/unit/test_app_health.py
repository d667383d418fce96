"""Readiness and metrics ask the store; and the address that dev mode prints."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.support.fakes import FakeClock
from tests.support.stores import endpoint

from angarium.app import shown_host
from angarium.domain.errors import StoreError, StoreFull
from angarium.domain.ports import Limits, Retention
from angarium.domain.views import Backlog
from angarium.plane import Audience, Foundation
from angarium.probes import STORE_ANSWER_S, health, store_problems
from angarium.service.keys import Keys
from angarium.settings import Settings
from angarium.store import open_store
from angarium.telemetry import Metrics

SETTINGS = Settings(health_host="127.0.0.1", health_port=0)


def foundation(store: Any) -> Foundation:
    return Foundation(SETTINGS, FakeClock(), store, Keys(store, os.urandom), Audience(), Metrics())


class Silent:
    """A store whose disk does not answer, until it does."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()

    def credentials_version(self) -> int:
        return 0

    async def backlog(self) -> Backlog:
        await self.answers.wait()
        return Backlog()

    async def check(self) -> None:
        await self.answers.wait()


@asynccontextmanager
async def asked(base: Foundation, *problems: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the health port; `problems` is what keeps it from being ready besides the store."""
    served = health(base, lambda: [], lambda: list(problems))
    async with served as (_, port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client


async def test_ready_means_that_the_store_answers() -> None:
    clock = FakeClock()
    store = open_store(None, limits=Limits(), new_id=lambda at: "msg_1", clock=clock, retention=Retention())
    await store.apply([endpoint()], clock.now())
    async with asked(foundation(store)) as client:
        assert (await client.get("/readyz")).text == "ok\n"
        assert 'angarium_declared_objects{kind="Endpoint"} 1.0' in (await client.get("/metrics")).text
        await store.close()
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "store: the store is closed\n")
        assert (await client.get("/livez")).status_code == 200
        assert 'angarium_declared_objects{kind="Endpoint"} 1.0' in (await client.get("/metrics")).text


@pytest.mark.looptime
async def test_a_store_that_does_not_answer_in_time_is_named() -> None:
    store = Silent()
    base, began = foundation(store), asyncio.get_running_loop().time()
    assert await store_problems(base) == ["store: it does not answer within 5 s"]
    assert asyncio.get_running_loop().time() - began == STORE_ANSWER_S
    store.answers.set()
    assert await store_problems(base) == []


async def test_other_problems_are_named_as_well() -> None:
    class Broken(Silent):
        async def backlog(self) -> Backlog:
            raise StoreError("disk I/O error")

    async with asked(foundation(Broken()), "operator: the first resync is not done") as client:
        answer = await client.get("/readyz")
    assert answer.text.splitlines() == ["operator: the first resync is not done", "store: disk I/O error"]


async def test_a_store_that_cannot_be_written_is_named_and_its_metrics_are_those_of_now() -> None:
    class Full(Silent):
        async def backlog(self) -> Backlog:
            return Backlog(waiting=7)

        async def check(self) -> None:
            raise StoreFull("free disk space")

    async with asked(foundation(Full())) as client:
        assert (await client.get("/readyz")).text == "store: free disk space\n"
        assert "angarium_messages_waiting 7.0" in (await client.get("/metrics")).text


@pytest.mark.parametrize(
    "listening, shown",
    [
        ("localhost", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "127.0.0.1"),
        ("::1", "[::1]"),
        ("192.168.7.2", "192.168.7.2"),
        ("angarium.test", "angarium.test"),
    ],
)
def test_the_address_that_is_printed_can_be_used(listening: str, shown: str) -> None:
    assert shown_host(listening) == shown
