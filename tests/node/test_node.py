"""The node itself, before anything of Angarium is on it: what the other tests here stand on."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.cluster import get
from tests.support.kubenode import NAME, PAUSE_IMAGE, KubeNode

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
SYSCTLS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")
WAIT = "--timeout=60s"


def create_pod(
    node: KubeNode, namespace: str, name: str, *args: str, security: dict[str, Any] | None = None, **spec: Any
) -> subprocess.CompletedProcess[str]:
    """Of the pause program, with what a restricted namespace asks of a container unless `security` says otherwise."""
    security = RESTRICTED if security is None else security
    container = {"name": "main", "image": PAUSE_IMAGE, "args": list(args), "securityContext": security}
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **spec},
    }
    return node.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(document), check=False)


def test_the_node_is_ready(node: KubeNode) -> None:
    status = get(node, "Node", NAME)["status"]
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert conditions["Ready"] == "True"
    assert status["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")


def test_a_restricted_pod_runs(node: KubeNode, namespace: str) -> None:
    created = create_pod(node, namespace, "quiet")
    assert created.returncode == 0 and "Warning" not in created.stderr
    node.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pod/quiet", WAIT)
    address = get(node, "Pod", "quiet", namespace)["status"]["podIP"]
    assert address.startswith("10.244.0.")


def test_any_other_pod_is_refused(node: KubeNode, namespace: str) -> None:
    """By the label of the namespace: what else would say that Angarium's pod is restricted?"""
    for field, without in (
        ("allowPrivilegeEscalation", {**RESTRICTED, "allowPrivilegeEscalation": True}),
        ("runAsNonRoot", {**RESTRICTED, "runAsNonRoot": False}),
        ("capabilities", {**RESTRICTED, "capabilities": {}}),
    ):
        refused = create_pod(node, namespace, "loud", security=without)
        assert refused.returncode == 1
        assert 'violates PodSecurity "restricted' in refused.stderr and field in refused.stderr


def test_a_pod_finds_a_service_by_its_name(node: KubeNode, namespace: str) -> None:
    create_pod(node, namespace, "quiet")
    node.kubectl("expose", "pod", "quiet", "-n", namespace, "--port=80")
    address = get(node, "Service", "quiet", namespace)["spec"]["clusterIP"]
    names = ("quiet", f"quiet.{namespace}.svc", f"quiet.{namespace}.svc.cluster.local")
    for number, name in enumerate(names):
        # A name that is asked for too soon is not there: the pod asks again.
        create_pod(node, namespace, f"ask-{number}", "resolve", name, restartPolicy="OnFailure")
    for number in range(len(names)):
        succeeded = "--for=jsonpath={.status.phase}=Succeeded"
        node.kubectl("wait", "-n", namespace, succeeded, f"pod/ask-{number}", WAIT)
        assert node.kubectl("logs", "-n", namespace, f"ask-{number}").stdout.split() == [address]


def test_the_machine_stays_as_it_is(node: KubeNode) -> None:
    """What the node has of its own: devices, mounts, and values that the kubelet insists on."""
    inside = {name: node.read(f"/proc/sys/{name}") for name in SYSCTLS}
    assert inside == dict(zip(SYSCTLS, ["1", "0", "10", "1", "1"], strict=True))
    assert not Path("/sys/class/net/node0").exists()
    mounts = Path("/proc/self/mounts").read_text()
    assert not [line for line in mounts.splitlines() if str(node.folder) in line or "/var/lib/kubelet" in line]
    assert not Path("/run/containerd/containerd.sock").exists()
