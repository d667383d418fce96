"""Kubernetes Events for what a person should notice: one per object and reason in 5 minutes, with a count.

The first occurrence is written at once, how often it was repeated within 10 s. Series are kept in memory only, but the
name of an Event follows from object, reason and time: a program that was killed goes on with the one that stands.
"""

import asyncio
import hashlib
import itertools
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from angarium.domain.declarations import ObjectRef
from angarium.domain.pod import Pod
from angarium.domain.ports import CatalogStore, Clock
from angarium.domain.reasons import EventReason, RunReason
from angarium.kube.client import MERGE_PATCH, KubeClient, KubeError, core_path
from angarium.kube.pace import Pace
from angarium.kube.preflight import RIGHTS, rules
from angarium.resources.manifest import API_VERSION
from angarium.resources.times import format_time

logger = logging.getLogger(__name__)

WINDOW_S = 300.0
COUNT_EVERY_S = 10.0
PER_S = 10
FORBIDDEN, CONFLICT = 403, 409
TERMINATING = "is being terminated"
"""What a 403 says that is no matter of rights: the namespace is going."""
MOST_WAITING = 1000
MESSAGE_LENGTH = 1024
NAME_LENGTH = 200
"""Of the name of the object in that of its Event, which may have 253 characters in all."""
COMPONENT = "angarium"
EVENT_RULE = ", ".join(rules(right for right in RIGHTS if right.resource == "events"))


@dataclass(frozen=True, slots=True)
class Told:
    """What happened to an object, or to Angarium in its pod; `warning` makes it a Warning instead of Normal."""

    ref: ObjectRef | Pod
    reason: EventReason | RunReason
    message: str
    warning: bool = True


@dataclass(slots=True)
class _Series:
    """What happened to an object for one reason within a window, and the Event that tells of it.

    `count` and `last` are what happened, `written` is the count that stands in the cluster; `since` is when the first
    one happened that is not in it. `uid` (of the object) and `name` (of the Event) are empty until it is created.
    """

    told: Told
    ends: float
    first: datetime
    last: datetime
    since: datetime
    count: int = 1
    written: int = 0
    due: float = 0.0
    uid: str = ""
    name: str = ""

    def begin(self, uid: str) -> None:
        """For an object that has no Event yet: also one that was deleted and made again within the window."""
        self.count, self.written, self.first = self.count - self.written, 0, self.since
        stem = self.told.ref.name[:NAME_LENGTH].rstrip("-.")
        self.uid, self.name = uid, f"{stem}.{_mark(uid, self.told.reason, self.first)}"


