"""A sink that notes when each message arrives, for scenarios in which the time counts more than the rate."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.bench.waiting import BenchError

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Arrival:
    """`at`: monotonic seconds, when the request was complete."""

    at: float
    path: str
    body: bytes


class Arrivals:
    """What has arrived, in order."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.all: list[Arrival] = []
        self._changed = asyncio.Event()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def note(self, arrival: Arrival) -> None:
        self.all.append(arrival)
        self._changed.set()

    async def wait_for(self, count: int, within_s: float) -> list[Arrival]:
        """As soon as so many are there. Raises BenchError if that takes too long, or if it is more."""
        try:
            async with asyncio.timeout(within_s):
                while len(self.all) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise BenchError(f"{len(self.all)} of {count} messages arrived within {within_s:g} s") from None
        if len(self.all) > count:
            raise BenchError(f"{len(self.all)} messages arrived, {count} were sent")
        return self.all


class Connection(asyncio.Protocol):
    """Takes requests with a Content-Length apart; answers each when it is complete."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        at = time.monotonic()
        self._buffer += data
        while (split := taken(self._buffer)) is not None:
            path, body, self._buffer = split
            self._transport.write(ANSWER)
            self._arrivals.note(Arrival(at, path, body))


def taken(buffer: bytes) -> tuple[str, bytes, bytes] | None:
    """Path and body of the first request and what follows it; None while it is not complete."""
    head, end, rest = buffer.partition(END)
    if not end:
        return None
    length = LENGTH.search(head)
    size = int(length[1]) if length else 0
    if len(rest) < size:
        return None
    return head.split(b" ", 2)[1].decode(), rest[:size], rest[size:]


@asynccontextmanager
async def listening() -> AsyncIterator[Arrivals]:
    """On a free port of this loop."""
    loop = asyncio.get_running_loop()
    arrivals = Arrivals(0)
    server = await loop.create_server(lambda: Connection(arrivals), "127.0.0.1", 0, backlog=4096)
    arrivals.port = server.sockets[0].getsockname()[1]
    try:
        yield arrivals
    finally:
        server.close()
