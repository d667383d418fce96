"""Killed at random instants while Schedules fire and objects change, the operator loses no slot, fires none twice, and
its statuses end right."""

from pathlib import Path

import pytest
from tests.support import launcher, ledger, verdict
from tests.support.api_proxy import ApiProxy
from tests.support.cluster import wait_for
from tests.support.controlplane import ControlPlane
from tests.support.ordeal import Ordeal
from tests.support.programs import python_module
from tests.support.stage import STATUS_S, Stage
from tests.support.staging import staged

BATCH = 40


def killed(control_plane: ControlPlane, namespace: str, proxy: ApiProxy, folder: Path, count: int, first: int) -> None:
    launch = python_module(launcher, folder)
    with staged(control_plane, namespace, folder, server=proxy.url, launch=launch) as stage:
        Ordeal(stage, proxy, folder).run(count, first)


@pytest.mark.timeout(400)
def test_slots_and_statuses_survive_kills(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path
) -> None:
    killed(control_plane, namespace, api_proxy, tmp_path, 20, first=0)


def test_a_status_that_comes_late_from_a_killed_process_does_not_stay(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path
) -> None:
    """It tells of a spec and of runs that are no longer the newest ones."""
    with staged(control_plane, namespace, tmp_path, server=api_proxy.url) as stage:
        stage.angarium.start()
        stage.apply("Schedule", "tick", {"every": "1s", "destination": {"url": stage.receiver.url("/tick")}})
        stage.run("tick", "Delivered")
        held = api_proxy.hold(lambda method, path: method == "PATCH" and path.endswith("/tick/status"), once=True)
        assert held.caught.wait(STATUS_S), "no status was written"
        stage.angarium.kill()
        stage.change("Schedule", "tick", suspend=True)
        stage.angarium.start()
        told_right(stage)
        right = stage.get("Schedule", "tick")
        api_proxy.release()
        assert stage.get("Schedule", "tick")["metadata"]["resourceVersion"] != right["metadata"]["resourceVersion"]
        told_right(stage)
        assert stage.status("Schedule", "tick")["recentRuns"] == right["status"]["recentRuns"]


def told_right(stage: Stage) -> None:
    database = stage.angarium.database
    wait_for(
        lambda: [*verdict.unsettled(stage, ledger.read(database)), *verdict.differences(stage, ledger.read(database))],
        lambda left: not left, within=60, describe="the status tells what the database says",
    )  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("batch", range(1, 6))
def test_slots_and_statuses_survive_many_kills(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path, batch: int
) -> None:
    killed(control_plane, namespace, api_proxy, tmp_path, BATCH, first=batch * BATCH)
