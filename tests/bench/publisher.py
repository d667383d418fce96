"""A given number of publishes over a few keep-alive connections, where wrk, which only knows a time, does not fit.

In Python: only for scenarios in which one request makes many deliveries, or in which few requests are made.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.bench.server import HEADERS, Server
from tests.bench.waiting import BenchError
from tests.support.api import Wire

BATCH = 100


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Wire]:
    async with Wire(*await asyncio.open_connection("127.0.0.1", port)) as wire:
        yield wire


async def post(wire: Wire, target: str, body: bytes, *headers: tuple[str, str]) -> Any:
    """One request; its JSON. Raises BenchError unless it is answered with 2xx."""
    reply = await wire.request("POST", target, *HEADERS.items(), *headers, body=body)
    if not 200 <= reply.status < 300:
        raise BenchError(f"POST {target} was answered with {reply.status}: {reply.body.decode()}")
    return json.loads(reply.body) if reply.body else None


async def publish_all(server: Server, target: str, body: bytes, count: int, connections: int = 16) -> None:
    """So many times the same, each connection as soon as its last is answered."""
    turns = iter(range(count))

    async def some(turns: Iterator[int]) -> None:
        async with connected(server.port) as wire:
            for _ in turns:
                await post(wire, target, body)

    await asyncio.gather(*(some(turns) for _ in range(connections)))


async def publish_batches(server: Server, messages: Sequence[dict[str, Any]]) -> None:
    """All these messages of POST /v2/batch, in order. Raises BenchError if one is refused."""
    async with connected(server.port) as wire:
        for first in range(0, len(messages), BATCH):
            answers = await post(wire, "/v2/batch", json.dumps(messages[first : first + BATCH]).encode())
            refused = [answer for answer in answers if "messageId" not in answer]
            if refused:
                raise BenchError(f"{len(refused)} messages of a batch were refused: {refused[0]}")


async def post_each(server: Server, *requests: tuple[str, Any]) -> None:
    """Targets with what becomes their JSON body, one after the other."""
    async with connected(server.port) as wire:
        for target, content in requests:
            await post(wire, target, b"" if content is None else json.dumps(content).encode())
