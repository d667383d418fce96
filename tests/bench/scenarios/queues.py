"""Ten queues with one place each are filled while they stand still, then resumed: how fast they drain, in order."""

import asyncio
import time

from tests.bench.load import BODY, Load
from tests.bench.publisher import post_each, publish_batches
from tests.bench.rig import Rig, all_arrived, delivered
from tests.bench.server import Server
from tests.bench.sink import Sink

QUEUES = [f"q{number}" for number in range(10)]
MESSAGES = 500


def run(rig: Rig) -> None:
    for turn in range(rig.rounds):
        rig.round(f"{len(QUEUES)} queues × {MESSAGES} messages", turn)
        folder = rig.fresh()
        with Sink(folder) as sink, Server(folder) as server:
            asyncio.run(fill(server, sink))
            found = delivered(server.pid, sink, lambda: resume(server))
            all_arrived(server, sink)
        rig.add("queues.rate", found.rate)


async def fill(server: Server, sink: Sink) -> None:
    await post_each(server, *(("/v2/queues", {"queueName": name, "parallelism": 1, "paused": True}) for name in QUEUES))
    message = {"destination": sink.url(), "body": BODY.decode()}
    await publish_batches(server, [message | {"queue": name} for _ in range(MESSAGES) for name in QUEUES])


def resume(server: Server) -> Load:
    began = time.monotonic()
    asyncio.run(post_each(server, *((f"/v2/queues/{name}/resume", None) for name in QUEUES)))
    return Load(began, len(QUEUES) * MESSAGES)
