"""Killed at random instants while Schedules fire and objects change, the operator loses no slot, fires none twice, and
its statuses end right."""

from pathlib import Path

import pytest
from tests.support import launcher
from tests.support.api_proxy import ApiProxy
from tests.support.controlplane import ControlPlane
from tests.support.ordeal import Ordeal
from tests.support.programs import python_module
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


@pytest.mark.thorough
@pytest.mark.parametrize("batch", range(1, 6))
def test_slots_and_statuses_survive_many_kills(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path, batch: int
) -> None:
    killed(control_plane, namespace, api_proxy, tmp_path, BATCH, first=batch * BATCH)
