"""examples/gitops as a reader takes it: built, checked, applied, changed with pruning, and taken away again."""

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.support import rights
from tests.support.angarium import run
from tests.support.cluster import (
    ROOT,
    Object,
    condition,
    create_namespace,
    delete,
    find,
    list_all,
    remove_namespace,
    wait_for,
)
from tests.support.controlplane import ControlPlane
from tests.support.stage import API_VERSION, RUN_NOW, STATUS_S, Stage
from tests.support.staging import staged

EXAMPLE = ROOT / "examples" / "gitops"
OVERLAYS = ("staging", "production")
OURS = "agep,agt,ags,agq,agtok"
APPLYSET = "shop"
"""Name of the Secret by which kubectl remembers what it has applied, to prune it."""


@dataclass
class Repository:
    """A copy of the example, which a test may change, and a stage whose operator serves all namespaces."""

    folder: Path
    stage: Stage

    def overlay(self, name: str) -> Path:
        return self.folder / "overlays" / name

    def build(self, name: str) -> list[Object]:
        built = self.stage.control_plane.kubectl("kustomize", str(self.overlay(name))).stdout
        return list(yaml.safe_load_all(built))

    def kubectl(self, *args: str, namespace: str, **environment: str) -> str:
        return self.stage.control_plane.kubectl(*args, "-n", namespace, **environment).stdout

    def apply(self, name: str, namespace: str) -> str:
        """Apply an overlay, and remove what it no longer has."""
        given = ("apply", "-k", str(self.overlay(name)), "--prune", f"--applyset={APPLYSET}")
        return self.kubectl(*given, namespace=namespace, KUBECTL_APPLYSET="true")

    def ready(self, namespace: str) -> None:
        self.kubectl("wait", OURS, "--all", "--for=condition=Ready", "--timeout=60s", namespace=namespace)

    def change(self, file: str, old: str, new: str) -> None:
        text = (self.folder / file).read_text()
        assert old in text
        (self.folder / file).write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def repository(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    folder = tmp_path_factory.mktemp("gitops")
    shutil.copytree(EXAMPLE, folder / "repository")
    namespaces = ("test-gitops", *(f"shop-{name}" for name in OVERLAYS))
    for name in namespaces:
        create_namespace(control_plane, name)
    token = rights.cluster_operator_token(control_plane, namespaces[0])
    with staged(control_plane, namespaces[0], folder, token=token, namespaces="") as stage:
        stage.angarium.start()
        yield Repository(folder / "repository", stage)
    delete(control_plane, "ClusterRoleBinding", f"angarium-{namespaces[0]}")
    for name in namespaces:
        remove_namespace(control_plane, name)


@pytest.fixture(scope="module")
def local(repository: Repository) -> str:
    """A third overlay, on top of production: in the stage's namespace, with the addresses of its receiver."""
    folder = repository.overlay("local")
    folder.mkdir()
    receiver = repository.stage.receiver
    patches = [
        {"target": {"kind": "Endpoint", "name": name}, "patch": json.dumps([replaced("/spec/url", receiver.url(path))])}
        for name, path in (("billing", "/billing"), ("warehouse", "/warehouse"), ("pager", "/pager"))
    ]
    made = {"namespace": repository.stage.namespace, "resources": ["../production"], "patches": patches}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(made))
    return folder.name


def replaced(path: str, value: str) -> Object:
    return {"op": "replace", "path": path, "value": value}


def by_name(documents: list[Object], kind: str) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in documents if one["kind"] == kind}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_references_follow_what_is_generated(repository: Repository, overlay: str) -> None:
    """Without the file that tells kustomize of our fields, they would name what is not there."""
    built = repository.build(overlay)
    (bodies,), (destinations,) = by_name(built, "ConfigMap"), by_name(built, "Secret")
    assert bodies.startswith("bodies-") and destinations.startswith("destinations-")
    body = by_name(built, "Schedule")["stock-report"]["spec"]["body"]["configMapKeyRef"]
    (header,) = by_name(built, "Endpoint")["billing"]["spec"]["headers"]
    assert (body["name"], header["valueFrom"]["secretKeyRef"]["name"]) == (bodies, destinations)
    told, untold = "configurations:\n- references.yaml", "configurations: [] #"
    repository.change("base/kustomization.yaml", told, untold)
    unaware = by_name(repository.build(overlay), "Schedule")["stock-report"]["spec"]["body"]["configMapKeyRef"]
    repository.change("base/kustomization.yaml", untold, told)
    assert unaware["name"] == "bodies"


