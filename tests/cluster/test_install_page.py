"""docs/install.md does what it says: its commands are run, section by section, by real Helm, kubectl and API server.

There is no node here, so no pod starts: what needs one, or Docker, is listed below and is not run. Where the page asks
Angarium itself, one beside the API server answers in the place of the port-forward.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from pathlib import Path

import pytest
from tests.cluster.conftest import programs_of
from tests.support import rights
from tests.support.angarium import Angarium
from tests.support.cluster import ROOT
from tests.support.controlplane import ControlPlane
from tests.support.markdown import blocks
from tests.support.reader import Page, Reader, reader_of
from tools.controlplane import build

NEEDED = ("charts", "crds", "deploy", "examples/quickstart")
FORWARDED = "http://127.0.0.1:8080"

NO_DOCKER = "it needs Docker"
NO_POD = "it waits for a pod or looks into one, and there is no kubelet; tests/node has one"
NOT_RUN = {
    "docker ": NO_DOCKER,
    "kind ": NO_DOCKER,
    "kubectl .* rollout status ": NO_POD,
    "kubectl .* logs ": NO_POD,
    "kubectl get --raw .*/proxy/": NO_POD,
    "kubectl -n default wait agep,": "it waits for an operator in a pod; test_quickstart.py waits for the same objects",
}
PAGE = Page(tuple(blocks((ROOT / "docs" / "install.md").read_text())), NOT_RUN)

IMAGE = "kubectl -n angarium get statefulset angarium -o jsonpath='{.spec.template.spec.containers[0].image}'"
PLACE = "kubectl create namespace angarium --dry-run=client -o yaml | kubectl apply -f -"
RELEASE = "helm install angarium charts/angarium --namespace angarium --create-namespace"
CRDS = "kubectl apply --server-side --force-conflicts -f crds/"
NO_RELEASE = "helm uninstall angarium --namespace angarium"


@dataclass(frozen=True, slots=True)
class Case:
    """What is there `before` a section is followed, what commands show after it, and how that is removed again."""

    before: tuple[str, ...] = ()
    shows: dict[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()


# In the order of the page, but that plain manifests come from nowhere, and uninstalling needs a release.
CASES = {
    "A cluster on a laptop": Case(
        shows={
            IMAGE: "angarium.dev/angarium:0.1.0",
            "kubectl -n default get deployments": "receiver",
            "kubectl -n default get angarium -o name": "schedule.angarium.dev/heartbeat",
        },
        after=(NO_RELEASE, "kubectl -n default delete -f examples/quickstart/cluster"),
    ),
    "The image": Case(shows={"kubectl -n angarium get secret registry -o jsonpath='{.type}'": "dockerconfigjson"}),
    "Helm": Case(
        shows={
            IMAGE: "registry.example.com/platform/angarium:0.1.0",
            "kubectl -n angarium get statefulset angarium -o jsonpath='{..imagePullSecrets}'": "registry",
            "kubectl get clusterrolebindings -o name": "angarium.angarium",
            "helm history angarium --namespace angarium": "Rollback to 1",
        },
        after=(NO_RELEASE,),
    ),
    "Helm without rights in the whole cluster": Case(
        shows={
            "kubectl -n shop get role angarium -o name": "role.rbac",
            "kubectl get clusterrolebindings -o name | grep -c angarium || true": "0",
        },
        after=("helm uninstall angarium --namespace queues", "kubectl delete clusterrole angarium-administrators"),
    ),
    "Plain manifests": Case(
        shows={IMAGE: "angarium.dev/angarium:0.1.0", "kubectl get clusterroles -o name": "angarium.angarium"},
        after=(
            "kubectl -n angarium delete statefulset,service,serviceaccount angarium angarium-health --ignore-not-found",
            "kubectl delete clusterrole,clusterrolebinding angarium.angarium",
        ),
    ),
    "Kustomize": Case(
        shows={
            "kubectl -n messaging get statefulset angarium -o yaml": "storage: 20Gi",
            "kubectl -n messaging get rolebinding angarium -o yaml": "namespace: messaging",
            "kubectl -n messaging get statefulset -o jsonpath='{..containers[0].env[*].name}'": "LOG_LEVEL",
            "kubectl -n messaging get statefulset -o jsonpath='{..containers[0].image}'": "registry.example.com",
        },
    ),
    "Storage": Case(before=(PLACE,), shows={"cat storage.yaml": "ReadWriteOncePod"}),
    "Publishers outside the cluster": Case(before=(PLACE,)),
    "Who may reach whom": Case(before=(PLACE,)),
    "Monitoring": Case(shows={"cat monitored.yaml": "kind: ServiceMonitor"}),
    "The first publish": Case(after=("kubectl -n default delete agtok shop",)),
    "Does it work?": Case(before=(PLACE, CRDS)),
    "Uninstall": Case(
        before=(f"{RELEASE} --take-ownership",),
        shows={"kubectl get crds -o name | grep -c angarium.dev || true": "0", "helm list -A -q | wc -l": "0"},
    ),
}
WORDS_PRINTED = {
    "Publishers outside the cluster": "ingress.networking.k8s.io/angarium created (server dry run)",
    "Who may reach whom": "networkpolicy.networking.k8s.io/angarium created (server dry run)",
    "Storage": "statefulset.apps/angarium created (server dry run)",
    "Plain manifests": "statefulset.apps/angarium",
    "Monitoring": "2",
    "The first publish": '"messageId":"msg_',
    "Helm without rights in the whole cluster": "yes",
    "Uninstall": "endpoints.angarium.dev",
}


@pytest.fixture(scope="module")
def reader(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """The API server is another one than that of all tests, for the page begins with an empty cluster."""
    control_plane = ControlPlane(tmp_path_factory.mktemp("empty"), assets)
    try:
        control_plane.start()
        yield reader_of(PAGE.blocks, NEEDED, control_plane, tmp_path_factory.mktemp("install"), programs_of(build.HELM))
    finally:
        control_plane.stop()


@pytest.fixture
def in_place_of_the_pod(reader: Reader, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an Angarium where the section asks one; else that of the port-forward, which nobody asks."""
    if not any(FORWARDED in text for text in PAGE.commands(request.node.callspec.params["section"])):
        yield FORWARDED
        return
    reader.run(
        PLACE,
        "kubectl apply --server-side --force-conflicts -f crds/",
        "kubectl wait crd --all --for=condition=Established",
    )
    token = rights.cluster_operator_token(reader.control_plane, "angarium")
    kubeconfig = reader.control_plane.write_kubeconfig(tmp_path / "kubeconfig", token)
    with Angarium(tmp_path, kubeconfig=kubeconfig) as angarium:
        angarium.start()
        yield angarium.url
    reader.run("kubectl -n angarium delete serviceaccount angarium", "kubectl delete clusterrole angarium.angarium")


@pytest.mark.parametrize("section", CASES)
def test_a_section(reader: Reader, section: str, in_place_of_the_pod: str) -> None:
    case = CASES[section]
    reader.run(*case.before)
    try:
        printed = reader.run(*(text.replace(FORWARDED, in_place_of_the_pod) for text in PAGE.commands(section)))
        assert WORDS_PRINTED.get(section, "") in printed
        for command, words in case.shows.items():
            assert words in reader.run(command), command
    finally:
        reader.try_to(*case.after)


def test_all_of_the_page_is_followed() -> None:
    PAGE.check(CASES)


def test_the_version_is_that_of_the_program() -> None:
    """The image that is built by hand, loaded and pushed is the one that the chart asks for."""
    named = {
        version
        for block in PAGE.blocks
        for version in re.findall(r"(?:angarium:|newTag: |VERSION=)([\w.]+)", block.text)
    }
    assert named == {package_version("angarium")}
