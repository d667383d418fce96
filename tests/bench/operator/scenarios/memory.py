"""Memory by part, resident, as the program is started with one part more each time.

Differences of resident memory are what a part adds; shared pages count in full in each row, so only the last one, which
is proportional, may be compared with other programs.
"""

import asyncio
import subprocess
import sys
import time

from tests.bench.operator import churn
from tests.bench.operator.program import DELIVERY, NO_KOPF, SHIPPED
from tests.bench.operator.rig import Rig
from tests.bench.operator.scenarios.resync import await_resyncs
from tests.support import processes
from tests.support.cluster import create_namespace

IMPORTS = {
    "memory.python": "import asyncio, sqlite3, ssl",
    "memory.imports": "import angarium.plane, angarium.telemetry.metrics",
    "memory.kubernetes": "import angarium.kube.client",
    "memory.kopf": "import angarium.kube.watch",
}
EMPTY = "empty"
RESYNCS = 3
CHANGES = 3000


def run(rig: Rig) -> None:
    rig.begin("memory by part")
    imports(rig)
    with rig.another_database() as instance:
        instance.start_alone(DELIVERY)
        instance.quiet()
        program, *couriers = (processes.memory_of(one.pid).rss for one in processes.tree(instance.pid))
        rig.add("memory.delivery", program)
        rig.add("memory.courier", sum(couriers))
    create_namespace(rig.control_plane, EMPTY)
    with rig.another_database(namespaces=EMPTY) as instance:
        instance.start()
        time.sleep(1)
        instance.quiet()
        rig.add("memory.empty", processes.memory_of(instance.pid).rss)
    with rig.instance() as instance:
        instance.start(NO_KOPF)
        instance.quiet()
        rig.add("memory.resynced", processes.memory_of(instance.pid).rss)
    grown(rig)


def imports(rig: Rig) -> None:
    """One interpreter, one import after the other."""
    lines = [f"{text}\nprint(flush=True)\ninput()" for text in IMPORTS.values()]
    argv = [sys.executable, "-c", "\n".join(lines)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin is not None and program.stdout is not None
        for key in IMPORTS:
            program.stdout.readline()
            rig.add(key, processes.memory_of(program.pid).rss)
            program.stdin.write(b"\n")
            program.stdin.flush()


def grown(rig: Rig) -> None:
    with rig.instance(resync="20s") as instance:  # a resync and the look at every status take some 8 s
        instance.start(SHIPPED)
        instance.wait_until(lambda: instance.handled() >= rig.total, "has not seen every object by its watch")
        instance.quiet()
        rig.add("memory.watched", processes.memory_of(instance.pid).rss)
        await_resyncs(instance, len(instance.resyncs()) + RESYNCS)
        instance.quiet()
        rig.add("memory.later", processes.memory_of(instance.pid).rss)
        with churn.objects(rig.control_plane):
            asyncio.run(churn.churned(rig.control_plane, lambda: instance.written() >= CHANGES))
        instance.quiet()
        rig.add("memory.changed", processes.memory_of(instance.pid).rss)
        rig.add("memory.total", processes.memory(instance.pid).pss)
