"""The body of a Schedule's messages: one of text, json, base64, and a ConfigMap's key that is read at each slot."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from angarium.domain import headers
from angarium.domain.declarations import KeyRef
from angarium.domain.errors import InvalidInput
from angarium.resources.fields import Fields

MAX_BYTES = 256 * 1024
MAX_DEPTH = 60
"""Levels of lists and objects in `json`; `angarium dev` reads no document deeper than that either."""

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes that are there, or the place to read them from; and their media type, None for no body at all.

    `type_is_given`: it is the spec's own, and does not follow from the form of the body.
    """

    content: bytes = b""
    source: KeyRef | None = None
    content_type: str | None = None
    type_is_given: bool = False


def decode(spec: Fields) -> Body:
    """Read `body` and `contentType`. Raises InvalidInput, also for more than 256 KiB."""
    given = spec.child("body")
    form = next((form for form in _FORMS if given and given.get(form) is not None), None)
    body = Body() if given is None or form is None else _decoded(given, given.one_of(*_FORMS))
    content_type = spec.text("contentType")
    if content_type is None:
        return body
    if not content_type.strip() or not headers.valid_value(content_type):
        raise spec.refuse("contentType", "is not a media type; write for example application/json")
    return Body(body.content, body.source, content_type, type_is_given=True)


def json_bytes(value: object, field: str) -> bytes:
    """Compact JSON in UTF-8 with sorted keys, so that the same value always makes the same body."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(field, f"cannot be written as JSON ({str(error)[:200]}); use text or base64") from error


_FORMS = ("text", "json", "base64", "configMapKeyRef")


def _decoded(body: Fields, form: str) -> Body:
    if form == "configMapKeyRef":
        return Body(source=body.key_reference(form), content_type=_TEXT)
    if form == "json":
        if _deeper_than(MAX_DEPTH, body.get(form)):
            raise body.refuse(form, f"is nested deeper than {MAX_DEPTH} levels; use text or base64")
        decoded = Body(json_bytes(body.get(form), body.at(form)), content_type=_JSON)
    elif form == "text":
        decoded = Body((body.text(form) or "").encode(), content_type=_TEXT)
    else:
        decoded = Body(_from_base64(body.text(form) or "", body.at(form)), content_type=_BYTES)
    if len(decoded.content) > MAX_BYTES:
        problem = f"is {len(decoded.content)} bytes long as it is sent; at most {MAX_BYTES} bytes are allowed"
        raise body.refuse(form, problem)
    return decoded


def _deeper_than(depth: int, value: object) -> bool:
    layer = [value]
    for _ in range(depth):
        layer = [inner for one in layer for inner in _inside(one)]
    return any(isinstance(one, Mapping | list) for one in layer)


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _from_base64(text: str, field: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(field, f"is not base64 with padding and without line breaks ({error})") from error
