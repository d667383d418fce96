"""Days of traffic in seconds: a clock that the test advances, a real database file, the real janitor.

`Traffic` publishes and records through the Store port as the services do, in large batches. `Rounds` lets the janitor
go its rounds whenever it is told to, and notes how long each call of it took.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, cycle
from pathlib import Path
from typing import Any

from tests.support.fakes import Bell, FakeClock
from tests.support.stores import NS, attempt, delivered, endpoint, failed, firing, grant, publication, retry, schedule

from angarium.domain.declarations import Callback, DeliveryOptions, Destination, FlowControl
from angarium.domain.messages import Leased, Outcome, Response
from angarium.domain.ports import Limits, Retention
from angarium.engine.janitor import HousekeepingSettings, Janitor
from angarium.engine.supervisor import Pulse
from angarium.store import SqliteStore, open_store

TABLES = ("messages", "bodies", "attempts", "log", "dead_letters", "deduplication", "flow_controls", "runs", "lanes")
SIZES = (0, 120, 256, 900, 3_000, 9_000, 40_000)
_BATCH_BYTES = 8 * 2**20
_CALLS = ("purge", "fail_orphans", "free_places", "give_back")


class SoakClock(FakeClock):
    """The wall clock is the test's; seconds are measured for real, for housekeeping goes by what time it takes."""

    def monotonic(self) -> float:
        return time.monotonic()


class Traffic:
    """Every period: messages of many sizes, some that fail or are retried, keys of all kinds, callbacks, a schedule."""

    def __init__(self, folder: Path, retention: Retention, sizes: Sequence[int] = SIZES) -> None:
        self.clock = SoakClock()
        self.retention = retention
        self.path = folder / "angarium.db"
        self._numbers, self._ids = count(), count()
        self._sizes = cycle(sizes)
        self._batch = max(1, min(500, _BATCH_BYTES * len(sizes) // max(1, sum(sizes))))
        self.store = open_store(
            self.path,
            limits=Limits(waiting=10**9, stored_bytes=10**13),
            new_id=self._new_id,
            clock=self.clock,
            retention=retention,
        )
        self.schedule = schedule()

    async def declare(self) -> None:
        await self.store.apply([self.schedule, endpoint()], self.clock.now())

    async def period(self, messages: int, length: timedelta) -> None:
        await self._fire(length)
        for first in range(0, messages, self._batch):
            many = min(self._batch, messages - first)
            await self._deliver(many)
            self.clock.advance(length * many / messages)
        await self._rest()

    async def _deliver(self, many: int) -> None:
        now = self.clock.now()
        wanted = [self._publication(next(self._numbers), now) for _ in range(many)]
        _, leased = await self.store.accept(wanted, _everything())
        await self._end(leased)

    def _publication(self, number: int, now: datetime) -> Any:
        kind = number % 10
        given: dict[str, Any] = {"created_at": now, "body": os.urandom(next(self._sizes))}
        if kind == 1:
            given["options"] = DeliveryOptions(flow_control=FlowControl(f"key-{number}", rate=1000))
        if kind == 2:
            given["queue"] = f"queue-{number}"
        if kind == 3:
            given["dedup_key"] = number.to_bytes(32)
        if kind in (4, 5):
            given["failure_callback"] = Callback(Destination(url="https://told.test/"))
        return publication(endpoint="billing", **given) if kind == 6 else publication(**given)

    async def _end(self, leased: Sequence[Leased]) -> None:
        outcomes = [self._outcome(n, item) for n, item in enumerate(leased)]
        await self.store.record(outcomes, self.clock.now())

    def _outcome(self, number: int, leased: Leased) -> Outcome:
        if leased.message.source is not None or leased.retried:
            return delivered(leased)
        if number % 10 == 5:
            return failed(leased)
        if number % 10 == 7:
            answer = Response(500, (), bytes(5_000))
            return replace(failed(leased), attempt=replace(attempt(1), response=answer))
        return retry(leased, timedelta(0)) if number % 10 == 8 else delivered(leased)

    async def _fire(self, length: timedelta) -> None:
        for _ in range(2):
            now = self.clock.now()
            for due in (await self.store.due_schedules(now, 10)).schedules:
                wake = firing(due, now, now=now)
                (fired,) = await self.store.fire([wake], _everything())
                await self._end(fired.leased)
            self.clock.advance(timedelta(minutes=2))

    async def _rest(self) -> None:
        """Callbacks and retries: until nothing waits any more."""
        while leased := (await self.store.claim(_everything(), self.clock.now())).leased:
            await self._end(leased)

    def _new_id(self, at: datetime) -> str:
        return f"msg_{int(at.timestamp() * 1000):013}{next(self._ids):013}"

    async def rows(self) -> dict[str, int]:
        """By table. By a connection of the store's own: closing another one would take its locks away."""
        sql = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in TABLES)
        return await self.store._read(lambda session: {table: number for table, number in session.rows(sql)})

    def file_size(self, suffix: str = "") -> int:
        return os.path.getsize(f"{self.path}{suffix}")


def _everything() -> Any:
    return grant(10_000, lane_room=10_000, until=time.monotonic() + 3600)


class Rounds:
    """The janitor's rounds over a store. `took`: seconds of each of its calls."""

    def __init__(self, store: SqliteStore, retention: Retention, clock: FakeClock, pause: timedelta) -> None:
        self.took: list[float] = []
        self._round = asyncio.Event()
        self._settings = HousekeepingSettings(every=timedelta(hours=1), pause=pause)
        self._janitor = Janitor(_Timed(store, self), retention, [], Bell(), clock, self._settings)  # type: ignore[arg-type]

    async def go(self) -> None:
        """One whole round."""
        self._round.clear()
        running = asyncio.create_task(self._janitor.run(Pulse()))
        ended = asyncio.create_task(self._round.wait())
        await asyncio.wait([running, ended], return_when=asyncio.FIRST_COMPLETED)
        for task in (running, ended):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running  # raises what ended the loop, if that was it

    def called(self, name: str, answer: Any, took_s: float) -> None:
        self.took.append(took_s)
        if name == "give_back" and not answer:
            self._round.set()


class _Timed:
    """A HousekeepingStore that tells `Rounds` of each call."""

    def __init__(self, store: SqliteStore, rounds: Rounds) -> None:
        for name in _CALLS:
            setattr(self, name, self._timed(name, getattr(store, name), rounds))

    def _timed(self, name: str, call: Callable[..., Awaitable[Any]], rounds: Rounds) -> Callable[..., Awaitable[Any]]:
        async def timed(*given: Any) -> Any:
            began = time.perf_counter()
            answer = await call(*given)
            rounds.called(name, answer, time.perf_counter() - began)
            return answer

        return timed


@contextlib.contextmanager
def waits(store: SqliteStore) -> Iterator[list[float]]:
    """How many seconds a write of nothing takes, again and again, while the block runs: what a publisher would wait."""
    found: list[float] = []
    ended = threading.Event()

    async def write() -> None:
        while not ended.is_set():
            began = time.perf_counter()
            await store.release([])
            found.append(time.perf_counter() - began)
            await asyncio.sleep(0.001)

    thread = threading.Thread(target=lambda: asyncio.run(write()))
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


__all__ = ["NS", "Rounds", "Traffic", "waits"]
