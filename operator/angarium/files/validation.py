"""Judges manifests as the API server would with strict field validation, from the CRD files and from nothing else.

Fields of the object itself only: whether what it refers to exists is not told here.
"""

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml

from angarium.domain.errors import SettingsError
from angarium.files import metadata
from angarium.files.rules import broken_rules
from angarium.files.schema import UNKNOWN, Breach, ObjectSchema, Path, Schema, completed, without_unknown
from angarium.resources.manifest import API_VERSION

# While one of these is broken, the API server leaves the CEL rules alone: they would speak of consequences.
_BLOCKING = frozenset((UNKNOWN, "type", "format", "enum", "required", "maxLength", "maxItems", "maxProperties"))

_HERE = FilePath(__file__).resolve()
_CRD_FOLDERS = (_HERE.parents[1] / "crds", _HERE.parents[3] / "crds")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field, such as `spec.headers[0].name` (empty: the whole object).

    `keyword` is the schema keyword that is broken (`rule` for a CEL rule, whose message is the CRD's).
    """

    field: str
    message: str
    keyword: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`manifest` is a copy with the schema's defaults and without status, sound if there are no problems."""

    manifest: dict[str, Any]
    problems: tuple[Problem, ...]


class Validator:
    """Judges by the CRDs in a folder; without one, by those that came with the program."""

    def __init__(self, folder: FilePath | None = None) -> None:
        self._schemas = _load(folder or _installed())

    def judge(self, manifest: dict[str, Any]) -> Verdict:
        """`manifest` is of one of our kinds. Of its status only the names of fields matter: who creates an object
        cannot write it."""
        schema, status = self._schemas[manifest["kind"]]
        given = {name: value for name, value in manifest.items() if name != "status"}
        found = _version(given)
        without_unknown(manifest.get("status"), status, found, ("status",))
        whole = completed(without_unknown(given, schema.schema, found), schema.schema)
        found += [*metadata.breaches(given), *schema.breaches(whole)]
        if not any(breach.keyword in _BLOCKING for breach in found):
            found += broken_rules(whole, schema.schema)
        problems = [Problem(field_text(breach.path), breach.message, breach.keyword) for breach in found]
        return Verdict(whole, tuple(dict.fromkeys(problems)))


def _version(manifest: dict[str, Any]) -> list[Breach]:
    given = manifest.get("apiVersion")
    return [] if given == API_VERSION else [Breach(("apiVersion",), "enum", f"is {given}; write {API_VERSION}")]


def field_text(path: Path) -> str:
    """A path as the API server writes it: `spec.headers[0].name`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _installed() -> FilePath:
    """In a wheel the CRDs lie in the package, in a clone beside the sources."""
    for folder in _CRD_FOLDERS:
        if folder.is_dir():
            return folder
    raise SettingsError(f"the CRDs are missing from the installation (looked in {_CRD_FOLDERS[0]}): install it again")


def _load(folder: FilePath) -> dict[str, tuple[ObjectSchema, Schema]]:
    """For each kind the schema of what a person writes, and that of status."""
    schemas: dict[str, tuple[ObjectSchema, Schema]] = {}
    for file in sorted(folder.glob("*.yaml")):
        crd = yaml.load(file.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        properties = dict(schema["properties"])
        status = properties.pop("status")
        schemas[crd["spec"]["names"]["kind"]] = ObjectSchema({**schema, "properties": properties}), status
    return schemas
