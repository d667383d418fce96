"""The rules for metadata that Kubernetes has for objects of every kind: names, labels, annotations."""

import re
from collections.abc import Iterator
from typing import Any

from angarium.files.schema import UNKNOWN, Breach
from angarium.resources.fields import shown

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_FIELDS = frozenset(
    (
        "name", "namespace", "labels", "annotations", "generateName", "selfLink", "uid", "resourceVersion",
        "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences",
        "finalizers", "managedFields",
    )
)  # fmt: skip
_MAX_NAME = 253
_MAX_LABEL = 63
_MAX_ANNOTATIONS = 256 * 2**10


def breaches(manifest: dict[str, Any]) -> Iterator[Breach]:
    """What is wrong with `metadata` (Kubernetes: "Object Names and IDs", "Labels and Selectors", "Annotations")."""
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict):
        yield Breach(("metadata",), "type", "is missing; write metadata: {name: …}")
        return
    for field in metadata.keys() - _FIELDS:
        yield Breach(("metadata", field), UNKNOWN, "is no field of metadata")
    yield from _name(metadata, "name", _SUBDOMAIN, _MAX_NAME)
    if metadata.get("namespace") is not None:
        yield from _name(metadata, "namespace", _LABEL, _MAX_LABEL)
    yield from _labels(metadata.get("labels"))
    yield from _annotations(metadata.get("annotations"))


def _name(metadata: dict[str, Any], field: str, form: re.Pattern[str], longest: int) -> Iterator[Breach]:
    name, path = metadata.get(field), ("metadata", field)
    if name is None:
        yield Breach(path, "required", "is missing")
    elif not isinstance(name, str):
        yield Breach(path, "type", f"is {shown(name)}; write a text (in quotes)")
    elif len(name) > longest:
        yield Breach(path, "maxLength", f"is {len(name)} characters long; write at most {longest}")
    elif not form.fullmatch(name):
        dot = " and '.'" if form is _SUBDOMAIN else ""
        text = f"is {shown(name)}; use lower-case letters, digits, '-'{dot}, with a letter or digit at both ends"
        yield Breach(path, "pattern", text)


def _labels(labels: Any) -> Iterator[Breach]:
    for key, value in _pairs(labels, "labels"):
        if isinstance(value, Breach):
            yield value
            continue
        yield from _key(key, "labels")
        if len(value) > _MAX_LABEL or (value and not _QUALIFIED.fullmatch(value)):
            text = f"is {shown(value)}; use at most 63 letters, digits, '-', '_' and '.', alphanumeric at both ends"
            yield Breach(("metadata", "labels", key), "pattern", text)


def _annotations(annotations: Any) -> Iterator[Breach]:
    size = 0
    for key, value in _pairs(annotations, "annotations"):
        if isinstance(value, Breach):
            yield value
            continue
        yield from _key(key.lower(), "annotations")
        size += len(key.encode()) + len(value.encode())
    if size > _MAX_ANNOTATIONS:
        yield Breach(("metadata", "annotations"), "maxLength", "are larger than 256 KiB")


def _pairs(values: Any, field: str) -> Iterator[tuple[str, Any]]:
    """Keys with their texts; a Breach in place of a value that is none."""
    if values is None:
        return
    if not isinstance(values, dict):
        yield "", Breach(("metadata", field), "type", f"is {shown(values)}; write an object with fields")
        return
    for key, value in values.items():
        path = ("metadata", field, key)
        good = isinstance(value, str)
        yield key, value if good else Breach(path, "type", f"is {shown(value)}; write a text (in quotes)")


def _key(key: str, field: str) -> Iterator[Breach]:
    prefix, slash, name = key.rpartition("/")
    sound = bool(_QUALIFIED.fullmatch(name)) and len(name) <= _MAX_LABEL
    if slash:
        sound = sound and len(prefix) <= _MAX_NAME and bool(_SUBDOMAIN.fullmatch(prefix))
    if not sound:
        text = "cannot be such a name; write for example events or example.com/events"
        yield Breach(("metadata", field, key), "pattern", text)
