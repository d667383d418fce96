"""Helm, and a control plane of the chart's own: its releases bring the CRDs, so nobody else may have."""

from collections.abc import Iterator

import pytest
from tests.cluster.conftest import programs_of
from tests.support.controlplane import ControlPlane
from tests.support.helm import Helm
from tools.controlplane import build


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster."""
    return Helm(programs_of(build.HELM) / "helm", tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A running API server without Angarium's CRDs."""
    control_plane = ControlPlane(tmp_path_factory.mktemp("controlplane"), programs_of(build.CONTROL_PLANE))
    try:
        control_plane.start()
        yield control_plane
    finally:
        control_plane.stop()


@pytest.fixture(scope="session")
def admin(helm: Helm, control_plane: ControlPlane) -> Helm:
    """Helm as cluster admin of that control plane."""
    return Helm(helm.program, control_plane.folder / "helm", control_plane.kubeconfig)
