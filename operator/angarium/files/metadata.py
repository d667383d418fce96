"""The rules for metadata that Kubernetes has for objects of every kind: types, names, labels, annotations."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from angarium.files.schema import Breach, ObjectSchema, completed, without_unknown
from angarium.resources.fields import shown

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_MAX_NAME = 253
_MAX_LABEL = 63
_MAX_ANNOTATIONS = 256 * 2**10

_TEXT = {"type": "string"}
_FILLED = {"type": "string", "minLength": 1}
_FLAG = {"type": "boolean"}
_TIME = {"type": "string", "format": "date-time"}
_COUNT = {"type": "integer", "format": "int64"}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_OWNER = {
    "type": "object",
    "required": ["apiVersion", "kind", "name", "uid"],
    "properties": {
        **dict.fromkeys(("apiVersion", "kind", "name", "uid"), _FILLED),
        **dict.fromkeys(("controller", "blockOwnerDeletion"), _FLAG),
    },
}
# ObjectMeta (Kubernetes API reference, "ObjectMeta"), in the words of a CRD's schema.
_SCHEMA = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("name", "namespace", "generateName", "selfLink", "uid", "resourceVersion"), _TEXT),
        **dict.fromkeys(("labels", "annotations"), _TEXTS),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), _TIME),
        **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), _COUNT),
        "finalizers": {"type": "array", "items": _TEXT},
        "ownerReferences": {"type": "array", "items": _OWNER},
        "managedFields": {"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": True}},
    },
}
_TYPES = ObjectSchema({"type": "object", "properties": {"metadata": _SCHEMA}})


def breaches(manifest: Mapping[str, Any]) -> Iterator[Breach]:
    """What is wrong with `metadata` (Kubernetes: "Object Names and IDs", "Labels and Selectors", "Annotations")."""
    if manifest.get("metadata") is None:
        yield Breach(("metadata", "name"), "required", "is missing; write metadata: {name: …}")
        return
    found: list[Breach] = []
    whole = completed(without_unknown({"metadata": manifest["metadata"]}, _TYPES.schema, found), _TYPES.schema)
    found += _TYPES.breaches(whole)
    yield from found
    broken = {breach.path[:2] for breach in found}
    if ("metadata",) in broken:
        return
    for field, rule in _RULES.items():
        if ("metadata", field) not in broken:
            yield from rule(whole["metadata"].get(field))


def _name(name: str | None) -> Iterator[Breach]:
    if not name:
        yield Breach(("metadata", "name"), "required", "is missing")
    else:
        yield from _formed(name, "name", _SUBDOMAIN, _MAX_NAME)


def _namespace(name: str | None) -> Iterator[Breach]:
    if name:
        yield from _formed(name, "namespace", _LABEL, _MAX_LABEL)


def _generate_name(prefix: str | None) -> Iterator[Breach]:
    """A dash may end it: something follows."""
    if prefix:
        yield from _formed(re.sub(r"(?s)(.)-\Z", r"\1a", prefix), "generateName", _SUBDOMAIN, _MAX_NAME)


def _formed(name: str, field: str, form: re.Pattern[str], longest: int) -> Iterator[Breach]:
    path = ("metadata", field)
    if len(name) > longest:
        yield Breach(path, "pattern", f"is {len(name)} characters long; write at most {longest}")
    elif not form.fullmatch(name):
        dot = " and '.'" if form is _SUBDOMAIN else ""
        text = f"is {shown(name)}; use lower-case letters, digits, '-'{dot}, with a letter or digit at both ends"
        yield Breach(path, "pattern", text)


def _labels(labels: Mapping[str, str] | None) -> Iterator[Breach]:
    for key, value in (labels or {}).items():
        yield from _key(key, ("metadata", "labels", key))
        if len(value) > _MAX_LABEL or (value and not _QUALIFIED.fullmatch(value)):
            text = f"is {shown(value)}; use at most 63 letters, digits, '-', '_' and '.', alphanumeric at both ends"
            yield Breach(("metadata", "labels", key), "pattern", text)


def _annotations(annotations: Mapping[str, str] | None) -> Iterator[Breach]:
    size = 0
    for key, value in (annotations or {}).items():
        yield from _key(key.lower(), ("metadata", "annotations", key))
        size += len(key.encode()) + len(value.encode())
    if size > _MAX_ANNOTATIONS:
        yield Breach(("metadata", "annotations"), "maxLength", "are larger than 256 KiB")


def _finalizers(names: list[str] | None) -> Iterator[Breach]:
    for place, name in enumerate(names or ()):
        yield from _key(name, ("metadata", "finalizers", place))


def _managed_fields(entries: list[Any] | None) -> Iterator[Breach]:
    for place, entry in enumerate(entries or ()):
        if entry is not None and not isinstance(entry, dict):
            yield Breach(
                ("metadata", "managedFields", place), "type", f"is {shown(entry)}; write an object with fields"
            )


def _key(key: str, path: tuple[str | int, ...]) -> Iterator[Breach]:
    prefix, slash, name = key.rpartition("/")
    sound = bool(_QUALIFIED.fullmatch(name)) and len(name) <= _MAX_LABEL
    if slash:
        sound = sound and len(prefix) <= _MAX_NAME and bool(_SUBDOMAIN.fullmatch(prefix))
    if not sound:
        yield Breach(path, "pattern", "cannot be such a name; write for example events or example.com/events")


_RULES: dict[str, Any] = {
    "name": _name,
    "namespace": _namespace,
    "generateName": _generate_name,
    "labels": _labels,
    "annotations": _annotations,
    "finalizers": _finalizers,
    "managedFields": _managed_fields,
}
