"""Destinations that misbehave, on raw sockets: what a peer does with a connection is one coroutine here.

A server per conduct, all in one thread. Those that send without end stop when the other side closes, or with the test.
"""

import asyncio
import gzip
import itertools
import socket
import ssl
import threading
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self, TypeAlias

Conduct: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PIECE = b"x" * 65536
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SLOWLY_S = 0.1
METADATA_URL = "http://169.254.169.254/latest/meta-data/"


class Hostile:
    """`with Hostile() as hostile: … hostile.serve(endless_body)` returns the port."""

    def __init__(self) -> None:
        self.connections: Counter[int] = Counter()
        self.open: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    def serve(self, conduct: Conduct, tls: ssl.SSLContext | None = None) -> int:
        return asyncio.run_coroutine_threadsafe(self._serve(conduct, tls), self._loop).result(10)

    @property
    def ports(self) -> set[int]:
        return {server.sockets[0].getsockname()[1] for server in self._servers}

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hostile", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, conduct: Conduct, tls: ssl.SSLContext | None) -> int:
        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            self.connections[port] += 1
            self.open[port] += 1
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
                    await conduct(reader, writer)
            except asyncio.CancelledError:  # the test ends
                return
            finally:
                self.open[port] -= 1
                self._tasks.discard(task)
                writer.transport.abort() if conduct in ABRUPT else writer.close()

        server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=tls)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(20):  # what was closed is closed in the loop's next turns
            await asyncio.sleep(0)


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port whose queue of connections is full, so that a further one is neither taken nor refused."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
        for one in waiting:
            one.close()


async def asked(reader: asyncio.StreamReader) -> None:
    """Read one request as far as its headers and a body with a length."""
    await reader.readexactly(_length(await reader.readuntil(b"\r\n\r\n")))


def _length(head: bytes) -> int:
    """Bytes of the body that belongs to these headers."""
    lines = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(lines[0].partition(b":")[2]) if lines else 0


def answers(raw: bytes) -> Conduct:
    """Answer every request of a connection with these bytes, until the other side closes."""

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asked(reader)
            writer.write(raw)
            await writer.drain()

    return conduct


def repeats(first: bytes, piece: bytes, pause_s: float = 0.0) -> Conduct:
    """Answer a request with `first`, and then with `piece` for ever."""

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(first)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return conduct


def closes(raw: bytes) -> Conduct:
    """Answer a request with these bytes and close the connection in good manner."""

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(raw)
        await writer.drain()

    return conduct


def breaks(raw: bytes) -> Conduct:
    """Answer a request with these bytes and reset the connection."""

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await closes(raw)(reader, writer)
        await asyncio.sleep(SLOWLY_S)  # a reset overtakes what was sent just before it

    ABRUPT.add(conduct)
    return conduct


async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Take the connection, and whatever comes, and say nothing."""
    while await reader.read(65536):
        pass


@dataclass
class Watch:
    """Answers, but says nothing to what has `hang` in its path; keeps count of what a destination sees.

    `under_way` are requests that have neither been answered nor seen their connection end; `most` there were at once.
    """

    came: list[str] = field(default_factory=list)
    under_way: int = 0
    most: int = 0

    async def conduct(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.came.append(path)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            try:
                if "hang" in path:
                    return await silence(reader, writer)
                await reader.readexactly(_length(head))
                writer.write(OK)
            finally:
                self.under_way -= 1


async def deafness(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer before the request was read, and read nothing of it."""
    writer.write(OK)
    await writer.drain()
    await asyncio.sleep(3600)


async def a_gigabyte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An answer of 1 GiB with its length, made while it is sent."""
    await asked(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 2**30)
    for _ in range(2**30 // len(PIECE)):
        writer.write(PIECE)
        await writer.drain()


def turns(*raw: bytes) -> Conduct:
    """Each connection gets the next of these answers, and is closed as soon as that is sent."""
    conducts = map(closes, itertools.chain(raw, itertools.repeat(raw[-1])))

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await next(conducts)(reader, writer)

    return conduct


def bomb() -> bytes:
    """A short answer that would be 50 MiB if somebody expanded it."""
    body = gzip.compress(bytes(50 * 2**20), compresslevel=9)
    assert len(body) < 64_000 and len(zlib.decompress(body, 31)) == 50 * 2**20
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def headed(*lines: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", *lines, b"Content-Length: 2", b"", b"ok"))


ABRUPT: set[Conduct] = set()
"""Conducts that end with a reset."""
