"""What the settings of Kopf are worth (ADR 0002): a restart with each variant. On request, for a new Kopf."""

import time

from tests.bench.operator.instance import Instance
from tests.bench.operator.program import DELIVERY, NO_KOPF, NO_OPERATOR, VARIANTS
from tests.bench.operator.rig import Rig
from tests.bench.waiting import BenchError

CATCH_UP_S = 60.0
NEVER = -1.0


def run(rig: Rig) -> None:
    with rig.instance() as instance:
        for variant in VARIANTS:
            if variant in (NO_OPERATOR, DELIVERY):
                continue
            rig.begin(f"restart, {variant}")
            rig.add(f"kopf.{variant}.ready", instance.start(variant))
            if variant != NO_KOPF:
                rig.add(f"kopf.{variant}.caught", caught_up(rig, instance))
            usage = instance.quiet()
            rig.add(f"kopf.{variant}.cpu", usage.cpu_s)
            rig.add(f"kopf.{variant}.peak", usage.peak)
            instance.stop()


def caught_up(rig: Rig, instance: Instance) -> float:
    """Seconds from the start until the watch has brought every object."""
    try:
        instance.wait_until(lambda: instance.handled() >= rig.total, "has not seen every object", CATCH_UP_S)
    except BenchError:
        return NEVER
    return time.monotonic() - instance.started
