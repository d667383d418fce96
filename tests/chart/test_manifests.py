"""The plain manifests: as fresh as the chart, sound on a real API server, and good ground for kustomize."""

from pathlib import Path

import pytest
import yaml
from tests.support.cluster import apply, documents_of
from tests.support.controlplane import ControlPlane
from tests.support.helm import Helm, environment_of, named, only
from tools.manifests import plain

IDS = [file.path.name for file in plain.FILES]


@pytest.mark.parametrize("file", plain.FILES, ids=IDS)
def test_the_manifests_are_fresh(helm: Helm, file: plain.Plain) -> None:
    assert file.path.read_text(encoding="utf-8") == plain.text(file, helm.program), "stale: run `make manifests`"


@pytest.mark.parametrize("file", plain.FILES, ids=IDS)
def test_they_do_not_say_that_helm_owns_them(file: plain.Plain) -> None:
    for one in documents_of(file.path):
        labels = one["metadata"]["labels"]
        assert "helm.sh/chart" not in labels and "app.kubernetes.io/managed-by" not in labels
    assert "# Source" not in file.path.read_text()


def test_the_namespaced_one_has_nothing_of_the_whole_cluster() -> None:
    objects = documents_of(plain.ROOT / "deploy" / "namespaced.yaml")
    assert {one["metadata"].get("namespace") for one in objects} == {plain.NAMESPACE}
    assert environment_of(objects)["ANGARIUM_NAMESPACES"] == "$(POD_NAMESPACE)"


@pytest.mark.parametrize("file", plain.FILES, ids=IDS)
def test_kubectl_applies_them_as_they_are(control_plane: ControlPlane, namespaces: None, file: plain.Plain) -> None:
    """Then nothing differs, and what is deleted by the file is what was made by it: never a namespace, whose volumes
    would go with it."""
    control_plane.kubectl("apply", "-f", str(file.path))
    assert control_plane.kubectl("diff", "-f", str(file.path)).stdout == ""
    control_plane.kubectl("delete", "-f", str(file.path))
    assert named(documents_of(file.path), "Namespace") == []


@pytest.mark.parametrize("file", plain.FILES, ids=IDS)
def test_kustomize_moves_them_to_another_namespace(
    control_plane: ControlPlane, namespaces: None, file: plain.Plain, tmp_path: Path
) -> None:
    """Everything follows: the binding's ServiceAccount, and the settings, which take the namespace from the pod."""
    (tmp_path / file.path.name).write_text(file.path.read_text())
    kustomization = {
        "resources": [file.path.name],
        "namespace": "shop",
        "images": [{"name": "angarium.dev/angarium", "newName": "mirror.example.com/angarium", "newTag": "9.9"}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    built = control_plane.kubectl("kustomize", str(tmp_path)).stdout
    objects = documents_of(built)
    assert {one["metadata"].get("namespace", "shop") for one in objects} == {"shop"}
    wide = {one["kind"] for one in objects if "namespace" not in one["metadata"]}
    assert wide <= {"ClusterRole", "ClusterRoleBinding"}
    for binding in (*named(objects, "RoleBinding"), *named(objects, "ClusterRoleBinding")):
        assert [subject["namespace"] for subject in binding["subjects"]] == ["shop"]
    (container,) = only(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "mirror.example.com/angarium:9.9"
    assert "angarium.angarium" not in " ".join(environment_of(objects).values())
    for one in objects:
        apply(control_plane, one, dryRun="All")
