"""The envelope of a batch (contract 8.4): it is read as a whole, and refused as a whole, before anything is created.

What one element costs in memory is bounded before it is decoded: its headers and its body stay as they arrived until
its turn comes.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Mapping
from typing import Any

import msgspec

from angarium.api.errors import Refusal
from angarium.domain.errors import InvalidInput

MAX_ELEMENTS = 100_000
MAX_HEADER_BYTES = 64 * 2**10

_WHERE = re.compile(r"(.*) - at `\$(.*)`", re.DOTALL)
_SLICE = 2**20
_ABSENT = msgspec.Raw(b"null")


class _Place(str):
    """A destination; decoding it counts the elements."""

    __slots__ = ()


class Element(msgspec.Struct, frozen=True):
    """One message of a batch, as it was written. `headers` and `body` are JSON still."""

    destination: _Place
    headers: msgspec.Raw = _ABSENT
    body: msgspec.Raw = _ABSENT
    queue: str | None = None

    def header_lines(self) -> list[tuple[str, str]]:
        """The headers, in order."""
        return list((_headers.decode(self.headers) or {}).items())

    def content(self) -> bytes:
        """The body: a text as UTF-8, nothing for null, any other JSON compactly."""
        raw = bytes(self.body)
        if raw == b"null":
            return b""
        return _text.decode(raw).encode() if raw.startswith(b'"') else msgspec.json.format(raw, indent=-1)


_headers = msgspec.json.Decoder(dict[str, str] | None)
_text = msgspec.json.Decoder(str)


def read_batch(body: bytes) -> list[Element]:
    """The elements of a batch. Raises InvalidInput naming the element's index and field, Refusal (413) for too many."""
    _check_utf8(body)
    elements = _decoded(body)
    for index, element in enumerate(elements):
        if len(bytes(element.headers)) > MAX_HEADER_BYTES:
            raise InvalidInput(f"batch[{index}].headers", f"is longer than {MAX_HEADER_BYTES} bytes")
        try:
            element.header_lines()
        except (msgspec.DecodeError, RecursionError) as error:
            raise _refused(error, f"batch[{index}].headers") from None
    return elements


def _decoded(body: bytes) -> list[Element]:
    count = 0

    def place(kind: type, value: Any) -> _Place:
        nonlocal count
        count += 1
        if count > MAX_ELEMENTS:
            raise Refusal(413, f"the batch has more than {MAX_ELEMENTS} elements; send them in several batches")
        if not isinstance(value, str):
            raise TypeError(f"Expected `str`, got `{_name_of(value)}`")
        return _Place(value)

    try:
        return msgspec.json.decode(body, type=list[Element], dec_hook=place)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _refused(error, "batch") from None


def _check_utf8(body: bytes) -> None:
    # What is decoded late would otherwise be found out late. In slices: the text itself is not needed.
    if body.isascii():
        return
    decoder = getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(body), _SLICE):
            decoder.decode(body[start : start + _SLICE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise InvalidInput("batch", "is not valid JSON: it has bytes that are not UTF-8") from None


def _refused(error: Exception, field: str) -> InvalidInput:
    if isinstance(error, RecursionError):
        return InvalidInput(field, "is nested too deeply")
    where = _WHERE.fullmatch(str(error))
    if where:
        return InvalidInput(f"{field}{where[2].replace('[...]', '')}", where[1])
    if isinstance(error, msgspec.ValidationError):
        return InvalidInput(field, str(error))
    return InvalidInput(field, f"is not valid JSON: {error}; a batch is an array of objects with a destination")


def _name_of(value: object) -> str:
    names: Mapping[type, str] = {dict: "object", list: "array", type(None): "null", bool: "bool", int: "int"}
    return names.get(type(value), type(value).__name__)
