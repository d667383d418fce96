"""What goes, goes: no deletion waits for the operator, and nothing that it made stays behind (DESIGN 3, 5)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import examples
from tests.support.cluster import Object, create_namespace, find, remove_namespace, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.stage import STATUS_S, Stage
from tests.support.staging import staged
from tests.support.tokens import TOKEN, await_answer, values_of

CASCADES = ("background", "foreground", "orphan")
STATES = ("at work", "stopped", "its data gone")
COLLECTED_S = 30.0


@pytest.fixture(scope="module")
def collected(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane that collects garbage and removes namespaces."""
    control_plane.start_controller_manager()
    yield control_plane
    control_plane.stop_controller_manager()


@pytest.fixture(scope="module")
def stage(collected: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    namespace = "test-deletion"
    create_namespace(collected, namespace)
    with staged(collected, namespace, tmp_path_factory.mktemp("deletion")) as stage:
        yield stage
    remove_namespace(collected, namespace)


def everything(control_plane: ControlPlane) -> list[Object]:
    """All examples together; where two have an object of the same name, it is the first one's."""
    found: dict[tuple[str, str], Object] = {}
    for name in examples.ALL:
        for document in examples.manifests(control_plane, name):
            found.setdefault((document["kind"], document["metadata"]["name"]), document)
    return list(found.values())


def secrets_of(documents: list[Object]) -> list[str]:
    """The Secrets that the operator makes for the Tokens among these."""
    tokens = [document for document in documents if document["kind"] == "Token"]
    return [one["spec"].get("secretName", f"{one['metadata']['name']}-qstash") for one in tokens]


def await_reconciled(stage: Stage, documents: list[Object]) -> None:
    """Each has a status, and each Token its Secret."""
    for document in examples.ours(documents):
        kind, name = document["kind"], document["metadata"]["name"]
        if kind == "Token":
            stage.ready((kind, name))
        wait_for(
            lambda kind=kind, name=name: stage.status(kind, name).get("observedGeneration"),  # type: ignore[misc]
            within=STATUS_S,
            describe=f"{kind} {name} is reconciled",
        )


def bring_to(stage: Stage, state: str) -> None:
    """Objects are there and were reconciled; now the operator is in this state."""
    if state == "at work":
        return
    assert stage.angarium.stop() == 0
    if state == "its data gone":
        for file in stage.angarium.folder.glob("angarium.db*"):
            file.unlink()
        stage.angarium.start()


@pytest.mark.parametrize("state", STATES)
def test_all_examples_go_and_leave_nothing(stage: Stage, tmp_path: Path, state: str) -> None:
    """With the operator at work, without it, and with one that has never seen them; a third of them by each cascade."""
    if not stage.angarium.program.running:
        stage.angarium.start()
    documents = sorted(everything(stage.control_plane), key=lambda one: str(one["kind"]))
    file = examples.written(documents, tmp_path / "all.yaml")
    stage.control_plane.kubectl("apply", "-n", stage.namespace, "-f", str(file))
    await_reconciled(stage, documents)
    tokens = {name: values_of(stage, name)[TOKEN] for name in secrets_of(documents)}
    bring_to(stage, state)
    thirds = {cascade: documents[number::3] for number, cascade in enumerate(CASCADES)}
    for cascade, third in thirds.items():
        assert secrets_of(third), "each has a Token, whose Secret depends on it"
        where = ("-n", stage.namespace, "-f", str(examples.written(third, tmp_path / f"{cascade}.yaml")))
        stage.control_plane.kubectl("delete", f"--cascade={cascade}", "--timeout=60s", *where)
    assert [one for one in documents if is_there(stage, one["kind"], one["metadata"]["name"])] == []
    if not stage.angarium.program.running:
        stage.angarium.start()
    for token in tokens.values():
        await_answer(stage, token, 401, within=STATUS_S)
    for secret in secrets_of(thirds["orphan"]):
        assert_left_alone(stage, secret, tokens[secret])
    for secret in tokens:
        wait_for(lambda secret=secret: not is_there(stage, "Secret", secret), within=COLLECTED_S, describe="collected")  # type: ignore[misc]


def is_there(stage: Stage, kind: str, name: str) -> bool:
    return find(stage.control_plane, kind, name, stage.namespace) is not None


def assert_left_alone(stage: Stage, secret: str, token: str) -> None:
    """As was asked for: the Secret stays as it was, and is nobody's. It is taken away here."""
    assert values_of(stage, secret)[TOKEN] == token
    assert "ownerReferences" not in stage.get("Secret", secret)["metadata"]
    stage.delete("Secret", secret)


@pytest.mark.rights_taken("the RoleBinding may go before the objects do")
@pytest.mark.parametrize("state", STATES[:2])
def test_a_namespace_goes_with_all_it_holds(collected: ControlPlane, tmp_path: Path, state: str) -> None:
    namespace = f"test-namespace-goes-{STATES.index(state)}"
    create_namespace(collected, namespace)
    with staged(collected, namespace, tmp_path) as stage:
        stage.angarium.start()
        documents = everything(collected)
        file = examples.written(documents, tmp_path / "all.yaml")
        collected.kubectl("apply", "-n", namespace, "-f", str(file))
        await_reconciled(stage, documents)
        assert all(values_of(stage, name) for name in secrets_of(documents))
        bring_to(stage, state)
        collected.kubectl("delete", "namespace", namespace, "--timeout=60s")
        assert find(collected, "Namespace", namespace) is None
        assert stage.angarium.program.running == (state == "at work"), "it does not end for want of a namespace"
