"""openapi.yaml as tests ask it: which operations there are, and whether an answer is exactly as described.

Strictly means: no field that is not described. The description itself says nothing of the kind, because clients have
to ignore what they do not know.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from angarium.api.handlers.openapi import DOCUMENT

Schema = dict[str, Any]
METHODS = ("get", "put", "post", "delete", "patch")
JSON = "application/json"


@dataclass
class Description:
    """The document, and what of it has been seen in answers: (schema, field)."""

    document: Schema = field(default_factory=lambda: yaml.load(DOCUMENT.read_bytes(), Loader=yaml.CSafeLoader))
    seen: set[tuple[str, str]] = field(default_factory=set)
    answered: set[tuple[str, str, str]] = field(default_factory=set)

    def operations(self) -> Iterator[tuple[str, str, Schema]]:
        """Method in capitals, path, operation."""
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method.upper(), path, item[method]

    def resolved(self, node: Any) -> Any:
        """With every reference replaced by what it names; a schema's name is kept as its title."""
        if isinstance(node, list):
            return [self.resolved(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" not in node:
            return {name: self.resolved(value) for name, value in node.items()}
        *parts, name = node["$ref"].removeprefix("#/").split("/")
        target: Any = self.document
        for part in (*parts, name):
            target = target[part]
        resolved = self.resolved(deepcopy(target))
        return {**resolved, "title": name} if parts[-1] == "schemas" else resolved

    @cached_property
    def fields(self) -> set[tuple[str, str]]:
        """Every (schema, field) that answers may have."""
        schemas = (self.schema(*key) for key in self.answers())
        return {found for schema in schemas if schema for found in fields_of(schema)}

    def answers(self) -> Iterator[tuple[str, str, str]]:
        """Method, path and status of each answer that is described."""
        for method, path, operation in self.operations():
            for status in operation["responses"]:
                yield method, path, status

    def schema(self, method: str, path: str, status: str) -> Schema | None:
        """The strict schema of an answer's body; None if it has none."""
        described = self.document["paths"][path][method.lower()]["responses"][status]
        content = self.resolved(described).get("content", {})
        return strict(content[JSON]["schema"]) if JSON in content else None

    def check(self, method: str, path: str, status: int, body: Any) -> None:
        """An AssertionError unless the answer is as described; `body` is decoded JSON, None for an empty one."""
        key = (method, path, str(status))
        assert key in set(self.answers()), f"{key} is not described; the answer was {body}"
        schema = self.schema(*key)
        self.answered.add(key)
        if schema is None:
            assert body is None, f"{key} is described without a body, and has {body}"
            return
        errors = list(Draft202012Validator(schema).iter_errors(body))
        assert not errors, f"{key}: {[(list(error.path), error.message) for error in errors]}"
        self._see(schema, body)

    def _see(self, schema: Schema, value: Any) -> None:
        if not Draft202012Validator(schema).is_valid(value):
            return
        for part in (*schema.get("oneOf", ()), *schema.get("allOf", ())):
            self._see(part, value)
        if isinstance(value, dict):
            for name, inner in schema.get("properties", {}).items():
                if name in value:
                    self.seen.add((schema["title"], name))
                    self._see(inner, value[name])
        if isinstance(value, list) and "items" in schema:
            for item in value:
                self._see(schema["items"], item)


def strict(schema: Schema) -> Schema:
    """The same, but what is not described is not allowed."""
    if "allOf" in schema:
        parts = [{**part, "properties": _strict_each(part["properties"])} for part in schema["allOf"]]
        # A part has no title of its own unless it is a schema with a name: its fields are those of the whole.
        parts = [{"title": schema["title"], **part} for part in parts]
        return {**schema, "allOf": parts, "unevaluatedProperties": False}
    changed = dict(schema)
    if "properties" in schema:
        changed |= {"properties": _strict_each(schema["properties"]), "additionalProperties": False}
    if "items" in schema:
        changed["items"] = strict(schema["items"])
    if "oneOf" in schema:
        changed["oneOf"] = [strict(part) for part in schema["oneOf"]]
    return changed


def _strict_each(properties: dict[str, Schema]) -> dict[str, Schema]:
    return {name: strict(schema) for name, schema in properties.items()}


def fields_of(schema: Schema) -> Iterator[tuple[str, str]]:
    for part in (*schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from fields_of(part)
    for name, inner in schema.get("properties", {}).items():
        yield schema["title"], name
        yield from fields_of(inner)
    if "items" in schema:
        yield from fields_of(schema["items"])
