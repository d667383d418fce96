"""The CRD files as data: what other tests compare the API server, kubectl and the documentation with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CRDS = Path(__file__).resolve().parents[2] / "crds"
PLURALS = ("endpoints", "topics", "schedules", "queues", "tokens")

Schema = dict[str, Any]


def crd(plural: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    return document


def schema_of(plural: str) -> Schema:
    """Of the whole object."""
    schema: Schema = crd(plural)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def walk(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every node with its path: `[]` for the items of a list, `*` for the values of a map."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], f"{path}.*")
