"""Names and opaque texts that publishers choose (contract 4.3, 4.9)."""

import re

from .errors import InvalidInput

MAX_NAME_CHARACTERS = 256
MAX_OPAQUE_BYTES = 512
MAX_LABELS = 100

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def check_name(text: str, field: str) -> None:
    """Accept a queue, URL-group or schedule name: 1 … 256 of `A–Z a–z 0–9 - _ .` (contract 4.9); else InvalidInput.

    `.` and `..` are refused too: clients resolve them away when they stand in a path.
    """
    if len(text) > MAX_NAME_CHARACTERS:
        raise InvalidInput(field, f"is {len(text)} characters long; at most {MAX_NAME_CHARACTERS} are allowed")
    if not _NAME.fullmatch(text) or text in (".", ".."):
        raise InvalidInput(field, f"{text!r} is not a name; use letters A-Z a-z, digits, '-', '_' and '.'")


def check_opaque(text: str, field: str) -> None:
    """Accept a label, a flow-control key or a deduplication id: 1 … 512 bytes of UTF-8 (contract 4.9).

    Control characters are refused: a header could not carry them, and a list shows them badly.
    """
    if not text:
        raise InvalidInput(field, "is empty")
    if _SURROGATE.search(text):
        raise InvalidInput(field, "is not valid UTF-8")
    if _CONTROL.search(text):
        raise InvalidInput(field, "has a control character")
    size = len(text.encode())
    if size > MAX_OPAQUE_BYTES:
        raise InvalidInput(field, f"is {size} bytes long; at most {MAX_OPAQUE_BYTES} are allowed")


def parse_labels(text: str, field: str) -> tuple[str, ...]:
    """Split a comma-separated list of labels: each trimmed, empty ones dropped, at most 100 (contract 4.3)."""
    labels = tuple(label for part in text.split(",") if (label := part.strip()))
    if len(labels) > MAX_LABELS:
        raise InvalidInput(field, f"has {len(labels)} labels; at most {MAX_LABELS} are allowed")
    for label in labels:
        check_opaque(label, field)
    return labels
