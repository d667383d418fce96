"""The route table: which method on which path, what a token needs for it, and who answers.

Paths are compared as they arrived: nothing is decoded, collapsed or redirected, because destinations stand in them.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from angarium.api.errors import Refusal
from angarium.api.exchange import Answer, Call

Handler = Callable[[Call], Awaitable[Answer]]

_PARAMETER = re.compile(r"\{([a-zA-Z]+)(\.\.\.)?\}")
_SLASHED = ("GET", "POST")


class Need(StrEnum):
    """What a request asks of its token; nothing at all: whoever asks gets an answer."""

    NOTHING = "ask for what is public"
    PUBLISH = "publish messages"
    READ = "read"
    KEYS = "read the signing keys"
    WRITE = "change anything"


@dataclass(frozen=True, slots=True)
class Route:
    """One row of contract 7.

    In `path`, `{name}` stands for one segment and `{name...}` for any text: the rest of the path, or what lies before
    a last literal part. GET and POST may end in one slash after a literal part (contract 1, rule 9), unless `slash` is
    False. `most_bytes` is how large the body may be, if not as large as any other.
    """

    method: str
    path: str
    need: Need
    handler: Handler = field(repr=False)
    slash: bool = True
    most_bytes: int | None = None
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        slash = "/?" if self.slash and self.method in _SLASHED and not self.path.endswith("}") else ""
        object.__setattr__(self, "_pattern", re.compile(_expression(self.path) + slash, re.DOTALL))

    def parameters_of(self, path: str) -> dict[str, str] | None:
        """The raw texts of the parameters in this path, or None if it is not this route's."""
        match = self._pattern.fullmatch(path)
        return match.groupdict() if match else None


def resolve(routes: Sequence[Route], method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """The first route that answers a request, and the raw parameters in its path. HEAD is GET without the body.

    Raises Refusal: 404 for an unknown path, 405 with Allow for a known path and another method.
    """
    wanted = "GET" if method == "HEAD" else method
    for route in routes:
        if route.method == wanted and (parameters := route.parameters_of(path)) is not None:
            return route, parameters
    # An id that is empty by mistake must never look like the route that deletes everything (contract 1, rule 9).
    if method == "DELETE" and path.endswith("/") and any(route.path == path[:-1] for route in routes):
        raise Refusal(404, f"nothing is named after {path}; add what to delete, or leave out the last slash")
    allow = allowed(routes, path)
    raise Refusal(405, f"{method} is not allowed here; allowed: {allow}", {"Allow": allow})


def allowed(routes: Sequence[Route], path: str) -> str:
    """The methods of a path, as an Allow header. Raises Refusal (404) if there is no such path."""
    methods = {route.method for route in routes if route.parameters_of(path) is not None}
    if not methods:
        raise Refusal(404, f"there is nothing at {path[:200]}; see the API reference for the routes of this version")
    return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))


def _expression(path: str) -> str:
    expression, end = "", 0
    for parameter in _PARAMETER.finditer(path):
        last = parameter.end() == len(path)
        many = ".*" if last else ".+"
        expression += re.escape(path[end : parameter.start()])
        expression += f"(?P<{parameter[1]}>{many if parameter[2] else '[^/]+'})"
        end = parameter.end()
    return expression + re.escape(path[end:])
