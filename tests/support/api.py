"""The HTTP API on a real socket for tests, a client that sends bytes as they are, and what stands below the API."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from types import TracebackType
from typing import Any, Self

from angarium.api.connection import ConnectionLimits
from angarium.api.context import Context
from angarium.api.options import OptionLimits
from angarium.api.server import ApiServer
from angarium.domain.addresses import AddressPolicy
from angarium.domain.credentials import Credential, token_hash
from angarium.domain.declarations import (
    Access,
    Declared,
    Endpoint,
    Kind,
    ObjectRef,
    Queue,
    Schedule,
    Topic,
    TopicMember,
)
from angarium.domain.messages import Attempt, Leased, LeaseGrant, Outcome, Response, Result
from angarium.domain.notices import Notice
from angarium.domain.ports import Store
from angarium.service.dead_letters import DeadLetters
from angarium.service.flow_control import FlowControls
from angarium.service.keys import Keys
from angarium.service.messages import Messages
from angarium.service.objects import Objects, Quotas
from angarium.service.publishing import Publishing

NAMESPACE = "shop"
TOKEN = "secret-token=="
READ_ONLY_TOKEN = "reader-token=="
PUBLISH_ONLY_TOKEN = "publisher+token=="
OTHER_TOKEN = "other-tenant-token=="
GRACE = timedelta(seconds=5)
PARALLELISM = 2048


class Clock:
    """A wall clock that stands where a test puts it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


@dataclass
class Dispatch:
    """A dispatcher with a set amount of room, which records what it is offered."""

    room: int = 0
    granted: list[LeaseGrant] = field(default_factory=list)
    offered: list[tuple[LeaseGrant, tuple[Leased, ...]]] = field(default_factory=list)
    wakes: int = 0

    def grant(self, wanted: int, wanted_bytes: int) -> LeaseGrant:
        grant = LeaseGrant("test", until=1e12, room=min(self.room, wanted), lane_room=self.room)
        self.granted.append(grant)
        return grant

    def offer(self, grant: LeaseGrant, leased: Sequence[Leased]) -> None:
        self.offered.append((grant, tuple(leased)))

    def wake(self) -> None:
        self.wakes += 1


@dataclass
class Watcher:
    """An observer that keeps what it is told."""

    notices: list[Notice] = field(default_factory=list)

    def notice(self, notices: list[Notice]) -> None:
        self.notices += notices


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came over the socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON by its content type."""
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The text of the error shape of contract 3.1."""
        assert set(self.json) == {"error"}
        text = self.json["error"]
        assert isinstance(text, str)
        return text


class Wire:
    """One connection: sends bytes as they are, so that nothing cleans a target or a header on the way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, *, to_head: bool = False) -> Reply:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        lines = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in lines}
        length = 0 if to_head else int(headers.get("content-length", "0"))
        return Reply(int(head[0].split()[1]), headers, await self.reader.readexactly(length))

    async def closed(self) -> bool:
        """Waits for the end of the connection; False if bytes come instead."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    async def request(self, method: str, target: str, *headers: tuple[str, str], body: bytes = b"") -> Reply:
        await self.send(request_bytes(method, target, *headers, body=body))
        return await self.reply(to_head=method == "HEAD")


def request_bytes(method: str, target: str, *headers: tuple[str, str], body: bytes = b"") -> bytes:
    """A request with Host, a token unless one is given, and the body's length."""
    lines = [("Host", "api.test"), *headers]
    if not any(name.lower() == "authorization" for name, _ in headers):
        lines.append(("Authorization", f"Bearer {TOKEN}"))
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(("Content-Length", str(len(body))))
    head = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in lines), "", ""]
    return "\r\n".join(head).encode("utf-8", "surrogateescape") + body


