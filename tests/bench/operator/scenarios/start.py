"""The first start, when every status is new; a restart, when none is; and one after a few objects have changed."""

import asyncio
import time
from datetime import datetime

from tests.bench.operator.cluster import change_suspend
from tests.bench.operator.instance import Instance
from tests.bench.operator.rig import Rig, named
from tests.support.processes import Peak


def run(rig: Rig) -> None:
    first(rig)
    restart(rig)
    restart_with_changes(rig)


def first(rig: Rig) -> None:
    rig.begin("first start")
    with rig.empty_instance() as instance:
        began = time.time()
        instance.launch()
        with Peak(instance.pid) as peak:
            rig.add("start.ready", instance.await_ready())
            rig.await_statuses(instance)
            usage = instance.quiet()
        rig.add("start.written", last_patch(instance) - began)
        rig.add("start.cpu", usage.cpu_s)
        rig.add("start.patches", instance.writes())
        rig.add("start.memory", peak.memory.pss)
        rig.add("start.rss", usage.peak)


def restart(rig: Rig) -> None:
    with rig.instance() as instance:
        for _ in range(rig.rounds):
            rig.begin("restart, nothing is new")
            instance.launch()
            with Peak(instance.pid) as peak:
                rig.add("restart.ready", instance.await_ready())
                instance.wait_until(lambda: instance.handled() >= rig.total, "has not seen every object by its watch")
                rig.add("restart.caught", time.monotonic() - instance.started)
                usage = instance.quiet()
            rig.add("restart.cpu", usage.cpu_s)
            rig.add("restart.writes", instance.writes())
            rig.add("restart.memory", peak.memory.pss)
            instance.stop()


def restart_with_changes(rig: Rig) -> None:
    rig.begin("restart, 1 % has changed")
    some = named(range(max(1, rig.schedules // 100)))
    with rig.instance() as instance:
        asyncio.run(change_suspend(rig.control_plane, some, suspend=True))
        rig.add("changed.ready", instance.start())
        instance.wait_until(lambda: instance.written() >= len(some), "has not written the changed statuses")
        asyncio.run(change_suspend(rig.control_plane, some, suspend=False))
        instance.wait_until(lambda: instance.written() >= 2 * len(some), "has not written them again")
        instance.quiet()
        rig.add("changed.writes", instance.writes() / 2)


def last_patch(instance: Instance) -> float:
    return max(datetime.fromisoformat(entry["stageTimestamp"]).timestamp() for entry in instance.requests("patch"))
