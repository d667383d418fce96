"""One node per test run, and what is told of it when a test fails."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.cluster import call, path_of
from tests.support.kubenode import KubeNode
from tools.node import machine, parts

TIMEOUT_S = 300
_RUNNING: list[KubeNode] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed and _RUNNING and item.path.parent == Path(__file__).parent:
        report.sections += [(f"the node: {title}", text) for title, text in _RUNNING[0].account() if text.strip()]
    return report


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeNode]:
    """A node that is Ready. Where the machine cannot carry one, the tests that want it say so and are left out."""
    obstacle = machine.this_machine().obstacle()
    if obstacle:
        pytest.skip(f"THE NODE TIER DID NOT RUN: {obstacle}")
    node = KubeNode(tmp_path_factory.mktemp("node"), parts.required())
    _RUNNING.append(node)
    try:
        node.start()
        yield node
    finally:
        _RUNNING.remove(node)
        node.stop()


@pytest.fixture
def namespace(node: KubeNode) -> Iterator[str]:
    """A namespace of this test's own, in which pods have to be as restricted as Kubernetes can ask for."""
    name = restricted_namespace(node, f"test-{uuid.uuid4().hex[:8]}")
    yield name
    node.kubectl("delete", "namespace", name, "--wait=false")


def restricted_namespace(node: KubeNode, name: str) -> str:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    call(node, "POST", path_of("Namespace"), json=document)
    node.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=60s")
    return name
