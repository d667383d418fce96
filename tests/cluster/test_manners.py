"""How the operator behaves towards the API server: idle when nothing happens, few writes, nothing beyond its rights."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.cluster import (
    Object,
    condition,
    create_namespace,
    find,
    list_all,
    remove_namespace,
    wait_for,
)
from tests.support.controlplane import ControlPlane
from tests.support.stage import Stage
from tests.support.staging import staged

WRITES = {"create", "update", "patch", "delete", "deletecollection"}
KINDS = ("Endpoint", "Topic", "Schedule", "Queue", "Token")
QUIET_S = 3.0
"""Without a write for so long, what was applied has settled: progress is written half a second late."""


def requests_of(stage: Stage, since: int) -> list[Object]:
    """What the operator asked the API server after this position, as the audit log has it."""
    user = f"system:serviceaccount:{stage.namespace}:angarium"
    return [entry for entry in stage.control_plane.audit_entries(since) if entry["user"]["username"] == user]


def writes_of(stage: Stage, since: int) -> list[tuple[str, str]]:
    """(verb, path) of each request that writes; what asks for one's own rights or name writes nothing."""
    return [
        (entry["verb"], entry["requestURI"])
        for entry in requests_of(stage, since)
        if entry["verb"] in WRITES and "/selfsubject" not in entry["requestURI"]
    ]


def settle(stage: Stage, since: int) -> list[tuple[str, str]]:
    """Wait until no write has come for a while; returns all since `since`."""
    seen = writes_of(stage, since)
    quiet_since = time.monotonic()
    deadline = quiet_since + 60
    while time.monotonic() - quiet_since < QUIET_S:
        assert time.monotonic() < deadline, f"the operator does not stop writing: {seen[-10:]}"
        time.sleep(0.1)
        now = writes_of(stage, since)
        if len(now) != len(seen):
            seen, quiet_since = now, time.monotonic()
    return seen


def all_ready(stage: Stage, kind: str) -> bool:
    found = [condition(obj, "Ready") for obj in stage.list_all(kind)]
    return all(one is not None and one["status"] == "True" for one in found)


def await_all_ready(stage: Stage, within: float = 30.0) -> None:
    for kind in KINDS:
        wait_for(lambda kind=kind: all_ready(stage, kind), within=within, describe=f"every {kind} is Ready")


