"""HTTP header names and values: one canonical spelling, what may be forwarded, what may stand on the wire at all."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

HeaderMap: TypeAlias = Mapping[str, Sequence[str]]
"""Name to the values of its header lines, in order; a line is never split at commas (contract 4.2)."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# A lone surrogate stands for a byte that was not UTF-8: it could neither be stored nor sent.
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")

_HOP_BY_HOP = (
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)
# Expect asks this connection to wait for an interim answer that few receivers give.
_FRAMING = ("host", "content-length", "expect")
_OURS = (
    "user-agent",
    "upstash-signature",
    "upstash-message-id",
    "upstash-retried",
    "upstash-caller-ip",
    "upstash-topic-name",
    "upstash-schedule-id",
    "upstash-region",
)
_NOT_FORWARDED = frozenset((*_HOP_BY_HOP, *_FRAMING, *_OURS))
# Which answers the publisher's own client can decode says nothing about ours.
_NOT_PASSED_ON = _NOT_FORWARDED | {"accept-encoding"}


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """The MIME spelling: `x-team-ID` becomes `X-Team-Id` (contract 4.2)."""
    return "-".join(part.capitalize() for part in name.split("-"))


@lru_cache(maxsize=4096)
def is_forwardable(name: str) -> bool:
    """Whether a publisher's or a manifest's header goes to the destination, in any spelling (contract 4.2, 16).

    Not forwarded: hop-by-hop headers (RFC 9110, 7.6.1), Host, Content-Length, and what we set ourselves.
    """
    return name.lower() not in _NOT_FORWARDED


def is_passed_on(name: str) -> bool:
    """Whether a header of a publish request is forwarded when all of them are (contract 4.4). Lower case."""
    return name not in _NOT_PASSED_ON and not name.startswith("upstash-")


def connection_names(lines: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The headers that a `Connection` line makes hop-by-hop (RFC 9110, 7.6.1), in lower case."""
    named = (value for name, value in lines if name.lower() == "connection")
    return frozenset(option.strip().lower() for value in named for option in value.split(","))


def header_map(lines: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Canonical name to the values of its lines, in order, as JSON shows them (contract 4.2)."""
    header: dict[str, list[str]] = {}
    for name, value in lines:
        header.setdefault(canonical(_text(name)), []).append(_text(value))
    return header


def _text(value: str) -> str:
    # A destination may answer in Latin-1; its bytes arrive as surrogates, which JSON cannot carry.
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def valid_name(name: str) -> bool:
    """Whether the name is a token of RFC 9110, 5.6.2."""
    return _NAME.fullmatch(name) is not None


def valid_value(value: str) -> bool:
    """Whether the value has no control character (a tab is fine) and can be written as UTF-8 (RFC 9110, 5.5)."""
    return _VALUE.fullmatch(value) is not None
