"""One node per test run, and what is told of it when a test fails."""

import shutil
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests.support import images
from tests.support.account import account
from tests.support.cluster import call, path_of
from tests.support.kubenode import OUTSIDE, KubeNode
from tests.support.receiver import Receiver
from tests.support.release import Release
from tests.support.traffic import Traffic
from tools.node import machine, parts

TIMEOUT_S = 300
PORT = 8080
DESTINATION = f"http://outside.default.svc:{PORT}"
SERVICE = f"""
apiVersion: v1
kind: Service
metadata: {{name: outside, namespace: default}}
spec: {{ports: [{{port: {PORT}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: outside, namespace: default, labels: {{kubernetes.io/service-name: outside}}}}
addressType: IPv4
ports: [{{port: {PORT}}}]
endpoints: [{{addresses: [{OUTSIDE}]}}]
"""
_RUNNING: list[KubeNode] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where the machine cannot carry a node, the last lines of the run say which files were left out, and why."""
    here = Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    obstacle = machine.this_machine().obstacle() if ours else None
    for item in ours:
        item.add_marker(pytest.mark.timeout(TIMEOUT_S))
        if obstacle:
            item.add_marker(pytest.mark.skip(reason=f"THE NODE TIER DID NOT RUN: {obstacle}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and _RUNNING and item.path.parent == Path(__file__).parent:
        report.sections += [(f"the node: {title}", text) for title, text in account(_RUNNING[0]) if text.strip()]
    return report


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeNode]:
    """A node that is Ready."""
    node = KubeNode(tmp_path_factory.mktemp("node"), parts.required())
    try:
        started(node)
        _RUNNING.append(node)
        yield node
        _RUNNING.remove(node)
    finally:
        node.stop()


def started(node: KubeNode) -> None:
    try:
        node.start()
    except Exception as error:
        error.add_note("\n".join(f"--- {title}\n{text}" for title, text in account(node)))
        raise


@pytest.fixture(scope="session")
def image_names(node: KubeNode, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The images of tests.support.images, on the node: the one under test, the other version, the client."""
    folder = tmp_path_factory.mktemp("images")
    names = [node.import_image(archive) for archive in images.write(folder)]
    shutil.rmtree(folder)
    return names


@pytest.fixture(scope="session")
def release(node: KubeNode, image_names: list[str]) -> Release:
    """Angarium as `helm install` makes it, Ready, for the whole cluster. Whatever a test does to it, it is so again."""
    restricted(node, "default")
    release = Release(node, restricted_namespace(node, "angarium"))
    node.add_volume("angarium")
    release.install()
    return release


@pytest.fixture(scope="session")
def receiver(node: KubeNode) -> Iterator[Receiver]:
    """In the node's network but on no pod, so that it outlives all pods: Angarium knows it as a Service."""
    with Receiver(host=OUTSIDE, port=PORT, network=node.network) as receiver:
        node.kubectl("apply", "-f", "-", input=SERVICE)
        yield receiver


@pytest.fixture
def traffic(release: Release, receiver: Receiver) -> Iterator[Traffic]:
    """Messages that flow while the test does something; at its end all that were accepted have to arrive."""
    with Traffic(release.address(), release.token("default", "traffic"), receiver, DESTINATION) as traffic:
        yield traffic
        traffic.flow()
    traffic.check()


@pytest.fixture
def namespace(node: KubeNode) -> Iterator[str]:
    """A namespace of this test's own, in which pods have to be as restricted as Kubernetes can ask for."""
    name = restricted_namespace(node, f"test-{uuid.uuid4().hex[:8]}")
    yield name
    node.kubectl("delete", "namespace", name, "--wait=false")


def restricted_namespace(node: KubeNode, name: str) -> str:
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    call(node, "POST", path_of("Namespace"), json=document)
    restricted(node, name)
    node.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=60s")
    return name


def restricted(node: KubeNode, name: str) -> None:
    node.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
