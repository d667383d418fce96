"""Objects that the API server takes and that one user must not be able to disturb the others with."""

from pathlib import Path

import pytest
from tests.support.cluster import find, patch, path_of, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.stage import Stage
from tests.support.staging import silent, staged

TOO_DEEP = "is nested deeper than 60 levels"


def create_nested(stage: Stage, name: str, levels: int) -> None:
    """A Schedule with such a body, written by hand: Python could not write it."""
    spec = (
        f'{{"at": "2099-01-01T00:00:00Z", "destination": {{"url": "{stage.receiver.url()}"}}, "body": {{"json": %s}}}}'
    )
    head = f'"apiVersion": "angarium.dev/v1alpha1", "kind": "Schedule", "metadata": {{"name": "{name}"}}'
    answer = stage.control_plane.client.post(
        path_of("Schedule", namespace=stage.namespace),
        content=f'{{{head}, "spec": {spec}}}' % ('{"a":[' * (levels // 2) + "]}" * (levels // 2)),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 201, answer.text


def refused(stage: Stage, name: str) -> None:
    """As kubectl shows it: Python cannot read the object."""
    path = "jsonpath={.status.conditions[?(@.type=='Accepted')].message}"
    wait = ["wait", f"ags/{name}", "-n", stage.namespace, "--for=condition=Accepted=False", "--timeout=20s"]
    stage.control_plane.kubectl(*wait)
    assert TOO_DEEP in stage.control_plane.kubectl("get", "ags", name, "-n", stage.namespace, "-o", path).stdout


@pytest.mark.parametrize("levels", [80, 900, 9000])
def test_a_body_that_no_parser_can_read_disturbs_nobody(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, levels: int
) -> None:
    with staged(control_plane, namespace, tmp_path, resync="2s") as stage:
        stage.angarium.start()
        create_nested(stage, "watched", levels)
        refused(stage, "watched")
        stage.angarium.kill()
        create_nested(stage, "listed", levels)
        stage.angarium.start()
        refused(stage, "listed")
        stage.once("next", {"url": stage.receiver.url("/next")})
        stage.receiver.wait_for(1, 20, "/next")
        assert stage.angarium.health("/livez") == (200, "ok\n")
        # The answer lists them, and the test's own client could not read it either.
        assert control_plane.client.delete(path_of("Schedule", namespace=namespace)).is_success


FINALIZER = {"finalizers": ["example.com/foreign"]}


def test_what_is_deleted_and_held_by_a_foreign_finalizer_counts_as_gone(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with staged(control_plane, namespace, tmp_path, resync="2s") as stage:
        stage.angarium.start()
        stage.apply(
            "Schedule", "held", {"every": "1s", "destination": {"url": stage.receiver.url("/held")}}, **FINALIZER
        )
        stage.receiver.wait_for(1, 20, "/held")
        assert stage.api("GET", "/v2/keys").status_code == 200
        stage.apply("Token", "stage", {}, **FINALIZER)

        for kind, name in (("Schedule", "held"), ("Token", "stage")):
            stage.delete(kind, name)
            assert find(control_plane, kind, name, namespace) is not None
        wait_for(lambda: stage.api("GET", "/v2/keys").status_code == 401, within=10, describe="the token is revoked")
        silent(stage.receiver, "/held", 5)  # a resync is in it
        stage.angarium.kill()
        stage.angarium.start()
        silent(stage.receiver, "/held", 3)

        for kind, name in (("Schedule", "held"), ("Token", "stage")):
            release(stage, kind, name)
            assert find(control_plane, kind, name, namespace) is None


def release(stage: Stage, kind: str, name: str) -> None:
    patch(stage.control_plane, kind, name, stage.namespace, {"metadata": {"finalizers": None}})
