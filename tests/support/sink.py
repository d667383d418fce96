"""A destination that takes a flood, in a process of its own: python -m tests.support.sink PORT.

It answers every POST with 200 and keeps the number that is its body; `GET /` tells them all, as a JSON array.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import httpx
from tests.support.programs import Program, free_port

ROOT = Path(__file__).parents[2]


class Connection(asyncio.Protocol):
    """Keep-alive, one request at a time. `numbers` is everybody's."""

    def __init__(self, numbers: list[int]) -> None:
        self._numbers = numbers
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ended, body = self._received.partition(b"\r\n\r\n")
        if not ended:
            return
        request_line, *lines = head.lower().split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines)
        if len(body) < int(headers.get(b"content-length", b"0")):
            return
        self._received = b""
        answer = b""
        if request_line.startswith(b"get "):
            answer = json.dumps(self._numbers).encode()
        else:
            self._numbers.append(int(body))
        assert self._transport is not None
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)


class Sink:
    """The process, as a test sees it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/"

    def numbers(self) -> list[int]:
        """Of the requests so far, in the order of arrival."""
        found: list[int] = httpx.get(self.url, timeout=10).raise_for_status().json()
        return found


@contextmanager
def sink(folder: Path) -> Iterator[Sink]:
    port = free_port()
    program = Program([sys.executable, "-m", "tests.support.sink", str(port)], folder / "sink.log")
    program.start()
    try:
        yield Sink(port)
    finally:
        program.kill()


async def main(port: int) -> None:
    numbers: list[int] = []
    server = await asyncio.get_running_loop().create_server(lambda: Connection(numbers), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