@dataclass
class Api:
    """The API under test with all that stands around it."""

    store: Store
    clock: Clock
    dispatch: Dispatch
    watcher: Watcher
    publishing: Publishing
    server: ApiServer
    port: int = 0
    changes: Iterator[int] = field(default_factory=count)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def connect(self, host: str = "127.0.0.1") -> AsyncIterator[Wire]:
        async with Wire(*await asyncio.open_connection(host, self.port)) as wire:
            yield wire

    async def request(self, method: str, target: str, *headers: tuple[str, str], body: bytes = b"") -> Reply:
        """One request on a connection of its own."""
        async with self.connect() as wire:
            return await wire.request(method, target, *headers, body=body)

    async def publish(self, rest: str, *headers: tuple[str, str], body: bytes = b"") -> Any:
        """Publish to what follows /v2/publish/, successfully."""
        reply = await self.request("POST", f"/v2/publish/{rest}", *headers, body=body)
        assert reply.status == 200, reply.body
        return reply.json

    async def message(self, message_id: str) -> Any:
        reply = await self.request("GET", f"/v2/messages/{message_id}")
        assert reply.status == 200, reply.body
        return reply.json

    async def done(self, method: str, target: str, *headers: tuple[str, str], body: object = b"") -> Any:
        """A request that succeeds with 200; `body`: bytes, or what becomes JSON. Returns the JSON, None without any."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        reply = await self.request(method, target, *headers, body=sent)
        assert reply.status == 200, reply.body
        return reply.json if reply.body else None

    async def declare(self, *specs: tuple[str, Endpoint | Topic | Queue | Schedule]) -> None:
        """Declare objects by name in the tenant's namespace, as resources; each time is a change."""
        now = self.clock.now()
        kinds = {Endpoint: Kind.ENDPOINT, Topic: Kind.TOPIC, Queue: Kind.QUEUE, Schedule: Kind.SCHEDULE}
        await self.store.apply(
            [
                Declared(
                    ref=ObjectRef(kinds[type(spec)], NAMESPACE, name),
                    uid=f"uid-{name}",
                    generation=1,
                    fingerprint=str(next(self.changes)),
                    created_at=now,
                    spec=spec,
                )
                for name, spec in specs
            ],
            now,
        )


def orders() -> Topic:
    """A Topic of two URLs."""
    return Topic((TopicMember("one", url="https://one.test/in"), TopicMember("two", url="https://two.test/in?x=1")))


@asynccontextmanager
async def serving(
    store: Store,
    clock: Clock,
    *,
    limits: ConnectionLimits | None = None,
    option_limits: OptionLimits | None = None,
    quotas: Quotas | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[Api]:
    """The API over this store on a free port unless one is given, with tokens of each access and of another tenant."""
    for namespace, name, text, access in (
        (NAMESPACE, "full", TOKEN, Access.READ_WRITE),
        (NAMESPACE, "reader", READ_ONLY_TOKEN, Access.READ_ONLY),
        (NAMESPACE, "publisher", PUBLISH_ONLY_TOKEN, Access.PUBLISH_ONLY),
        ("other", "full", OTHER_TOKEN, Access.READ_WRITE),
    ):
        await store.put_credential(Credential(namespace, name, token_hash(text), access))
    dispatch, watcher = Dispatch(), Watcher()
    publishing = Publishing(store, dispatch, [watcher])
    context = Context(
        publishing=publishing,
        messages=Messages(store, dispatch, [watcher], clock),
        dead_letters=DeadLetters(store, dispatch, [watcher], clock),
        flow_controls=FlowControls(store, dispatch, clock),
        objects=Objects(store, [watcher], [dispatch], clock, quotas),
        store=store,
        keys=Keys(store, os.urandom, [watcher]),
        clock=clock,
        limits=option_limits or OptionLimits(),
        policy=AddressPolicy(),
        parallelism=PARALLELISM,
    )
    server = ApiServer(context, limits)
    api = Api(store, clock, dispatch, watcher, publishing, server)
    api.port = await server.start(host, port)
    try:
        yield api
    finally:
        await server.close(GRACE)
        await publishing.close()


async def attempt(api: Api, response: Response | None, *, more: bool = False, error: str = "") -> None:
    """One attempt at every message that is due, which all get this response; `more`: a retry follows in a second."""
    grant = LeaseGrant("test", until=1e12, room=1000, lane_room=1000)
    claim = await api.store.claim(grant, api.clock.now())
    delivered = response is not None and 200 <= response.status < 300
    result = Result.DELIVERED if delivered else Result.RETRY if more else Result.FAILED
    outcomes = [
        Outcome(
            leased,
            result,
            Attempt(
                number=leased.retried + 1,
                url=leased.message.url or (leased.endpoint.url if leased.endpoint else ""),
                started_at=api.clock.now(),
                duration=timedelta(milliseconds=5),
                response=response,
                reason="Timeout" if error else "",
                error=error,
            ),
            next_at=api.clock.now() + timedelta(seconds=1) if result is Result.RETRY else None,
        )
        for leased in claim.leased
    ]
    assert all(await api.store.record(outcomes, api.clock.now()))
    api.clock.time += timedelta(seconds=1)
