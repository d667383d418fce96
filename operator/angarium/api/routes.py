"""The route table: which method on which path, what a token needs for it, and who answers.

Paths are compared as they arrived: nothing is decoded, collapsed or redirected, because destinations stand in them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from angarium.api.errors import Refusal
from angarium.api.exchange import Answer, Call

Handler = Callable[[Call], Awaitable[Answer]]


class Need(StrEnum):
    """What a request asks of its token."""

    PUBLISH = "publish messages"
    READ = "read"
    KEYS = "read the signing keys"


class Shape(StrEnum):
    """What may follow the route's path."""

    EXACT = "Exact"  # nothing, or one trailing slash (contract 1, rule 9)
    SEGMENT = "Segment"  # one non-empty segment
    REST = "Rest"  # anything: the rest of the target belongs to the route


@dataclass(frozen=True, slots=True)
class Route:
    """One row of contract 7."""

    method: str
    path: str
    shape: Shape
    need: Need
    handler: Handler

    def tail_of(self, path: str) -> str | None:
        """What follows this route's path, or None if the path is not this route's."""
        if not path.startswith(self.path):
            return None
        tail = path[len(self.path) :]
        if self.shape is Shape.EXACT:
            return tail if tail in ("", "/") else None
        if self.shape is Shape.REST:
            return tail
        return tail if tail and "/" not in tail else None


def resolve(routes: Sequence[Route], method: str, path: str) -> tuple[Route, str]:
    """The route of a request and the tail of its path. HEAD is answered as GET is, without the body.

    Raises Refusal: 404 for an unknown path, 405 with Allow for a known path and another method.
    """
    wanted = "GET" if method == "HEAD" else method
    for route in routes:
        if route.method == wanted and (tail := route.tail_of(path)) is not None:
            return route, tail
    allow = allowed(routes, path)
    raise Refusal(405, f"{method} is not allowed here; allowed: {allow}", {"Allow": allow})


def allowed(routes: Sequence[Route], path: str) -> str:
    """The methods of a path, as an Allow header. Raises Refusal (404) if there is no such path."""
    methods = {route.method for route in routes if route.tail_of(path) is not None}
    if not methods:
        raise Refusal(404, f"there is nothing at {path[:200]}; see the API reference for the routes of this version")
    return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
