"""A resync, when nothing has changed and when a little has: what it costs, and what a publisher feels of it."""

import asyncio
import re
from collections.abc import Sequence

from tests.bench.figures import percentile
from tests.bench.operator.cluster import change_suspend, publisher_token
from tests.bench.operator.instance import Instance, ResyncNote
from tests.bench.operator.pace import Answer, Publisher
from tests.bench.operator.rig import Rig, named
from tests.bench.sink import Sink
from tests.support.controlplane import ControlPlane

EVERY = "10s"
PUBLISH_S = 40.0
FELT_EVERY = "15s"
LOOK_S = 8.0
"""How long the look at every status after a resync takes: it makes pauses, to leave room for deliveries."""
LISTED = re.compile(r'^apiserver_response_sizes_sum\{.*group="angarium.dev".*verb="LIST".*\} (\S+)$', re.MULTILINE)


def run(rig: Rig) -> None:
    cost(rig)
    felt(rig)


def cost(rig: Rig) -> None:
    some = named(range(max(1, rig.schedules // 100)))
    with rig.instance(resync=EVERY) as instance:
        instance.start()
        await_resyncs(instance, 2)
        for turn in range(rig.rounds):
            rig.begin("a resync")
            cycle(rig, instance, rig.control_plane)
            rig.begin("a resync after changes")
            cycle_with_changes(rig, instance, some, suspend=turn % 2 == 0)
        asyncio.run(change_suspend(rig.control_plane, some, suspend=False))
        instance.quiet()


def cycle(rig: Rig, instance: Instance, control_plane: ControlPlane) -> None:
    """From the quiet before one resync to the quiet after it."""
    instance.quiet()
    instance.mark()
    instance.forget_peak()
    count, listed, before = len(instance.resyncs()), listed_bytes(control_plane), instance.usage()
    await_resyncs(instance, count + 1)
    after = instance.quiet()
    rig.add("resync.seconds", instance.resyncs()[count].seconds)
    rig.add("resync.own", instance.resyncs()[count].cpu_s)
    rig.add("resync.cpu", after.cpu_s - before.cpu_s)
    rig.add("resync.requests", len(instance.requests("list")))
    rig.add("resync.size", (listed_bytes(control_plane) - listed) / 2**20)
    rig.add("resync.writes", instance.writes())
    rig.add("resync.peak", after.peak - before.memory.rss)


def cycle_with_changes(rig: Rig, instance: Instance, some: Sequence[str], *, suspend: bool) -> None:
    instance.quiet()
    instance.mark()
    count, before = len(instance.resyncs()), instance.usage()
    asyncio.run(change_suspend(rig.control_plane, some, suspend))
    await_resyncs(instance, count + 1)
    after = instance.quiet()
    rig.add("resync.changed.cpu", after.cpu_s - before.cpu_s)
    rig.add("resync.changed.writes", instance.writes())


def felt(rig: Rig) -> None:
    rig.begin(f"{rig.rate} messages a second are published meanwhile")
    folder = rig.fresh()
    with Sink(folder) as sink, rig.instance(resync=FELT_EVERY) as instance:
        instance.start()
        headers = [("Authorization", f"Bearer {publisher_token(rig.control_plane)}")]
        instance.wait_until(lambda: instance.handled() >= rig.total, "has not seen every object by its watch")
        publisher = Publisher(f"/v2/publish/{sink.url()}", headers, rig.rate, PUBLISH_S)
        answers = asyncio.run(publisher.run(instance.angarium.port))
        during, after, between = parted(answers, instance.resyncs())
    rig.add("resync.between.p99", percentile(between, 99))
    rig.add("resync.during.p99", percentile(during, 99))
    rig.add("resync.after.p99", percentile(after, 99))
    rig.add("resync.during.most", max(*during, *after))


def parted(answers: Sequence[Answer], resyncs: Sequence[ResyncNote]) -> tuple[list[float], list[float], list[float]]:
    """The delays during a resync, in the time after it, and of the rest."""
    during, after, between = [], [], []
    for answer in answers:
        if any(note.began <= answer.due <= note.ended for note in resyncs):
            during.append(answer.delay_ms)
        elif any(note.ended < answer.due <= note.ended + LOOK_S for note in resyncs):
            after.append(answer.delay_ms)
        else:
            between.append(answer.delay_ms)
    return during, after, between


def await_resyncs(instance: Instance, count: int) -> None:
    instance.wait_until(lambda: len(instance.resyncs()) >= count, "does not resync")


def listed_bytes(control_plane: ControlPlane) -> float:
    """What the API server has sent of lists of our kinds, to anybody."""
    text = control_plane.client.get("/metrics", timeout=30).text
    return sum(float(size) for size in LISTED.findall(text))
