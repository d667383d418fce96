"""Each loop is made to hang for real, at what it awaits: /livez names it, and is green again when it goes on."""

import asyncio
import os
import queue
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from kubernetes.aio.client.configuration import Configuration
from tests.support.fakes import FakeClock
from tests.support.processes import tree
from tests.support.stores import NS, ids, publication
from tests.support.waiting import until

from angarium.domain.addresses import AddressPolicy
from angarium.domain.declarations import Declared, Kind, ObjectRef
from angarium.domain.messages import Response
from angarium.domain.ports import Limits, Retention, Sender
from angarium.domain.requests import OutgoingRequest
from angarium.files.references import FileReferences
from angarium.kube import preflight
from angarium.kube.operator import Operator
from angarium.kube.parts import Planes, Scope
from angarium.kube.references import KubeReferences
from angarium.plane import Audience, DeliveryPlane, Foundation
from angarium.probes import health
from angarium.service.catalog import Catalog
from angarium.service.keys import Keys
from angarium.settings import Settings
from angarium.store import SqliteStore, open_store
from angarium.telemetry import Metrics

# Housekeeping goes its rounds as often as the shorter of its periods says.
SETTINGS = Settings(
    host="127.0.0.1", port=0, health_host="127.0.0.1", health_port=0, drain=timedelta(0), orphan_grace=timedelta(0)
)
RESYNC = timedelta(minutes=5)


