"""What a change of a CRD takes away from those who have objects, manifests and clients of it: pure, of two documents.

An object that the old one took has to be taken by the new one, with every field kept and meaning the same.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

Schema = Mapping[str, Any]

_UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")
_LOWER = ("minimum", "minLength", "minItems", "minProperties")
_FIXED = ("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "default")
_NEVER_NEW = ("pattern", "format", "multipleOf", "not", "allOf", "anyOf", "oneOf", "uniqueItems", "exclusiveMaximum",
              "exclusiveMinimum")  # fmt: skip
_NEVER_GONE = ("nullable", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string",
               "x-kubernetes-embedded-resource")  # fmt: skip


def losses(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Each as `where: what`; none if every object, manifest and client of the old CRD goes on with the new one."""
    return list(_of_crd(old["spec"], new["spec"]))


def _of_crd(old: Schema, new: Schema) -> Iterator[str]:
    for field in ("group", "scope"):
        if old[field] != new[field]:
            yield f"{field}: {old[field]} becomes {new[field]}"
    yield from _of_names(old["names"], new["names"])
    versions = {version["name"]: version for version in new["versions"]}
    for version in old["versions"]:
        name = version["name"]
        if name not in versions:
            yield f"{name}: is gone, and objects may be stored in it"
        elif version["served"] and not versions[name]["served"]:
            yield f"{name}: is not served any more"
        else:
            yield from _of_version(name, version, versions[name])


def _of_names(old: Schema, new: Schema) -> Iterator[str]:
    for field in ("kind", "plural", "singular", "listKind"):
        if field in old and old[field] != new.get(field):
            yield f"names.{field}: {old[field]} becomes {new.get(field)}"
    for field in ("shortNames", "categories"):
        for name in set(old.get(field, ())) - set(new.get(field, ())):
            yield f"names.{field}: {name} is gone"


def _of_version(name: str, old: Schema, new: Schema) -> Iterator[str]:
    for one in old.get("subresources", {}).keys() - new.get("subresources", {}).keys():
        yield f"{name}: the subresource {one} is gone"
    for field in old.get("selectableFields", ()):
        if field not in new.get("selectableFields", ()):
            yield f"{name}: {field['jsonPath']} cannot be selected by any more"
    yield from _of_schema(name, old["schema"]["openAPIV3Schema"], new["schema"]["openAPIV3Schema"])


def _of_schema(path: str, old: Schema, new: Schema) -> Iterator[str]:
    checks = (_of_values, _of_choices, _of_bounds, _of_rules)
    yield from (f"{path}: {what}" for what in chain.from_iterable(check(old, new) for check in checks))
    yield from _of_inner(path, old, new)


def _of_values(old: Schema, new: Schema) -> Iterator[str]:
    if old.get("type") != new.get("type"):
        yield f"type {old.get('type')} becomes {new.get('type')}"
    for field in _FIXED:
        if old.get(field) != new.get(field):
            yield f"{field} {old.get(field)!r} becomes {new.get(field)!r}"
    for field in _NEVER_NEW:
        if field in new and new[field] != old.get(field):
            yield f"{field} {old.get(field)!r} becomes {new[field]!r}"
    for field in _NEVER_GONE:
        if old.get(field) and not new.get(field):
            yield f"{field} is gone"


def _of_choices(old: Schema, new: Schema) -> Iterator[str]:
    if "enum" in new and "enum" not in old:
        yield f"only {new['enum']} is taken now"
    for value in old.get("enum", ()):
        if "enum" in new and value not in new["enum"]:
            yield f"{value!r} is no value any more"


def _of_bounds(old: Schema, new: Schema) -> Iterator[str]:
    for field in _UPPER:
        if field in new and (field not in old or new[field] < old[field]):
            yield f"{field} {old.get(field)} becomes {new[field]}"
    for field in _LOWER:
        if new.get(field, 0) > old.get(field, 0) or (field == "minimum" and field in new and field not in old):
            yield f"{field} {old.get(field)} becomes {new[field]}"


def _of_rules(old: Schema, new: Schema) -> Iterator[str]:
    for name in set(new.get("required", ())) - set(old.get("required", ())):
        yield f"{name} is required now"
    known = {rule["rule"] for rule in old.get("x-kubernetes-validations", ())}
    for rule in new.get("x-kubernetes-validations", ()):
        if rule["rule"] not in known:
            yield f"a new rule: {rule['rule']}"


def _of_inner(path: str, old: Schema, new: Schema) -> Iterator[str]:
    fields = new.get("properties", {})
    for name, inner in old.get("properties", {}).items():
        if name in fields:
            yield from _of_schema(f"{path}.{name}", inner, fields[name])
        elif not new.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{path}.{name}: is gone, and with it what objects say there"
    if old.get("x-kubernetes-preserve-unknown-fields"):
        for name in fields.keys() - old.get("properties", {}).keys():
            yield f"{path}.{name}: has a schema now, and objects may say anything there"
    for field, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if field in old and field in new:
            yield from _of_schema(f"{path}{mark}", old[field], new[field])
        elif field in old:
            yield f"{path}: {field} is gone"
