"""Events: one per object and reason in five minutes, repeats counted; in a loop whose time costs nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.fakes import LoopClock
from tests.support.stores import endpoint

from angarium.domain.declarations import Declared, Kind, ObjectRef
from angarium.kube.client import MERGE_PATCH, KubeError
from angarium.kube.events import MOST_WAITING, PER_S, WINDOW_S, Events, Told, window_of

BILLING = endpoint("billing").ref
AUDIT = endpoint("audit").ref


class Cluster:
    """Takes Events in place of an API server, and knows Endpoints in place of a store."""

    def __init__(self, *known: str) -> None:
        self.known = {endpoint(name).ref: endpoint(name) for name in known}
        self.created: list[dict[str, Any]] = []
        self.patched: list[tuple[str, dict[str, Any]]] = []
        self.refusals: list[KubeError] = []

    async def declared(self, ref: ObjectRef) -> Declared | None:
        return self.known.get(ref)

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == "/api/v1/namespaces/shop/events"
        if self.refusals:
            raise self.refusals.pop(0)
        if any(body["metadata"]["name"] == event["metadata"]["name"] for event in self.created):
            raise KubeError(409, "exists already")
        self.created.append(body)
        return body

    async def patch(self, path: str, body: dict[str, Any], content_type: str) -> dict[str, Any]:
        assert content_type == MERGE_PATCH
        name = path.rsplit("/", 1)[1]
        (event,) = (event for event in self.created if event["metadata"]["name"] == name)
        if body:
            self.patched.append((name, body))
        event |= body
        return event

    def reasons(self) -> list[tuple[str, str]]:
        return [(event["involvedObject"]["name"], event["reason"]) for event in self.created]


@asynccontextmanager
async def telling(cluster: Cluster, clock: LoopClock | None = None) -> AsyncIterator[Events]:
    events = Events(cluster, cluster, clock or LoopClock(), asyncio.get_running_loop())  # type: ignore[arg-type]
    running = asyncio.create_task(events.run())
    try:
        yield events
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def failed(number: int = 1, ref: ObjectRef = BILLING) -> Told:
    return Told(ref, "DeliveryFailed", f"message {number} was given up")


@pytest.mark.looptime
async def test_an_event_names_object_reason_and_time() -> None:
    cluster = Cluster("billing")
    async with telling(cluster) as events:
        events.tell(failed())
        events.tell(Told(BILLING, "SlotsForbidden", "skipped", warning=False))
        await asyncio.sleep(1)
    first, second = cluster.created
    assert first["involvedObject"]["uid"] == endpoint("billing").uid
    assert (first["type"], first["reason"], first["message"]) == (
        "Warning",
        "DeliveryFailed",
        "message 1 was given up",
    )
    assert (first["count"], first["firstTimestamp"]) == (1, first["lastTimestamp"])
    assert first["metadata"]["namespace"] == first["involvedObject"]["namespace"] == "shop"
    assert second["type"] == "Normal"


def until_the_next_window(clock: LoopClock) -> float:
    """Seconds until one has begun."""
    return window_of(endpoint("billing").uid, "DeliveryFailed", clock.now()).left_s + 0.5


@pytest.mark.looptime
async def test_repeats_are_counted_once_when_the_window_ends() -> None:
    cluster = Cluster("billing", "audit")
    async with telling(cluster) as events:
        await asyncio.sleep(until_the_next_window(LoopClock()))
        for number in range(1, 31):
            events.tell(failed(number))
            await asyncio.sleep(5)
        await asyncio.sleep(WINDOW_S - 30 * 5 - 1)
        assert cluster.reasons() == [("billing", "DeliveryFailed")]
        first = dict(cluster.created[0])
        assert cluster.patched == []
        await asyncio.sleep(2)
        ((name, change),) = cluster.patched
        assert name == first["metadata"]["name"]
        assert (change["count"], change["message"]) == (30, "message 30 was given up")
        assert change["lastTimestamp"] > first["firstTimestamp"]
        events.tell(failed(31))
        events.tell(failed(ref=AUDIT))
        await asyncio.sleep(2 * WINDOW_S)
    assert len(cluster.created) == 3, "a new window is a new Event, and so is another object"
    assert len(cluster.patched) == 1, "what happened once needs no count"


@pytest.mark.looptime
async def test_a_restart_goes_on_with_the_event_that_stands() -> None:
    """However often the program is killed, an object has one Event of a reason in five minutes."""
    cluster = Cluster("billing")
    clock = LoopClock()
    await asyncio.sleep(until_the_next_window(clock))
    for number in range(1, 6):
        async with telling(cluster, clock) as events:
            events.tell(failed(number))
            await asyncio.sleep(20)
    (event,) = cluster.created
    assert (event["count"], event["message"]) == (5, "message 5 was given up")
    assert event["lastTimestamp"] > event["firstTimestamp"]
    async with telling(cluster, clock) as events:
        events.tell(failed(6))
        events.tell(failed(7))
        await asyncio.sleep(WINDOW_S - 99)
    assert event["count"] == 7
    assert len(cluster.created) == 1


@pytest.mark.looptime
async def test_an_object_that_is_gone_gets_none() -> None:
    cluster = Cluster("billing")
    async with telling(cluster) as events:
        events.tell(failed(ref=ObjectRef(Kind.SCHEDULE, "shop", "gone")))
        events.tell(failed())
        await asyncio.sleep(1)
    assert cluster.reasons() == [("billing", "DeliveryFailed")]


@pytest.mark.looptime
async def test_one_that_cannot_be_written_is_logged_and_the_next_one_tried(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster("billing")
    cluster.refusals = [KubeError(0, "away")]
    async with telling(cluster) as events:
        events.tell(failed(1))
        await asyncio.sleep(1)
        assert "cannot be written: away" in caplog.text
        events.tell(failed(2))
        await asyncio.sleep(1)
    assert [event["message"] for event in cluster.created] == ["message 2 was given up"]


@pytest.mark.looptime
async def test_many_are_written_in_turn_and_too_many_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    names = [f"endpoint-{number}" for number in range(MOST_WAITING + 50)]
    cluster = Cluster(*names)
    async with telling(cluster) as events:
        for name in names:
            events.tell(failed(ref=endpoint(name).ref))
        await asyncio.sleep(10)
        assert len(cluster.created) <= 11 * PER_S
        await asyncio.sleep(200)
    assert len(cluster.created) == MOST_WAITING
    assert caplog.text.count("dropped") == 50
