"""Nothing happens: what is asked of the API server all the same, and what that costs."""

import time

from tests.bench.operator.rig import Rig

IDLE_S = 20.0
"""The second resync, which judges the new watch, comes 30 s after the first one and would not be idle time."""


def run(rig: Rig) -> None:
    rig.begin("idle")
    with rig.instance() as instance:
        instance.start()
        instance.wait_until(lambda: len(instance.resyncs()) > 1, "has not made its second resync")
        instance.quiet()
        instance.mark()
        before = instance.usage()
        time.sleep(IDLE_S)
        after = instance.usage()
        rig.add("idle.writes", instance.writes())
        rig.add("idle.requests", len(instance.requests()) * 60 / (after.at - before.at))
        rig.add("idle.cpu", (after.cpu_s - before.cpu_s) / (after.at - before.at) * 100)
