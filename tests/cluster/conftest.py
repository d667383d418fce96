"""One control plane per test run, one namespace per test, and the operator's rights in it: never cluster admin."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import recording, rights
from tests.support.angarium import Angarium
from tests.support.api_proxy import ApiProxy
from tests.support.cluster import ROOT, apply, condition, create_namespace, delete, get, remove_namespace, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.receiver import Receiver
from tests.support.stage import Stage
from tools.controlplane import build


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder with the control plane's programs. CI has run `make controlplane`; elsewhere it is built here."""
    return programs_of(build.CONTROL_PLANE)


@pytest.fixture(scope="session")
def kstatus() -> Path:
    """The program that says what tools that wait for objects make of them."""
    return programs_of(build.KSTATUS) / "kstatus"


def programs_of(module: build.Module) -> Path:
    found = build.locate(module)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"there is no {module.title}: run `make controlplane` before the cluster tests")
    return found or build.build(module)


@pytest.fixture(scope="session")
def control_plane(
    assets: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[ControlPlane]:
    """A running API server that serves Angarium's kinds. What operators asked of it is judged at the end of the run."""
    control_plane = ControlPlane(tmp_path_factory.mktemp("controlplane"), assets)
    try:
        control_plane.start()
        for crd in apply(control_plane, ROOT / "crds"):
            await_established(control_plane, crd["metadata"]["name"])
        yield control_plane
        pytestconfig.pluginmanager.getplugin(recording.NAME).take(control_plane)
    finally:
        control_plane.stop()


def await_established(control_plane: ControlPlane, name: str) -> None:
    def established(crd: dict[str, object]) -> bool:
        found = condition(crd, "Established")
        return found is not None and found["status"] == "True"

    wait_for(lambda: get(control_plane, "CustomResourceDefinition", name), established, describe=f"{name} Established")


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of this test's own, removed with all it holds afterwards."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    create_namespace(control_plane, name)
    yield name
    control_plane.recover()
    remove_namespace(control_plane, name)


@pytest.fixture
def operator_token(control_plane: ControlPlane, namespace: str) -> str:
    """A ServiceAccount token with the rights of an operator that watches this test's namespace."""
    return rights.operator_token(control_plane, namespace)


@pytest.fixture
def cluster_operator_token(control_plane: ControlPlane, namespace: str) -> Iterator[str]:
    """A ServiceAccount token with the rights of an operator that watches the whole cluster."""
    yield rights.cluster_operator_token(control_plane, namespace)
    delete(control_plane, "ClusterRoleBinding", f"angarium-{namespace}")


@pytest.fixture
def api_proxy(control_plane: ControlPlane) -> Iterator[ApiProxy]:
    """The API server behind a switch: what the operator under test talks to in outage tests."""
    with ApiProxy(control_plane.url, control_plane.ca_file) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def stage(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One running instance in a namespace of its own, for the cases of a module that do not disturb each other."""
    name = f"stage-{uuid.uuid4().hex[:10]}"
    create_namespace(control_plane, name)
    folder = tmp_path_factory.mktemp(name)
    token = rights.operator_token(control_plane, name)
    kubeconfig = control_plane.write_kubeconfig(folder / "kubeconfig", token)
    with Receiver() as receiver, Angarium(folder, kubeconfig=kubeconfig, settings={"namespaces": name}) as angarium:
        angarium.start()
        yield Stage(control_plane, name, angarium, receiver)
    remove_namespace(control_plane, name)
