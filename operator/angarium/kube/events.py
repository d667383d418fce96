"""Kubernetes Events for what a person should notice: one per object and reason in 5 minutes, repeats are counted.

The 5 minutes are the clock's, so a program that is killed and started again goes on with the Event that stands.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from angarium.domain.declarations import ObjectRef
from angarium.domain.ports import CatalogStore, Clock
from angarium.kube.client import MERGE_PATCH, KubeClient, KubeError, core_path
from angarium.kube.pace import Pace
from angarium.resources.manifest import API_VERSION
from angarium.resources.times import format_time

logger = logging.getLogger(__name__)

WINDOW_S = 300.0
PER_S = 10
CONFLICT = 409
MOST_WAITING = 1000
MESSAGE_LENGTH = 1024
COMPONENT = "angarium"


@dataclass(frozen=True, slots=True)
class Told:
    """What happened to an object; `warning` makes it a Warning instead of Normal."""

    ref: ObjectRef
    reason: str
    message: str
    warning: bool = True


@dataclass(frozen=True, slots=True)
class Window:
    """The 5 minutes in which an object gets one Event of a reason: `name` is theirs alone, `left_s` until they end."""

    name: str
    left_s: float


def window_of(uid: str, reason: str, now: datetime) -> Window:
    """Each object and reason has windows of its own, so that they do not all end at the same instant."""
    phase = int.from_bytes(_short_digest(f"{uid} {reason}")) % int(WINDOW_S)
    number, gone_s = divmod(now.timestamp() + phase, WINDOW_S)
    return Window(_short_digest(f"{uid} {reason} {number:.0f}").hex(), WINDOW_S - gone_s)


@dataclass(slots=True)
class _Series:
    """An Event that stands in the cluster, and what has come on top since it was last written."""

    path: str
    until: float
    last: datetime
    message: str
    count: int = 1
    written: int = 1


class Events:
    """Belongs to the operator's loop; `tell` may be called from anywhere."""

    def __init__(self, client: KubeClient, store: CatalogStore, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._store = store
        self._clock = clock
        self._loop = loop
        self._series: dict[tuple[ObjectRef, str], _Series] = {}
        self._waiting: asyncio.Queue[Told] = asyncio.Queue(MOST_WAITING)
        self._pace = Pace(PER_S, clock)

    def tell(self, told: Told) -> None:
        self._loop.call_soon_threadsafe(self._tell, told)

    def _tell(self, told: Told) -> None:
        try:
            self._waiting.put_nowait(told)
        except asyncio.QueueFull:
            logger.warning(
                "an Event is dropped, too many wait: %s %s",
                told.ref,
                told.reason,
                extra={"action": "event.drop", "about": told.ref},
            )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._until_window_ends()):
                    told = await self._waiting.get()
            except TimeoutError:
                await self._end_windows()
            else:
                await self._write_new(told)

    def _until_window_ends(self) -> float | None:
        ends = min((series.until for series in self._series.values()), default=None)
        return None if ends is None else max(0.0, ends - self._clock.monotonic())

    async def _write_new(self, told: Told) -> None:
        now = self._clock.now()
        series = self._series.get((told.ref, told.reason))
        if series is not None:
            series.count, series.last, series.message = series.count + 1, now, told.message
            return
        declared = await self._store.declared(told.ref)
        if declared is None:
            return
        window = window_of(declared.uid, told.reason, now)
        name = f"{told.ref.name[:200]}.{window.name}"
        series = _Series(
            core_path(told.ref.namespace, "events", name), self._clock.monotonic() + window.left_s, now, told.message
        )
        if await self._write(lambda: self._begin(told, declared.uid, name, series)):
            self._series[told.ref, told.reason] = series

    async def _begin(self, told: Told, uid: str, name: str, series: _Series) -> None:
        """Create the Event, or go on with the one that an earlier process has left."""
        try:
            await self._create(told, uid, name, series.last)
        except KubeError as error:
            if error.status != CONFLICT:
                raise
            standing = await self._client.patch(series.path, {}, MERGE_PATCH)  # to read it takes a right of its own
            series.count = int(standing.get("count") or 1) + 1
            await self._count(series)

    async def _create(self, told: Told, uid: str, name: str, now: datetime) -> None:
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": told.ref.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": told.ref.kind.value,
                "namespace": told.ref.namespace,
                "name": told.ref.name,
                "uid": uid,
            },
            "reason": told.reason,
            "message": told.message[:MESSAGE_LENGTH],
            "type": "Warning" if told.warning else "Normal",
            "firstTimestamp": format_time(now),
            "lastTimestamp": format_time(now),
            "count": 1,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": "",
        }
        await self._client.create(core_path(told.ref.namespace, "events"), event)

    async def _end_windows(self) -> None:
        now = self._clock.monotonic()
        for key in [key for key, series in self._series.items() if series.until <= now]:
            series = self._series.pop(key)
            if series.count > series.written:
                await self._write(lambda series=series: self._count(series))  # type: ignore[misc]

    async def _count(self, series: _Series) -> None:
        patch = {
            "count": series.count,
            "lastTimestamp": format_time(series.last),
            "message": series.message[:MESSAGE_LENGTH],
        }
        await self._client.patch(series.path, patch, MERGE_PATCH)
        series.written = series.count

    async def _write(self, write: Callable[[], Any]) -> bool:
        """Events are best effort: one that cannot be written is logged, not kept."""
        await self._pace.wait()
        try:
            await write()
        except KubeError as error:
            logger.warning("an Event cannot be written: %s", error, extra={"action": "event.write"})
            return False
        return True


def _short_digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
