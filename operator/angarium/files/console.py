"""Deliveries on a terminal, as they happen: a few lines a second, then a count, and never in anybody's way.

A thread of its own writes, because a terminal may stand still for as long as a person likes.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

from angarium.domain.notices import Notice
from angarium.files.wording import ASCII, SYMBOLS, Wording

LINES_PER_S = 20
MAX_WAITING = 10 * LINES_PER_S
CLOSE_S = 2.0


class Console:
    """Implements `domain.notices.Observer`. Lines that nobody reads fast enough are only counted."""

    def __init__(self, out: TextIO, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Symbols are used on a terminal that shows UTF-8, plain letters everywhere else."""
        self._out = out
        self._monotonic = monotonic
        self._wording = Wording(SYMBOLS if out.isatty() and _encoding(out) in ("utf-8", "utf8") else ASCII)
        self._changed = threading.Condition()
        self._lines: deque[str] = deque()
        self._window = monotonic()
        self._shown = 0
        self._hidden = 0
        self._closed = False
        self._thread = threading.Thread(target=self._write, name="console", daemon=True)
        self._thread.start()

    def notice(self, notices: list[Notice]) -> None:
        with self._changed:
            for notice in notices:
                if self._wording.is_worth_a_line(notice):
                    self._take(notice)
            self._changed.notify()

    def say(self, text: str) -> None:
        """Print a text among the deliveries; it does not count as one. May be called from any thread."""
        with self._changed:
            if not self._closed and len(self._lines) < MAX_WAITING:
                self._lines.append(text)
                self._changed.notify()

    def close(self) -> None:
        """Print what waits, for two seconds at most, and nothing after that."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(CLOSE_S)

    def _take(self, notice: Notice) -> None:
        if self._closed:
            return
        if self._monotonic() - self._window >= 1:
            self._next_window()
        if self._shown < LINES_PER_S and len(self._lines) < MAX_WAITING:
            self._shown += 1
            self._lines.append(self._wording.line(notice))
        else:
            self._hidden += 1

    def _next_window(self) -> None:
        if self._hidden:
            self._lines.append(self._wording.count(self._hidden))
        self._window, self._shown, self._hidden = self._monotonic(), 0, 0

    def _write(self) -> None:
        while lines := self._next_lines():
            text = "".join(f"{line}\n" for line in lines)
            try:
                self._out.write(text.encode(_encoding(self._out), "replace").decode(_encoding(self._out)))
                self._out.flush()
            except (OSError, ValueError):
                return  # nobody is there to read any more

    def _next_lines(self) -> list[str]:
        """Waits for lines, or for the second after which the hidden ones are counted. None left: closed."""
        with self._changed:
            while not self._lines and not (self._closed and not self._hidden):
                rest = self._window + 1 - self._monotonic()
                if self._hidden and (rest <= 0 or self._closed):
                    self._next_window()
                else:
                    self._changed.wait(rest if self._hidden else None)
            lines = list(self._lines)
            self._lines.clear()
            return lines


def _encoding(out: TextIO) -> str:
    return (out.encoding or "ascii").lower()
