"""A right or a CRD that is missing: named exactly, in the log, at /readyz and in an Event about the pod.

Deliveries from the store go on, namespaces that miss nothing are followed, and all heals by itself.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from tests.cluster.test_operator_start import logged, without_crd
from tests.cluster.test_outages import ticking
from tests.support import rights
from tests.support.cluster import (
    Object,
    apply,
    create_namespace,
    delete,
    events_of,
    get,
    patch,
    remove_namespace,
    wait_for,
)
from tests.support.controlplane import ControlPlane
from tests.support.stage import Stage
from tests.support.staging import await_health, await_metric, staged

from angarium.domain.reasons import EventReason
from angarium.kube import preflight
from angarium.kube.access import configuration
from angarium.kube.client import KubeClient
from angarium.kube.preflight import RIGHTS, RIGHTS_IN_CLUSTER, Lack, Right

UP = "angarium_operator_up"
RBAC_S = 30.0
POD = "angarium-0"

pytestmark = pytest.mark.rights_taken("the operator has to tell which of its rights are missing")


@pytest.fixture
def other(control_plane: ControlPlane) -> Iterator[str]:
    """A second namespace, which the operator of the first may watch too."""
    name = f"other-{uuid.uuid4().hex[:10]}"
    create_namespace(control_plane, name)
    yield name
    remove_namespace(control_plane, name)


@pytest.fixture
def pod(control_plane: ControlPlane, namespace: str) -> str:
    """The name of a Pod as the downward API would give it; no kubelet runs it, but kubectl can describe it."""
    rights.create_service_account(control_plane, namespace)
    manifest = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD},
        "spec": {
            "serviceAccountName": rights.SERVICE_ACCOUNT, "automountServiceAccountToken": False,
            "containers": [{"name": "angarium", "image": "angarium.test/never"}],
        },
    }  # fmt: skip
    (made,) = apply(control_plane, manifest, namespace)
    return f"{namespace}/{POD}/{made['metadata']['uid']}"


def told_of(stage: Stage, reason: EventReason, *words: str, type_: str = "Warning") -> Object:
    """The Event about the pod that has this reason and all these words."""

    def found() -> list[Object]:
        return [
            event
            for event in events_of(stage.control_plane, "Pod", POD, stage.namespace)
            if event["reason"] == reason and event["type"] == type_ and all(word in event["message"] for word in words)
        ]

    return wait_for(found, within=RBAC_S, describe=f"an Event {reason} about the pod with {words}")[0]


def missing(control_plane: ControlPlane, token: str, folder: Path, namespaces: list[str] | None) -> list[Lack]:
    """What the operator finds missing with this token, as it asks the API server."""

    async def ask() -> list[Lack]:
        client = KubeClient(await configuration(control_plane.write_kubeconfig(folder / "asking", token)))
        try:
            return await preflight.lacks(client, namespaces)
        finally:
            await client.close()

    return asyncio.run(ask())


def rule_in(text: str) -> Object:
    found: Object = yaml.safe_load(text[text.index("{") :])
    return found


def names_exactly(lacks: list[Lack], right: Right, place: str) -> bool:
    """Nothing but this right, there, with the rule that grants it and nothing else."""
    if len(lacks) != 1:
        return False
    text = lacks[0].text
    return text.startswith(f"may not {right} in {place}: ") and rights.rights_of([rule_in(text)]) == {right}


@pytest.mark.timeout(300)
def test_each_right_of_the_role_is_named_when_it_alone_is_missing(
    control_plane: ControlPlane, namespace: str, other: str, operator_token: str, tmp_path: Path
) -> None:
    """In one namespace of two."""
    rights.grant(control_plane, other, to=namespace)
    for right in RIGHTS:
        rights.grant(control_plane, other, to=namespace, without=[str(right)])
        wait_for(
            lambda: missing(control_plane, operator_token, tmp_path, [namespace, other]),
            lambda lacks, right=right: names_exactly(lacks, right, f"namespace {other}"),
            within=RBAC_S, describe=f"{right} is named",
        )  # fmt: skip


@pytest.fixture
def cluster_role(control_plane: ControlPlane, namespace: str) -> Iterator[Callable[..., None]]:
    """Gives the ServiceAccount of the namespace the shipped ClusterRole without some rights, under a name of its own:
    others rely on the shipped one."""
    name, shipped = f"less-{namespace}", rights.role("ClusterRole")
    rights.create_service_account(control_plane, namespace)
    apply(control_plane, rights.binding("ClusterRoleBinding", name, "ClusterRole", name, namespace))

    def grant(*without: str) -> None:
        less = {"metadata": {"name": name}, "rules": rights.reduced(shipped["rules"], without)}
        apply(control_plane, shipped | less)

    yield grant
    delete(control_plane, "ClusterRoleBinding", name)
    delete(control_plane, "ClusterRole", name)


@pytest.mark.timeout(300)
def test_each_right_of_the_cluster_role_is_named_when_it_alone_is_missing(
    control_plane: ControlPlane, namespace: str, cluster_role: Callable[..., None], tmp_path: Path
) -> None:
    token = rights.token_of(control_plane, namespace)
    for right in RIGHTS_IN_CLUSTER:
        cluster_role(str(right))
        wait_for(
            lambda: missing(control_plane, token, tmp_path, None),
            lambda lacks, right=right: names_exactly(lacks, right, "all namespaces"),
            within=RBAC_S, describe=f"{right} is named",
        )  # fmt: skip


def test_without_the_right_to_list_namespaces_all_else_goes_on(
    control_plane: ControlPlane, namespace: str, cluster_role: Callable[..., None], tmp_path: Path
) -> None:
    """It is no outage of the API server, and at the start all namespaces wait for it."""
    cluster_role()
    token = rights.token_of(control_plane, namespace)
    with staged(control_plane, namespace, tmp_path, token=token, namespaces="", resync="2s") as stage:
        stage.angarium.start()
        cluster_role("list namespaces")
        words = "may not list namespaces in all namespaces"
        wait_for(lambda: logged(stage, words, "deploy/cluster.yaml"), within=RBAC_S, describe="it is logged")
        stage.endpoint("followed")
        stage.ready(("Endpoint", "followed"))
        assert stage.angarium.is_ready() and not logged(stage, "the API server cannot be asked")
        stage.angarium.kill()
        stage.angarium.start(ready=False)
        await_health(stage.angarium, "/readyz", 503, words)
        cluster_role()
        stage.angarium.wait_until(stage.angarium.is_ready, "ready")


@pytest.mark.timeout(180)
def test_a_right_that_is_missing_at_the_start_holds_up_its_namespace_alone_and_no_delivery(
    control_plane: ControlPlane, namespace: str, other: str, pod: str, tmp_path: Path
) -> None:
    rights.create_service_account(control_plane, namespace)
    rights.grant(control_plane, namespace)
    rights.grant(control_plane, other, to=namespace)
    token = rights.token_of(control_plane, namespace)
    both = f"{namespace},{other}"
    with staged(control_plane, namespace, tmp_path, token=token, namespaces=both, resync="2s", pod=pod) as stage:
        beside = Stage(control_plane, other, stage.angarium, stage.receiver)
        stage.angarium.start()
        ticking(beside, "stored")
        stage.receiver.wait_for(1, path="/stored")
        stage.angarium.kill()

        rights.grant(control_plane, other, to=namespace, without=["list queues.angarium.dev"])
        stage.angarium.start(ready=False)
        text = await_health(stage.angarium, "/readyz", 503, f"may not list queues.angarium.dev in namespace {other}")
        assert "get secrets" not in text and stage.angarium.health("/livez")[0] == 200
        assert logged(stage, f"may not list queues.angarium.dev in namespace {other}", "helm upgrade")
        event = told_of(stage, EventReason.RIGHTS_MISSING, f"may not list queues.angarium.dev in namespace {other}")
        described = control_plane.kubectl("-n", namespace, "describe", "pod", POD).stdout
        assert "RightsMissing" in described and "deploy/namespaced.yaml" in described
        stage.receiver.wait_for(stage.receiver.count("/stored") + 2, path="/stored")
        stage.endpoint("followed")
        stage.ready(("Endpoint", "followed"))
        beside.endpoint("waits")
        assert stage.angarium.metric(UP) == 0

        # The rule, as the Event gives it, added to the Role as a person would.
        granted = get(control_plane, "Role", "angarium", other)["rules"] + [rule_in(event["message"])]
        patch(control_plane, "Role", "angarium", other, {"rules": granted})
        stage.angarium.wait_until(stage.angarium.is_ready, "ready")
        await_metric(stage.angarium, UP, 1)
        told_of(stage, EventReason.ALL_GRANTED, "are there", type_="Normal")
        beside.ready(("Endpoint", "waits"))
        assert len(logged(stage, "what was missing is there")) == 1


def test_what_goes_while_it_runs_is_told_alike(
    control_plane: ControlPlane, namespace: str, pod: str, tmp_path: Path
) -> None:
    """Also that Events may not be written: once, in the log."""
    with staged(control_plane, namespace, tmp_path, resync="1s", pod=pod) as stage:
        stage.angarium.start()
        rights.grant(control_plane, namespace, without=["patch tokens/status.angarium.dev"])
        told_of(stage, EventReason.RIGHTS_MISSING, f"may not patch tokens/status.angarium.dev in namespace {namespace}")
        lost = ("may not patch tokens/status.angarium.dev", "helm upgrade")
        wait_for(lambda: logged(stage, *lost), within=RBAC_S, describe="it is logged")
        assert stage.angarium.is_ready(), "publishers need no API server"
        await_metric(stage.angarium, UP, 0)
        stage.endpoint("followed")
        stage.ready(("Endpoint", "followed"))

        rights.grant(control_plane, namespace, without=rights.on("events"))
        wait_for(lambda: logged(stage, "may not create, patch events"), within=RBAC_S, describe="it is logged")
        wait_for(lambda: logged(stage, "Events may not be written"), within=RBAC_S, describe="the Event is refused")
        rights.grant(control_plane, namespace, without=[*rights.on("events"), "get configmaps"])
        wait_for(lambda: logged(stage, "get configmaps"), within=RBAC_S, describe="the next is logged")
        (once,) = logged(stage, "Events may not be written")
        assert rights.rights_of([rule_in(once)]) == {right for right in RIGHTS if right.resource == "events"}

        rights.grant(control_plane, namespace)
        told_of(stage, EventReason.ALL_GRANTED, type_="Normal")
        await_metric(stage.angarium, UP, 1)


def test_a_crd_that_is_missing_is_told_in_an_event(
    control_plane: ControlPlane, namespace: str, pod: str, tmp_path: Path
) -> None:
    with staged(control_plane, namespace, tmp_path, pod=pod) as stage, without_crd(control_plane, "Topic") as file:
        stage.angarium.start(ready=False)
        told_of(stage, EventReason.CRD_MISSING, "topics.angarium.dev", "kubectl apply -f crds/")
        apply(control_plane, file)
        told_of(stage, EventReason.ALL_GRANTED, type_="Normal")
        stage.angarium.wait_until(stage.angarium.is_ready, "ready")


@pytest.mark.thorough
def test_a_crd_that_goes_while_it_runs_is_told_and_followed_again(
    control_plane: ControlPlane, namespace: str, pod: str, tmp_path: Path
) -> None:
    """Long before the next resync: that is minutes away."""
    with staged(control_plane, namespace, tmp_path, resync="5m", pod=pod) as stage:
        stage.angarium.start()
        await_metric(stage.angarium, "angarium_resyncs_total", 2)  # the early one, that judges the watch
        with without_crd(control_plane, "Topic") as file:
            told_of(stage, EventReason.CRD_MISSING, "topics.angarium.dev", "kubectl apply -f crds/")
            await_metric(stage.angarium, UP, 0)
            assert stage.angarium.is_ready(), "publishers need no API server"
            apply(control_plane, file)
            told_of(stage, EventReason.ALL_GRANTED, type_="Normal")
        await_metric(stage.angarium, UP, 1)
        stage.endpoint("after")
        stage.ready(("Endpoint", "after"))


def test_names_of_reasons_are_those_of_the_documentation() -> None:
    """See tests/cluster/test_reasons.py, which leaves them to this file."""
    assert [EventReason.CRD_MISSING, EventReason.RIGHTS_MISSING] == ["CrdMissing", "RightsMissing"]
    assert EventReason.ALL_GRANTED == "AllGranted"
