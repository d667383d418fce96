"""Keys with a rate, more messages waiting than may start: how much of the allowed rate is used, and never more.

The keys are paused while the messages come, so that every window starts as many as it may at once. A window of nine
tenths of a period then holds the starts of one window only, also when some of them take longer on their way.
"""

import asyncio
from collections import defaultdict

from tests.bench.arrivals import Arrival, listening
from tests.bench.load import BODY
from tests.bench.processes import BenchError
from tests.bench.publisher import post_each, publish_batches
from tests.bench.rig import Rig
from tests.bench.server import Server
from tests.support.windows import most_within

KEYS = [f"key-{number}" for number in range(10)]
RATE = 100
PERIOD_S = 1.0
WINDOWS = 5
ARRIVE_S = 60.0


def run(rig: Rig) -> None:
    for turn in range(rig.rounds):
        rig.round(f"{len(KEYS)} keys of {RATE} per {PERIOD_S:g} s", turn)
        with Server(rig.fresh()) as server:
            arrivals = asyncio.run(measured(server))
        rate = sustained_rate(arrivals)
        rig.add("flow.rate", rate)
        rig.add("flow.share", rate / (len(KEYS) * RATE / PERIOD_S) * 100)
        rig.add("flow.most", most_of_a_key(arrivals) / RATE * 100)


async def measured(server: Server) -> list[Arrival]:
    async with listening() as arrivals:
        await post_each(server, *((f"/v2/flowControl/{key}/pause", None) for key in KEYS))
        await publish_batches(
            server,
            [
                {
                    "destination": arrivals.url(f"/{key}"),
                    "body": BODY.decode(),
                    "headers": {
                        "Upstash-Flow-Control-Key": key,
                        "Upstash-Flow-Control-Value": f"rate={RATE}, period={PERIOD_S:g}s",
                    },
                }
                for _ in range(RATE * WINDOWS)
                for key in KEYS
            ],
        )
        if arrivals.all:
            raise BenchError(f"{len(arrivals.all)} messages arrived while their keys were paused")
        await post_each(server, *((f"/v2/flowControl/{key}/resume", None) for key in KEYS))
        return await arrivals.wait_for(len(KEYS) * RATE * WINDOWS, ARRIVE_S)


def sustained_rate(arrivals: list[Arrival]) -> float:
    """Arrivals per second after the first window, which costs no waiting."""
    times = sorted(arrival.at for arrival in arrivals)
    first = len(KEYS) * RATE
    return (len(times) - first) / (times[-1] - times[0])


def most_of_a_key(arrivals: list[Arrival]) -> int:
    by_key: dict[str, list[float]] = defaultdict(list)
    for arrival in arrivals:
        by_key[arrival.path].append(arrival.at)
    return max(most_within(times, PERIOD_S * 0.9) for times in by_key.values())
