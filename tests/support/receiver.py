"""A destination for tests: a real HTTP server in its own thread that records requests and answers as it is told.

Usable from tests with and without an event loop. Answers are taken from a queue per path; the last of a path's
queue repeats, and without one the default answers.
"""

import asyncio
import itertools
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from aiohttp import web
from tests.support.networks import step_into

ENDLESS_CHUNK = b"x" * 16384
Ending = Literal["complete", "hang", "reset", "endless", "broken", "garbage", "close"]


@dataclass(frozen=True, slots=True)
class Answer:
    """`ending`: hang never answers, reset and close end the connection, endless sends a body for ever, broken ends in
    the middle of the body, garbage is no HTTP."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delay_s: float = 0.0
    ending: Ending = "complete"


@dataclass(frozen=True, slots=True)
class Received:
    """`target` is the request target byte for byte; `at` is on the clock of time.time()."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float
    peer_port: int

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class Receiver:
    """`with Receiver() as receiver: … receiver.url("/hook")`. `network`: a network namespace to be in, if not this."""

    default: Answer = Answer()
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    requests: list[Received] = field(default_factory=list)
    port: int = 0
    network: Path | None = None

    def __post_init__(self) -> None:
        self._answers: dict[str, deque[Answer]] = {}
        self._judges: dict[str, Callable[[Received], Answer]] = {}
        self._changed = threading.Condition()
        self._transports: set[asyncio.WriteTransport] = set()
        self._in_flight = 0
        self.most_in_flight = 0

    def url(self, target: str = "/") -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{target}"

    def answer(self, path: str, *answers: Answer | int) -> None:
        """Answer requests for this path in this order (a number is a status); the last one repeats."""
        self._answers[path] = deque(a if isinstance(a, Answer) else Answer(a) for a in answers)

    def judge(self, path: str, judge: Callable[[Received], Answer]) -> None:
        """Answer each request for this path as its content deserves."""
        self._judges[path] = judge

    def count(self, path: str | None = None) -> int:
        return len(self.received(path))

    def received(self, path: str | None = None) -> list[Received]:
        with self._changed:
            return [r for r in self.requests if path is None or r.target.partition("?")[0] == path]

    def wait_for(self, count: int, timeout: float = 10.0, path: str | None = None) -> list[Received]:
        """The requests so far, as soon as there are `count`; an AssertionError if that takes too long."""
        with self._changed:
            self._changed.wait_for(lambda: self.count(path) >= count, timeout)
            found = self.received(path)
        assert len(found) >= count, f"{len(found)} of {count} requests came within {timeout} s: {found}"
        return found

    async def arrived(self, count: int, path: str | None = None, within_s: float = 10.0) -> list[Received]:
        """`wait_for`, for use on an event loop."""
        return await asyncio.to_thread(self.wait_for, count, within_s, path)

    def __enter__(self) -> Self:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(started,), name="receiver", daemon=True)
        self._thread.start()
        assert started.wait(10), "the receiver did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    def _run(self, started: threading.Event) -> None:
        if self.network is not None:
            step_into(self.network)
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(started))
        self._loop.close()

    async def _serve(self, started: threading.Event) -> None:
        self._ended = asyncio.Event()
        server = web.Server(self._handle, access_log=None)
        listening = await self._loop.create_server(server, self.host, self.port, ssl=self.tls)
        self.port = listening.sockets[0].getsockname()[1]
        started.set()
        await self._ended.wait()
        await _turns()  # asyncio fails on a connection that it is just accepting when the server closes
        listening.close()
        await server.shutdown(0.01)  # 0 would mean no limit
        for transport in self._transports:
            transport.abort()
        await _turns()  # aborted connections are closed in the loop's next turns

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        peer = ("", 0)
        if request.transport is not None:
            peer = request.transport.get_extra_info("peername")
            self._transports.add(request.transport)
        headers = tuple((n.decode("latin-1"), v.decode()) for n, v in request.raw_headers)
        received = Received(request.method, request.raw_path, headers, body, time.time(), peer[1])
        with self._changed:
            self.requests.append(received)
            answer = self._next(received)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
            self._changed.notify_all()
        try:
            return await self._respond(request, answer)
        finally:
            with self._changed:
                self._in_flight -= 1

    def _next(self, received: Received) -> Answer:
        path = received.target.partition("?")[0]
        if path in self._judges:
            return self._judges[path](received)
        queue = self._answers.get(path)
        if not queue:
            return self.default
        return queue.popleft() if len(queue) > 1 else queue[0]

    async def _respond(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        if answer.delay_s or answer.ending == "hang":
            await self._wait(answer.delay_s if answer.ending != "hang" else None)
        transport = request.transport
        if answer.ending in ("reset", "close", "garbage") and transport is not None:
            if answer.ending == "garbage":
                transport.write(b"220 smtp.example ready\r\n\r\n")
                transport.close()
            else:
                transport.abort() if answer.ending == "reset" else transport.close()
            return web.Response()
        if answer.ending in ("endless", "broken"):
            return await self._stream(request, answer)
        return web.Response(status=answer.status, headers=list(answer.headers), body=answer.body)

    async def _stream(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status)
        await response.prepare(request)
        for number in itertools.count():
            if answer.ending == "broken" and number == 1 and request.transport is not None:
                request.transport.abort()
            await response.write(ENDLESS_CHUNK)
        return response

    async def _wait(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self._ended.wait(), seconds)
        except TimeoutError:
            return


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
