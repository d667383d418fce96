"""Writes `.status`, and nothing else of an object. Never slows delivery, never floods etcd.

An object is only ever asked "what should your status be now?", so a lost notice costs nothing that the next resync does
not repair. What stands there already is not written.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.errors import AngariumError
from angarium.domain.ports import Clock
from angarium.kube.client import JSON_PATCH, KubeClient, KubeError, Manifest, object_path
from angarium.kube.pace import Pace

logger = logging.getLogger(__name__)

CONDITIONS_PER_S = 100
CONDITIONS_AT_ONCE = 8
PROGRESS_PER_S = 20
PROGRESS_EVERY_S = 10.0
PROGRESS_SETTLE_S = 0.5
CONTESTED_EVERY_S = 300.0
COMPUTE_AT_ONCE = 100
PROGRESS_CONDITIONS = ("Reachable",)
TURN_S = 0.1
TOLD_AT = 2
"""Once may be a person's edit."""
RETRY_S = 5.0
REFUSED_RETRY_S = 30.0

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """The status that stands in the cluster, in short: the conditions, and a digest of the whole.

    One is kept for every object, so the conditions are kept as JSON: a third of the memory.
    """

    uid: str
    encoded: bytes
    digest: bytes

    @classmethod
    def of(cls, manifest: Manifest) -> "Standing":
        status = manifest.get("status") or {}
        uid = str(manifest.get("metadata", {}).get("uid", ""))
        return cls(uid, json.dumps(status.get("conditions") or []).encode(), _digest(status))

    @property
    def conditions(self) -> list[Status]:
        return list(json.loads(self.encoded))


@dataclass(slots=True)
class _Known:
    """What stands, and a digest of what we wrote that became it (the API server may have dropped a part of it).

    `settled`: the resource version that was in the store when it was observed. What a write of ours is answered with
    does not count: it may hold a spec that nobody has stored yet.
    `contested`: somebody else wrote it last, of a status that we had written; `contests`: how often in a row.
    """

    standing: Standing
    settled: str
    written: bytes = b""
    progress_from: float = float("-inf")
    contested: bool = False
    contests: int = 0


@dataclass(frozen=True, slots=True)
class Desired:
    """The status that an object should have, and whether it tells of a failure (those go first)."""

    uid: str
    status: Status
    failing: bool


Compute = Callable[[Mapping[ObjectRef, list[Status]]], Any]
"""async (previous conditions by object) -> Mapping[ObjectRef, Desired]; what has gone is left out."""


