"""A Token whose Secret comes from Git: pruned and made again, in either order, its text and keys stay as they were."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from qstash import Receiver as SignatureVerifier
from tests.support.cluster import Object, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.stage import API_VERSION, Stage
from tests.support.staging import staged
from tests.support.tokens import (
    CURRENT,
    NEXT,
    ROTATED_S,
    TOKEN,
    URL,
    await_answer,
    opens,
    secret_of,
    values_of,
    with_keys_in_force,
)

from angarium.domain.ids import signing_key

LABEL = {"app.kubernetes.io/part-of": "shop"}


@dataclass
class Repository:
    """What Git says of one Token: its Secret, itself, and something else that stays."""

    stage: Stage
    folder: Path
    name: str

    def __post_init__(self) -> None:
        self.text = f"a-token-from-git-of-{self.name}"
        self.secret = f"{self.name}-sealed"
        self.values = with_keys_in_force(self.stage, self.text)
        self.documents = {
            "rest": self._document("v1", "ConfigMap", f"{self.name}-rest", data={"a": "b"}),
            "secret": self._document("v1", "Secret", self.secret, stringData=self.values),
            "token": self._document(API_VERSION, "Token", self.name, spec={"secretName": self.secret}),
        }

    def kubectl(self, *args: str, **environment: str) -> str:
        return self.stage.control_plane.kubectl(*args, "-n", self.stage.namespace, **environment).stdout

    def file(self, *parts: str) -> str:
        path = self.folder / f"{'-'.join(parts)}.yaml"
        path.write_text(yaml.safe_dump_all([self.documents[part] for part in parts]))
        return str(path)

    def _document(self, api_version: str, kind: str, name: str, **content: Object) -> Object:
        metadata = {"name": name, "labels": {**LABEL, "of": self.name}}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def by_deletion(repository: Repository, *parts: str) -> None:
    """What is no longer wanted is deleted by name, then the rest applied."""
    gone = [part for part in repository.documents if part not in parts]
    if gone:
        repository.kubectl("delete", "-f", repository.file(*gone), "--ignore-not-found", "--timeout=30s")
    repository.kubectl("apply", "-f", repository.file(*parts))


def by_label(repository: Repository, *parts: str) -> None:
    """`kubectl apply --prune` with a selector, among the kinds that are in Git."""
    kinds = ("core/v1/ConfigMap", "core/v1/Secret", "angarium.dev/v1alpha1/Token")
    allowed = [f"--prune-allowlist={kind}" for kind in kinds]
    repository.kubectl("apply", "--prune", "-l", f"of={repository.name}", *allowed, "-f", repository.file(*parts))


def by_applyset(repository: Repository, *parts: str) -> None:
    given = ("--prune", f"--applyset={repository.name}", "-f", repository.file(*parts))
    repository.kubectl("apply", *given, KUBECTL_APPLYSET="true")


def by_server_side_applyset(repository: Repository, *parts: str) -> None:
    given = ("--prune", f"--applyset={repository.name}", "--server-side", "--force-conflicts")
    repository.kubectl("apply", *given, "-f", repository.file(*parts), KUBECTL_APPLYSET="true")


Way = Callable[..., None]
WAYS = (by_deletion, by_label, by_applyset, by_server_side_applyset)
ORDERS = {"secret first": ("rest", "secret"), "token first": ("rest", "token"), "together": ()}
ALL = ("rest", "secret", "token")


@pytest.fixture(scope="module", autouse=True)
def _collected(control_plane: ControlPlane) -> Iterator[None]:
    control_plane.start_controller_manager()
    yield
    control_plane.stop_controller_manager()


def assert_adopted(repository: Repository) -> None:
    """The old text opens, publishes, and stands in the Secret, which is nobody's but Git's."""
    stage = repository.stage
    await_answer(stage, repository.text, 200, within=ROTATED_S)
    wait_for(lambda: stage.status("Token", repository.name).get("adopted"), within=ROTATED_S, describe="it is adopted")
    stage.ready(("Token", repository.name))
    values = values_of(stage, repository.secret)
    assert {key: values[key] for key in (TOKEN, CURRENT, NEXT)} == repository.values
    assert "ownerReferences" not in stage.get("Secret", repository.secret)["metadata"]
    path = f"/{repository.name}"
    before = stage.receiver.count(path)
    with stage.angarium.client(repository.text) as publisher:
        publisher.post(f"/v2/publish/{stage.receiver.url(path)}").raise_for_status()
    stage.receiver.wait_for(before + 1, path=path)


@pytest.mark.parametrize("order", ORDERS)
def test_an_adopted_token_survives(stage: Stage, tmp_path: Path, order: str) -> None:
    """One Token for each way of pruning, side by side: Secrets are looked at every 10 s."""
    repositories = {way: Repository(stage, tmp_path, name_of(way, order)) for way in WAYS}
    every(repositories, *ALL)
    for repository in repositories.values():
        assert_adopted(repository)
    every(repositories, "rest")
    for repository in repositories.values():
        await_answer(stage, repository.text, 401)
        wait_for(lambda name=repository.secret: secret_of(stage, name) is None, describe="the Secret is pruned")  # type: ignore[misc]
    if ORDERS[order]:
        every(repositories, *ORDERS[order])
    if order == "token first":  # the worst case: the operator has made a Secret of that name by itself
        for repository in repositories.values():
            made = values_of(stage, repository.secret)
            assert made[TOKEN] != repository.text and made[CURRENT] == repository.values[CURRENT]
    every(repositories, *ALL)
    for repository in repositories.values():
        assert_adopted(repository)


def name_of(way: Way, order: str) -> str:
    return f"{way.__name__} {order}".replace("_", "-").replace(" ", "-")


def every(repositories: dict[Way, Repository], *parts: str) -> None:
    for way, repository in repositories.items():
        way(repository, *parts)


def test_without_adoption_a_new_token_has_a_new_text_and_the_same_keys(stage: Stage) -> None:
    stage.apply("Token", "renewed", {})
    old = values_of(stage, "renewed-qstash")
    stage.ready(("Token", "renewed"))
    stage.delete("Token", "renewed")
    stage.apply("Token", "renewed", {})
    stage.ready(("Token", "renewed"))
    new = values_of(stage, "renewed-qstash")
    assert new[TOKEN] != old[TOKEN]
    assert (new[CURRENT], new[NEXT], new[URL]) == (old[CURRENT], old[NEXT], old[URL])
    assert (opens(stage, old[TOKEN]), opens(stage, new[TOKEN])) == (401, 200)


def test_an_orphaned_secret_keeps_the_token(stage: Stage) -> None:
    """`--cascade=orphan` leaves the Secret that we made; the next Token of its name adopts it as it is."""
    stage.apply("Token", "moved", {})
    old = values_of(stage, "moved-qstash")
    stage.ready(("Token", "moved"))
    given = ("delete", "agtok", "moved", "--cascade=orphan", "--timeout=30s", "-n", stage.namespace)
    stage.control_plane.kubectl(*given)
    stage.apply("Token", "moved", {})
    stage.ready(("Token", "moved"))
    assert stage.status("Token", "moved")["adopted"]
    assert values_of(stage, "moved-qstash") == old
    await_answer(stage, old[TOKEN], 200)


def test_a_token_that_came_before_its_secret_takes_the_keys_from_git(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """In a cluster that is built anew, the controller that unseals Secrets may be slower than we are."""
    with staged(control_plane, namespace, tmp_path) as stage:
        stage.angarium.start()
        stage.apply("Token", "app", {})
        made = values_of(stage, "app-qstash")
        current, following = (signing_key(bytes([number]) * 32) for number in (5, 6))
        stage.secret("app-qstash", **{TOKEN: "a-token-from-git", CURRENT: current, NEXT: following})
        await_answer(stage, "a-token-from-git", 200, within=ROTATED_S)
        wait_for(lambda: stage.status("Token", "app").get("adopted"), within=ROTATED_S, describe="it is adopted")
        stage.ready(("Token", "app"))
        assert opens(stage, made[TOKEN]) == 401
        with stage.angarium.client("a-token-from-git") as client:
            keys = client.get("/v2/keys").raise_for_status().json()
            client.post(f"/v2/publish/{stage.receiver.url('/git')}", content=b"x").raise_for_status()
        assert (keys["current"], keys["next"]) == (current, following)
        (received,) = stage.receiver.wait_for(1, path="/git")
        SignatureVerifier(current, following).verify(
            signature=received.header("Upstash-Signature") or "", body="x", url=stage.receiver.url("/git")
        )
