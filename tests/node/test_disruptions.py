"""What pods go through in a cluster, while messages flow: each one that was accepted arrives, as `traffic` sees to."""

from tests.support import images
from tests.support.cluster import get
from tests.support.kubenode import NAME, KubeNode
from tests.support.release import POD, Release
from tests.support.traffic import Traffic


def test_the_container_is_killed(node: KubeNode, release: Release, traffic: Traffic) -> None:
    pod = release.await_ready()
    restarts = pod["status"]["containerStatuses"][0]["restartCount"]
    node.kill_container(release.namespace, POD, "angarium")
    again = release.await_ready(restarts=restarts + 1)
    assert again["metadata"]["uid"] == pod["metadata"]["uid"]
    ended = again["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert ended["exitCode"] == 128 + 9
    traffic.flow()


def test_the_pod_is_deleted(release: Release, traffic: Traffic) -> None:
    before = release.await_ready()
    release.kubectl("delete", "pod", POD, "--wait=false")
    release.await_ready(other_than=before["metadata"]["uid"])
    traffic.flow()


def test_the_node_is_drained(node: KubeNode, release: Release, traffic: Traffic) -> None:
    before = release.await_ready()
    node.kubectl("drain", NAME, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=100s")
    assert get(node, "Node", NAME)["spec"]["unschedulable"] is True
    accepted = len(traffic.accepted)
    node.kubectl("uncordon", NAME)
    release.await_ready(other_than=before["metadata"]["uid"])
    traffic.flow()
    assert len(traffic.accepted) > accepted


def test_an_upgrade_and_its_rollback(release: Release, image_names: list[str], traffic: Traffic) -> None:
    """To another image and another setting, and back."""
    first = release.await_ready()
    name, other = image_names[:2]
    assert other == images.other_tag(name)
    release.upgrade({"image.tag": other.rpartition(":")[2], "settings.logLevel": "debug"})
    second = release.await_ready(other_than=first["metadata"]["uid"])
    assert second["spec"]["containers"][0]["image"] == other
    traffic.flow()
    release.rollback()
    third = release.await_ready(other_than=second["metadata"]["uid"])
    assert third["spec"]["containers"][0]["image"] == name
    traffic.flow()
