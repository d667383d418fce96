"""Whether a publish may go on now: it waits while deliveries fall behind because the program itself has too much to do.

Accepting is cheaper than delivering, and whoever publishes does not see what waits. Without this a flood of publishes
takes the processor from the deliveries, and what was accepted is delivered long after the flood. What waits because of
its destination (slow, suspended, limited) is no reason: then the program has time, and takes on what comes.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from angarium.domain.errors import AngariumError
from angarium.domain.notices import AttemptEnded, Notice
from angarium.domain.ports import Clock

TICK_S = 0.05
"""Seconds between two looks at how late a loop is, this one and the courier's."""

CALM_S = 0.004
"""So late any loop is at times."""

PATIENCE_S = 5.0
"""How long a publish waits for its turn before it is refused. Long, because a refusal costs the program nearly as much
as what it refuses, and whoever is refused at once comes back at once."""

MOST_WAITING = 10_000
MOST_WAITING_BYTES = 64 * 2**20
"""Of bodies of publishes that wait for their turn: what is more is refused at once."""

_BUSY_S = 0.008
_MOST_COUNTED_S = 0.050  # of one tick: a single pause, however long, is no strain
_SMOOTHING = 0.1
_HORIZON_TICKS = 60
_CALM_TICKS = 20
_LEAST_ALLOWED = 1000
_MOST_CREDIT = 100


class Overloaded(AngariumError):
    """More is published than can be delivered; the publisher may try again in a few seconds."""


class Pulsing(Protocol):
    """What is told of each turn of the loop."""

    def beat(self) -> None: ...


class Pressure:
    """The rule. `lateness_s`: how late deliveries come to what is due, smoothed over half a second. `waiting`:
    messages that came in since the loop was last calm and have not been attempted.

    Strained: the loop is late, and more has come in since it was last calm than it delivers in three seconds. Then a
    publish needs a delivery before it. Calm: it was not late for a second, so whatever still waits is held back
    elsewhere.
    """

    def __init__(self) -> None:
        self.lateness_s = 0.0
        self.strained = False
        self.waiting = 0
        self._credit = 0
        self._ended = 0
        self._recent: deque[int] = deque(maxlen=_HORIZON_TICKS)
        self._calm_ticks = 0

    def entered(self, messages: int) -> None:
        """So many were accepted that are due now."""
        self.waiting += messages

    def left(self, attempts: int) -> None:
        """So many attempts have ended."""
        self.waiting = max(0, self.waiting - attempts)
        self._credit = min(_MOST_CREDIT, self._credit + attempts)
        self._ended += attempts

    def felt(self, lateness_s: float) -> None:
        """A tick: the loop came so late to it."""
        self.lateness_s += _SMOOTHING * (min(lateness_s, _MOST_COUNTED_S) - self.lateness_s)
        self._recent.append(self._ended)
        self._ended = 0
        self._calm_ticks = self._calm_ticks + 1 if self.lateness_s < CALM_S else 0
        if self._calm_ticks >= _CALM_TICKS:
            self.waiting = 0
        allowed = max(_LEAST_ALLOWED, sum(self._recent))
        if self.strained:
            self.strained = self.waiting > allowed // 2
        elif self.lateness_s > _BUSY_S and self.waiting > allowed:
            self.strained, self._credit = True, 0

    def take(self, messages: int) -> bool:
        """Whether so many may come in now."""
        if not self.strained:
            return True
        if self._credit <= 0:
            return False
        self._credit -= messages  # a large batch goes into debt
        return True


class Admission:
    """Lets publishes wait for their turn, first come first served. Belongs to the delivery loop, as an Observer too.

    `sending_late`: how late, in seconds, what sends comes to what is due, if it has a loop of its own.
    """

    def __init__(
        self, clock: Clock, pressure: Pressure | None = None, sending_late: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._clock = clock
        self._sending_late = sending_late
        self._pressure = pressure or Pressure()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._waiting_bytes = 0

    async def run(self, pulse: Pulsing) -> None:
        """Feels how late the loop is, or the one that sends, until it is cancelled."""
        while True:
            began = self._clock.monotonic()
            await asyncio.sleep(TICK_S)
            own = self._clock.monotonic() - began - TICK_S
            self._pressure.felt(max(0.0, own, self._sending_late()))
            self._let_in()
            pulse.beat()

    async def admit(self, messages: int, size: int) -> None:
        """Returns when so many, with bodies of this many bytes in all, may be stored. Raises Overloaded."""
        if not self._waiting and self._pressure.take(messages):
            return
        if len(self._waiting) >= MOST_WAITING or self._waiting_bytes + size > MOST_WAITING_BYTES:
            raise _overloaded()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, turn))
        self._waiting_bytes += size
        try:
            async with asyncio.timeout(PATIENCE_S):
                await turn
        except TimeoutError:
            raise _overloaded() from None
        finally:
            self._waiting_bytes -= size

    def accepted(self, messages: int) -> None:
        self._pressure.entered(messages)

    def notice(self, notices: Sequence[Notice]) -> None:
        ended = sum(isinstance(notice, AttemptEnded) for notice in notices)
        if ended:
            self._pressure.left(ended)
            self._let_in()

    def _let_in(self) -> None:
        while self._waiting:
            messages, turn = self._waiting[0]
            if not turn.done():
                if not self._pressure.take(messages):
                    return
                turn.set_result(None)
            self._waiting.popleft()


def _overloaded() -> Overloaded:
    return Overloaded("more is being published than can be delivered at present; try again in a few seconds")
