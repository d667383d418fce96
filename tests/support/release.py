"""A release of the chart on the test node: what a person does with Helm and kubectl, and what they see of it."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx
from tests.support import cluster
from tests.support.cluster import ROOT, Object, get, wait_for
from tests.support.kubenode import KubeNode

CHART = ROOT / "charts" / "angarium"
NAME = "angarium"
POD = f"{NAME}-0"
PORT, HEALTH_PORT = 8080, 9090
READY_S = 90.0
WAIT = ("--wait", "--timeout=2m")


class Release:
    """The chart as `angarium` in `namespace`, which has to exist; `values` are those of every install and upgrade."""

    def __init__(self, node: KubeNode, namespace: str, values: Mapping[str, Any] | None = None) -> None:
        self.node = node
        self.namespace = namespace
        self.values = dict(values or {})

    def install(self, *, wait: bool = True) -> None:
        """Returns when it is Ready, unless nobody is to `wait`."""
        self._apply("install", wait, {})

    def upgrade(self, values: Mapping[str, Any] | None = None, *, wait: bool = True) -> None:
        """`values` are for this revision only, by their paths."""
        self._apply("upgrade", wait, values or {})

    def rollback(self) -> None:
        """To the revision before; returns when it is Ready."""
        self.helm("rollback", NAME, *WAIT)

    def uninstall(self) -> None:
        """Returns when the pod is gone too: Helm alone would not wait for that."""
        self.helm("uninstall", NAME, *WAIT)
        self.kubectl("wait", "--for=delete", f"pod/{POD}", "--timeout=90s")

    def helm(self, *args: str) -> str:
        return self.node.helm(*args, "--namespace", self.namespace).stdout

    def kubectl(self, *args: str, check: bool = True) -> str:
        done = self.node.kubectl(*args, "--namespace", self.namespace, check=check)
        return done.stdout + ("" if check else done.stderr)

    def pod(self) -> Object:
        """Raises Refused with code 404 while there is none."""
        return get(self.node, "Pod", POD, self.namespace)

    def await_ready(self, other_than: str | None = None, restarts: int = 0) -> Object:
        """The pod, as soon as it is Ready, is not the one with this uid, and its container was restarted so often."""

        def ready(pod: Object) -> bool:
            condition = cluster.condition(pod, "Ready")
            return (
                pod["metadata"]["uid"] != other_than
                and condition is not None
                and condition["status"] == "True"
                and pod["status"]["containerStatuses"][0]["restartCount"] >= restarts
            )

        return wait_for(self.pod, ready, within=READY_S, describe=f"pod {self.namespace}/{POD} is Ready")

    def address(self) -> str:
        """Where the Service is reached from outside of the node, as host:port."""
        service = get(self.node, "Service", NAME, self.namespace)
        return self.node.lead(service["spec"]["clusterIP"], PORT)

    def health(self, path: str) -> str:
        """What the pod's health port answers, whatever the status."""
        with httpx.Client(trust_env=False, timeout=10) as client:
            return client.get(f"http://{self.node.lead(self.pod()['status']['podIP'], HEALTH_PORT)}{path}").text

    def memory_mib(self) -> float:
        """The working set of the pod, as `kubectl top pod` would show it."""
        summary = cluster.call(self.node, "GET", "/api/v1/nodes/node-1/proxy/stats/summary")
        (found,) = (
            pod["memory"]["workingSetBytes"]
            for pod in summary["pods"]
            if (pod["podRef"]["namespace"], pod["podRef"]["name"]) == (self.namespace, POD)
        )
        return float(found) / 2**20

    def token(self, namespace: str, name: str) -> str:
        """What the Secret of a Token holds, which is made if need be."""
        manifest = {"apiVersion": "angarium.dev/v1alpha1", "kind": "Token", "metadata": {"name": name}}
        cluster.apply(self.node, manifest, namespace)
        cluster.wait_condition(self.node, "Token", name, namespace, "Ready=True", within=30)
        secret = get(self.node, "Secret", f"{name}-qstash", namespace)
        return base64.b64decode(secret["data"]["QSTASH_TOKEN"]).decode()

    def _apply(self, verb: str, wait: bool, values: Mapping[str, Any]) -> None:
        set_ = [f"--set-json={name}={json.dumps(value)}" for name, value in {**self.values, **values}.items()]
        self.helm(verb, NAME, str(CHART), *(WAIT if wait else ()), *set_)
