"""Schedules as large as they may be: what a resync of them takes, which must not be all of them at once."""

import asyncio

from tests.bench.operator.cluster import create, remove, yearly
from tests.bench.operator.rig import Rig
from tests.bench.operator.scenarios.resync import await_resyncs
from tests.support.processes import Peak

COUNT = 200
BODY = "x" * (256 * 2**10 - 64)
LABEL = "size=large"


def run(rig: Rig) -> None:
    rig.begin(f"{COUNT} Schedules of 256 KiB")
    with rig.instance(resync="10s") as instance:
        instance.start()
        documents = [
            yearly(f"large-{number}", {"endpointRef": {"name": "endpoint-0"}}, BODY) for number in range(COUNT)
        ]
        for document in documents:
            document["metadata"]["labels"]["size"] = "large"
        asyncio.run(create(rig.control_plane, documents))
        del documents
        instance.wait_until(lambda: instance.written() >= COUNT, "has not written their statuses")
        for _ in range(rig.rounds):
            before = instance.quiet()
            instance.forget_peak()
            count = len(instance.resyncs())
            await_resyncs(instance, count + 1)
            rig.add("large.seconds", instance.resyncs()[count].seconds)
            rig.add("large.peak", instance.quiet().peak - before.memory.rss)
    rig.begin("a start with them on an empty database")
    with rig.another_database() as instance:
        instance.launch()
        with Peak(instance.pid) as peak:
            instance.await_ready()
            instance.quiet()
        rig.add("large.first", peak.memory.pss)
    remove(rig.control_plane, "Schedule", LABEL)
