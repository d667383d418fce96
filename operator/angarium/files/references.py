"""Secrets and ConfigMaps from manifest files, for those who resolve references."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from angarium.domain.declarations import KeyRef
from angarium.domain.errors import InvalidInput, ReferenceMissing
from angarium.domain.reasons import ReferenceReason
from angarium.files.documents import Manifest
from angarium.resources.fields import shown

Source = tuple[str, str, str]
"""Kind, namespace and name of a Secret or ConfigMap."""
Values = Mapping[str, bytes]


def source_values(manifest: Manifest) -> dict[str, bytes]:
    """The decoded keys of a Secret or ConfigMap. Raises InvalidInput with the field that the API server would refuse.

    stringData goes before data, as there.
    """
    if manifest["kind"] == "Secret":
        return _decoded(manifest, "data") | _texts(manifest, "stringData")
    return _decoded(manifest, "binaryData") | _texts(manifest, "data")


class FileReferences:
    """Implements `domain.ports.References`. May be asked from any thread; empty until `replace`."""

    def __init__(self) -> None:
        self._sources: Mapping[Source, Values] = {}

    def replace(self, sources: Iterable[tuple[Source, Values]]) -> None:
        """From now on there are these and no others."""
        self._sources = dict(sources)

    async def secret(self, namespace: str, ref: KeyRef) -> bytes:
        return self._value("Secret", namespace, ref)

    async def config_map(self, namespace: str, ref: KeyRef, *, anew: bool = False) -> bytes:
        return self._value("ConfigMap", namespace, ref)

    def _value(self, kind: str, namespace: str, ref: KeyRef) -> bytes:
        values = self._sources.get((kind, namespace, ref.name))
        reason = ReferenceReason(f"{kind}NotFound")
        if values is None:
            text = f"{kind} {ref.name!r} is in none of the files for namespace {namespace!r}"
            raise ReferenceMissing(reason, text)
        if ref.key not in values:
            raise ReferenceMissing(reason, f"{kind} {ref.name!r} has no key {ref.key!r}")
        return values[ref.key]


def _texts(manifest: Manifest, field: str) -> dict[str, bytes]:
    return {key: text.encode() for key, text in _pairs(manifest, field)}


def _decoded(manifest: Manifest, field: str) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for key, text in _pairs(manifest, field):
        try:
            # Line breaks are no matter: `base64` wraps its output, and so do block texts in YAML.
            values[key] = base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
        except (binascii.Error, ValueError) as error:
            hint = "; write plain text into stringData" if manifest["kind"] == "Secret" else ""
            raise InvalidInput(f"{field}.{key}", f"is not base64{hint}") from error
    return values


def _pairs(manifest: Manifest, field: str) -> list[tuple[str, str]]:
    values: Any = manifest.get(field)
    if values is None:
        return []
    if not isinstance(values, dict):
        raise InvalidInput(field, f"is {shown(values)}; write an object with fields")
    for key, text in values.items():
        if not isinstance(text, str):
            raise InvalidInput(f"{field}.{key}", f"is {shown(text)}; write a text (in quotes)")
    return list(values.items())
