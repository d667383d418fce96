"""Objects as the API server gives them, their declarations, and the CRDs' word on statuses."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker

from angarium.domain.declarations import Declared, Rejection
from angarium.resources import manifest

CRDS = Path(__file__).resolve().parents[2] / "crds"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
CREATED = datetime(2026, 1, 1, tzinfo=UTC)

SPECS: dict[str, dict[str, Any]] = {
    "Endpoint": {"url": "https://billing.shop.svc/hooks"},
    "Topic": {"endpoints": [{"name": "billing", "endpointRef": {"name": "billing"}}]},
    "Schedule": {"cron": "0 6 * * 1-5", "destination": {"endpointRef": {"name": "reports"}}},
    "Queue": {},
    "Token": {},
}
"""The smallest spec of each kind."""


def manifest_of(kind: str, spec: Mapping[str, Any] | None = None, **metadata: object) -> dict[str, Any]:
    """`spec` is added to the smallest one; None as a value takes a field away."""
    fields = {**deepcopy(SPECS[kind]), **(spec or {})}
    return {
        "apiVersion": "angarium.dev/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": "sample",
            "namespace": "shop",
            "uid": "uid-1",
            "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **metadata,
        },
        "spec": {name: value for name, value in fields.items() if value is not None},
    }


def declared_of(kind: str, spec: Mapping[str, Any] | None = None, **metadata: object) -> Declared:
    return manifest.decode(manifest_of(kind, spec, **metadata))


def spec_of(kind: str, spec: Mapping[str, Any] | None = None) -> Any:
    """The decoded spec, which must not be refused."""
    decoded = declared_of(kind, spec).spec
    assert not isinstance(decoded, Rejection), decoded
    return decoded


def schema_of(kind: str, part: str) -> dict[str, Any]:
    """The CRD's schema of `spec` or `status`."""
    document = yaml.safe_load((CRDS / f"{kind.lower()}s.yaml").read_text())
    schema: dict[str, Any] = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]
    return schema


def field_names() -> set[str]:
    """Every name of a field in any spec."""
    return {name for kind in SPECS for name in _names_in(schema_of(kind, "spec"))}


def status_errors(kind: str, status: Mapping[str, Any]) -> list[str]:
    """What the CRD has against a status; a field that it does not know counts too."""
    validator = Draft202012Validator(_closed(schema_of(kind, "status")), format_checker=_FORMATS)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(status)]


_FORMATS = FormatChecker(formats=())
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@_FORMATS.checks("date-time")
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or _DATE_TIME.fullmatch(value) is not None


def _closed(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return [_closed(one) for one in schema] if isinstance(schema, list) else schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed["additionalProperties"] = False
    return closed


def _names_in(schema: dict[str, Any]) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from _names_in(inner)
    yield from _names_in(schema["items"]) if "items" in schema else ()
