"""`helm uninstall` keeps what is declared and what is stored, and a release that comes back goes on from there."""

import json
from datetime import UTC, datetime

import httpx
from tests.support.cluster import Object, apply, get, list_all, wait_for
from tests.support.kubenode import KubeNode
from tests.support.receiver import Receiver
from tests.support.release import POD, Release

SCHEDULE = """
apiVersion: angarium.dev/v1alpha1
kind: Schedule
metadata: {name: second, namespace: default}
spec:
  every: 1s
  historyLimit: 50
  destination: {url: "http://outside.default.svc:8080/second"}
"""
DECLARED = ("CustomResourceDefinition", "Endpoint", "Topic", "Schedule", "Queue", "Token")
AWAY_S = 5


def test_with_its_volume(node: KubeNode, release: Release, receiver: Receiver) -> None:
    apply(node, SCHEDULE)
    receiver.wait_for(3, timeout=30, path="/second")
    token = release.token("default", "traffic")
    before = uids(node)
    gone = uninstall(release)
    assert uids(node) == before
    assert release.kubectl("get", "all", "-o", "name") == ""
    assert "data-angarium-0" in release.kubectl("get", "pvc")
    come_back(release, receiver, gone)
    assert uids(node) == before
    answer = httpx.get(f"http://{release.address()}/v2/queues", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, "the token that applications have is good"


def test_without_its_volume(node: KubeNode, release: Release, receiver: Receiver) -> None:
    """Nothing is known then but what the cluster holds: objects with their statuses, and Secrets."""
    apply(node, SCHEDULE)
    seen = receiver.count("/second")
    receiver.wait_for(seen + 3, timeout=30, path="/second")
    before = uids(node)
    gone = uninstall(release)
    release.kubectl("delete", "pvc", "data-angarium-0", "--timeout=60s")
    node.add_volume("angarium-anew")
    come_back(release, receiver, gone)
    assert uids(node) == before


def uninstall(release: Release) -> datetime:
    """Returns an instant at which there was no pod any more. Its last runs may be missing in the status."""
    release.uninstall()
    return datetime.now(UTC)


def come_back(release: Release, receiver: Receiver, gone: datetime) -> None:
    """Install again after a while: the newest of the slots that were missed is caught up on, and no other."""
    wait_for(lambda: (datetime.now(UTC) - gone).total_seconds(), lambda away: away > AWAY_S, within=60)
    seen = receiver.count("/second")
    release.install()
    receiver.wait_for(seen + 5, timeout=60, path="/second")
    started = program_start(release)
    wait_for(lambda: max(slots(release)), lambda newest: newest > started, within=30)
    missed = [slot for slot in slots(release) if gone < slot < started]
    assert len(missed) <= 1, f"without a pod since {gone}, started at {started}"


def uids(node: KubeNode) -> dict[str, list[str]]:
    return {kind: sorted(found["metadata"]["uid"] for found in list_all(node, kind)) for kind in DECLARED}


def slots(release: Release) -> list[datetime]:
    schedule: Object = get(release.node, "Schedule", "second", "default")
    return [datetime.fromisoformat(run["slot"]) for run in schedule["status"]["recentRuns"]]


def program_start(release: Release) -> datetime:
    lines = map(json.loads, release.kubectl("logs", POD).splitlines())
    (start,) = (line["time"] for line in lines if line["action"] == "program.start")
    return datetime.fromisoformat(start)
