"""Holds a caller to so many turns per second."""

import asyncio

from angarium.domain.ports import Clock


class Pace:
    """At most `per_second` turns, after a first burst of a tenth of a second's worth."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._interval = 1.0 / per_second
        self._burst = max(1.0, per_second / 10) * self._interval
        self._clock = clock
        self._next = float("-inf")

    async def wait(self) -> None:
        """Returns when it is the caller's turn."""
        now = self._clock.monotonic()
        self._next = max(self._next, now - self._burst) + self._interval
        if self._next > now:
            await asyncio.sleep(self._next - now)
