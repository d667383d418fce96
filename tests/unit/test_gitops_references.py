"""What examples/gitops tells kustomize about our kinds: each field that holds the name of another object, no more."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from tests.support.crds import PLURALS, crd, schema_of, walk

REFERENCES = Path(__file__).resolve().parents[2] / "examples" / "gitops" / "base" / "references.yaml"
TARGETS = {
    "configMapKeyRef": "ConfigMap",
    "secretKeyRef": "Secret",
    "caSecretRef": "Secret",
    "clientCertificateSecretRef": "Secret",
    "endpointRef": "Endpoint",
    "topicRef": "Topic",
    "queueRef": "Queue",
}

Reference = tuple[str, str, str]
"""The kind that is named, the kind that names it, and the path of the name as kustomize writes it."""


def in_schemas() -> Iterator[Reference]:
    for plural in PLURALS:
        for path, _ in walk(schema_of(plural), ""):
            field = path.rpartition(".")[2]
            if field.endswith("Ref") and path.startswith(".spec."):
                kind = crd(plural)["spec"]["names"]["kind"]
                yield TARGETS[field], kind, f"{path.lstrip('.').replace('[]', '').replace('.', '/')}/name"


def in_file() -> Iterator[Reference]:
    for target in yaml.safe_load(REFERENCES.read_text())["nameReference"]:
        ours = target["kind"] not in ("ConfigMap", "Secret")
        assert target.get("group") == ("angarium.dev" if ours else None)
        for field in target["fieldSpecs"]:
            assert field["group"] == "angarium.dev"
            yield target["kind"], field["kind"], field["path"]


def test_kustomize_is_told_of_every_reference() -> None:
    assert sorted(in_file()) == sorted(in_schemas())
    assert len(list(in_file())) >= 13
