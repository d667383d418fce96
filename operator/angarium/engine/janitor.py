"""Keeps the store small, in small batches with pauses, and ends what waits in vain.

That is: messages of Endpoints that stay deleted, and queues that wait for callbacks which do not come to an end.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from angarium.domain.errors import StoreError
from angarium.domain.notices import EndpointOrphansFailed, Notice, Observer, PlaceFreed
from angarium.domain.ports import Alarm, Clock, HousekeepingStore, Retention

from .supervisor import Pulse

_log = logging.getLogger(__name__)

_SHORTEST_ROUND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class HousekeepingSettings:
    """`orphan_grace`: how long a deleted Endpoint's messages wait for it to come back (DESIGN 5, Deletion).

    `callback_hold`: how long the callbacks of a message that has ended may hold its place in a queue.
    `batch` and `pause`: what is removed has to keep up with what can be accepted, five rows or so per message.
    """

    every: timedelta = timedelta(minutes=1)
    orphan_grace: timedelta = timedelta(minutes=5)
    callback_hold: timedelta = timedelta(hours=24)
    batch: int = 500
    pause: timedelta = timedelta(milliseconds=10)

    @property
    def round(self) -> timedelta:
        """The time between two rounds: a short grace is not stretched by a long one."""
        return max(_SHORTEST_ROUND, min(self.every, self.orphan_grace, self.callback_hold))


class Janitor:
    """Goes its rounds, one a minute by default. `alarm`: who claims what a round lets go on."""

    def __init__(
        self,
        store: HousekeepingStore,
        retention: Retention,
        observers: Sequence[Observer],
        alarm: Alarm,
        clock: Clock,
        settings: HousekeepingSettings | None = None,
    ) -> None:
        self._store = store
        self._retention = retention
        self._observers = observers
        self._alarm = alarm
        self._clock = clock
        self._settings = settings or HousekeepingSettings()

    async def run(self, pulse: Pulse) -> None:
        """The loop; goes on until it is cancelled."""
        while True:
            try:
                await self._fail_orphans(pulse)
                await self._free_places(pulse)
                await self._purge(pulse)
            except StoreError as error:
                _log.warning(
                    "housekeeping is tried again in %s: %s",
                    self._settings.round,
                    error,
                    extra={"action": "store.clean"},
                )
            pulse.beat()
            await asyncio.sleep(self._settings.round.total_seconds())

    async def _fail_orphans(self, pulse: Pulse) -> None:
        while True:
            pulse.beat()
            now = self._clock.now()
            failed = await self._store.fail_orphans(now - self._settings.orphan_grace, now, self._settings.batch)
            if not failed:
                return
            self._tell([EndpointOrphansFailed(ref, tuple(ids)) for ref, ids in failed.items()])
            await self._breathe()

    async def _free_places(self, pulse: Pulse) -> None:
        while True:
            pulse.beat()
            now = self._clock.now()
            freed = await self._store.free_places(now - self._settings.callback_hold, now, self._settings.batch)
            if not freed:
                return
            self._tell([PlaceFreed(queue, message_id) for queue, ids in freed.items() for message_id in ids])
            await self._breathe()

    def _tell(self, notices: list[Notice]) -> None:
        for observer in self._observers:
            observer.notice(notices)
        self._alarm.wake()

    async def _purge(self, pulse: Pulse) -> None:
        while await self._store.purge(self._retention, self._clock.now(), self._settings.batch):
            pulse.beat()
            await self._breathe()
        while await self._store.give_back(self._settings.batch):
            pulse.beat()
            await self._breathe()

    async def _breathe(self) -> None:
        """Let publishers and outcomes have the writer between two batches."""
        await asyncio.sleep(self._settings.pause.total_seconds())
