"""The manifests among the examples, as they are applied: files, folders, and what kustomize builds."""

from pathlib import Path

import yaml
from tests.support.cluster import ROOT, Object, documents_of
from tests.support.controlplane import ControlPlane
from tests.support.stage import API_VERSION

EXAMPLES = ROOT / "examples"
WRITTEN = (
    "quickstart/manifests.yaml",
    "quickstart/cluster",
    "queues",
    "reference",
    "python-cleanup/kubernetes.yaml",
    "nextjs-long-run/kubernetes.yaml",
)
BUILT = ("gitops/overlays/staging", "gitops/overlays/production")
ALL = (*WRITTEN, *BUILT)
KINDS = ("Endpoint", "Topic", "Schedule", "Queue", "Token", "Secret", "ConfigMap")
"""Ours, and what they take values from. Deployments and Services of the examples are left out: they are not ours."""


def files_of(name: str) -> set[Path]:
    """The manifests of an example that is no kustomization."""
    path = EXAMPLES / name
    return {path} if path.is_file() else set(path.glob("*.yaml"))


def declaring() -> set[Path]:
    """All files that declare an object of ours."""
    return {
        file
        for file in EXAMPLES.rglob("*.yaml")
        if "node_modules" not in file.parts and API_VERSION in file.read_text()
    }


def manifests(control_plane: ControlPlane, name: str) -> list[Object]:
    """What an example declares, without a namespace, so that it goes where a test says."""
    path = EXAMPLES / name
    found = documents_of(control_plane.kubectl("kustomize", str(path)).stdout if name in BUILT else path)
    for document in found:
        document["metadata"].pop("namespace", None)
    return [document for document in found if document["kind"] in KINDS]


def ours(documents: list[Object]) -> list[Object]:
    return [document for document in documents if document["apiVersion"] == API_VERSION]


def written(documents: list[Object], file: Path) -> Path:
    file.write_text(yaml.safe_dump_all(documents))
    return file
