"""Cluster-wide mode: a namespace that goes takes its tenant with it, and one of the same name is somebody else."""

import base64
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.angarium import Angarium
from tests.support.cluster import apply, create_namespace, get, remove_namespace, wait_condition, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.receiver import Receiver

TOKEN = {"apiVersion": "angarium.dev/v1alpha1", "kind": "Token", "metadata": {"name": "team"}, "spec": {}}


@pytest.fixture
def angarium(control_plane: ControlPlane, cluster_operator_token: str, tmp_path: Path) -> Iterator[Angarium]:
    kubeconfig = control_plane.write_kubeconfig(tmp_path / "kubeconfig", cluster_operator_token)
    with Angarium(tmp_path, kubeconfig=kubeconfig, settings={"resync": "2s"}) as angarium:
        angarium.start()
        yield angarium


def token_in(control_plane: ControlPlane, namespace: str) -> str:
    wait_condition(control_plane, "Token", "team", namespace, "Ready=True")
    secret = get(control_plane, "Secret", "team-qstash", namespace)
    return base64.b64decode(secret["data"]["QSTASH_TOKEN"]).decode()


def test_a_new_namespace_of_an_old_name_is_a_new_tenant(control_plane: ControlPlane, angarium: Angarium) -> None:
    namespace = f"gone-{uuid.uuid4().hex[:8]}"
    create_namespace(control_plane, namespace)
    apply(control_plane, TOKEN, namespace)
    first = token_in(control_plane, namespace)
    with Receiver() as receiver, angarium.client(first) as client:
        target = f"/v2/publish/{receiver.url('/later')}"
        delayed = client.post(target, content="never", headers={"Upstash-Delay": "1h"}).json()["messageId"]
        # Identified by the resync, before the namespace is replaced by another one of its name.
        count = angarium.metric("angarium_resyncs_total")
        wait_for(lambda: angarium.metric("angarium_resyncs_total") > count + 1, within=15, describe="a resync")
        remove_namespace(control_plane, namespace)
        create_namespace(control_plane, namespace)
        try:
            wait_for(lambda: client.get("/v2/events").status_code == 401, within=15, describe="the token is revoked")
            apply(control_plane, TOKEN, namespace)
            second = token_in(control_plane, namespace)
            with angarium.client(second) as successor:
                assert successor.get(f"/v2/messages/{delayed}").status_code == 404
                assert successor.get("/v2/events").json() == {"events": []}
                successor.post(f"/v2/publish/{receiver.url('/now')}", content="mine").raise_for_status()
            receiver.wait_for(1, path="/now")
        finally:
            remove_namespace(control_plane, namespace)
