"""docs/upgrade.md does what it says: its commands are run, section by section, by real Helm, kubectl and API server.

There is no node here, so no pod runs: what needs one is listed below and is not run. tests/e2e/test_upgrade.py does the
same to the program itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.cluster.conftest import programs_of
from tests.support.cluster import ROOT
from tests.support.controlplane import ControlPlane
from tests.support.markdown import blocks
from tests.support.reader import Page, Reader, reader_of
from tests.support.released import await_gone
from tools.controlplane import build

NEEDED = ("charts", "crds", "deploy")
NO_POD = "it waits for a pod or looks into one, and there is no kubelet"
NOT_RUN = {
    "kubectl .* rollout status ": NO_POD,
    "kubectl .* exec ": NO_POD,
    "kubectl .* logs ": NO_POD,
    "kubectl .* wait --for=condition=Ready pod/": NO_POD,
}
PAGE = Page(tuple(blocks((ROOT / "docs" / "upgrade.md").read_text())), NOT_RUN)
DEFAULT = "kubectl -n {} create serviceaccount default"
"""What a cluster makes for each namespace; the controller that does it does not run here."""
PLACE = f"kubectl create namespace angarium || true; {DEFAULT.format('angarium')} || true"
INSTALL = "helm upgrade --install angarium charts/angarium --namespace angarium --take-ownership"
UPGRADE = f"{INSTALL} --set drainSeconds=45"
UNINSTALL = "helm uninstall {} --namespace {} --ignore-not-found"
TIDY = (UNINSTALL.format("messaging", "angarium"), UNINSTALL.format("angarium", "messaging"))
OWNERS = "kubectl get crd endpoints.angarium.dev -o yaml"
REPLICAS = "kubectl -n angarium get statefulset angarium -o jsonpath='{.spec.replicas}'"


@dataclass(frozen=True, slots=True)
class Case:
    """What is done `before` a section is followed, and what a command shows after it."""

    before: tuple[str, ...]
    asked: str
    shows: str


CASES = {
    "Upgrade": Case(
        (PLACE, INSTALL),
        "helm history angarium --namespace angarium",
        "Upgrade complete",
    ),
    "Roll back": Case((PLACE, INSTALL, UPGRADE), "helm history angarium --namespace angarium", "Rollback to"),
    "Downgrade by restoring": Case((PLACE, INSTALL, UPGRADE), REPLICAS, "1"),
    "Reinstall": Case(
        (PLACE, INSTALL),
        OWNERS,
        "meta.helm.sh/release-name: messaging",
    ),
    "Move to another namespace": Case(
        (PLACE, INSTALL),
        OWNERS,
        "meta.helm.sh/release-namespace: messaging",
    ),
    "Uninstall for good": Case(
        (PLACE, INSTALL),
        "kubectl get crd -o name | grep -c angarium.dev || true",
        "0",
    ),
}


@pytest.fixture(scope="module")
def reader(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Each section leaves the CRDs there, as a person would, and those that come next take them over."""
    folder = tmp_path_factory.mktemp("upgrade")
    (folder / "values.yaml").write_text("drainSeconds: 20\n")
    reader = reader_of(PAGE.blocks, NEEDED, control_plane, folder, programs_of(build.HELM))
    control_plane.start_controller_manager()
    yield reader
    reader.try_to(UNINSTALL.format("angarium", "angarium"), "kubectl delete -f crds/ --ignore-not-found")
    await_gone(control_plane)
    control_plane.stop_controller_manager()


def with_account(text: str) -> str:
    made = re.match(r"kubectl create namespace (\S+)", text)
    return f"{text}\n{DEFAULT.format(made[1])}" if made else text


@pytest.mark.parametrize("section", CASES)
def test_a_section(reader: Reader, section: str) -> None:
    case = CASES[section]
    todo = [with_account(text) for text in PAGE.commands(section)]
    try:
        reader.run(*case.before)
        reader.run(*todo)
        assert case.shows in reader.run(case.asked)
    finally:
        reader.try_to(*TIDY)


def test_all_of_the_page_is_followed() -> None:
    PAGE.check(CASES)
