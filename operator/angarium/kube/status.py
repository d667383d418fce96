"""Writes `.status`, and nothing else of an object. Never slows delivery, never floods etcd.

Two lanes: changed conditions go out at once, at most 100/s; everything else at most 20/s in all and once per object
in 10 s, failures before successes. What is computed equal to what stands there is not written. An object is only
ever asked "what should your status be now?", so a lost notice costs nothing that the next resync does not repair.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from angarium.domain.declarations import ObjectRef
from angarium.domain.ports import Clock
from angarium.kube.client import JSON_PATCH, KubeClient, KubeError, Manifest, object_path
from angarium.kube.pace import Pace

logger = logging.getLogger(__name__)

CONDITIONS_PER_S = 100
PROGRESS_PER_S = 20
PROGRESS_EVERY_S = 10.0
COMPUTE_AT_ONCE = 100
RETRY_S = 5.0

Status = dict[str, Any]


@dataclass(slots=True)
class _Known:
    """What stands in the cluster: its conditions, a digest of the whole, and of what we wrote that became it."""

    uid: str
    conditions: list[Status] = field(default_factory=list)
    digest: bytes = b""
    written: bytes = b""
    progress_at: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Desired:
    """The status that an object should have, and whether it tells of a failure (those go first)."""

    uid: str
    status: Status
    failing: bool


Compute = Callable[[Mapping[ObjectRef, list[Status]]], Any]
"""async (previous conditions by object) -> Mapping[ObjectRef, Desired]; what has gone is left out."""


class StatusWriter:
    """Belongs to the operator's loop, but `touch` may be called from anywhere."""

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
        self.writes = 0

    def touch(self, refs: Iterable[ObjectRef]) -> None:
        """The status of these may have changed."""
        self._loop.call_soon_threadsafe(self._touch, list(refs))

    def observed(self, ref: ObjectRef, manifest: Manifest) -> None:
        """What the API server has now. If somebody else wrote the status, ours is put back."""
        status = manifest.get("status") or {}
        uid, digest = str(manifest.get("metadata", {}).get("uid", "")), _digest(status)
        known = self._known.get(ref)
        if known is None or known.uid != uid:
            known = self._known[ref] = _Known(uid)
        elif known.digest == digest:
            return
        known.conditions, known.digest, known.written = list(status.get("conditions") or []), digest, b""
        self._touch([ref])

    def forget(self, refs: Iterable[ObjectRef]) -> None:
        for ref in refs:
            self._known.pop(ref, None)
            self._progress.pop(ref, None)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wait()
            try:
                await self._turn()
            except KubeError as error:
                logger.warning("statuses cannot be written now, next try in %.0f s: %s", RETRY_S, error)
                await asyncio.sleep(RETRY_S)

    def _touch(self, refs: Iterable[ObjectRef]) -> None:
        self._touched.update(dict.fromkeys(refs))
        self._woken.set()

    async def _wait(self) -> None:
        """Until something is touched, or progress that had to wait may go out."""
        if self._touched:
            return
        self._woken.clear()
        due = min((self._known[ref].progress_at + PROGRESS_EVERY_S for ref in self._progress if ref in self._known),
                  default=None)  # fmt: skip
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
            for ref, desired in (await self._desired(batch)).items():
                known = self._known.get(ref)
                if known is None:
                    continue
                if desired.status.get("conditions") != known.conditions:
                    await self._conditions_pace.wait()
                    await self._write(known, ref, desired)
                elif _digest(desired.status) not in (known.written, known.digest):
                    self._progress[ref] = desired.failing
        except BaseException:
            self._touched.update(dict.fromkeys(batch))
            raise
        await self._write_progress()

    async def _desired(self, refs: Iterable[ObjectRef]) -> dict[ObjectRef, Desired]:
        known = {ref: self._known[ref].conditions for ref in refs if ref in self._known}
        desired: Mapping[ObjectRef, Desired] = await self._compute(known) if known else {}
        self.forget(known.keys() - desired.keys())
        return {ref: one for ref, one in desired.items() if ref in self._known and one.uid == self._known[ref].uid}

    async def _write_progress(self) -> None:
        """One of the eligible ones at a time, so that newly touched conditions never wait behind many of these."""
        now = self._clock.monotonic()
        eligible = [ref for ref in self._progress if self._known[ref].progress_at + PROGRESS_EVERY_S <= now]
        eligible.sort(key=lambda ref: not self._progress[ref])
        for ref in eligible:
            if self._touched:
                return
            await self._progress_pace.wait()
            if self._progress.pop(ref, None) is None:
                continue
            desired = (await self._desired([ref])).get(ref)
            known = self._known.get(ref)
            if desired is not None and known is not None:
                known.progress_at = self._clock.monotonic()
                await self._write(known, ref, desired)

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
                self._touched[ref] = None
                raise
            # Gone, replaced by a new object of its name, or refused for good: the next event or resync tells.
            if error.status not in (404, 422):
                logger.error("the status of %s is refused: %s", ref, error)
            return
        status = answer.get("status") or {}
        known.conditions, known.digest = list(status.get("conditions") or []), _digest(status)
        known.written = _digest(desired.status)
        self._progress.pop(ref, None)


def _digest(status: Mapping[str, Any]) -> bytes:
    return hashlib.blake2b(json.dumps(status, sort_keys=True).encode(), digest_size=16).digest()
