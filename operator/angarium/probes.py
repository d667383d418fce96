"""What /livez, /readyz and /metrics answer, from the start of the program to its end.

A volume that is full, read-only or not there yet is waited for, with the reason at /readyz: a program that ended
instead would be started again and again, and tell nobody but its log.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import TypeVar

from angarium.api.health import HealthServer
from angarium.domain.errors import StoreError, StoreFull, StoreUnwritable
from angarium.plane import Foundation
from angarium.settings import Settings
from angarium.telemetry import Metrics, sources

logger = logging.getLogger(__name__)

STORE_ANSWER_S = 5.0
FIRST_PAUSE_S = 1.0
LAST_PAUSE_S = 10.0
STARTING = "api: it does not listen yet"

T = TypeVar("T")
Problems = Callable[[], list[str]]


class Probes:
    """Until `show` says what there is, the program lives, is not ready, and `hindrance` says why, if that is known."""

    def __init__(self) -> None:
        self.hindrance = ""
        self._base: Foundation | None = None
        self._live: Problems = list
        self._ready: Problems = self._starting
        self._metrics = Metrics()
        self._metrics.add(lambda: sources.build_family(version("angarium")))

    @asynccontextmanager
    async def served(self, settings: Settings) -> AsyncIterator[tuple[HealthServer, int]]:
        """On their own port, which is yielded too. Raises SettingsError if nobody can listen there."""
        server = HealthServer(lambda: self._live(), self._readiness, self._exposition)
        port = await server.start(settings.health_host, settings.health_port)
        try:
            yield server, port
        finally:
            await server.close()

    def show(self, base: Foundation, live: Problems, ready: Problems) -> None:
        self._base, self._live, self._ready, self._metrics = base, live, ready, base.metrics

    async def writable(self, attempt: Callable[[], Awaitable[T]], stop: asyncio.Event) -> T | None:
        """What the attempt gives, tried again for as long as nothing can be written; None if `stop` is set meanwhile.

        Nothing is lost by waiting: what cannot be written is neither changed nor made anew.
        """
        pause = FIRST_PAUSE_S
        while not stop.is_set():
            try:
                return await attempt()
            except (StoreUnwritable, StoreFull) as error:
                self._hinder(str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stop.wait()
            pause = min(2 * pause, LAST_PAUSE_S)
        return None

    def _hinder(self, why: str) -> None:
        if why != self.hindrance:
            logger.error("it cannot start yet, and tries again: %s", why, extra={"action": "store.wait"})
            self.hindrance = why

    def _starting(self) -> list[str]:
        return [STARTING, *([f"store: {self.hindrance}"] if self.hindrance else [])]

    async def _readiness(self) -> list[str]:
        return [*self._ready(), *(await store_problems(self._base) if self._base else [])]

    async def _exposition(self) -> bytes:
        for problem in await store_problems(self._base) if self._base else []:
            logger.warning("metrics may show what the store held before: %s", problem, extra={"action": "metrics.read"})
        return await asyncio.to_thread(self._metrics.text)  # it asks the file system


@asynccontextmanager
async def health(base: Foundation, live: Problems, ready: Problems) -> AsyncIterator[tuple[HealthServer, int]]:
    """/livez, /readyz and /metrics of what is there already."""
    probes = Probes()
    probes.show(base, live, ready)
    async with probes.served(base.settings) as served:
        yield served


async def store_problems(base: Foundation) -> list[str]:
    """Whether the store answers and can be written: what it holds is read, for the metrics too."""
    try:
        async with asyncio.timeout(STORE_ANSWER_S):
            base.metrics.show(await base.store.backlog(), base.clock.now())
            await base.store.check()
    except TimeoutError:
        return [f"store: it does not answer within {STORE_ANSWER_S:g} s"]
    except StoreError as error:
        return [f"store: {error}"]
    return []
