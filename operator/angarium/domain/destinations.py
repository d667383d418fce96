"""Which URLs can be a destination at all (contract 1.1, DESIGN 5 Endpoint). Where they lead is `addresses`' business.

A URL is checked, never changed: it is stored, sent and signed as it was written.
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address

from .addresses import literal_host
from .errors import InvalidInput

MAX_CHARACTERS = 2048

_OUTSIDE = re.compile(r"[^\x21-\x7e]")
_START = re.compile(r"https?://([^/?]*)", re.IGNORECASE)
_LOGIN = re.compile(r"(https?://)[^/]*@", re.IGNORECASE)
_USERINFO = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:%-]*")
_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?P<port>:.*)?")
_PORT = re.compile(r":[0-9]{1,5}")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def check_url(url: str, field: str, *, allow_userinfo: bool = False, max_characters: int = MAX_CHARACTERS) -> None:
    """Accept an absolute http or https URL that can be requested as it is written; else InvalidInput.

    ASCII only: an international host in its `xn--` form, everything else percent-encoded. No fragment; a port, if
    given, is 1 … 65535; `user:password@` only with `allow_userinfo`.
    """
    if len(url) > max_characters:
        raise InvalidInput(field, f"the URL is {len(url)} characters long; at most {max_characters} are allowed")
    start = _START.match(url)
    if not start:
        raise InvalidInput(field, f"{url[:80]!r} is not a URL that starts with http:// or https://")
    _check_characters(url, field)
    userinfo, at, rest = start[1].rpartition("@")
    if at and not allow_userinfo:
        raise InvalidInput(field, "the URL holds a user or password; send them in an Authorization header")
    if not _USERINFO.fullmatch(userinfo):
        raise InvalidInput(field, "the user or password in the URL has characters that must be percent-encoded")
    _check_host_and_port(rest, field)


def without_secrets(url: str) -> str:
    """A URL for a log line or a terminal: no user and password, and no query, where tokens of webhooks stand."""
    address, query, _ = url.partition("?")
    return _LOGIN.sub(r"\1", address) + ("?..." if query else "")


def authority_of(url: str) -> str:
    """The host and port that a request to this URL connects to, the same for all spellings: `billing.test:443`.

    Lower case, with the scheme's port if none is given, without a final dot; an address in its usual form. What is no
    URL of a destination is its own authority.
    """
    # Up to the path, so that there are few of them however many URLs there are: "https://" has 8 characters.
    end = url.find("/", 8)
    return _authority(url if end < 0 else url[:end])


@lru_cache(maxsize=4096)
def _authority(start: str) -> str:
    found = _START.match(start)
    place = _HOST_AND_PORT.fullmatch(found[1].rpartition("@")[2]) if found else None
    if place is None:
        return start
    literal = literal_host(place["host"])
    if literal is None:
        host = place["host"].lower().removesuffix(".")
    else:
        host = f"[{literal}]" if literal.version == 6 else str(literal)
    port = place["port"] or _DEFAULT_PORTS[start.partition(":")[0].lower()]
    return host + ":" + port[1:].lstrip("0")


def _check_characters(url: str, field: str) -> None:
    outside = _OUTSIDE.search(url)
    if outside:
        problem = f"the URL has the character {outside[0]!r} at position {outside.start() + 1}"
        raise InvalidInput(field, f"{problem}; percent-encode it, or write an international host as xn--…")
    if "#" in url:
        raise InvalidInput(field, "the URL has a fragment ('#…'), which is never sent; leave it out")


def _check_host_and_port(text: str, field: str) -> None:
    found = _HOST_AND_PORT.fullmatch(text)
    if not found:
        raise InvalidInput(field, f"{text[:80]!r} is not a host, or host:port, of a URL")
    host, port = found["host"], found["port"]
    if not host:
        raise InvalidInput(field, "the URL has no host")
    if not _is_host(host):
        raise InvalidInput(field, f"{host[:80]!r} is not a valid host name or IP address")
    if port is not None and not (_PORT.fullmatch(port) and 1 <= int(port[1:]) <= 65535):
        raise InvalidInput(field, f"the URL's port {port[1:][:20]!r} is not a number from 1 to 65535")


def _is_host(host: str) -> bool:
    if host.startswith("["):
        return isinstance(literal_host(host), IPv6Address) and "%" not in host
    labels = host.removesuffix(".").split(".")
    if len(host) > 254 or not all(map(_LABEL.fullmatch, labels)):
        return False
    # A name that ends in a number is an IPv4 address to every client, or nothing at all.
    return not _NUMERIC_LABEL.fullmatch(labels[-1]) or literal_host(host) is not None
