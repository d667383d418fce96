"""Chance for identifiers, asked for in large pieces: a call of the system for each id would cost more than the id."""

from collections.abc import Callable

_PIECE = 4096


class Entropy:
    """Gives so many random bytes at each call, never the same twice. Belongs to one thread."""

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source
        self._left = b""
        self._next = 0

    def __call__(self, size: int) -> bytes:
        start, end = self._next, self._next + size
        if end > len(self._left):
            self._left, start, end = self._source(max(_PIECE, size)), 0, size
        self._next = end
        return self._left[start:end]
