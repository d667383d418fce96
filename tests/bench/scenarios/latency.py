"""Low load: 50 messages a second, and how long each takes from its publish to its arrival.

One process publishes and receives, so that both times are on one clock.
"""

import asyncio
import json
import time
from contextlib import AsyncExitStack

from tests.bench.arrivals import Arrivals, listening
from tests.bench.figures import percentile
from tests.bench.publisher import connected, post
from tests.bench.rig import Rig
from tests.bench.server import Bare, Server
from tests.support.api import Wire

PER_S = 50
MESSAGES = 20 * PER_S
PADDING = "x" * 225
CONNECTIONS = 8
ARRIVE_S = 30.0


def run(rig: Rig) -> None:
    for turn in range(rig.rounds):
        rig.round("low load", turn)
        bare = asyncio.run(through_bare_loop(rig))
        ours = asyncio.run(through_server(rig))
        for percent in (50, 99):
            rig.add(f"latency.bare.p{percent}", percentile(bare, percent))
        for percent in (50, 95, 99):
            rig.add(f"latency.p{percent}", percentile(ours, percent))


async def through_bare_loop(rig: Rig) -> list[float]:
    """The floor that this machine, publisher and sink leave: nothing is stored."""
    async with listening() as arrivals:
        with await asyncio.to_thread(Bare, rig.fresh(), arrivals.url()) as bare:
            return await measured(bare.port, "/", arrivals)


async def through_server(rig: Rig) -> list[float]:
    async with listening() as arrivals:
        with await asyncio.to_thread(Server, rig.fresh()) as server:
            return await measured(server.port, f"/v2/publish/{arrivals.url()}", arrivals)


async def measured(port: int, target: str, arrivals: Arrivals) -> list[float]:
    """Milliseconds from publish to arrival, of each message."""
    published: dict[int, float] = {}
    async with AsyncExitStack() as open_ones, asyncio.TaskGroup() as group:
        free: asyncio.Queue[Wire] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            free.put_nowait(await open_ones.enter_async_context(connected(port)))

        async def publish(wire: Wire, number: int) -> None:
            body = f'{{"n": {number:9}, "padding": "{PADDING}"}}'.encode()
            published[number] = time.monotonic()
            await post(wire, target, body)
            free.put_nowait(wire)

        start = time.monotonic()
        for number in range(MESSAGES):
            await asyncio.sleep(start + number / PER_S - time.monotonic())
            group.create_task(publish(await free.get(), number))
        found = await arrivals.wait_for(MESSAGES, ARRIVE_S)
    return [(arrival.at - published[json.loads(arrival.body)["n"]]) * 1e3 for arrival in found]