class Unanswering:
    """A sender whose destination keeps its message in flight, so that its lease is renewed."""

    async def send(self, request: OutgoingRequest) -> Response:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Nothing is open."""


NOBODY_ANSWERS = Unanswering()


class Hang:
    """Stands before a method: whoever calls it waits until it is let go, and is served then."""

    def __init__(self, method: Any) -> None:
        self._method = method
        self._gone = asyncio.Event()
        self.entered = asyncio.Event()

    async def __call__(self, *args: Any, **given: Any) -> Any:
        self.entered.set()
        await self._gone.wait()
        return await self._method(*args, **given)

    def let_go(self) -> None:
        self._gone.set()


@dataclass(frozen=True, slots=True)
class Running:
    """A delivery plane that runs, on a clock that stands, with a client of its health port."""

    plane: DeliveryPlane
    store: SqliteStore
    clock: FakeClock
    client: httpx.AsyncClient
    port: int

    async def problems(self, path: str = "/livez") -> list[str]:
        answer = await self.client.get(path)
        assert (answer.status_code == 200) == (answer.text == "ok\n")
        return [] if answer.status_code == 200 else answer.text.splitlines()

    async def has(self, *problems: str, path: str = "/livez") -> None:
        """Wait for these, and no others."""

        async def equal() -> bool:
            self.turn()
            return await self.problems(path) == list(problems)

        await until(equal)

    def turn(self) -> None:
        """Loops that sleep beat only when they wake."""
        self.plane.scheduler.wake()
        self.plane.dispatcher.wake()
        self.plane.dispatcher.bindings.wake()


def foundation(clock: FakeClock) -> tuple[Foundation, SqliteStore]:
    store = open_store(None, limits=Limits(), new_id=ids(), clock=clock, retention=Retention())
    return Foundation(SETTINGS, clock, store, Keys(store, os.urandom), Audience(), Metrics()), store


@asynccontextmanager
async def running(
    base: Foundation, store: SqliteStore, operator: Operator | None = None, sender: Sender | None = NOBODY_ANSWERS
) -> AsyncIterator[Running]:
    plane = DeliveryPlane(base, FileReferences(), AddressPolicy(), sender)
    judges = [] if operator is None else [operator.health]
    live = lambda: plane.live() + [one for judge in judges for one in judge.live()]  # noqa: E731
    ready = lambda: plane.ready() + [one for judge in judges for one in judge.ready()]  # noqa: E731
    stop = asyncio.Event()
    async with health(base, live, ready) as (_, port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.text.splitlines()[0]) == (503, "api: it does not listen yet")
        await plane.start()
        task = asyncio.create_task(plane.run(stop))
        clock = base.clock
        assert isinstance(clock, FakeClock)
        yield Running(plane, store, clock, client, port)
        stop.set()
        await task
        await store.close()


@pytest.mark.parametrize(
    ("loop", "method", "limit_s"),
    [
        ("scheduler", "due_schedules", 60),
        ("dispatcher", "claim", 60),
        ("leases", "renew", 60),
        ("janitor", "purge", 300),
    ],
)
async def test_a_loop_that_hangs_is_named_alone_and_may_recover(
    loop: str, method: str, limit_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(*foundation(FakeClock())) as angarium:
        await angarium.store.accept([publication(created_at=angarium.clock.now())], None)
        await until(lambda: (angarium.turn(), angarium.plane.dispatcher.held)[1] == 1)
        assert await angarium.problems() == []
        hang = Hang(getattr(angarium.store, method))
        monkeypatch.setattr(angarium.store, method, hang)
        angarium.turn()
        async with asyncio.timeout(10):
            await hang.entered.wait()
        angarium.clock.advance(timedelta(seconds=limit_s - 1))
        await angarium.has()
        angarium.clock.advance(timedelta(seconds=2))
        await angarium.has(f"{loop}: the loop does not turn")
        assert await angarium.problems("/readyz") == [f"{loop}: the loop does not turn"]
        hang.let_go()
        await angarium.has()


async def test_a_courier_that_hangs_is_named_and_may_recover() -> None:
    before = tree(os.getpid())
    async with running(*foundation(FakeClock()), sender=None) as angarium:
        await until(lambda: len(tree(os.getpid())) > len(before))
        (courier,) = set(tree(os.getpid())) - set(before)
        os.kill(courier.pid, signal.SIGSTOP)
        try:
            angarium.clock.advance(timedelta(seconds=61))
            await angarium.has("courier: the loop does not turn")
        finally:
            os.kill(courier.pid, signal.SIGCONT)
        await angarium.has()
    assert not courier.exists


async def test_a_writer_that_hangs_is_named_and_may_recover() -> None:
    async with running(*foundation(FakeClock())) as angarium:
        entered, gone = threading.Event(), threading.Event()

        def stand_still(before: Declared | None) -> Declared | None:
            entered.set()
            gone.wait(30)
            return before

        ref = ObjectRef(Kind.TOPIC, NS, "orders")
        edit = asyncio.create_task(angarium.store.edit(ref, stand_still, angarium.clock.now()))
        await asyncio.to_thread(entered.wait, 10)
        angarium.clock.advance(timedelta(seconds=61))
        assert "store: the writer does not turn for 61 s" in await angarium.problems()
        gone.set()
        await edit
        await angarium.has()


def test_an_event_loop_that_is_blocked_lets_the_probe_run_into_its_time_limit() -> None:
    """Nobody is left to answer 503; to the kubelet no answer is red as well."""
    ready: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, int, asyncio.Event]] = queue.SimpleQueue()

    async def serve() -> None:
        ended = asyncio.Event()
        async with running(*foundation(FakeClock())) as angarium:
            ready.put((asyncio.get_running_loop(), angarium.port, ended))
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    loop, port, ended = ready.get(timeout=10)
    gone = threading.Event()
    try:
        assert httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200
        loop.call_soon_threadsafe(gone.wait, 30)
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"http://127.0.0.1:{port}/livez", timeout=0.5)
        gone.set()
        assert httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200
    finally:
        gone.set()
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
    assert not thread.is_alive()


@asynccontextmanager
async def operated() -> AsyncIterator[tuple[Running, Operator]]:
    """With an operator whose thread is started, and ended."""
    clock = FakeClock()
    base, store = foundation(clock)
    config = Configuration()
    config.host = "http://127.0.0.1:9"
    catalog = Catalog(store, [], [], clock)
    planes = Planes(store, catalog, base.keys, KubeReferences(clock), clock)
    operator = Operator(config, Scope(None, RESYNC, "http://a.test"), planes)
    async with running(base, store, operator) as angarium:
        operator.start()
        yield angarium, operator
        await asyncio.to_thread(operator.stop, 10)


async def test_an_operator_whose_thread_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = threading.Event()

    async def lacks(*_: object) -> list[preflight.Lack]:
        entered.set()
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(preflight, "lacks", lacks)
    async with operated() as (angarium, operator):
        await asyncio.to_thread(entered.wait, 10)
        assert await angarium.problems() == []
        assert await angarium.problems("/readyz") == ["operator: the first resync is not done"]
        angarium.clock.advance(2 * RESYNC + timedelta(seconds=61))
        await angarium.has("resync: no turn for 661 s")
        assert operator.health.turn.age_s == 661


async def test_an_operator_whose_thread_has_failed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lacks(*_: object) -> list[preflight.Lack]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(preflight, "lacks", lacks)
    async with operated() as (angarium, operator):
        await angarium.has("operator: it has failed, see the log")
        assert not operator.health.up
