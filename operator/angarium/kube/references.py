"""Reads Secrets and ConfigMaps by name for the delivery plane: cached 60 s, up to 1 h while the API is away.

Nothing is ever watched or listed. May be asked from any loop; the API server is asked from the operator's.
"""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from angarium.domain.declarations import KeyRef
from angarium.domain.errors import ReferenceMissing, ReferenceUnavailable
from angarium.domain.ports import Clock
from angarium.kube.client import KubeClient, KubeError, core_path

FRESH_S = 60.0
RECHECK_MISSING_S = 15.0
STALE_S = 3600.0
ANSWER_S = 20.0
NOT_CONNECTED = "the operator is not connected to the API server"


@dataclass(frozen=True, slots=True)
class _Read:
    """What a read gave: decoded values, or None when the object does not exist."""

    values: Mapping[str, bytes] | None = field(repr=False)
    at: float

    def has(self, key: str) -> bool:
        return self.values is not None and key in self.values

    def fresh(self, key: str, now: float) -> bool:
        return now - self.at < (FRESH_S if self.has(key) else RECHECK_MISSING_S)


class KubeReferences:
    """Implements `domain.ports.References`. `connect` and `disconnect` say whose loop may talk to the API server."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: KubeClient | None = None
        self._cache: dict[tuple[str, str, str], _Read] = {}
        self._reading: dict[tuple[str, str, str], asyncio.Task[_Read]] = {}
        self._tidied = clock.monotonic()

    def connect(self, loop: asyncio.AbstractEventLoop, client: KubeClient) -> None:
        self._loop, self._client = loop, client

    def disconnect(self) -> None:
        self._loop = self._client = None

    async def secret(self, namespace: str, ref: KeyRef) -> bytes:
        return await self._value("secrets", namespace, ref)

    async def config_map(self, namespace: str, ref: KeyRef) -> bytes:
        return await self._value("configmaps", namespace, ref)

    async def _value(self, plural: str, namespace: str, ref: KeyRef) -> bytes:
        read = await self._object((plural, namespace, ref.name), ref.key)
        kind = "Secret" if plural == "secrets" else "ConfigMap"
        if read.values is None:
            raise ReferenceMissing(f"{kind}NotFound", f"{kind} {ref.name!r} does not exist in namespace {namespace!r}")
        if ref.key not in read.values:
            raise ReferenceMissing(f"{kind}NotFound", f"{kind} {ref.name!r} has no key {ref.key!r}")
        return read.values[ref.key]

    async def _object(self, what: tuple[str, str, str], key: str) -> _Read:
        cached = self._cache.get(what)
        if cached is not None and cached.fresh(key, self._clock.monotonic()):
            return cached
        loop = self._loop
        if loop is None or loop.is_closed():
            return self._stale(what, key, NOT_CONNECTED)
        asking = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._read_once(what), loop))
        # Waited for, not awaited: an operator that ends cancels its read, and that must not look like our own end.
        try:
            done, _ = await asyncio.wait([asking], timeout=ANSWER_S)
        finally:
            asking.cancel()
        if not done:
            return self._stale(what, key, "the API server does not answer")
        if asking.cancelled():
            return self._stale(what, key, NOT_CONNECTED)
        try:
            return asking.result()
        except KubeError as error:
            return self._stale(what, key, str(error), forbidden=error.status == 403)

    def _stale(self, what: tuple[str, str, str], key: str, why: str, *, forbidden: bool = False) -> _Read:
        """What was read last, while it is not too old, and only if the value was there."""
        cached = self._cache.get(what)
        if cached is not None and cached.has(key) and self._clock.monotonic() - cached.at < STALE_S:
            return cached
        text = f"{what[0]} {what[1]}/{what[2]} cannot be read now: {why}"
        raise ReferenceUnavailable(text, forbidden=forbidden)

    async def _read_once(self, what: tuple[str, str, str]) -> _Read:
        """Asks once however many wait for the same object."""
        task = self._reading.get(what)
        if task is None:
            task = self._reading[what] = asyncio.ensure_future(self._read(what))
            task.add_done_callback(lambda _: self._reading.pop(what, None))
        return await asyncio.shield(task)

    async def _read(self, what: tuple[str, str, str]) -> _Read:
        plural, namespace, name = what
        if self._client is None:
            raise KubeError(0, NOT_CONNECTED)
        try:
            manifest = await self._client.get(core_path(namespace, plural, name))
        except KubeError as error:
            if error.status != 404:
                raise
            values = None
        else:
            values = _values(plural, manifest)
        self._forget_old()
        read = self._cache[what] = _Read(values, self._clock.monotonic())
        return read

    def _forget_old(self) -> None:
        """What nobody has asked for since it was too old to serve: Secrets do not stay in memory for ever."""
        now = self._clock.monotonic()
        if now - self._tidied < FRESH_S:
            return
        self._tidied = now
        for what in [what for what, read in self._cache.items() if now - read.at >= STALE_S]:
            self._cache.pop(what, None)

    def forget_namespace(self, namespace: str) -> None:
        """A namespace that gets this name next must not be served with the values of the last one."""
        for what in [what for what in self._cache if what[1] == namespace]:
            self._cache.pop(what, None)


def _values(plural: str, manifest: Mapping[str, Mapping[str, str] | None]) -> dict[str, bytes]:
    data = manifest.get("data") or {}
    if plural == "secrets":
        return secret_values(data)
    binary = manifest.get("binaryData") or {}
    return {key: text.encode() for key, text in data.items()} | secret_values(binary)


def secret_values(data: Mapping[str, str]) -> dict[str, bytes]:
    """Secret data decoded from base64."""
    decoded: dict[str, bytes] = {}
    for key, text in data.items():
        try:
            decoded[key] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
    return decoded