class StatusWriter:
    """Belongs to the operator's loop, but `touch` may be called from anywhere.

    Two paces: changed conditions go out at once, at most 100/s; everything else, Reachable included (any attempt may
    flip it), at most 20/s in all and once per object in 10 s, failures first, half a second late so that a quick
    delivery is one write. What somebody else wrote is put back as progress is, and then less and less often, down to
    once in 5 minutes: two programs for the same objects must not become a flood.
    """

    def __init__(self, client: KubeClient, compute: Compute, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._compute = compute
        self._clock = clock
        self._loop = loop
        self._known: dict[ObjectRef, _Known] = {}
        self._touched: dict[ObjectRef, None] = {}
        self._progress: dict[ObjectRef, bool] = {}
        self._woken = asyncio.Event()
        self._conditions_pace = Pace(CONDITIONS_PER_S, clock)
        self._progress_pace = Pace(PROGRESS_PER_S, clock)
        self._forbidden: set[tuple[str, Kind]] = set()
        self.writes = 0

    def touch(self, refs: Iterable[ObjectRef]) -> None:
        """The status of these may have changed."""
        self._loop.call_soon_threadsafe(self._touch, list(refs))

    def observed(self, ref: ObjectRef, standing: Standing, resource_version: str) -> None:
        """What the API server has now, of an object that the store has. What somebody else wrote is put back."""
        known = self._known.get(ref)
        if known is not None:
            known.settled = resource_version
        if known is None or known.standing.uid != standing.uid:
            self._known[ref] = _Known(standing, resource_version)
        elif known.standing.digest != standing.digest:
            known.contested = known.contested or known.written != b""
            known.standing, known.written = standing, b""
        else:
            return
        self._touch([ref])

    def settled(self, ref: ObjectRef) -> str | None:
        """The resource version at which the object was last observed; None for one that is not known."""
        known = self._known.get(ref)
        return known.settled if known else None

    def review(self, namespace: str | None = None) -> None:
        """Look once more at all objects (of a namespace), for what nobody tells by object, like a Secret that went."""
        self._touch([ref for ref in self._known if namespace in (None, ref.namespace)])

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wait()
            # Under load every attempt touches something: what comes in the meantime is looked at once.
            await asyncio.sleep(TURN_S)
            try:
                await self._turn()
            except AngariumError as error:
                logger.warning(
                    "statuses cannot be written now, next try in %.0f s: %s",
                    RETRY_S,
                    error,
                    extra={"action": "status.write"},
                )
                await asyncio.sleep(RETRY_S)

    def _touch(self, refs: Iterable[ObjectRef]) -> None:
        self._touched.update(dict.fromkeys(refs))
        self._woken.set()

    async def _wait(self) -> None:
        """Until something is touched, or progress that had to wait may go out."""
        if self._touched:
            return
        self._woken.clear()
        due = min((self._known[ref].progress_from for ref in self._progress), default=None)
        delay = None if due is None else max(0.0, due - self._clock.monotonic())
        try:
            async with asyncio.timeout(delay):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _turn(self) -> None:
        batch = list(self._touched)[:COMPUTE_AT_ONCE]
        for ref in batch:
            del self._touched[ref]
        try:
            flipped: list[tuple[_Known, ObjectRef, Desired]] = []
            for ref, desired in (await self._desired(batch)).items():
                known = self._known.get(ref)
                if known is None:
                    continue
                if _digest(desired.status) in (known.written, known.standing.digest):
                    known.contested = False
                elif known.contested or _same_conditions(desired.status, known.standing):
                    self._note_progress(known, ref, desired)
                else:
                    flipped.append((known, ref, desired))
            await self._write_conditions(flipped)
        except BaseException:
            self._touched.update(dict.fromkeys(batch))
            raise
        await self._write_progress()

    async def _write_conditions(self, flipped: Iterable[tuple[_Known, ObjectRef, Desired]]) -> None:
        """In order and at their pace, a few under way at once: a slow API server must not be what sets the pace."""
        waiting = iter(flipped)

        async def write_some() -> None:
            for known, ref, desired in waiting:
                await self._conditions_pace.wait()
                await self._write(known, ref, desired)

        ended = await asyncio.gather(*(write_some() for _ in range(CONDITIONS_AT_ONCE)), return_exceptions=True)
        for error in ended:
            if error is not None:
                raise error

    def _note_progress(self, known: _Known, ref: ObjectRef, desired: Desired) -> None:
        if ref not in self._progress:
            known.progress_from = max(known.progress_from, self._clock.monotonic() + PROGRESS_SETTLE_S)
        self._progress[ref] = desired.failing

    async def _desired(self, refs: Iterable[ObjectRef]) -> dict[ObjectRef, Desired]:
        """What to write, of what the store has; the rest is forgotten, unless it was observed again meanwhile."""
        asked = {ref: self._known[ref] for ref in refs if ref in self._known}
        if not asked:
            return {}
        standing = {ref: known.standing.conditions for ref, known in asked.items()}
        desired: Mapping[ObjectRef, Desired] = await self._compute(standing)
        for ref in asked.keys() - desired.keys():
            if self._known.get(ref) is asked[ref]:
                del self._known[ref]
                self._progress.pop(ref, None)
        return {ref: one for ref, one in desired.items() if one.uid == asked[ref].standing.uid}

    async def _write_progress(self) -> None:
        """Of the eligible ones at least one, and no more once something was touched: conditions do not wait."""
        now = self._clock.monotonic()
        eligible = [ref for ref in self._progress if self._known[ref].progress_from <= now]
        eligible.sort(key=lambda ref: not self._progress[ref])
        for ref in eligible:
            await self._progress_pace.wait()
            if self._progress.pop(ref, None) is not None:
                await self._write_progress_of(ref)
            if self._touched:
                return

    async def _write_progress_of(self, ref: ObjectRef) -> None:
        try:
            desired = (await self._desired([ref])).get(ref)
            known = self._known.get(ref)
            if desired is not None and known is not None:
                known.progress_from = self._clock.monotonic() + self._pause_of(known, ref)
                await self._write(known, ref, desired)
        except BaseException:
            self._touched[ref] = None
            raise

    def _pause_of(self, known: _Known, ref: ObjectRef) -> float:
        """How long this object's next progress has to wait, in seconds."""
        known.contests = known.contests + 1 if known.contested else 0
        if known.contests == TOLD_AT:
            logger.warning(
                "somebody else writes the status of %s as well: are there two programs for the same objects?",
                ref,
                extra={"action": "status.contest", "about": ref},
            )
        return min(CONTESTED_EVERY_S, PROGRESS_EVERY_S * 2.0 ** max(0, min(known.contests, 10) - 1))

    async def _write(self, known: _Known, ref: ObjectRef, desired: Desired) -> None:
        patch: list[Manifest] = [
            {"op": "test", "path": "/metadata/uid", "value": desired.uid},
            {"op": "add", "path": "/status", "value": desired.status},
        ]
        self.writes += 1
        try:
            answer = await self._client.patch(object_path(ref) + "/status", patch, JSON_PATCH)
        except KubeError as error:
            if error.unreachable:
                raise
            self._refused(ref, error)
            return
        self._forbidden.discard((ref.namespace, ref.kind))
        known.standing, known.written, known.contested = Standing.of(answer), _digest(desired.status), False
        self._progress.pop(ref, None)

    def _refused(self, ref: ObjectRef, error: KubeError) -> None:
        """An object that is gone, or new under its name, is told of by the watch; a missing right may be granted. It is
        said once for all objects of the kind there, until one of them is written."""
        lasting, where = error.status in (401, 403), (ref.namespace, ref.kind)
        gone = error.status == 404 or error.outdated
        if not gone and not (lasting and where in self._forbidden):
            logger.error(
                "the status of %s is refused: %s",
                ref,
                error,
                extra={"action": "status.refuse", "about": ref},
            )
        if lasting:
            self._forbidden.add(where)
            self._loop.call_later(REFUSED_RETRY_S, self._touch, [ref])


def _same_conditions(status: Status, standing: Standing) -> bool:
    return _urgent(status.get("conditions") or []) == _urgent(standing.conditions)


def _urgent(conditions: Iterable[Status]) -> list[Status]:
    return [condition for condition in conditions if condition.get("type") not in PROGRESS_CONDITIONS]


def _digest(status: Mapping[str, Any]) -> bytes:
    return hashlib.blake2b(json.dumps(status, sort_keys=True).encode(), digest_size=16).digest()
