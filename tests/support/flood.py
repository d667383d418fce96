"""A flood of publishes, from a process of its own: python -m … PORT TOKEN DESTINATION RATE MOST SECONDS.

It does not wait for answers: so many requests a second go out, each with a number of its own as its body, over up to
MOST connections; while all of them wait for an answer, what would have been sent is only counted. Prints JSON: the
numbers that were accepted, the answers by status, those that told no Retry-After although they refused, and how many
requests got no answer.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter, deque
from typing import Any, cast

GRACE_S = 20.0
ACCEPTED = range(200, 300)


class Flood:
    """One run."""

    def __init__(self, port: int, token: str, destination: str, most: int) -> None:
        self._port = port
        self._most = most
        head = f"POST /v2/publish/{destination} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        self._head = head.encode() + b"Content-Type: text/plain\r\n"
        self._numbers = 0
        self._opened = 0
        self._ended: asyncio.Event | None = None
        self._idle: deque[Connection] = deque()
        self.accepted: list[int] = []
        self.statuses: Counter[int] = Counter()
        self.without_retry_after = 0
        self.unsent = 0
        self.unanswered = 0

    async def run(self, rate: float, seconds: float) -> None:
        began = time.monotonic()
        sent = 0
        while (passed := time.monotonic() - began) < seconds:
            for _ in range(int(passed * rate) - sent):
                sent += 1
                await self._send()
            await asyncio.sleep(0.002)
        if self.unanswered:
            self._ended = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE_S):
                    await self._ended.wait()

    async def _send(self) -> None:
        connection = self._idle.popleft() if self._idle else await self._open()
        if connection is None:
            self.unsent += 1
            return
        self._numbers += 1
        self.unanswered += 1
        connection.send(self._head, self._numbers)

    async def _open(self) -> "Connection | None":
        if self._opened >= self._most:
            return None
        self._opened += 1
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port)
        return connection

    def answered(self, connection: "Connection", number: int, status: int, retry_after: bool) -> None:
        self.unanswered -= 1
        if self._ended is not None and not self.unanswered:
            self._ended.set()
        self.statuses[status] += 1
        if status in ACCEPTED:
            self.accepted.append(number)
        elif status in (429, 503) and not retry_after:
            self.without_retry_after += 1
        self._idle.append(connection)

    def report(self) -> dict[str, Any]:
        return {
            "accepted": self.accepted,
            "statuses": dict(self.statuses),
            "without_retry_after": self.without_retry_after,
            "unsent": self.unsent,
            "unanswered": self.unanswered,
        }


class Connection(asyncio.Protocol):
    """Keep-alive, one request at a time. One that the server ends is not used again; its request had no answer."""

    def __init__(self, flood: Flood) -> None:
        self._flood = flood
        self._transport: asyncio.Transport | None = None
        self._number = 0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, head: bytes, number: int) -> None:
        assert self._transport is not None
        self._number, self._received = number, b""
        body = str(number).encode()
        self._transport.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ended, body = self._received.partition(b"\r\n\r\n")
        if not ended:
            return
        status_line, *lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines)
        if len(body) >= int(headers.get(b"content-length", b"0")):
            self._flood.answered(self, self._number, int(status_line.split()[1]), b"retry-after" in headers)


async def main(port: str, token: str, destination: str, rate: str, most: str, seconds: str) -> None:
    flood = Flood(int(port), token, destination, int(most))
    await flood.run(float(rate), float(seconds))
    print(json.dumps(flood.report()))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
