"""What `kubectl describe pod` and `kubectl logs` say to the person who has to find out why Angarium does not run.

One release of its own goes from failure to failure, and out of each of them again by what the words suggest.
"""

import json
from pathlib import Path

import pytest
from tests.node.conftest import restricted_namespace
from tests.support.cluster import wait_for
from tests.support.kubenode import KubeNode
from tests.support.release import POD, Release

NAMESPACE = "broken"
READ_ONLY = "the folder /var/lib/angarium of the database lies on a read-only file system; make it writable"
LITTLE = {"requests": {"memory": "40Mi"}, "limits": {"memory": "40Mi"}}


@pytest.fixture(scope="module")
def broken(node: KubeNode, release: Release) -> Release:
    """Installed where there is no volume; the CRDs are there. `release` serves the cluster, this one its namespace."""
    values = {"watchNamespaces": [NAMESPACE], "crds.enabled": False}
    broken = Release(node, restricted_namespace(node, NAMESPACE), values)
    broken.install(wait=False)
    return broken


@pytest.fixture(scope="module")
def volume(broken: Release) -> Path:
    """The volume that it gets after a while, by which it becomes Ready."""
    describe(broken, "FailedScheduling", "didn't find available persistent volumes to bind")
    volume = broken.node.add_volume(NAMESPACE)
    broken.node.mount_disk(volume, "64m")
    broken.await_ready()
    return volume


def test_a_claim_without_a_volume(broken: Release, volume: Path) -> None:
    claim = broken.kubectl("get", "pvc", "data-angarium-0", "-o", "jsonpath={.status.phase} {.spec.volumeName}")
    assert claim == f"Bound {volume.name}"


def test_a_volume_that_is_read_only(node: KubeNode, broken: Release, volume: Path) -> None:
    """The pod is not Ready, and says why; it neither ends nor changes anything. What was mounted read-only stays so,
    whatever the file system becomes: when that is writable again, the pod has to be replaced."""
    scale(broken, 0)
    node.remount(volume, "ro")
    scale(broken, 1)
    wait_for(lambda: READ_ONLY in broken.kubectl("logs", POD, check=False), within=60, describe="the log says so")
    describe(broken, "Readiness probe failed: HTTP probe failed with statuscode: 503")
    assert READ_ONLY in broken.health("/readyz")
    assert broken.pod()["status"]["containerStatuses"][0]["restartCount"] == 0
    node.remount(volume, "rw")
    before = broken.pod()["metadata"]["uid"]
    broken.kubectl("delete", "pod", POD)
    broken.await_ready(other_than=before)


def test_a_right_that_is_missing(broken: Release) -> None:
    """An Event about the pod names it, and what grants it; once it is granted, the pod goes on by itself."""
    less = [{"op": "replace", "path": "/rules/0/resources", "value": ["endpoints", "topics", "schedules", "tokens"]}]
    broken.kubectl("patch", "role", "angarium", "--type=json", "--patch", json.dumps(less))
    before = broken.pod()["metadata"]["uid"]
    broken.kubectl("delete", "pod", POD)
    rule = "{apiGroups: [angarium.dev], resources: [queues], verbs: [list, watch]}"
    describe(broken, "may not list, watch queues.angarium.dev in namespace broken", "helm upgrade", rule)
    assert broken.pod()["metadata"]["uid"] != before
    broken.upgrade()
    broken.await_ready(other_than=before)


def test_too_little_memory(broken: Release) -> None:
    broken.upgrade({"resources": LITTLE}, wait=False)
    describe(broken, "OOMKilled", "Exit Code: 137")
    broken.rollback()
    broken.await_ready()


def test_an_image_that_is_not_there(broken: Release) -> None:
    broken.upgrade({"image.tag": "0.0.0", "image.pullPolicy": "Never"}, wait=False)
    describe(broken, "ErrImageNeverPull", 'Container image "angarium.dev/angarium:0.0.0" is not present')
    broken.rollback()
    broken.await_ready()


def describe(release: Release, *words: str) -> None:
    """Wait until `kubectl describe pod` says all of that, in whatever columns."""

    def said() -> str:
        return " ".join(release.kubectl("describe", "pod", POD, check=False).split())

    wait_for(said, lambda text: all(word in text for word in words), within=60, describe=f"{words} in describe")


def scale(release: Release, replicas: int) -> None:
    release.kubectl("scale", "statefulset", "angarium", f"--replicas={replicas}")
    if not replicas:
        release.kubectl("wait", "--for=delete", f"pod/{POD}", "--timeout=90s")
