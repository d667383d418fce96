"""More changes of conditions than may be written in a second, for one request each time: a Topic goes and comes back.

Every Schedule that names it loses or gains `ResolvedRefs`. What the operator has to do for that is all that there is.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.bench.operator.cluster import NAMESPACE, Access, admin, create, manifest, remove, yearly
from tests.support.cluster import Object, path_of
from tests.support.controlplane import ControlPlane

TOPICS, SCHEDULES_EACH = 3, 100
OBJECTS = TOPICS * (1 + SCHEDULES_EACH)
EVERY_S = 0.85
"""One Topic after the other: 118 changes a second, of which at most 100 are written."""
OTHERS_PER_S = 100
LABEL = "churn=yes"
TICK_S = 0.01


def documents() -> list[Object]:
    found = [topic(number) for number in range(TOPICS)]
    for number in range(TOPICS):
        for turn in range(SCHEDULES_EACH):
            found.append(yearly(f"churned-{number}-{turn}", {"topicRef": {"name": f"churned-{number}"}}, "x" * 250))
    for one in found:
        one["metadata"]["labels"]["churn"] = "yes"
    return found


def topic(number: int) -> Object:
    members = [{"name": "one", "url": "http://127.0.0.1:9/hooks/churned"}]
    found = manifest("Topic", f"churned-{number}", {"endpoints": members})
    found["metadata"]["labels"]["churn"] = "yes"
    return found


@contextmanager
def objects(control_plane: ControlPlane) -> Iterator[None]:
    """They are there, and gone in the end."""
    asyncio.run(create(control_plane, documents()))
    try:
        yield
    finally:
        for kind in ("Schedule", "Topic"):
            remove(control_plane, kind, LABEL)


async def churned(control_plane: ControlPlane, over: Callable[[], bool]) -> None:
    """Goes on until it is over; then every Topic is there again."""
    there = [True] * TOPICS
    async with admin(Access.to(control_plane)) as client:
        for number in itertools.cycle(range(TOPICS)):
            if over():
                break
            await toggle(client, number, make=not there[number])
            there[number] = not there[number]
            await asyncio.sleep(EVERY_S)
        for number, exists in enumerate(there):
            if not exists:
                await toggle(client, number, make=True)


async def toggle(client: httpx.AsyncClient, number: int, *, make: bool) -> None:
    if make:
        answer = await client.post(path_of("Topic", namespace=NAMESPACE), json=topic(number))
    else:
        answer = await client.delete(path_of("Topic", f"churned-{number}", NAMESPACE))
    answer.raise_for_status()


async def change_statuses(access: Access, until: float) -> None:
    """What another program might do: so many statuses a second are changed, until then (monotonic)."""
    names = itertools.cycle(f"churned-0-{turn}" for turn in range(SCHEDULES_EACH))
    async with admin(access) as client:

        async def patch(name: str, number: int) -> None:
            path = path_of("Schedule", name, NAMESPACE) + "/status"
            headers = {"Content-Type": "application/merge-patch+json"}
            (await client.patch(path, headers=headers, json={"status": {"skippedSlots": number}})).raise_for_status()

        start, asked = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while (now := time.monotonic()) < until:
                while asked < (now - start) * OTHERS_PER_S:
                    group.create_task(patch(next(names), asked))
                    asked += 1
                await asyncio.sleep(TICK_S)


if __name__ == "__main__":
    url, ca_file, token, seconds = sys.argv[1:]
    asyncio.run(change_statuses(Access(url, Path(ca_file), token), time.monotonic() + float(seconds)))