def declare(stage: Stage) -> None:
    """One of everything, none of it due: what is missing is asked for again and again, and still nothing happens."""
    stage.secret("auth", header="Bearer one")
    header = {"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "auth", "key": "header"}}}
    missing = {"name": "X-Missing", "valueFrom": {"secretKeyRef": {"name": "missing", "key": "header"}}}
    stage.endpoint("whole", headers=[header], labels={"events": "orders"})
    stage.endpoint("lacking", headers=[missing])
    stage.apply("Topic", "orders", {"selector": {"matchLabels": {"events": "orders"}}})
    stage.apply("Topic", "broken", {"endpoints": [{"name": "gone", "endpointRef": {"name": "gone"}}]})
    stage.apply("Schedule", "yearly", {"cron": "@yearly", "destination": {"topicRef": {"name": "orders"}}})
    stage.apply("Queue", "line", {"parallelism": 2})
    stage.apply("Queue", "closed", {"suspend": True})
    stage.apply(
        "Schedule", "asleep", {"every": "1s", "suspend": True, "destination": {"endpointRef": {"name": "whole"}}}
    )
    stage.apply("Schedule", "odd", {"cron": "0 0 31 2 *", "destination": {"endpointRef": {"name": "whole"}}})
    stage.apply("Token", "app", {})


@pytest.fixture(scope="module")
def idle(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An instance that resyncs more often than it would, with objects of which none is due."""
    namespace = "test-idle"
    create_namespace(control_plane, namespace)
    with staged(control_plane, namespace, tmp_path_factory.mktemp("idle"), resync="4s") as stage:
        since = control_plane.audit_position()
        stage.angarium.start()
        declare(stage)
        stage.condition("Schedule", "yearly", "Ready=True")
        hold_up(stage)
        stage.condition("Endpoint", "lacking", "ResolvedRefs=False", "SecretNotFound")
        settle(stage, since)
        yield stage
    remove_namespace(control_plane, namespace)


def hold_up(stage: Stage) -> None:
    """Messages that wait: in a suspended Queue, and behind a retry that is an hour away."""
    stage.ready(("Queue", "line"), ("Queue", "closed"))
    stage.receiver.answer("/busy", 500)
    later = {"Upstash-Retries": "1", "Upstash-Retry-Delay": "3600000"}
    for queue in ("line", "line", "line", "closed"):
        answer = stage.api("POST", f"/v2/enqueue/{queue}/{stage.receiver.url('/busy')}", headers=later)
        assert answer.is_success, answer.text
    stage.delete("Token", "stage")  # another operator, of the whole cluster, would write its Secret anew
    # Both places of "line" are taken by retries, and the third message waits: before that its status goes on changing,
    # and progress is written once in ten seconds.
    for queue, last in (("line", {"blockedBy", "oldestWaitingSince"}), ("closed", {"oldestWaitingSince"})):
        wait_for(
            lambda queue=queue: stage.status("Queue", queue), lambda status, last=last: last <= status.keys(), within=60
        )


def writes_nothing(stage: Stage, seconds: float) -> None:
    since = stage.control_plane.audit_position()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert writes_of(stage, since) == []
        time.sleep(0.5)
    assert requests_of(stage, since), "it was idle, not dead: it did read"


def test_idle_means_idle(idle: Stage) -> None:
    writes_nothing(idle, 10)


@pytest.mark.thorough
def test_idle_means_idle_for_a_minute(idle: Stage) -> None:
    writes_nothing(idle, 60)


def test_a_restart_writes_nothing_again(idle: Stage) -> None:
    since = idle.control_plane.audit_position()
    idle.angarium.kill()
    idle.angarium.start()
    settle(idle, since)
    assert writes_of(idle, since) == []


def test_nothing_but_status_is_written_to_objects(idle: Stage) -> None:
    for kind in KINDS:
        for obj in idle.list_all(kind):
            metadata = obj["metadata"]
            assert "finalizers" not in metadata
            assert "annotations" not in metadata
            theirs = [field for field in metadata["managedFields"] if field["manager"] == "angarium"]
            assert [field.get("subresource") for field in theirs] == ["status"]


def test_what_somebody_else_wrote_into_a_status_is_put_right(idle: Stage) -> None:
    before = idle.status("Endpoint", "whole")
    broken = [{**one, "status": "False"} for one in before["conditions"]]
    path = "/apis/angarium.dev/v1alpha1/namespaces/test-idle/endpoints/whole/status"
    headers = {"Content-Type": "application/merge-patch+json"}
    idle.control_plane.client.patch(path, headers=headers, json={"status": {"conditions": broken}})
    wait_for(
        lambda: {one["type"]: one["status"] for one in idle.status("Endpoint", "whole")["conditions"]},
        lambda seen: seen == {one["type"]: one["status"] for one in before["conditions"]},
        describe="the conditions are as they were",
    )


def test_deleted_objects_are_gone_at_once(idle: Stage) -> None:
    for kind, name in (("Schedule", "asleep"), ("Topic", "orders"), ("Endpoint", "whole"), ("Token", "app")):
        idle.delete(kind, name)
        assert find(idle.control_plane, kind, name, idle.namespace) is None, "nothing may hold back a deletion"


def test_fifty_objects_converge_in_few_writes(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    with staged(control_plane, namespace, tmp_path) as stage:
        stage.angarium.start()
        since = control_plane.audit_position()
        # What refers comes before what it refers to, as it may with kubectl apply -f folder/.
        for number in range(15):
            destination = {"endpointRef": {"name": f"e{number}"}}
            stage.apply("Schedule", f"s{number}", {"cron": "@yearly", "destination": destination})
        for number in range(10):
            members = [{"name": "e", "endpointRef": {"name": f"e{number}"}}]
            stage.apply("Topic", f"t{number}", {"endpoints": members, "selector": {"matchLabels": {"all": "yes"}}})
        for number in range(20):
            stage.endpoint(f"e{number}", labels={"all": "yes"})
        for number in range(5):
            stage.apply("Token", f"k{number}", {})
        await_all_ready(stage)
        patches = Counter(path for verb, path in settle(stage, since) if verb == "patch")
        assert len(patches) == 50
        print(f"PATCHes per object: {Counter(patches.values())}")
        # At most: a reference is missing, it is there, and how many members a selector has found (twice in 10 s).
        assert max(patches.values()) <= 4
        assert sum(patches.values()) <= 120


@pytest.mark.parametrize("mode", ["one namespace", "whole cluster"])
def test_no_request_is_beyond_its_rights(
    control_plane: ControlPlane, namespace: str, request: pytest.FixtureRequest, tmp_path: Path, mode: str
) -> None:
    cluster_wide = mode == "whole cluster"
    token = request.getfixturevalue("cluster_operator_token" if cluster_wide else "operator_token")
    watched = "" if cluster_wide else namespace
    since = control_plane.audit_position()
    with staged(control_plane, namespace, tmp_path, token=token, namespaces=watched, resync="2s") as stage:
        stage.angarium.start()
        declare(stage)
        stage.endpoint("failing", 500, retry={"limit": 0})
        stage.once("failing", "failing")
        stage.ready(("Schedule", "yearly"), ("Token", "app"))
        stage.events("Schedule", "failing", "DeliveryFailed")
        assert stage.angarium.stop() == 0
        requests = requests_of(stage, since)
    assert [entry for entry in requests if entry["responseStatus"]["code"] in (401, 403)] == []
    verbs = {(entry["verb"], entry["objectRef"]["resource"]) for entry in requests if "objectRef" in entry}
    assert {verb for verb, resource in verbs if resource == "secrets"} == {"get", "create"}
    assert ("watch", "schedules") in verbs
    if not cluster_wide:
        spaces = {entry["objectRef"].get("namespace") for entry in requests if "objectRef" in entry}
        assert spaces <= {namespace, None}
        assert {resource for verb, resource in verbs if resource == "namespaces"} == set()


def test_the_whole_cluster_is_served(
    control_plane: ControlPlane, namespace: str, cluster_operator_token: str, tmp_path: Path
) -> None:
    other = f"{namespace}-other"
    create_namespace(control_plane, other)
    try:
        with staged(control_plane, namespace, tmp_path, token=cluster_operator_token, namespaces="") as stage:
            stage.angarium.start()
            for one in (stage, Stage(control_plane, other, stage.angarium, stage.receiver)):
                one.endpoint("same-name", url=stage.receiver.url(f"/{one.namespace}"))
                one.once("same-name", "same-name")
                one.message("same-name", "Delivered")
                assert stage.receiver.count(f"/{one.namespace}") == 1
    finally:
        remove_namespace(control_plane, other)


def test_hundreds_of_objects_are_there_soon_after_the_start(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with staged(control_plane, namespace, tmp_path) as stage:
        for number in range(50):
            stage.endpoint(f"e{number}")
        for number in range(300):
            destination = {"endpointRef": {"name": f"e{number % 50}"}}
            stage.apply("Schedule", f"s{number}", {"cron": "H 6 * * *", "destination": destination})
        since, started = control_plane.audit_position(), time.monotonic()
        stage.angarium.start()
        ready = time.monotonic() - started
        await_all_ready(stage, within=30)
        converged = time.monotonic() - started
        writes = settle(stage, since)
        print(f"350 objects: ready after {ready:.1f} s, all statuses after {converged:.1f} s, {len(writes)} writes")
        assert ready < 10
        assert len(writes) == len(set(writes)) == 350
        assert len(list_all(control_plane, "Schedule", namespace)) == 300
