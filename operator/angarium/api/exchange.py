"""One request and its answer as the handlers see them: no socket, no aiohttp.

The request target is kept byte for byte (contract 1.1): nothing here decodes, cleans or reorders it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, unquote_plus

from angarium.domain.credentials import Credential
from angarium.domain.errors import InvalidInput

OPTION_PREFIX = "upstash-"
TOKEN_PARAMETER = "qstash_token"

_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Target:
    """A request target, split at its first `?`. `pairs` are the raw texts between the `&`s of the query, in order."""

    path: str
    pairs: tuple[str, ...] = ()

    def has_token(self) -> bool:
        """Whether the token stands in the query, so that no header authenticates the request (contract 2, rule 3)."""
        return any(pair.partition("=")[0] == TOKEN_PARAMETER for pair in self.pairs)

    def own(self) -> list[str]:
        """The pairs that are neither authentication nor options: they belong to the destination (contract 1.1)."""
        return [pair for pair in self.pairs if not _is_ours(pair)]

    def options(self) -> list[tuple[str, str]]:
        """The lower-case option parameters, with decoded values (contract 4.8)."""
        return [_decoded(pair) for pair in self.pairs if pair.startswith(OPTION_PREFIX)]

    def filters(self) -> list[tuple[str, str]]:
        """All parameters except the token, decoded."""
        return [_decoded(pair) for pair in self.pairs if pair and pair.partition("=")[0] != TOKEN_PARAMETER]


def parse_target(raw: str) -> Target:
    """Split a request target of origin form, or of absolute form (RFC 9112, 3.2.2: a server must take both)."""
    if not raw.startswith("/"):
        raw = "/" + raw.partition("://")[2].partition("/")[2]
    path, mark, query = raw.partition("?")
    return Target(path, tuple(query.split("&")) if mark else ())


@dataclass(frozen=True, slots=True)
class Call:
    """A request that its token allows (no credential: a public route). Header lines in order.

    `parameters` are the raw texts of the route's path parameters. The repr leaves out what holds the token, or what a
    publisher sends.
    """

    credential: Credential | None
    target: Target = field(repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    caller_ip: str | None = None

    @property
    def caller(self) -> Credential:
        """Whose token it is. A public route has none to ask for."""
        if self.credential is None:
            raise LookupError("a public route has no caller")
        return self.credential

    @property
    def namespace(self) -> str:
        """The tenant that everything read or written by this call belongs to."""
        return self.caller.namespace

    def parameter(self, name: str) -> str:
        """A path parameter, decoded once. Raises InvalidInput if that is not UTF-8."""
        text = unquote(self.parameters[name], errors="surrogateescape")
        if _SURROGATE.search(text):
            raise InvalidInput(name, "is not valid UTF-8")
        return text


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: `payload` becomes JSON, bytes go as they are (with a Content-Type); None means no body."""

    payload: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    close: bool = False


def _is_ours(pair: str) -> bool:
    return pair.startswith(OPTION_PREFIX) or pair.partition("=")[0] == TOKEN_PARAMETER


def _decoded(pair: str) -> tuple[str, str]:
    name, _, value = pair.partition("=")
    return _decode(name), _decode(value)


def _decode(text: str) -> str:
    # A byte that is not UTF-8 stays visible as a surrogate, so that whoever checks the value can refuse it.
    return unquote_plus(text, errors="surrogateescape")
