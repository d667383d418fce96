"""A thousand Schedules with one slot, in a cluster that has thousands: how long after it each first attempt comes.

Some slots in a row, so that the statuses of one run are still being written when the next one comes.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from tests.bench.arrivals import Arrival, listening
from tests.bench.figures import percentile
from tests.bench.operator.cluster import create, manifest, remove
from tests.bench.operator.rig import Rig
from tests.bench.waiting import BenchError

SCHEDULES = 1000
SLOTS = 2
EVERY = 20
AHEAD_S = 40.0
"""From the declaration to the first slot, in which the objects are made and get their first status."""
LATE_S = 60.0
LABEL = "due=together"


def run(rig: Rig) -> None:
    rig.begin(f"{SCHEDULES} Schedules with one slot, {SLOTS} times")
    try:
        slot, arrivals = asyncio.run(measured(rig))
    finally:
        remove(rig.control_plane, "Schedule", LABEL)
    if min(arrival.at for arrival in arrivals) < slot:
        raise BenchError("a message arrived before its slot")
    for turn in range(SLOTS):
        began = slot + turn * EVERY
        lags = [(one.at - began) * 1e3 for one in arrivals if 0 <= one.at - began < EVERY]
        if len(lags) != SCHEDULES:
            raise BenchError(f"{len(lags)} messages came in slot {turn + 1}, not {SCHEDULES}")
        rig.add("due.p50", percentile(lags, 50))
        rig.add("due.p99", percentile(lags, 99))
        rig.add("due.most", max(lags))


async def measured(rig: Rig) -> tuple[float, list[Arrival]]:
    """The first slot in monotonic time, and what arrived."""
    async with listening() as arrivals:
        with rig.instance() as instance:
            await asyncio.to_thread(instance.start)
            first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=AHEAD_S)
            last = first + timedelta(seconds=EVERY * (SLOTS - 0.5))
            when = {"every": f"{EVERY}s", "startTime": written(first), "endTime": written(last)}
            documents = [
                manifest("Schedule", f"due-{number}", {**when, "destination": {"url": arrivals.url(f"/{number}")}})
                for number in range(SCHEDULES)
            ]
            for document in documents:
                document["metadata"]["labels"]["due"] = "together"
            await create(rig.control_plane, documents)
            slot = time.monotonic() + first.timestamp() - time.time()
            if slot < time.monotonic():
                raise BenchError(f"the Schedules could not be made within {AHEAD_S:g} s")
            within_s = slot - time.monotonic() + EVERY * (SLOTS - 1) + LATE_S
            found = await arrivals.wait_for(SCHEDULES * SLOTS, within_s)
            return slot, list(found)


def written(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
