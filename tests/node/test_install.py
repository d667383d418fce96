"""What a newcomer does after `helm install`: apply the example, see it deliver, publish from an application."""

import json
import subprocess

import pytest
from tests.support import cluster
from tests.support.cluster import ROOT, get, wait_for
from tests.support.programs import free_port
from tests.support.receiver import Receiver
from tests.support.release import POD, Release

EXAMPLE = ROOT / "examples" / "quickstart" / "cluster"
APPLICATION = """
import os
from qstash import QStash

client = QStash(os.environ["QSTASH_TOKEN"])
answer = client.message.publish(url="http://outside.default.svc:8080/hello", body="from a pod", retries=3)
print(answer.message_id)
"""


@pytest.fixture(scope="module")
def example(release: Release) -> None:
    release.node.kubectl("apply", "-f", str(EXAMPLE))
    release.node.kubectl("rollout", "status", "deployment/receiver", "--timeout=60s")


def test_the_pod_is_ready_and_restricted(release: Release) -> None:
    pod = release.await_ready()
    labels = get(release.node, "Namespace", release.namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    assert release.helm("status", "angarium").splitlines()[3] == "STATUS: deployed"
    # Probes begin before the program is there, and say so. There is nothing else to worry a newcomer.
    warnings = [line for line in release.kubectl("describe", "pod", POD).splitlines() if "Warning" in line]
    assert all("Startup probe failed" in line or "Readiness probe failed" in line for line in warnings), warnings


def test_the_image_is_the_one_that_was_built(release: Release, image_names: list[str]) -> None:
    """By name: the chart's default and what `make image` writes are the same, or nothing would have started."""
    (container,) = release.await_ready()["spec"]["containers"]
    assert container["image"] == image_names[0]


@pytest.mark.usefixtures("example")
def test_the_example_becomes_ready(release: Release) -> None:
    kinds = "endpoints.angarium.dev,topics.angarium.dev,schedules.angarium.dev,tokens.angarium.dev"
    release.node.kubectl("wait", "-n", "default", kinds, "--all", "--for=condition=Ready", "--timeout=30s")


@pytest.mark.usefixtures("example")
def test_a_pod_gets_the_deliveries(release: Release) -> None:
    """By cluster DNS, from a Schedule that nobody adapted; and the status says so."""
    printed = wait_for(
        lambda: release.node.kubectl("logs", "deployment/receiver").stdout.splitlines(), within=30, describe="a line"
    )
    assert set(printed) == {'/reports {"kind":"heartbeat"}'}

    def delivered(schedule: cluster.Object) -> bool:
        return any(run["state"] == "Delivered" for run in schedule.get("status", {}).get("recentRuns", []))

    wait_for(lambda: get(release.node, "Schedule", "heartbeat", "default"), delivered, within=30)
    cluster.wait_condition(release.node, "Endpoint", "reports", "default", "Reachable=True", within=30)
    row = release.node.kubectl("get", "schedules.angarium.dev", "heartbeat").stdout.splitlines()[1]
    assert "Delivered" in row.split() and "endpoint/reports" in row


@pytest.mark.usefixtures("example")
def test_an_application_publishes_with_the_secret_of_a_token(
    release: Release, receiver: Receiver, image_names: list[str]
) -> None:
    """The SDK as it is, its address and its token from `envFrom`."""
    container = {
        "name": "shop",
        "image": image_names[2],
        "command": ["python3.11", "-c", APPLICATION],
        "envFrom": [{"secretRef": {"name": "shop-qstash"}}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shop"},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }
    release.node.kubectl("create", "-f", "-", "-n", "default", input=json.dumps(pod))
    phase = wait_for(
        lambda: get(release.node, "Pod", "shop", "default")["status"]["phase"],
        lambda phase: phase in ("Succeeded", "Failed"),
        within=60,
    )
    said = release.node.kubectl("logs", "shop", "-n", "default").stdout
    assert phase == "Succeeded", said
    (request,) = receiver.wait_for(1, path="/hello")
    assert (request.body, request.header("Upstash-Message-Id")) == (b"from a pod", said.strip())
    assert request.header("Upstash-Signature")


def test_the_first_publish_of_the_notes(release: Release) -> None:
    """What Helm prints after the install, copied and run, but for the port on this machine, which may be taken."""
    notes = release.helm("get", "notes", "angarium")
    commands = "\n".join(line for line in notes.splitlines() if line.startswith("  "))
    port = free_port()
    commands = commands.replace("8080:8080", f"{port}:8080").replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    done = subprocess.run(
        ["bash", "-eu", "-c", commands],
        env=release.node.command_environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"messageId"' in done.stdout and '"DELIVERED"' in done.stdout
    release.kubectl("delete", "tokens.angarium.dev/first")
