"""The CRD files as what pages are made of: kinds, fields with their paths, descriptions taken apart."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("Endpoint", "Topic", "Schedule", "Queue", "Token")

Schema = dict[str, Any]

# Every description of a field in a spec says this, in this order: see tests/unit/test_crd_files.py.
_EXAMPLE = ", for example "
_DEFAULT = re.compile(r"; default,? ")
_REQUIRED = re.compile(r"; (required|one of [^;]+ is required)")


@cache
def crd_of(kind: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "crds" / f"{kind.lower()}s.yaml").read_text(encoding="utf-8"))
    return document


def version_of(kind: str) -> dict[str, Any]:
    """Its one version: name, columns, subresources, schema."""
    version: dict[str, Any] = crd_of(kind)["spec"]["versions"][0]
    return version


def schema_of(kind: str) -> Schema:
    """Of the whole object."""
    schema: Schema = version_of(kind)["schema"]["openAPIV3Schema"]
    return schema


def fields_of(kind: str, part: str) -> Iterator[tuple[str, Schema, bool]]:
    """(path, schema, whether it is required) of `spec` or `status` and each field in it; `[]` after a list's name."""
    whole = schema_of(kind)
    yield part, whole["properties"][part], part in whole.get("required", ())
    yield from _walk(whole["properties"][part], part)


def _walk(schema: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", inner, name in required
        yield from _walk(inner.get("items", inner), f"{path}.{name}" + ("[]" if "items" in inner else ""))


def nodes_of(kind: str) -> Iterator[tuple[str, Schema]]:
    """What may have rules: the object itself (an empty path), fields, items (`[]`) and values of maps (`.*`)."""
    yield "", schema_of(kind)
    for path, schema, _ in fields_of(kind, "spec"):
        yield path, schema
        for inner, suffix in (("items", "[]"), ("additionalProperties", ".*")):
            if inner in schema:
                yield path + suffix, schema[inner]


def described(description: str) -> tuple[str, str, str]:
    """(meaning, default or what is required, example), as one description of a field in a spec holds them."""
    sentence, _, example = description.removesuffix(".").partition(_EXAMPLE)
    meaning, *default = _DEFAULT.split(sentence, maxsplit=1)
    if default:
        return f"{meaning}.", default[0], example
    required = _REQUIRED.search(sentence)
    return f"{_REQUIRED.sub('', sentence)}.", required[1] if required else "", example


def cell(text: str) -> str:
    """As text of a table: nothing in it means something to Markdown."""
    return re.sub(r"([|*<\\])", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """As code in a cell of a table, where only a `|` needs a sign before it."""
    text = " ".join(text.split()).replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"
