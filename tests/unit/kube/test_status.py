"""What the status writer writes, when, and what it leaves; below it an API server that keeps statuses."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.support.fakes import LoopClock

from angarium.domain.declarations import Kind, ObjectRef
from angarium.kube.client import TEST_FAILED, KubeError
from angarium.kube.status import CONTESTED_EVERY_S, PROGRESS_EVERY_S, REFUSED_RETRY_S, Desired, Standing, StatusWriter

REF = ObjectRef(Kind.SCHEDULE, "shop", "nightly")
OTHER = ObjectRef(Kind.ENDPOINT, "shop", "billing")


def status(ready: str = "True", **more: Any) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": ready}], **more}


def manifest(state: Mapping[str, Any], uid: str = "u") -> dict[str, Any]:
    return {"metadata": {"uid": uid}, "status": dict(state)}


class Cluster:
    """Objects as the writer should make them (`wanted`), and what it wrote: (second, name, status)."""

    def __init__(self) -> None:
        self.wanted: dict[ObjectRef, Desired] = {}
        self.written: list[tuple[float, str, dict[str, Any]]] = []
        self.refusals: list[KubeError] = []
        self.kept: Callable[[dict[str, Any]], dict[str, Any]] = lambda state: state

    def want(self, ref: ObjectRef, state: dict[str, Any], *, failing: bool = False) -> None:
        self.wanted[ref] = Desired("u", state, failing)

    async def compute(self, standing: Mapping[ObjectRef, Any]) -> dict[ObjectRef, Desired]:
        await asyncio.sleep(0)
        return {ref: self.wanted[ref] for ref in standing if ref in self.wanted}

    async def patch(self, path: str, body: list[dict[str, Any]], content_type: str) -> dict[str, Any]:
        assert path.endswith("/status")
        assert body[0] == {"op": "test", "path": "/metadata/uid", "value": "u"}
        if self.refusals:
            raise self.refusals.pop(0)
        state = body[1]["value"]
        self.written.append((asyncio.get_running_loop().time(), path.split("/")[-2], state))
        return manifest(self.kept(state))

    @property
    def times(self) -> list[float]:
        return [round(second, 1) for second, _, _ in self.written]


@asynccontextmanager
async def writing(cluster: Cluster) -> AsyncIterator[StatusWriter]:
    writer = StatusWriter(cluster, cluster.compute, LoopClock(), asyncio.get_running_loop())  # type: ignore[arg-type]
    running = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def standing(state: Mapping[str, Any], uid: str = "u") -> Standing:
    return Standing.of(manifest(state, uid))


@pytest.mark.looptime
async def test_what_is_as_it_should_be_is_not_written() -> None:
    cluster = Cluster()
    cluster.want(REF, status(lastResult="Delivered"))
    async with writing(cluster) as writer:
        writer.observed(REF, standing(status(lastResult="Delivered")), "1")
        for _ in range(20):
            writer.touch([REF])
            await asyncio.sleep(7)
    assert cluster.written == []


@pytest.mark.looptime
async def test_a_changed_condition_is_written_at_once_and_again_soon() -> None:
    cluster = Cluster()
    async with writing(cluster) as writer:
        cluster.want(REF, status("False"))
        writer.observed(REF, standing({}), "1")
        await asyncio.sleep(1)
        cluster.want(REF, status("True"))
        writer.touch([REF])
        await asyncio.sleep(1)
    assert [state for _, _, state in cluster.written] == [status("False"), status("True")]
    assert cluster.times == [0.1, 1.1]


@pytest.mark.looptime
async def test_progress_comes_once_in_ten_seconds_with_the_newest_state() -> None:
    cluster = Cluster()
    async with writing(cluster) as writer:
        writer.observed(REF, standing(status()), "1")
        for number in range(250):  # a run every 100 ms
            cluster.want(REF, status(runs=number))
            writer.touch([REF])
            await asyncio.sleep(0.1)
        await asyncio.sleep(20)
    assert len(cluster.written) == 4
    assert all(
        later - earlier >= PROGRESS_EVERY_S for earlier, later in zip(cluster.times, cluster.times[1:], strict=False)
    )
    assert cluster.written[-1][2] == status(runs=249)


@pytest.mark.looptime
async def test_a_destination_that_comes_and_goes_is_progress() -> None:
    """Reachable flips with every other attempt here; Ready never does."""

    def attempted(number: int) -> dict[str, Any]:
        state = status(consecutiveFailures=number % 2)
        state["conditions"].append({"type": "Reachable", "status": "False" if number % 2 else "True"})
        return state

    cluster = Cluster()
    async with writing(cluster) as writer:
        writer.observed(OTHER, standing(attempted(0)), "1")
        for number in range(1, 250):
            cluster.want(OTHER, attempted(number))
            writer.touch([OTHER])
            await asyncio.sleep(0.1)
        await asyncio.sleep(20)
    assert len(cluster.written) <= 4
    assert cluster.written[-1][2] == attempted(249)


@pytest.mark.looptime
async def test_a_quick_delivery_is_told_in_one_write() -> None:
    cluster = Cluster()
    async with writing(cluster) as writer:
        writer.observed(REF, standing(status()), "1")
        for state in ("Waiting", "Delivering", "Delivered"):
            cluster.want(REF, status(lastResult=state))
            writer.touch([REF])
            await asyncio.sleep(0.12)
        await asyncio.sleep(30)
    assert [state["lastResult"] for _, _, state in cluster.written] == ["Delivered"]


@pytest.mark.looptime
async def test_failures_go_before_successes() -> None:
    cluster = Cluster()
    refs = [ObjectRef(Kind.SCHEDULE, "shop", f"s{number}") for number in range(20)]
    async with writing(cluster) as writer:
        for number, ref in enumerate(refs):
            cluster.want(ref, status(runs=1), failing=number >= 15)
            writer.observed(ref, standing(status()), "1")
        await asyncio.sleep(10)
    assert {name for _, name, _ in cluster.written[:5]} == {f"s{number}" for number in range(15, 20)}
    assert len(cluster.written) == 20


@pytest.mark.looptime
async def test_conditions_do_not_wait_behind_progress() -> None:
    cluster = Cluster()
    busy = [ObjectRef(Kind.SCHEDULE, "shop", f"s{number}") for number in range(300)]
    async with writing(cluster) as writer:
        for ref in busy:
            cluster.want(ref, status(runs=1))
            writer.observed(ref, standing(status()), "1")
        await asyncio.sleep(2)  # 300 of them at 20/s take 15 s
        cluster.want(OTHER, status("False"))
        writer.observed(OTHER, standing({}), "1")
        await asyncio.sleep(0.5)
        assert OTHER.name in [name for _, name, _ in cluster.written]
        await asyncio.sleep(20)
    assert len(cluster.written) == 301


@pytest.mark.looptime
async def test_progress_is_not_starved_by_touches_without_end() -> None:
    cluster = Cluster()
    cluster.want(REF, status(runs=1))
    cluster.want(OTHER, status())
    async with writing(cluster) as writer:
        writer.observed(OTHER, standing(status()), "1")
        writer.observed(REF, standing(status()), "1")
        for _ in range(400):
            writer.touch([OTHER])
            await asyncio.sleep(0.01)
    assert [name for _, name, _ in cluster.written] == [REF.name]


@pytest.mark.looptime
async def test_an_outage_loses_nothing() -> None:
    cluster = Cluster()
    cluster.refusals = [KubeError(0, "refused"), KubeError(503, "away"), KubeError(429, "slow down")]
    cluster.want(REF, status("False"))
    cluster.want(OTHER, status(lastDelivery="now"))
    async with writing(cluster) as writer:
        writer.observed(REF, standing({}), "1")
        writer.observed(OTHER, standing(status()), "1")
        await asyncio.sleep(60)
    assert {name: state for _, name, state in cluster.written} == {
        REF.name: status("False"),
        OTHER.name: status(lastDelivery="now"),
    }


@pytest.mark.looptime
async def test_a_missing_right_is_tried_again_and_holds_back_nobody(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster()
    cluster.refusals = [KubeError(403, "forbidden")]
    async with writing(cluster) as writer:
        cluster.want(REF, status("False"))
        writer.observed(REF, standing({}), "1")
        await asyncio.sleep(1)
        cluster.want(OTHER, status())
        writer.observed(OTHER, standing({}), "1")
        await asyncio.sleep(REFUSED_RETRY_S)
    assert [name for _, name, _ in cluster.written] == [OTHER.name, REF.name]
    assert "the status of Schedule shop/nightly is refused: forbidden" in caplog.text


@pytest.mark.looptime
async def test_a_missing_right_is_said_once_for_all_objects_of_a_kind(caplog: pytest.LogCaptureFixture) -> None:
    """Of a thousand Schedules, each is tried every 30 s. Once one was written, it is news again."""
    cluster = Cluster()
    cluster.refusals = [KubeError(403, "forbidden")] * 4
    async with writing(cluster) as writer:
        for ref in (REF, replace(REF, name="weekly")):
            cluster.want(ref, status("False"))
            writer.observed(ref, standing({}), "1")
        await asyncio.sleep(3 * REFUSED_RETRY_S)
        assert len(cluster.written) == 2 and caplog.text.count("is refused") == 1
        cluster.refusals = [KubeError(403, "forbidden")]
        cluster.want(REF, status("True"))
        writer.touch([REF])
        await asyncio.sleep(1)
    assert caplog.text.count("is refused") == 2


@pytest.mark.looptime
@pytest.mark.parametrize("refusal", [KubeError(404, "not found"), KubeError(422, TEST_FAILED)], ids=["gone", "anew"])
async def test_an_object_that_is_gone_is_left(refusal: KubeError, caplog: pytest.LogCaptureFixture) -> None:
    """Also if there is a new one of its name."""
    cluster = Cluster()
    cluster.refusals = [refusal]
    cluster.want(REF, status("False"))
    async with writing(cluster) as writer:
        writer.observed(REF, standing({}), "1")
        await asyncio.sleep(60)
        del cluster.wanted[REF]
        writer.touch([REF])
        await asyncio.sleep(60)
    assert cluster.written == []
    assert "refused" not in caplog.text


@pytest.mark.looptime
async def test_what_the_store_does_not_know_yet_is_written_once_it_does() -> None:
    cluster = Cluster()
    async with writing(cluster) as writer:
        writer.touch([REF])  # the catalog tells of it first
        await asyncio.sleep(1)
        cluster.want(REF, status())
        writer.observed(REF, standing({}), "1")
        await asyncio.sleep(1)
    assert len(cluster.written) == 1


@pytest.mark.looptime
async def test_a_new_object_of_an_old_name_gets_its_own_status() -> None:
    cluster = Cluster()
    cluster.wanted[REF] = Desired("old", status("False"), failing=False)
    async with writing(cluster) as writer:
        writer.observed(REF, standing({}, uid="u"), "1")
        await asyncio.sleep(1)
        assert cluster.written == [], "that was meant for the old one"
        cluster.want(REF, status())
        writer.touch([REF])
        await asyncio.sleep(1)
    assert [state for _, _, state in cluster.written] == [status()]


@pytest.mark.looptime
async def test_what_the_api_server_drops_is_not_written_for_ever() -> None:
    cluster = Cluster()
    cluster.kept = lambda state: {name: value for name, value in state.items() if name != "unknown"}
    cluster.want(REF, status(unknown=1, lastResult="Delivered"))
    async with writing(cluster) as writer:
        writer.observed(REF, standing(status()), "1")
        for _ in range(5):
            writer.touch([REF])
            await asyncio.sleep(15)
    assert len(cluster.written) == 1


@pytest.mark.looptime
async def test_what_somebody_else_writes_is_put_back() -> None:
    cluster = Cluster()
    cluster.want(REF, status())
    async with writing(cluster) as writer:
        writer.observed(REF, standing(status()), "1")
        await asyncio.sleep(1)
        writer.observed(REF, standing(status("False")), "1")
        await asyncio.sleep(1)
    assert [state for _, _, state in cluster.written] == [status()]


@pytest.mark.looptime
async def test_a_write_of_ours_settles_nothing() -> None:
    """What it is answered with may hold a spec that is newer than the one in the store."""
    cluster = Cluster()
    async with writing(cluster) as writer:
        assert writer.settled(REF) is None
        cluster.want(REF, status("False"))
        writer.observed(REF, standing({}), "1")
        await asyncio.sleep(1)
        assert cluster.written
        assert writer.settled(REF) == "1"
        writer.observed(REF, standing(status("False")), "3")
        assert writer.settled(REF) == "3"


@pytest.mark.looptime
async def test_two_writers_of_one_object_come_to_rest_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    """Each wants other conditions, and puts back what the other wrote: ever less often, up to once in five minutes."""
    clusters = [Cluster(), Cluster()]
    async with writing(clusters[0]) as one, writing(clusters[1]) as two:
        for cluster, other, state in ((clusters[0], two, status("True")), (clusters[1], one, status("False"))):
            cluster.want(REF, state)
            cluster.kept = lambda state, other=other: other.observed(REF, standing(state), "2") or state  # type: ignore[misc]
        one.observed(REF, standing({}), "1")
        two.observed(REF, standing({}), "1")
        await asyncio.sleep(3600)
    for cluster in clusters:
        assert 10 < len(cluster.written) < 25
        pauses = [round(later - earlier) for earlier, later in zip(cluster.times[2:], cluster.times[3:], strict=False)]
        assert pauses == sorted(pauses) and pauses[-1] >= CONTESTED_EVERY_S
    assert [record.message.count("two programs") for record in caplog.records] == [1, 1]


@pytest.mark.looptime
async def test_after_a_contest_changes_are_written_as_before() -> None:
    cluster = Cluster()
    async with writing(cluster) as writer:
        cluster.want(REF, status("True"))
        writer.observed(REF, standing({}), "1")
        await asyncio.sleep(1)
        for _ in range(4):
            writer.observed(REF, standing(status("Unknown")), "2")
            await asyncio.sleep(100)
        cluster.written.clear()
        cluster.want(REF, status("False"))
        writer.touch([REF])
        await asyncio.sleep(1)
    assert [state for _, _, state in cluster.written] == [status("False")]
