"""Keys with a rate, more messages waiting than may start: how much of the allowed rate is used, and never more.

The keys are paused while the messages come, so that every window starts as many as it may at once. Deliveries are
counted where they arrive; when each message started is read from the log, because some take longer on their way.
"""

import asyncio

from tests.bench.arrivals import Arrival, listening
from tests.bench.load import BODY
from tests.bench.publisher import post_each, publish_batches
from tests.bench.rig import Rig
from tests.bench.server import Server
from tests.bench.waiting import BenchError
from tests.support.alone import TOKEN
from tests.support.windows import most_in_a_window, starts_in

KEYS = [f"key-{number}" for number in range(10)]
RATE = 100
PERIOD_S = 1.0
WINDOWS = 5
ARRIVE_S = 60.0


def run(rig: Rig) -> None:
    for turn in range(rig.rounds):
        rig.round(f"{len(KEYS)} keys of {RATE} per {PERIOD_S:g} s", turn)
        with Server(rig.fresh()) as server:
            rate = sustained_rate(asyncio.run(measured(server)))
            most = max(most_in_a_window(starts(server, key), PERIOD_S) for key in KEYS)
        rig.add("flow.rate", rate)
        rig.add("flow.share", rate / (len(KEYS) * RATE / PERIOD_S) * 100)
        rig.add("flow.most", most / RATE * 100)


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


def starts(server: Server, key: str) -> list[float]:
    """When each message of this key was started, in seconds. Raises BenchError if the log does not have them all."""
    parameters = {"flowControlKey": key, "state": "ACTIVE", "count": 1000}
    with server.angarium.client(TOKEN) as client:
        entries = client.get("/v2/logs", params=parameters).raise_for_status().json()["logs"]
    if len(entries) != RATE * WINDOWS:
        raise BenchError(f"the log has {len(entries)} starts of {key}, {RATE * WINDOWS} messages arrived")
    return starts_in(entries)
