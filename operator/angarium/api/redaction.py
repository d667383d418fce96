"""Headers and bodies as views show them: what its publisher wanted hidden is replaced by its hash (contract 24).

Deliveries, callbacks and retries never come here: they carry the originals.
"""

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256

from angarium.domain.declarations import Header, Redaction
from angarium.domain.headers import canonical

OPEN = Redaction()
"""Hides nothing."""


def header_map(headers: Iterable[Header], redaction: Redaction | None) -> dict[str, list[str]]:
    """Canonical name to the values of its lines, in order. A value from a Secret is left out: it is not known here."""
    redaction = redaction or OPEN
    shown: dict[str, list[str]] = {}
    for header in headers:
        if header.value is not None:
            hidden = redaction.all_headers or header.name.lower() in redaction.names
            value = _hidden(header.value.encode()) if hidden else header.value
            shown.setdefault(canonical(header.name), []).append(value)
    return shown


def body(content: bytes, redaction: Redaction | None) -> dict[str, object]:
    """`body` as text, or `bodyBase64` of what is not UTF-8; nothing for an empty one (contract 4.12)."""
    if redaction and redaction.body and content:
        return {"body": _hidden(content)}
    return body_as("body", "bodyBase64", content)


def log_body(content: bytes, redaction: Redaction | None) -> str:
    """In base64, as log entries show it; the hash of a hidden one is plain text."""
    return _hidden(content) if redaction and redaction.body and content else b64encode(content).decode("ascii")


def body_as(text: str, base64: str, content: bytes) -> dict[str, object]:
    """The body under the first name if it is UTF-8, else in base64 under the second."""
    if not content:
        return {}
    try:
        return {text: content.decode()}
    except UnicodeDecodeError:
        return {base64: b64encode(content).decode("ascii")}


def _hidden(original: bytes) -> str:
    return f"REDACTED:{sha256(original).hexdigest()}"
