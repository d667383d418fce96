"""A thousand Schedules with one slot: how long after it each message arrives."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from tests.bench.arrivals import Arrival, Arrivals, listening
from tests.bench.figures import percentile
from tests.bench.load import BODY
from tests.bench.rig import Rig
from tests.bench.server import Server
from tests.bench.stores import opened
from tests.bench.waiting import BenchError
from tests.support.alone import NAMESPACE

from angarium.domain.declarations import Declared, Destination, Kind, ObjectRef, Schedule, Timing

SCHEDULES = 1000
START_S = 10.0
"""From the declaration to the slot, in which the program has to start."""
ARRIVE_S = 60.0


def run(rig: Rig) -> None:
    for turn in range(rig.rounds):
        rig.round(f"{SCHEDULES} Schedules with one slot", turn)
        slot, arrivals = asyncio.run(measured(rig))
        lags = [(arrival.at - slot) * 1e3 for arrival in arrivals]
        if min(lags) < 0:
            raise BenchError(f"a message arrived {-min(lags):.0f} ms before its slot")
        for percent in (50, 99):
            rig.add(f"schedules.p{percent}", percentile(lags, percent))


async def measured(rig: Rig) -> tuple[float, list[Arrival]]:
    """The slot in monotonic time, and what arrived."""
    async with listening() as arrivals:
        server = await asyncio.to_thread(Server, rig.fresh())
        at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=START_S)
        await asyncio.to_thread(declare, server, arrivals, at)
        await asyncio.to_thread(server.start)
        try:
            slot = time.monotonic() + at.timestamp() - time.time()
            if slot < time.monotonic():
                raise BenchError(f"the program took longer than {START_S:g} s to start: its slot has passed")
            return slot, await arrivals.wait_for(SCHEDULES, START_S + ARRIVE_S)
        finally:
            await asyncio.to_thread(server.stop)


def declare(server: Server, arrivals: Arrivals, at: datetime) -> None:
    now = datetime.now(UTC)
    objects = [
        Declared(
            ObjectRef(Kind.SCHEDULE, NAMESPACE, f"schedule-{number}"),
            f"uid-{number}",
            1,
            "1",
            now,
            Schedule(Timing(at=at), Destination(url=arrivals.url(f"/{number}")), body=BODY),
        )
        for number in range(SCHEDULES)
    ]
    with opened(server.angarium.database) as store:
        asyncio.run(store.apply(objects, now))