class Events:
    """Belongs to the operator's loop; `tell` may be called from anywhere."""

    def __init__(self, client: KubeClient, store: CatalogStore, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._store = store
        self._clock = clock
        self._loop = loop
        self._series: dict[tuple[ObjectRef | Pod, str], _Series] = {}
        self._new: deque[_Series] = deque()
        self._repeated: deque[_Series] = deque()
        self._woken = asyncio.Event()
        self._pace = Pace(PER_S, clock)
        self._refused: set[str] = set()

    def tell(self, told: Told) -> None:
        self._loop.call_soon_threadsafe(self._tell, told)

    def _tell(self, told: Told) -> None:
        now, instant = self._clock.monotonic(), self._clock.now()
        self._forget_ended(now)
        series = self._series.get((told.ref, told.reason))
        if series is not None:
            waits = series.count > series.written  # to be written, or is being written
            series.count, series.last, series.told = series.count + 1, instant, told
            if not waits:
                self._count_later(series)
        elif len(self._new) < MOST_WAITING:
            series = _Series(told, now + WINDOW_S, instant, instant, instant)
            self._series[told.ref, told.reason] = series
            self._new.append(series)
            self._woken.set()
        else:
            logger.warning(
                "an Event is dropped, too many wait: %s %s",
                told.ref,
                told.reason,
                extra={"action": "event.drop", "about": told.ref},
            )

    def _forget_ended(self, now: float) -> None:
        """They stand in the order in which they end. What is still to be counted stands among the repeated ones."""
        for key, series in list(itertools.takewhile(lambda item: item[1].ends <= now, self._series.items())):
            self._forget(key, series)

    def _forget(self, key: tuple[ObjectRef | Pod, str], series: _Series) -> None:
        if self._series.get(key) is series:
            del self._series[key]

    def _count_later(self, series: _Series) -> None:
        series.since, series.due = series.last, self._clock.monotonic() + COUNT_EVERY_S
        self._repeated.append(series)
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._write(await self._next())

    async def _next(self) -> _Series:
        """What has no Event yet goes first; then what was repeated, once that is due."""
        while True:
            if self._new:
                return self._new.popleft()
            delay = self._repeated[0].due - self._clock.monotonic() if self._repeated else None
            if delay is not None and delay <= 0:
                return self._repeated.popleft()
            self._woken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._woken.wait()

    async def _write(self, series: _Series) -> None:
        """Events are best effort: one that cannot be written is logged, not kept, and the next one begins anew."""
        count, namespace = 0, series.told.ref.namespace
        try:
            await self._pace.wait()
            count = await self._send(series)
            self._refused.discard(namespace)
        except KubeError as error:
            self._say_why(namespace, error)
        finally:
            if not count:
                self._forget((series.told.ref, series.told.reason), series)
        series.written = count
        if 0 < count < series.count:
            self._count_later(series)

    def _say_why(self, namespace: str, error: KubeError) -> None:
        """That they are forbidden in a namespace is said once, until one is written there: it lasts."""
        if error.status != FORBIDDEN or TERMINATING in str(error):
            logger.warning("an Event cannot be written: %s", error, extra={"action": "event.write"})
        elif namespace not in self._refused:
            self._refused.add(namespace)
            logger.warning(
                "Events may not be written in namespace %s, which is not said again: %s; add this rule to a Role there "
                "that is bound to Angarium's ServiceAccount: %s",
                namespace,
                error,
                EVENT_RULE,
                extra={"action": "event.write"},
            )

    async def _send(self, series: _Series) -> int:
        """The count that was written; 0 if the object is gone."""
        ref = series.told.ref
        uid = await self._uid(ref)
        if uid is None:
            return 0
        if series.uid == uid:
            count, path = series.count, core_path(ref.namespace, "events", series.name)
            await self._client.patch(path, _change(series), MERGE_PATCH)
        else:
            series.begin(uid)
            count = await self._begin(series)
        return count

    async def _uid(self, ref: ObjectRef | Pod) -> str | None:
        if isinstance(ref, Pod):
            return ref.uid
        declared = await self._store.declared(ref)
        return declared.uid if declared else None

    async def _begin(self, series: _Series) -> int:
        """Create the Event, or go on with the one that an earlier process has left. The count that was written."""
        folder, count = core_path(series.told.ref.namespace, "events"), series.count
        try:
            await self._client.create(folder, _event(series))
        except KubeError as error:
            if error.status != CONFLICT:
                raise
            path = f"{folder}/{series.name}"
            standing = await self._client.patch(path, {}, MERGE_PATCH)  # to read it takes a right of its own
            series.count += int(standing.get("count") or 1)
            count = series.count
            await self._client.patch(path, _change(series), MERGE_PATCH)
        return count


def _mark(uid: str, reason: str, first: datetime) -> str:
    """Of the five minutes in which an object's Event for a reason began. Not all of them begin at the same instant."""
    phase = int.from_bytes(_digest(f"{uid} {reason}")) % int(WINDOW_S)
    return _digest(f"{uid} {reason} {(first.timestamp() + phase) // WINDOW_S:.0f}").hex()


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _event(series: _Series) -> dict[str, Any]:
    ref = series.told.ref
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": series.name, "namespace": ref.namespace},
        "involvedObject": {
            **_type_of(ref),
            "namespace": ref.namespace,
            "name": ref.name,
            "uid": series.uid,
        },
        "reason": series.told.reason,
        "type": "Warning" if series.told.warning else "Normal",
        "firstTimestamp": format_time(series.first),
        **_change(series),
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
    }


def _type_of(ref: ObjectRef | Pod) -> dict[str, str]:
    if isinstance(ref, Pod):
        return {"apiVersion": "v1", "kind": "Pod"}
    return {"apiVersion": API_VERSION, "kind": ref.kind.value}


def _change(series: _Series) -> dict[str, Any]:
    """What every further occurrence changes."""
    message = series.told.message[:MESSAGE_LENGTH]
    return {"count": series.count, "lastTimestamp": format_time(series.last), "message": message}
