"""How fast statuses are written, in a loop whose time costs nothing; what is written, cluster tests show."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.fakes import LoopClock

from angarium.domain.declarations import Kind, ObjectRef
from angarium.kube.client import KubeError
from angarium.kube.status import CONDITIONS_AT_ONCE, CONDITIONS_PER_S, Desired, Standing, StatusWriter

READY = {"conditions": [{"type": "Ready", "status": "True"}]}
PENDING = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
OBJECTS = [ObjectRef(Kind.ENDPOINT, "pay", f"endpoint-{number}") for number in range(3 * CONDITIONS_PER_S)]


def manifest(status: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"uid": "u"}, "status": status}


class SlowApiServer:
    """Answers a write after `answer_s`; the first ones with `refusals`. In place of a KubeClient."""

    def __init__(self, answer_s: float, refusals: int = 0) -> None:
        self._answer_s = answer_s
        self._refusals = refusals
        self.under_way = self.most_under_way = 0
        self.began: list[float] = []
        self.written: list[str] = []
        self.all_written = asyncio.Event()

    async def patch(self, path: str, body: list[dict[str, Any]], content_type: str) -> dict[str, Any]:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._answer_s)
        self.under_way -= 1
        if self._refusals:
            self._refusals -= 1
            raise KubeError(503, "away")
        self.written.append(path)
        if len(self.written) == len(OBJECTS):
            self.all_written.set()
        return manifest(body[1]["value"])


async def compute(standing: Mapping[ObjectRef, Any]) -> dict[ObjectRef, Desired]:
    return {ref: Desired("u", READY, failing=False) for ref in standing}


async def write_all(server: SlowApiServer) -> list[float]:
    """The moments at which the writes began."""
    writer = StatusWriter(server, compute, LoopClock(), asyncio.get_running_loop())  # type: ignore[arg-type]
    for ref in OBJECTS:
        writer.observed(ref, Standing.of(manifest(PENDING)), "1")
    running = asyncio.create_task(writer.run())
    try:
        async with asyncio.timeout(60):
            await server.all_written.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return server.began


@pytest.mark.looptime
async def test_a_slow_api_server_does_not_set_the_pace() -> None:
    server = SlowApiServer(answer_s=0.05)
    began = await write_all(server)
    assert began[-1] - began[0] < 1.25 * len(OBJECTS) / CONDITIONS_PER_S
    assert 1 < server.most_under_way <= CONDITIONS_AT_ONCE


@pytest.mark.looptime
async def test_a_quick_api_server_does_not_set_it_either() -> None:
    began = await write_all(SlowApiServer(answer_s=0.0))
    in_one_second = [sum(1 for other in began if moment <= other < moment + 0.999) for moment in began]
    assert max(in_one_second) <= 1.1 * CONDITIONS_PER_S


@pytest.mark.looptime
async def test_writes_that_find_the_api_server_away_are_made_again() -> None:
    server = SlowApiServer(answer_s=0.05, refusals=5)
    await write_all(server)
    assert sorted(set(server.written)) == sorted(server.written)
    assert len(server.written) == len(OBJECTS)


def test_the_conditions_of_a_standing_status_come_back_as_they_were() -> None:
    assert Standing.of(manifest(READY)).conditions == READY["conditions"]
    assert Standing.of({"metadata": {"uid": "u"}}).conditions == []
