"""Small stand-ins for what lies below a port, for rules that need no database, no wire and no waiting."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from angarium.domain.credentials import Credential, SigningKeys
from angarium.domain.declarations import DeliveryOptions, Endpoint, Header, KeyRef
from angarium.domain.errors import AngariumError, ReferenceMissing, ReferenceUnavailable
from angarium.domain.messages import Leased, LeaseGrant, Message, Outcome, Response
from angarium.domain.notices import Notice
from angarium.domain.ports import Clock
from angarium.domain.requests import OutgoingRequest
from angarium.engine.clock import SystemClock
from angarium.engine.signature import signature_line

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEYS = SigningKeys("sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r", "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs")


class FakeClock:
    """Stands still until it is advanced; `advance` moves both clocks, `jump` the wall clock only."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, by: timedelta) -> None:
        self._now += by
        self._monotonic += by.total_seconds()

    def jump(self, by: timedelta) -> None:
        self._now += by


class WallClock:
    """The real time, for tests with real sockets and threads."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class LoopClock:
    """Goes with the running event loop: with looptime, waiting takes no time and still moves this clock."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._zero = asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=asyncio.get_running_loop().time() - self._zero)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def signed(request: OutgoingRequest, clock: Clock) -> OutgoingRequest:
    """The request as a sender puts it on the wire."""
    return replace(request, headers=(*request.headers, *signature_line(request, clock)))


@dataclass
class FakeSender:
    """Answers from `answers`, in turn; the last repeats. An exception among them is raised."""

    answers: list[Response | Exception] = field(default_factory=lambda: [Response(200)])
    requests: list[OutgoingRequest] = field(default_factory=list)
    clock: Clock = field(default_factory=SystemClock)

    async def send(self, request: OutgoingRequest) -> Response:
        self.requests.append(signed(request, self.clock))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        return None


@dataclass
class FakeReferences:
    """Secrets and ConfigMaps by (namespace, name, key). While `unavailable`, nothing can be told."""

    secrets: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    config_maps: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    unavailable: bool = False
    forbidden: bool = False

    async def secret(self, namespace: str, ref: KeyRef) -> bytes:
        return self._read(self.secrets, "SecretNotFound", namespace, ref)

    async def config_map(self, namespace: str, ref: KeyRef, *, anew: bool = False) -> bytes:
        return self._read(self.config_maps, "ConfigMapNotFound", namespace, ref)

    def _read(self, held: Mapping[tuple[str, str, str], bytes], reason: str, namespace: str, ref: KeyRef) -> bytes:
        if self.unavailable:
            raise ReferenceUnavailable("the API server does not answer", forbidden=self.forbidden)
        try:
            return held[namespace, ref.name, ref.key]
        except KeyError:
            raise ReferenceMissing(reason, f"{ref.name} with key {ref.key} does not exist in {namespace}") from None


class FakeKeys:
    """One pair for all."""

    async def signing_keys(self, namespace: str) -> SigningKeys:
        return KEYS


@dataclass
class FakeCredentials:
    """A CredentialStore in memory that counts its reads."""

    held: dict[tuple[str, str], Credential] = field(default_factory=dict)
    keys: dict[str, SigningKeys] = field(default_factory=dict)
    version: int = 0
    reads: int = 0

    def credentials_version(self) -> int:
        return self.version

    async def credentials(self) -> Sequence[Credential]:
        self.reads += 1
        return list(self.held.values())

    async def put_credential(self, credential: Credential) -> None:
        self.held[credential.namespace, credential.name] = credential
        self.version += 1

    async def revoke_credential(self, namespace: str, name: str) -> None:
        self.held.pop((namespace, name), None)
        self.version += 1

    async def signing_keys(self) -> Mapping[str, SigningKeys]:
        self.reads += 1
        return dict(self.keys)

    async def put_signing_keys(self, namespace: str, keys: SigningKeys, *, replace: bool) -> SigningKeys:
        held = self.keys.get(namespace)
        if replace or held is None or (held.current, held.next) == (keys.current, keys.next):
            self.keys[namespace] = keys
            self.version += 1
        return self.keys[namespace]

    async def rotate_signing_keys(self, namespace: str, fresh: str) -> SigningKeys:
        self.keys[namespace] = SigningKeys(self.keys[namespace].next, fresh)
        self.version += 1
        return self.keys[namespace]


@dataclass
class Bell:
    """An Alarm that counts."""

    rung: int = 0

    def wake(self) -> None:
        self.rung += 1


@dataclass
class Recorder:
    """An Observer that keeps what it is told."""

    notices: list[Notice] = field(default_factory=list)

    def notice(self, notices: list[Notice]) -> None:
        self.notices += notices

    def of(self, kind: type) -> list[Notice]:
        return [notice for notice in self.notices if isinstance(notice, kind)]


@dataclass
class FakeDispatch:
    """Grants up to `room` and keeps what is offered."""

    room: int = 100
    offered: list[Leased] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)
    open_grants: int = 0
    woken: int = 0

    def grant(self, wanted: int, wanted_bytes: int) -> LeaseGrant:
        self.open_grants += 1
        self.asked.append((wanted, wanted_bytes))
        return LeaseGrant("owner", 30.0, min(wanted, self.room), 64)

    def offer(self, grant: LeaseGrant, leased: Sequence[Leased]) -> None:
        self.open_grants -= 1
        self.offered += leased

    def wake(self) -> None:
        self.woken += 1


@dataclass
class FakeOutcomeStore:
    """The `record` of a MessageStore: keeps what is written. `fail` may raise for a group of outcomes."""

    written: list[Outcome] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)
    fail: Callable[[Sequence[Outcome]], AngariumError | None] = lambda outcomes: None

    async def record(self, outcomes: Sequence[Outcome], now: datetime) -> Sequence[bool]:
        await asyncio.sleep(0)
        error = self.fail(outcomes)
        if error is not None:
            raise error
        self.groups.append(len(outcomes))
        kept = [outcome.leased.lease not in self.lost for outcome in outcomes]
        self.written += [outcome for outcome, keep in zip(outcomes, kept, strict=True) if keep]
        return kept


def message(message_id: str = "msg_1", **given: object) -> Message:
    """A message to https://dest.test/hook, with these fields instead."""
    fields: dict[str, object] = {
        "id": message_id,
        "namespace": "shop",
        "url": "https://dest.test/hook?a=1",
        "endpoint": None,
        "method": "POST",
        "headers": (),
        "body": b'{"n":1}',
        "timeout": timedelta(seconds=30),
        "max_retries": 3,
        "retry_delay": None,
        "created_at": START,
        "not_before": START,
    } | given
    return Message(**fields)  # type: ignore[arg-type]


def leased(
    message_id: str = "msg_1",
    *,
    lane: str = "shop/dest.test",
    lease: int = 1,
    retried: int = 0,
    endpoint: Endpoint | None = None,
    **given: object,
) -> Leased:
    """A lease on such a message; with `endpoint`, one that is addressed to the Endpoint `billing`."""
    if endpoint is not None:
        given = {"url": None, "endpoint": "billing"} | given
    return Leased(message(message_id, **given), retried, lease, lane, endpoint)


def endpoint(url: str = "https://billing.test/in", *headers: Header, **given: object) -> Endpoint:
    return Endpoint(url, DeliveryOptions(headers=headers), **given)  # type: ignore[arg-type]
