"""One publish to a URL group of 10 members, and of 100: a message for each of them."""

import asyncio
import time

from tests.bench.load import BODY, Load
from tests.bench.publisher import post_each, publish_all
from tests.bench.rig import Delivered, Rig, all_arrived, delivered
from tests.bench.server import Server
from tests.bench.sink import Sink

DELIVERIES_PER_S = 4000
"""As many per second of a round are sent, however many are delivered in a second."""


def run(rig: Rig) -> None:
    for turn in range(rig.rounds):
        for members in (10, 100):
            rig.round(f"fan-out 1 → {members}", turn)
            found = measured(rig, members)
            rig.add(f"fanout.{members}", found.rate)
            rig.add(f"fanout.cpu.{members}", found.cpu_ms)


def measured(rig: Rig, members: int) -> Delivered:
    folder = rig.fresh()
    with Sink(folder) as sink, Server(folder) as server:
        found = delivered(server.pid, sink, lambda: fan_out(rig, server, sink, members))
        all_arrived(server, sink)
    return found


def fan_out(rig: Rig, server: Server, sink: Sink, members: int) -> Load:
    count = round(rig.seconds * DELIVERIES_PER_S / members)
    group = {"endpoints": [{"name": f"m{n}", "url": sink.url(f"/member/{n}")} for n in range(members)]}
    asyncio.run(post_each(server, ("/v2/topics/all/endpoints", group)))
    began = time.monotonic()
    asyncio.run(publish_all(server, "/v2/publish/all", BODY, count))
    return Load(began, count * members)
