"""Keeps the engine's loops turning: one that dies is started again, one that keeps dying ends the process.

Each loop beats once a turn, so that a loop that hangs can be told from one that has nothing to do.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from angarium.domain.figures import Turn

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_MOST_FAILURES = 5
_WINDOW_S = 60.0

_log = logging.getLogger(__name__)


class Pulse:
    """When a loop last turned."""

    __slots__ = ("_beat", "_monotonic")

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._beat = monotonic()

    def beat(self) -> None:
        self._beat = self._monotonic()

    def age(self, now: float) -> float:
        """Seconds since the last beat; `now` is on the same monotonic clock."""
        return now - self._beat


@dataclass(frozen=True, slots=True)
class Loop:
    """`run` turns until cancelled, or returns when it has nothing left to do. `limit`: the longest healthy turn."""

    name: str
    run: Callable[[Pulse], Awaitable[None]]
    limit: timedelta = timedelta(seconds=60)


class Supervisor:
    """Runs loops side by side. A dead loop starts again after 1 s … 30 s."""

    def __init__(self, loops: Sequence[Loop], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._loops = {loop.name: loop for loop in loops}
        self._monotonic = monotonic
        self._pulses = {loop.name: Pulse(monotonic) for loop in loops}

    async def run(self) -> None:
        """Return when every loop has. Raises the error of a loop that failed five times within a minute."""
        try:
            async with asyncio.TaskGroup() as group:
                for loop in self._loops.values():
                    group.create_task(self._keep(loop), name=loop.name)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    def turns(self) -> dict[str, Turn]:
        """When each running loop last turned. May be asked from any thread."""
        now = self._monotonic()
        return {
            name: Turn(pulse.age(now), self._loops[name].limit.total_seconds())
            for name, pulse in list(self._pulses.items())
        }

    def stale(self) -> list[str]:
        """The loops that have not turned for longer than they should."""
        return [name for name, turn in self.turns().items() if turn.age_s > turn.limit_s]

    async def _keep(self, loop: Loop) -> None:
        failures: deque[float] = deque(maxlen=_MOST_FAILURES)
        pause = _FIRST_PAUSE_S
        while True:
            started = self._monotonic()
            try:
                await loop.run(self._pulses[loop.name])
            except Exception:
                _log.exception(
                    "the %s loop failed; it starts again", loop.name, extra={"action": "loop.fail", "loop": loop.name}
                )
                failures.append(self._monotonic())
                if len(failures) == _MOST_FAILURES and failures[-1] - failures[0] <= _WINDOW_S:
                    raise
            else:
                del self._pulses[loop.name]
                return
            if self._monotonic() - started > _WINDOW_S:
                pause = _FIRST_PAUSE_S
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
