"""The only Kopf in the project: watches every kind and hands every event on, unjudged.

Each run of Kopf has a thread and an event loop of its own, because Kopf ends by cancelling whatever else lives in its
loop. It writes nothing to objects: no handler here may use anything but `on.event`. See docs/adr/0002.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import kopf
from kubernetes.aio.client.configuration import Configuration

from angarium.kube.client import PLURALS, Manifest
from angarium.kube.session import Sessions
from angarium.resources.manifest import GROUP, VERSION

logger = logging.getLogger(__name__)

OnEvent = Callable[[bool, Manifest], Awaitable[None]]
"""Called in Kopf's loop with (deleted, manifest)."""


class ForeverBackoffs:
    """Seconds between tries, without an end: with the default of Kopf it goes deaf after an outage of 54 s at start."""

    def __iter__(self) -> Iterator[float]:
        yield from (1, 2, 5)
        while True:
            yield 10


class NoDiffs(kopf.DiffBaseStorage):
    """Kopf copies every object of every event for a diff that only handlers of changes would read."""

    def build(self, *, body: kopf.Body, extra_fields: object = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        return None


class Watch:
    """One run of Kopf, made in the loop that owns it and started once.

    When it is over, whatever the reason, `ended` is set, and `told` is called in that loop.
    """

    def __init__(
        self, config: Configuration, namespaces: Sequence[str] | None, on_event: OnEvent, told: Callable[[], None]
    ) -> None:
        self._config = config
        self._namespaces = namespaces
        self._on_event = on_event
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = threading.Event()
        self._stop_in_loop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self._owner = asyncio.get_running_loop()
        self.ended = threading.Event()
        self._told = told

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Ask it to end and wait; False if it is still there (a daemon thread: it ends with the process)."""
        self._stop.set()
        if self._loop is not None and self._stop_in_loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop_in_loop.set)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    async def _operate(self) -> None:
        # A flag of the loop, not of the thread: Kopf waits for the latter in an executor thread that never ends.
        self._loop, self._stop_in_loop = asyncio.get_running_loop(), asyncio.Event()
        if self._stop.is_set():
            return
        scope: dict[str, Any] = {"clusterwide": True} if self._namespaces is None else {"namespaces": self._namespaces}
        await kopf.operator(
            registry=self._registry(), settings=_settings(), standalone=True, stop_flag=self._stop_in_loop, **scope
        )

    def _run(self) -> None:
        try:
            asyncio.run(self._operate())
        except Exception as error:  # noqa: BLE001  whatever ends Kopf, a new run is started
            logger.warning("the watch ended: %s", error or type(error).__name__, extra={"action": "watch.end"})
        finally:
            self.ended.set()
            with contextlib.suppress(RuntimeError):  # the owner has gone first
                self._owner.call_soon_threadsafe(self._told)

    def _registry(self) -> kopf.OperatorRegistry:
        registry, sessions = kopf.OperatorRegistry(), Sessions()

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            return sessions.of(await _connection(self._config))

        async def event(event: kopf.RawEvent, **_: Any) -> None:
            await self._on_event(event["type"] == "DELETED", dict(event["object"]))

        for plural in PLURALS.values():
            kopf.on.event(GROUP, VERSION, plural, registry=registry)(event)
        return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True  # else it wants to watch CRDs and namespaces, which no namespaced Role grants
    settings.persistence.diffbase_storage = NoDiffs()
    # Few at once, gone at once, listed in small pieces: Kopf keeps whatever it has listed and not yet handled.
    settings.queueing.worker_limit = 50
    settings.queueing.idle_timeout = 0.005
    settings.watching.chunk_size = 100
    settings.networking.error_backoffs = ForeverBackoffs()
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    return settings


async def _connection(config: Configuration) -> kopf.ConnectionInfo:
    bearer = (await config.auth_settings()).get("BearerToken")
    token = str(bearer["value"]).split(" ", 1)[-1] if bearer else None
    return kopf.ConnectionInfo(
        server=config.host,
        ca_path=config.ssl_ca_cert,
        ca_data=config.ca_cert_data,
        insecure=not config.verify_ssl,
        scheme="Bearer" if token else None,
        token=token,
        certificate_path=config.cert_file,
        private_key_path=config.key_file,
    )
