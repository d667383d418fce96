"""What the operator says when the cluster is not ready for it, and that it heals without a restart."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cluster.conftest import await_established
from tests.support import rights
from tests.support.api_proxy import ApiProxy
from tests.support.cluster import ROOT, apply, delete, documents_of, find, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.rights import create_service_account, operator_token, token_of
from tests.support.stage import Stage
from tests.support.staging import await_health, await_metric, staged, stays

from angarium.kube.preflight import RIGHTS, named

UP = "angarium_operator_up"


def logged(stage: Stage, *words: str) -> list[str]:
    lines = [str(line["message"]) for line in stage.angarium.log_lines()]
    return [line for line in lines if all(word in line for word in words)]


@contextmanager
def without_crd(control_plane: ControlPlane, kind: str) -> Iterator[Path]:
    """The cluster as if this CRD had not been applied; the file of it."""
    file = ROOT / "crds" / f"{kind.lower()}s.yaml"
    (document,) = documents_of(file)
    name = document["metadata"]["name"]
    delete(control_plane, "CustomResourceDefinition", name)
    wait_for(lambda: find(control_plane, "CustomResourceDefinition", name) is None, describe=f"{name} is gone")
    try:
        yield file
    finally:
        apply(control_plane, file)
        await_established(control_plane, name)


def test_a_missing_crd_is_named_and_waited_for(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    with staged(control_plane, namespace, tmp_path) as stage, without_crd(control_plane, "Topic") as file:
        stage.angarium.start(ready=False)
        told = await_health(stage.angarium, "/readyz", 503, "the CRD topics.angarium.dev is missing")
        assert "kubectl apply -f crds/" in told
        assert "endpoints.angarium.dev" not in told
        assert stage.angarium.health("/livez")[0] == 200
        assert logged(stage, "topics.angarium.dev", "kubectl apply -f crds/")
        apply(control_plane, file)
        stage.angarium.wait_until(stage.angarium.is_ready, "ready")
        await_metric(stage.angarium, UP, 1)


def test_a_crd_that_is_removed_is_no_deletion_of_what_others_declare(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with staged(control_plane, namespace, tmp_path, resync="2s") as stage:
        stage.angarium.start()
        stage.endpoint("tick")
        stage.apply("Schedule", "tick", {"every": "1s", "destination": {"endpointRef": {"name": "tick"}}})
        stage.receiver.wait_for(1, path="/tick")
        with without_crd(control_plane, "Topic"):
            wait_for(lambda: logged(stage, "Topics cannot be listed"), within=30, describe="the lost CRD is logged")
            stage.receiver.wait_for(stage.receiver.count("/tick") + 2, path="/tick")
        await_metric(stage.angarium, UP, 1)
        stage.apply("Topic", "late", {"endpoints": [{"name": "tick", "endpointRef": {"name": "tick"}}]})
        stage.ready(("Topic", "late"))


@pytest.mark.rights_taken("it has none at first")
def test_missing_rights_are_named_one_by_one_and_waited_for(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    create_service_account(control_plane, namespace)
    token = token_of(control_plane, namespace)
    with staged(control_plane, namespace, tmp_path, token=token) as stage:
        stage.angarium.start(ready=False)
        told = await_health(stage.angarium, "/readyz", 503, f"in namespace {namespace}")
        assert f"operator: may not {named(RIGHTS)} in namespace {namespace} (does it exist?): " in told
        assert "deploy/namespaced.yaml" in told and f"the ServiceAccount angarium of namespace {namespace}" in told
        assert logged(stage, "may not", "create, patch events", namespace)
        assert stage.angarium.health("/livez")[0] == 200
        operator_token(control_plane, namespace)
        stage.angarium.wait_until(stage.angarium.is_ready, "ready")
        stage.endpoint("healed")
        stage.ready(("Endpoint", "healed"))


@pytest.mark.rights_taken("it has those of one namespace only")
def test_the_rights_of_one_namespace_are_not_enough_for_the_whole_cluster(
    control_plane: ControlPlane, namespace: str, operator_token: str, tmp_path: Path
) -> None:
    with staged(control_plane, namespace, tmp_path, token=operator_token, namespaces="") as stage:
        stage.angarium.start(ready=False)
        told = await_health(stage.angarium, "/readyz", 503, "in all namespaces")
        assert "deploy/cluster.yaml" in told


@pytest.mark.thorough
@pytest.mark.rights_taken("it may not write a status for a while")
def test_a_refused_status_is_written_once_it_is_allowed(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with staged(control_plane, namespace, tmp_path) as stage:
        stage.angarium.start()
        rights.grant(control_plane, namespace, without=rights.on("endpoints/status"))
        stage.endpoint("refused")
        wait_for(lambda: logged(stage, "the status of", "refused"), describe="the refusal is logged")
        rights.grant(control_plane, namespace)
        wait_for(
            lambda: stage.status("Endpoint", "refused").get("observedGeneration"), within=45, describe="it is written"
        )


def test_watches_that_are_cut_again_and_again_miss_nothing(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path
) -> None:
    with staged(control_plane, namespace, tmp_path, server=api_proxy.url, resync="60s") as stage:
        stage.angarium.start()
        for number in range(3):
            wait_for(lambda: api_proxy.open_watches >= 4, within=20, describe="every kind is watched")
            assert api_proxy.cut_watches() >= 4
            stage.endpoint(f"e{number}")
            stage.ready(("Endpoint", f"e{number}"))
        stays(lambda: stage.angarium.health("/livez")[0] == 200, 1, "it is alive")
        assert not logged(stage, "the watch has missed")


def test_a_watch_that_was_refused_is_started_anew(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path
) -> None:
    """A token that is no longer good ends Kopf, or leaves it deaf; here it is good again a little later."""
    with staged(control_plane, namespace, tmp_path, server=api_proxy.url, resync="60s") as stage:
        stage.angarium.start()
        wait_for(lambda: api_proxy.open_watches >= 4, within=20, describe="every kind is watched")
        pid = stage.angarium.program.pid
        api_proxy.answer_401()
        await_metric(stage.angarium, UP, 0)
        wait_for(lambda: logged(stage, "cannot be listed"), within=30, describe="the refused lists are logged")
        assert stage.angarium.is_ready(), "publishers need no API server"
        before = api_proxy.refused
        stays(lambda: api_proxy.refused - before < 60, 6, "an API server that refuses everything is asked now and then")
        api_proxy.pass_through()
        await_metric(stage.angarium, UP, 1, within=45)
        stage.endpoint("after")
        stage.ready(("Endpoint", "after"))
        assert stage.angarium.health("/livez") == (200, "ok\n")
        assert stage.angarium.program.pid == pid
