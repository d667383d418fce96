"""docs/resources.md: text from resources.md beside this file, tables from the CRDs, complete examples."""

import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "resources.md"
KINDS = ("Endpoint", "Topic", "Schedule", "Queue", "Token")

Schema = dict[str, Any]

_TEMPLATE = Path(__file__).with_suffix(".md")
_PLACE = re.compile(r"^\{(\w+)(?:: (\w+))?\}$", re.MULTILINE)
# Every description of a field in a spec says this, in this order: see tests/unit/test_crd_files.py.
_EXAMPLE = ", for example "
_DEFAULT = re.compile(r"; default,? ")
_REQUIRED = re.compile(r"; (required|one of [^;]+ is required)")


def text() -> str:
    """The whole page. Raises KeyError for a place in the template that names nothing we have."""
    return "<!-- Made by `make docs` from tools/docs/resources.md and crds/. -->\n\n" + _PLACE.sub(
        lambda place: _PARTS[place[1]](place[2]), _TEMPLATE.read_text(encoding="utf-8")
    )


@cache
def crd_of(kind: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "crds" / f"{kind.lower()}s.yaml").read_text(encoding="utf-8"))
    return document


def fields_of(kind: str, part: str) -> Iterator[tuple[str, Schema, bool]]:
    """(path, schema, whether it is required) of every field below `spec` or `status`; `[]` after a list's name."""
    return _walk(_schema(kind)["properties"][part], part)


def _walk(schema: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", inner, name in required
        yield from _walk(inner.get("items", inner), f"{path}.{name}" + ("[]" if "items" in inner else ""))


def _schema(kind: str) -> Schema:
    schema: Schema = crd_of(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _kinds(_: str) -> str:
    rows = []
    for kind in KINDS:
        short_name = crd_of(kind)["spec"]["names"]["shortNames"][0]
        first = _schema(kind)["description"].removeprefix(f"{kind} is ").removeprefix(f"{kind} ").partition(": ")[0]
        rows.append(f"| [{kind}](#{kind.lower()}) | `{short_name}` | {_cell(first)} |")
    return "\n".join(rows)


def _about(kind: str) -> str:
    return textwrap.fill(_cell(_schema(kind)["description"]), 120)


def _example(kind: str) -> str:
    return (ROOT / "examples" / "reference" / f"{kind.lower()}.yaml").read_text(encoding="utf-8").rstrip("\n")


def _fields(kind: str) -> str:
    rows = ["| Field | Type and bounds | Default | Example | Meaning |", "|---|---|---|---|---|"]
    for path, schema, required in fields_of(kind, "spec"):
        meaning, default, example = described(schema["description"])
        given = "required" if required else default
        cells = (f"`{path}`", _type(schema), _cell(given), f"`{example}`" if example else "", _cell(meaning))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def described(description: str) -> tuple[str, str, str]:
    """(meaning, default or what is required, example), as one description of a field in a spec holds them."""
    sentence, _, example = description.removesuffix(".").partition(_EXAMPLE)
    meaning, *default = _DEFAULT.split(sentence, maxsplit=1)
    if default:
        return f"{meaning}.", default[0], example
    required = _REQUIRED.search(sentence)
    return f"{_REQUIRED.sub('', sentence)}.", required[1] if required else "", example


def _type(schema: Schema) -> str:
    """Such as `integer, 0 to 100` or `list, at most 32, each name once`."""
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    return ", ".join([_TYPES.get(schema.get("type", ""), "any JSON"), *_bounds(schema)])


_TYPES = {"string": "text", "integer": "integer", "boolean": "true or false", "array": "list", "object": "object"}
_MERGED = {"map": "each name once", "set": "each once"}


def _bounds(schema: Schema) -> Iterator[str]:
    if "additionalProperties" in schema:
        yield f"{schema.get('minProperties', 0)} to {schema['maxProperties']} names with a text"
    elif "maxProperties" in schema:
        yield f"at most {schema['maxProperties']} of its fields"
    if schema.get("format") == "date-time":
        yield "RFC 3339"
    elif "maxLength" in schema:
        least = schema.get("minLength")
        yield f"{least} to {schema['maxLength']} characters" if least else f"at most {schema['maxLength']} characters"
    if "maximum" in schema:
        yield f"{schema['minimum']} to {schema['maximum']}"
    elif "minimum" in schema:
        yield f"from {schema['minimum']}"
    if "maxItems" in schema:
        yield f"at most {schema['maxItems']}"
        if merged := _MERGED.get(schema["x-kubernetes-list-type"]):
            yield merged


def _rules(kind: str) -> str:
    """What CEL checks: the paths that share a rule in one line, in the words of a refusal."""
    paths: dict[str, list[str]] = {}
    for path, schema in [("", _schema(kind)), ("spec", _schema(kind)["properties"]["spec"]), *_parts_of(kind)]:
        for rule in schema.get("x-kubernetes-validations", ()):
            place = path + rule.get("fieldPath", "")
            found = paths.setdefault(rule["message"], [])
            if place not in found:
                found.append(place)
    return "\n".join(f"- {_places(places)} {_cell(message)}" for message, places in paths.items())


def _parts_of(kind: str) -> Iterator[tuple[str, Schema]]:
    for path, schema, _ in fields_of(kind, "spec"):
        yield path, schema
        for inner, suffix in (("items", "[]"), ("additionalProperties", ".*")):
            if inner in schema:
                yield path + suffix, schema[inner]


def _places(places: list[str]) -> str:
    return ", ".join(f"`{place}`" if place else "the object" for place in places)


def _status(kind: str) -> str:
    rows = ["| Field | Type | Meaning |", "|---|---|---|"]
    for path, schema, _ in fields_of(kind, "status"):
        rows.append(f"| `{path}` | {_type(schema)} | {_cell(schema['description'])} |")
    return "\n".join(rows)


def _columns(kind: str) -> str:
    rows = ["| Column | Meaning |", "|---|---|"]
    for column in crd_of(kind)["spec"]["versions"][0]["additionalPrinterColumns"]:
        wide = " (with `-o wide`)" if column.get("priority") else ""
        meaning = column.get("description", "Age of the object.")
        rows.append(f"| {column['name'].upper()}{wide} | {_cell(meaning)} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    """As text of a table: nothing in it means something to Markdown."""
    return re.sub(r"([|*<\\])", r"\\\1", " ".join(text.split()))


_PARTS: dict[str, Callable[[str], str]] = {
    "kinds": _kinds,
    "about": _about,
    "example": _example,
    "fields": _fields,
    "rules": _rules,
    "status": _status,
    "columns": _columns,
}
