"""Helm, and a control plane of the chart's own: its releases bring the CRDs, so nobody else may have."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.conftest import await_established, programs_of
from tests.support.cluster import Object, apply, delete, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.helm import NAMESPACE, Helm
from tools.controlplane import build

MONITORING = (
    *("--api-versions", "monitoring.coreos.com/v1/ServiceMonitor"),
    *("--api-versions", "monitoring.coreos.com/v1/PrometheusRule"),
)

Render = Callable[[dict[str, Any]], list[Object]]


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster."""
    return Helm(programs_of(build.HELM) / "helm", tmp_path_factory.mktemp("helm"))


class WithStatefulSets(ControlPlane):
    """Its controller manager makes pods and claims, which wait for a node, and lets claims go that no pod has."""

    def _controller_manager_flags(self) -> dict[str, str | Path]:
        flags = super()._controller_manager_flags()
        more = ("statefulset-controller", "persistentvolumeclaim-protection-controller")
        return {**flags, "controllers": ",".join([str(flags["controllers"]), *more])}


@contextmanager
def running(folder: Path) -> Iterator[ControlPlane]:
    """A running API server without Angarium's CRDs."""
    control_plane = WithStatefulSets(folder, programs_of(build.CONTROL_PLANE))
    try:
        control_plane.start()
        yield control_plane
    finally:
        control_plane.stop()


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with running(tmp_path_factory.mktemp("controlplane")) as control_plane:
        yield control_plane


@pytest.fixture(scope="module")
def admin(helm: Helm, control_plane: ControlPlane) -> Helm:
    """Helm as cluster admin of the control plane that a module has."""
    return Helm(helm.program, control_plane.folder / "helm", control_plane.kubeconfig)


@pytest.fixture(scope="module")
def render(helm: Helm) -> Render:
    """The chart for a cluster that knows all kinds; the same values are rendered once."""
    rendered: dict[str, list[Object]] = {}

    def once(values: dict[str, Any]) -> list[Object]:
        key = repr(values)
        if key not in rendered:
            rendered[key] = helm.render(values, *MONITORING)
        return rendered[key]

    return once


@pytest.fixture
def monitoring(control_plane: ControlPlane) -> Iterator[None]:
    """The cluster knows the kinds of the Prometheus operator, and before and after it does not: Helm asks which there
    are, and the API server tells of them some moments after a CRD has come or gone."""
    crds = apply(control_plane, Path(__file__).with_name("monitoring.yaml"))
    for crd in crds:
        await_established(control_plane, crd["metadata"]["name"])
    wait_for(lambda: monitoring_kinds(control_plane), lambda kinds: len(kinds) == len(crds), describe="kinds are told")
    yield
    for crd in crds:
        delete(control_plane, "CustomResourceDefinition", crd["metadata"]["name"])
    wait_for(lambda: monitoring_kinds(control_plane), lambda kinds: not kinds, within=30, describe="kinds are gone")


def monitoring_kinds(control_plane: ControlPlane) -> list[str]:
    told = control_plane.kubectl("api-resources", "--api-group=monitoring.coreos.com", "-o", "name", check=False)
    return told.stdout.split()


@pytest.fixture(scope="session")
def namespaces(control_plane: ControlPlane) -> None:
    """The namespace of the chart and `shop`; both enforce the restricted Pod Security Standard. They go with the
    control plane."""
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    for name in (NAMESPACE, "shop"):
        metadata = {"name": name, "labels": restricted}
        apply(control_plane, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
