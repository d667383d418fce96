"""A hundred statuses change a second while 2,000 messages a second are published: what publishers feel of it.

Four times the same load: without the operator's thread; so that others change as many statuses, which takes the same
from the machine; with the operator, idle; and with the operator at work.
"""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.bench.figures import percentile
from tests.bench.operator import churn
from tests.bench.operator.cluster import publisher_token
from tests.bench.operator.instance import Instance, Usage
from tests.bench.operator.pace import Answer, Publisher
from tests.bench.operator.program import NO_OPERATOR
from tests.bench.operator.rig import Rig
from tests.bench.sink import Sink
from tests.support.cluster import Object
from tests.support.programs import Program

SECONDS = 15.0
LEAD_S = 3.0
"""How long before the first publish the changes begin."""


def run(rig: Rig) -> None:
    with rig.instance() as instance, churn.objects(rig.control_plane):
        instance.start()
        token = publisher_token(rig.control_plane)
        instance.wait_until(lambda: instance.written() >= churn.OBJECTS, "has not written the new statuses")
        instance.stop()
        for turn in range(rig.rounds):
            rig.begin(f"{rig.rate} messages a second, round {turn + 1} of {rig.rounds}")
            without_operator(rig, instance, token)
            idle(rig, instance, token)
            at_work(rig, instance, token)
            beside_others(rig, instance, token)


def without_operator(rig: Rig, instance: Instance, token: str) -> None:
    instance.start_alone(NO_OPERATOR)
    note(rig, "churn.without", asyncio.run(published(rig, instance, token)))
    instance.stop()


def beside_others(rig: Rig, instance: Instance, token: str) -> None:
    instance.start_alone(NO_OPERATOR)
    plane = rig.control_plane
    argv = [sys.executable, "-m", churn.__name__, plane.url, plane.ca_file, plane.admin_token, str(SECONDS + LEAD_S)]
    others = Program(argv, rig.fresh() / "others.log")
    others.start()
    try:
        note(rig, "churn.others", asyncio.run(published(rig, instance, token, LEAD_S)))
    finally:
        others.stop()
    instance.stop()


def idle(rig: Rig, instance: Instance, token: str) -> None:
    instance.start()
    instance.wait_until(lambda: instance.handled() >= rig.total, "has not seen every object by its watch")
    instance.quiet()
    note(rig, "churn.idle", asyncio.run(published(rig, instance, token)))


def at_work(rig: Rig, instance: Instance, token: str) -> None:
    """Of the program that idle() has left running."""
    instance.wait_until(lambda: len(instance.resyncs()) > 1, "has not made its second resync")
    instance.quiet()
    answers, taken = asyncio.run(measured(rig, instance, token))
    note(rig, "churn.with", answers)
    seconds = taken.after.at - taken.before.at
    written = [latency_ms(entry) for entry in instance.requests("patch")]
    rig.add("churn.rate", len(written) / seconds)
    for percent in (50, 99):
        rig.add(f"churn.patch.p{percent}", percentile(written, percent))
    instance.quiet()
    instance.stop()


async def measured(rig: Rig, instance: Instance, token: str) -> tuple[list[Answer], "Taken"]:
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(churn.churned(rig.control_plane, over.is_set))
        await asyncio.sleep(LEAD_S)
        instance.mark()
        before = instance.usage()
        answers = await published(rig, instance, token)
        taken = Taken(before, instance.usage())
        over.set()
    return answers, taken


@dataclass(frozen=True, slots=True)
class Taken:
    """What the program has used, from the first publish to the last answer."""

    before: Usage
    after: Usage


async def published(rig: Rig, instance: Instance, token: str, lead_s: float = 0.0) -> list[Answer]:
    with Sink(rig.fresh()) as sink:
        await asyncio.sleep(lead_s)
        headers = [("Authorization", f"Bearer {token}")]
        return await Publisher(f"/v2/publish/{sink.url()}", headers, rig.rate, SECONDS).run(instance.angarium.port)


def note(rig: Rig, key: str, answers: Sequence[Answer]) -> None:
    for percent in (50, 99):
        rig.add(f"{key}.p{percent}", percentile([answer.delay_ms for answer in answers], percent))


def latency_ms(entry: Object) -> float:
    """How long the API server took for a request, as its audit log has it."""
    received, ended = (datetime.fromisoformat(entry[name]) for name in ("requestReceivedTimestamp", "stageTimestamp"))
    return (ended - received).total_seconds() * 1e3
