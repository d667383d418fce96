"""So many publishes a second, whether they are answered or not: the delay that a caller sees, waiting in line too.

A load that waits for its answers, as wrk does, asks less just when the program is slow, and hides it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.load import BODY
from tests.bench.waiting import BenchError
from tests.support.api import request_bytes

CONNECTIONS = 48
TICK_S = 0.001
END_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`due`: monotonic seconds, when it should have been sent; `delay_ms` from then to its answer."""

    due: float
    delay_ms: float


class _Connection(asyncio.Protocol):
    def __init__(self, publisher: "Publisher") -> None:
        self._publisher = publisher
        self._due = 0.0
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._publisher.free.append(self)

    def send(self, due: float, request: bytes) -> None:
        self._due, self._answer = due, b""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, rest = self._answer.partition(b"\r\n\r\n")
        if not end or len(rest) < int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            return
        if not head.startswith(b"HTTP/1.1 20"):
            self._publisher.fail(f"a publish was answered with {self._answer!r}")
        self._publisher.answered(self, self._due)

    def connection_lost(self, exc: Exception | None) -> None:
        self._publisher.fail(f"a connection was closed: {exc}")


class Publisher:
    """`await publisher.run(port)`: all answers, in the order in which they came."""

    def __init__(self, target: str, headers: Sequence[tuple[str, str]], rate: float, seconds: float) -> None:
        self._request = request_bytes("POST", target, *headers, body=BODY)
        self._rate = rate
        self._count = round(rate * seconds)
        self._waiting: deque[float] = deque()
        self._answers: list[Answer] = []
        self._ended = asyncio.Event()
        self._failure: str | None = None
        self.free: list[_Connection] = []

    async def run(self, port: int) -> list[Answer]:
        """Raises BenchError unless every publish is answered with 2xx."""
        loop = asyncio.get_running_loop()
        opened = [
            await loop.create_connection(lambda: _Connection(self), "127.0.0.1", port) for _ in range(CONNECTIONS)
        ]
        await self._send_all()
        try:
            async with asyncio.timeout(END_S):
                await self._ended.wait()
        except TimeoutError:
            self.fail(f"{len(self._answers)} of {self._count} publishes were answered")
        failure = self._failure
        for transport, _ in opened:
            transport.abort()
        if failure:
            raise BenchError(failure)
        return self._answers

    def answered(self, connection: _Connection, due: float) -> None:
        self._answers.append(Answer(due, (time.monotonic() - due) * 1e3))
        self.free.append(connection)
        self._send()
        if len(self._answers) == self._count:
            self._ended.set()

    def fail(self, why: str) -> None:
        self._failure = self._failure or why
        self._ended.set()

    async def _send_all(self) -> None:
        start, asked = time.monotonic(), 0
        while asked < self._count and self._failure is None:
            until = min(self._count, int((time.monotonic() - start) * self._rate) + 1)
            self._waiting.extend(start + number / self._rate for number in range(asked, until))
            asked = until
            self._send()
            await asyncio.sleep(TICK_S)

    def _send(self) -> None:
        while self._waiting and self.free:
            self.free.pop().send(self._waiting.popleft(), self._request)
