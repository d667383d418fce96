"""What makes two publications the same one (contract 22.1): a key of 32 bytes, private to its namespace.

By an id that the publisher chose, or by content: where it goes, the body, Content-Type and forwarded headers. Options
and telemetry do not count.
"""

from collections.abc import Iterable
from hashlib import sha256

from .declarations import Destination, Header


def key_of_id(text: str) -> bytes:
    """The key of a deduplication id."""
    return _digest("id", [text.encode()])


def key_of_content(destination: Destination, queue: str | None, headers: Iterable[Header], body: bytes) -> bytes:
    """The key of a content: header names normalised and sorted, lines of one name in their order, lengths prefixed."""
    lines = sorted(((header.name.lower(), header.value or "") for header in headers), key=lambda line: line[0])
    parts = [str(destination), "" if queue is None else f"queue/{queue}", str(len(lines))]
    parts += [part for line in lines for part in line]
    return _digest("content", [*(part.encode() for part in parts), body])


def key_of_member(key: bytes, url: str | None, endpoint: str | None) -> bytes:
    """The key of one member's message within a group: every member is delivered to once (contract 22.1)."""
    return _digest("member", [key, (f"endpoint/{endpoint}" if endpoint is not None else url or "").encode()])


def _digest(kind: str, parts: Iterable[bytes]) -> bytes:
    # Each part with its length, so that no two lists of parts make the same text.
    digest = sha256(kind.encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
