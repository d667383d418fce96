"""The operator: one thread with an event loop in which resync, status, Events and Token Secrets live.

It asks what is missing (preflight), makes the catalog equal to the cluster (resync), and watches once nothing is
missing. The watch is judged by later resyncs and started anew when it is deaf or has ended. Nothing here may stop
deliveries.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from kubernetes.aio.client.configuration import Configuration

from angarium.domain.errors import AngariumError
from angarium.domain.notices import Notice
from angarium.kube import preflight
from angarium.kube.client import KubeClient, KubeError
from angarium.kube.health import Health
from angarium.kube.parts import Parts, Planes, Scope
from angarium.kube.reconciler import Reconciler
from angarium.kube.watch import Watch

logger = logging.getLogger(__name__)

FIRST_BACKOFF_S = 1.0
LAST_BACKOFF_S = 10.0
LAST_RESTART_BACKOFF_S = 60.0
AFTER_RESTART_S = 30.0
STOP_WATCH_S = 10.0
PROBE_S = 10.0


class Operator:
    """Implements `domain.notices.Observer`. `start` once, `stop` once; `health` may be asked at any time."""

    def __init__(self, config: Configuration, scope: Scope, planes: Planes) -> None:
        self._config = config
        self._scope = scope
        self._planes = planes
        self._thread = threading.Thread(target=self._run, name="operator", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._parts: Parts | None = None
        self._stopping = False
        self.health = Health(planes.clock, scope.resync)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End it; waits at most so long. A thread that hangs ends with the process."""
        self._stopping = True
        loop, main = self._loop, self._main
        if loop is not None and main is not None and not loop.is_closed():
            loop.call_soon_threadsafe(main.cancel)
        self._thread.join(timeout_s)

    def notice(self, notices: list[Notice]) -> None:
        parts = self._parts
        if parts is None:
            return
        with contextlib.suppress(RuntimeError):  # the operator's loop is closed: it ends just now
            parts.notice(notices)

    @property
    def figures(self) -> dict[str, int]:
        """Counts for metrics: resyncs, status writes and failed reconciles."""
        parts = self._parts
        return {
            "resyncs": self.health.resyncs,
            "status_writes": parts.status.writes if parts else 0,
            "reconcile_errors": parts.reconciler.errors if parts else 0,
        }

    def _run(self) -> None:
        try:
            asyncio.run(self._operate())
        except asyncio.CancelledError:
            pass
        except Exception:
            logger.exception(
                "the operator has failed; deliveries go on, declarations and statuses do not",
                extra={"action": "operator.fail"},
            )
            self.health.failed()

    async def _operate(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        if self._stopping:  # told so before there was anything to cancel
            return
        client = KubeClient(self._config)
        self._planes.references.connect(self._loop, client)
        parts = self._parts = Parts(client, self._scope, self._planes, self._loop)
        loops = [asyncio.create_task(_forever(name, loop)) for name, loop in parts.loops()]
        try:
            await self._follow(parts, client)
        finally:
            self._parts = None
            self._planes.references.disconnect()
            for task in loops:
                task.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await parts.reconciler.close()
            await client.close()

    async def _follow(self, parts: Parts, client: KubeClient) -> None:
        """Resync, watch, resync again … until cancelled."""
        watch: Watch | None = None
        tries, restarts = _Backoff(), _Backoff(LAST_RESTART_BACKOFF_S)
        trusted = False  # there is a watch, and the API server answered ever since it was started
        try:
            while True:
                # What refuses our lists refuses Kopf's too, and that may leave it alive and deaf.
                listening = trusted and not self.health.lacks and watch is not None and not watch.ended.is_set()
                missed = await self._resync(parts, client, watched=listening)
                if missed is None or (self.health.lacks and watch is None):
                    trusted = False
                    await tries.wait()
                    continue
                tries, pause = _Backoff(), self._scope.resync.total_seconds()
                if watch is not None and listening and not missed:
                    restarts = _Backoff(LAST_RESTART_BACKOFF_S)
                elif watch is None or watch.ended.is_set() or not self.health.lacks:
                    if watch is not None and watch.ended.is_set():
                        await restarts.wait()
                    watch, trusted, pause = await self._watch_anew(parts, watch), True, min(pause, AFTER_RESTART_S)
                if self.health.lacks:
                    pause = min(pause, LAST_BACKOFF_S)
                await self._pause(parts, client, watch, pause)
        finally:
            if watch is not None:
                await asyncio.to_thread(watch.stop, STOP_WATCH_S)

    async def _resync(self, parts: Parts, client: KubeClient, *, watched: bool) -> bool | None:
        """Whether the watch had missed something; None if nothing can be done but to try again soon."""
        try:
            lacks = await self._lacks(parts, client)
            problems = [lack.text for lack in lacks]
            left_out = self._left_out(lacks)
            if left_out is None:
                self.health.lacking(problems)
                return None
            replaced = await self._replaced(parts)
            findings = await parts.resync.run(watched=watched and not replaced, leave_out=left_out)
        except KubeError as error:
            self.health.unreachable(str(error))
            return None
        except AngariumError as error:
            logger.warning("the resync failed: %s", error, extra={"action": "resync.fail"})
            return None
        if findings.missed:
            named = ", ".join(str(ref) for ref in sorted(findings.missed)[:5])
            logger.warning(
                "the watch has missed %d object(s) and is started anew: %s",
                len(findings.missed),
                named,
                extra={"action": "watch.miss"},
            )
        self.health.resynced(missed=bool(findings.missed), watched=watched, problems=(*problems, *findings.problems))
        parts.wake_tokens()
        parts.status.review()
        return bool(findings.missed)

    async def _lacks(self, parts: Parts, client: KubeClient) -> list[preflight.Lack]:
        """What is missing. Once all was listed, a refusal to tell (an expired token) is left for the lists to meet."""
        try:
            lacks = await preflight.lacks(client, self._scope.namespaces)
        except KubeError as error:
            if error.unreachable or not self.health.synced:
                raise
            return []
        parts.pod.lacking(lacks)
        return lacks

    def _left_out(self, lacks: Sequence[preflight.Lack]) -> frozenset[str] | None:
        """Namespaces that are not to be listed yet; None if nothing is.

        A namespace begins whole: a Schedule whose Endpoint cannot be listed would use its slots up in vain. Once all
        was listed, the rest is known from the store, and what can be listed is followed.
        """
        if self.health.synced:
            return frozenset()
        if any(lack.namespaces is None for lack in lacks):
            return None
        return frozenset(name for lack in lacks for name in lack.namespaces or ())

    async def _replaced(self, parts: Parts) -> bool:
        """What is forbidden there keeps nobody from all the rest; that it is, preflight has said."""
        try:
            return await parts.replaced()
        except KubeError as error:
            if error.unreachable:
                raise
            return False

    async def _watch_anew(self, parts: Parts, old: Watch | None) -> Watch:
        if old is not None:
            await asyncio.to_thread(old.stop, STOP_WATCH_S)
        watch = Watch(self._config, self._scope.namespaces, self._handing_on(parts.reconciler), parts.again.set)
        watch.start()
        self.health.watching(lambda: not watch.ended.is_set())
        return watch

    def _handing_on(self, reconciler: Reconciler) -> Callable[[bool, dict[str, Any]], Awaitable[None]]:
        """From Kopf's loop to ours; waiting for the answer keeps Kopf from running ahead."""
        loop = asyncio.get_running_loop()

        async def on_event(deleted: bool, manifest: dict[str, Any]) -> None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(reconciler.event(deleted, manifest), loop))

        return on_event

    async def _pause(self, parts: Parts, client: KubeClient, watch: Watch, seconds: float) -> None:
        """Until the next resync is due or asked for, the watch has ended, or the API server or a CRD is found away.

        Kopf may be deaf for minutes once a CRD is gone: who applies it again is not to wait for the next resync.
        """
        until = self._planes.clock.monotonic() + seconds
        while (left := until - self._planes.clock.monotonic()) > 0 and not (watch.ended.is_set() or parts.asked()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, PROBE_S)):
                    await parts.again.wait()
                    parts.again.clear()
            try:
                if await preflight.missing_kinds(client) and not self.health.lacks:
                    return
            except KubeError as error:
                if error.unreachable:
                    self.health.unreachable(str(error))
                if error.unreachable or error.status == 401:
                    return


class _Backoff:
    """Waits longer each time, up to a limit."""

    def __init__(self, last_s: float = LAST_BACKOFF_S) -> None:
        self._delay_s = FIRST_BACKOFF_S
        self._last_s = last_s

    async def wait(self) -> None:
        await asyncio.sleep(self._delay_s)
        self._delay_s = min(self._delay_s * 2, self._last_s)


async def _forever(name: str, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """A loop that fails is started again: statuses and Events must not stay away because of one bad object."""
    while True:
        try:
            await loop()
        except Exception:
            logger.exception(
                "the operator's %s loop has failed and starts again", name, extra={"action": "loop.fail", "loop": name}
            )
            await asyncio.sleep(FIRST_BACKOFF_S)
