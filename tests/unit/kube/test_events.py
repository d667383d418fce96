"""Events: one per object and reason in five minutes, repeats counted; in a loop whose time costs nothing."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.fakes import LoopClock
from tests.support.stores import endpoint

from angarium.domain.declarations import Declared, Kind, ObjectRef
from angarium.domain.pod import Pod
from angarium.domain.reasons import EventReason
from angarium.kube.client import MERGE_PATCH, KubeError
from angarium.kube.events import COUNT_EVERY_S, MOST_WAITING, PER_S, WINDOW_S, Events, Told

BILLING = endpoint("billing").ref
AUDIT = endpoint("audit").ref


class Cluster:
    """Takes Events in place of an API server, and knows Endpoints in place of a store."""

    def __init__(self, *known: str) -> None:
        self.known = {endpoint(name).ref: endpoint(name) for name in known}
        self.events: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        self.patched: list[tuple[str, dict[str, Any]]] = []
        self.refusals: list[KubeError] = []
        self.takes_s = 0.0

    async def declared(self, ref: ObjectRef) -> Declared | None:
        return self.known.get(ref)

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == "/api/v1/namespaces/shop/events"
        await self._answer()
        if body["metadata"]["name"] in self.events:
            raise KubeError(409, "exists already")
        self.events[body["metadata"]["name"]] = dict(body)
        self.created.append(body)
        return body

    async def patch(self, path: str, body: dict[str, Any], content_type: str) -> dict[str, Any]:
        assert content_type == MERGE_PATCH
        await self._answer()
        name = path.rsplit("/", 1)[1]
        if name not in self.events:
            raise KubeError(404, "gone")
        if body:
            self.patched.append((name, body))
        self.events[name] |= body
        return self.events[name]

    async def _answer(self) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        if self.takes_s:
            await asyncio.sleep(self.takes_s)

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


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


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


@pytest.mark.looptime
@pytest.mark.parametrize("end", ["-", ".", "-.-"])
async def test_an_event_of_an_object_with_a_long_name_has_a_name_that_kubernetes_takes(end: str) -> None:
    """A name is cut where it may be: nothing but a letter or digit stands before a dot."""
    name = "a" * (200 - len(end)) + end + "b" * 20
    cluster = Cluster(name)
    async with telling(cluster) as events:
        events.tell(failed(ref=endpoint(name).ref))
        await asyncio.sleep(1)
    (event,) = cluster.created
    assert re.fullmatch(r"a{1,200}\.[0-9a-f]{16}", event["metadata"]["name"])


@pytest.mark.looptime
async def test_repeats_are_counted_within_ten_seconds() -> None:
    cluster = Cluster("billing", "audit")
    async with telling(cluster) as events:
        for number in range(1, 31):
            events.tell(failed(number))
            await asyncio.sleep(1)
        events.tell(failed(ref=AUDIT))
        await asyncio.sleep(COUNT_EVERY_S + 1)
    assert cluster.reasons() == [("billing", "DeliveryFailed"), ("audit", "DeliveryFailed")]
    first, (name, last) = cluster.created[0], cluster.patched[-1]
    assert name == first["metadata"]["name"]
    assert (last["count"], last["message"]) == (30, "message 30 was given up")
    assert instant(last["lastTimestamp"]) - instant(first["firstTimestamp"]) == timedelta(seconds=29)
    assert len(cluster.patched) == 3


@pytest.mark.looptime
async def test_a_burst_is_few_writes() -> None:
    cluster = Cluster("billing")
    async with telling(cluster) as events:
        for number in range(1, 1001):
            events.tell(failed(number))
        await asyncio.sleep(1)
        for number in range(1001, 2001):
            events.tell(failed(number))
        await asyncio.sleep(WINDOW_S)
    assert [event["count"] for event in cluster.created] == [1000]
    assert [change["count"] for _, change in cluster.patched] == [2000]


@pytest.mark.looptime
async def test_a_new_window_is_a_new_event() -> None:
    cluster = Cluster("billing")
    async with telling(cluster) as events:
        events.tell(failed(1))
        await asyncio.sleep(WINDOW_S - 1)
        events.tell(failed(2))
        await asyncio.sleep(2)
        events.tell(failed(3))
        await asyncio.sleep(2 * WINDOW_S)
    first, second = cluster.created
    assert (second["count"], second["message"]) == (1, "message 3 was given up")
    assert second["firstTimestamp"] == second["lastTimestamp"]
    ((name, change),) = cluster.patched
    assert (name, change["count"]) == (first["metadata"]["name"], 2), "what happened in the old window counts there"


@pytest.mark.looptime
async def test_what_happens_while_an_event_is_written_is_counted() -> None:
    cluster = Cluster("billing")
    cluster.takes_s = 2
    async with telling(cluster) as events:
        events.tell(failed(1))
        await asyncio.sleep(1)
        events.tell(failed(2))
        await asyncio.sleep(20)
    assert [event["count"] for event in cluster.created] == [1]
    assert [change["count"] for _, change in cluster.patched] == [2]


@pytest.mark.looptime
async def test_an_object_that_was_made_again_has_an_event_of_its_own() -> None:
    cluster = Cluster("billing")
    async with telling(cluster) as events:
        events.tell(failed(1))
        await asyncio.sleep(1)
        cluster.known[BILLING] = replace(endpoint("billing"), uid="another")
        events.tell(failed(2))
        await asyncio.sleep(1)
        events.tell(failed(3))
        await asyncio.sleep(20)
    old, new = cluster.created
    assert (old["count"], new["count"]) == (1, 2)
    assert new["involvedObject"]["uid"] == "another"
    assert instant(new["firstTimestamp"]) - instant(old["firstTimestamp"]) == timedelta(seconds=1)
    assert cluster.patched == []


@pytest.mark.looptime
async def test_a_count_that_cannot_be_written_ends_the_series() -> None:
    """The Event is gone, or the API server was away: what comes next is told anew, not lost for five minutes."""
    cluster = Cluster("billing")
    async with telling(cluster) as events:
        events.tell(failed(1))
        await asyncio.sleep(1)
        cluster.events.clear()
        events.tell(failed(2))
        await asyncio.sleep(20)
        events.tell(failed(3))
        await asyncio.sleep(1)
    assert [event["message"] for event in cluster.created] == ["message 1 was given up", "message 3 was given up"]


@pytest.mark.looptime
async def test_a_restart_goes_on_with_the_event_that_stands() -> None:
    """However often the program is killed, Events do not pile up."""
    cluster, clock = Cluster("billing"), LoopClock()
    for number in range(1, 11):
        async with telling(cluster, clock) as events:
            events.tell(failed(number))
            await asyncio.sleep(10)
    assert len(cluster.created) <= 2, "at most one boundary lies between them"
    assert sum(event["count"] for event in cluster.events.values()) == 10
    newest = cluster.created[-1]["metadata"]["name"]
    assert cluster.events[newest]["message"] == "message 10 was given up"
    async with telling(cluster, clock) as events:
        events.tell(failed(11))
        events.tell(failed(12))
        await asyncio.sleep(COUNT_EVERY_S + 1)
    assert sum(event["count"] for event in cluster.events.values()) == 12


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


@pytest.mark.looptime
async def test_an_event_about_our_own_pod_needs_no_object_in_the_store() -> None:
    cluster, pod = Cluster(), Pod("shop", "angarium-0", "1-2")
    async with telling(cluster) as events:
        events.tell(Told(pod, EventReason.RIGHTS_MISSING, "may not get secrets"))
        await asyncio.sleep(1)
        events.tell(Told(pod, EventReason.RIGHTS_MISSING, "may not list topics"))
        await asyncio.sleep(COUNT_EVERY_S + 1)
    (event,) = cluster.created
    about = {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "angarium-0", "uid": "1-2"}
    assert event["involvedObject"] == about
    ((_, change),) = cluster.patched
    assert (change["count"], change["message"]) == (2, "may not list topics")


FORBIDDEN = 'events is forbidden: User "x" cannot create resource "events" in API group "" in the namespace "shop"'


@pytest.mark.looptime
async def test_that_events_are_forbidden_is_said_once_until_one_is_written(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster("billing", "audit")
    async with telling(cluster) as events:
        for refused in (True, True, False, True):
            cluster.refusals += [KubeError(403, FORBIDDEN)] if refused else []
            events.tell(failed(ref=AUDIT if refused else BILLING))
            await asyncio.sleep(WINDOW_S + 1)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2 and said[0] == said[1]
    assert "may not be written in namespace shop" in said[0] and "resources: [events]" in said[0]


@pytest.mark.looptime
async def test_a_namespace_that_is_going_is_no_matter_of_rights(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster("billing")
    cluster.refusals = [KubeError(403, "events is forbidden: … because it is being terminated")]
    async with telling(cluster) as events:
        events.tell(failed())
        await asyncio.sleep(1)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["an Event cannot be written"]