def test_a_prefix_reaches_every_reference(repository: Repository) -> None:
    folder = repository.overlay("prefixed")
    folder.mkdir()
    (folder / "kustomization.yaml").write_text("namePrefix: eu-\nresources: [../production]\n")
    built = repository.build("prefixed")
    report = by_name(built, "Schedule")["eu-stock-report"]["spec"]
    assert report["destination"]["topicRef"]["name"] == "eu-orders"
    assert report["failureCallback"]["endpointRef"]["name"] == "eu-pager"
    assert report["body"]["configMapKeyRef"]["name"].startswith("eu-bodies-")


def test_the_program_accepts_what_is_built_and_what_is_written(repository: Repository, tmp_path: Path) -> None:
    """As docs/gitops.md has it for CI: each overlay in a folder of its own."""
    for overlay in OVERLAYS:
        (tmp_path / overlay).mkdir()
        (tmp_path / overlay / "built.yaml").write_text(yaml.safe_dump_all(repository.build(overlay)))
    done = run("check", "--recursive", "--folders-apart", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, ""), done
    assert "14 objects in 2 files" in done.stderr
    done = run("check", "--recursive", "--folders-apart", str(EXAMPLE))
    assert (done.returncode, done.stdout) == (0, ""), done


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_both_environments_become_ready(repository: Repository, overlay: str) -> None:
    namespace = f"shop-{overlay}"
    repository.apply(overlay, namespace)
    repository.ready(namespace)
    schedules = list_all(repository.stage.control_plane, "Schedule", namespace)
    reasons = {(condition(one, "Ready") or {})["reason"] for one in schedules}
    assert reasons == {"Suspended" if overlay == "staging" else "Ready"}
    assert {one["metadata"]["labels"]["environment"] for one in schedules} == {overlay}


def test_deliveries_arrive_and_a_change_takes_effect(repository: Repository, local: str) -> None:
    stage = repository.stage
    repository.apply(local, stage.namespace)
    repository.ready(stage.namespace)
    before = by_name(repository.build(local), "ConfigMap").keys()
    stage.run_now("stock-report", "1")
    for path in ("/billing", "/warehouse"):
        (first,) = stage.receiver.wait_for(1, timeout=STATUS_S, path=path)
        assert json.loads(first.body) == {"report": "stock", "since": "yesterday"}
    assert stage.receiver.received("/billing")[0].header("Authorization") == "Bearer replace-me"
    slot = stage.status("Schedule", "stock-report")["nextSlotTime"]

    repository.change("overlays/production/kustomization.yaml", '"30 5 * * 1-5"', '"45 4 * * 1-5"')
    repository.change("base/bodies/stock-report.json", "yesterday", "monday")
    applied = repository.apply(local, stage.namespace)
    after = by_name(repository.build(local), "ConfigMap").keys()
    assert before != after
    assert [line for line in applied.splitlines() if "pruned" in line] == [f"configmap/{next(iter(before))} pruned"]
    left = {one["metadata"]["name"] for one in list_all(stage.control_plane, "ConfigMap", stage.namespace)}
    assert left - {"kube-root-ca.crt"} == set(after)

    stage.ready(("Schedule", "stock-report"))
    assert stage.status("Schedule", "stock-report")["nextSlotTime"] != slot
    annotation = f"{RUN_NOW}=2"
    repository.kubectl("annotate", "ags", "stock-report", annotation, "--overwrite", namespace=stage.namespace)
    second = stage.receiver.wait_for(2, timeout=STATUS_S, path="/billing")[1]
    assert json.loads(second.body)["since"] == "monday"
    again = repository.apply(local, stage.namespace).splitlines()
    assert all(line.endswith(" unchanged") for line in again if ".angarium.dev/" in line), "run-now is not in Git"


def test_it_goes_as_it_came(repository: Repository, local: str) -> None:
    stage = repository.stage
    repository.apply(local, stage.namespace)
    repository.ready(stage.namespace)
    secret = find(stage.control_plane, "Secret", "shop-qstash", stage.namespace)
    assert secret is not None
    token = base64.b64decode(secret["data"]["QSTASH_TOKEN"]).decode()
    gone = ("delete", "-k", str(repository.overlay(local)), "--timeout=30s")
    repository.kubectl(*gone, namespace=stage.namespace)
    assert [one for one in repository.build(local) if one["apiVersion"] == API_VERSION and still(stage, one)] == []
    with stage.angarium.client(token) as client:
        wait_for(lambda: client.get("/v2/keys").status_code, lambda seen: seen == 401, describe="the token is revoked")


def still(stage: Stage, document: Object) -> bool:
    return find(stage.control_plane, document["kind"], document["metadata"]["name"], stage.namespace) is not None
