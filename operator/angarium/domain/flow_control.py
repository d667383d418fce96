"""How fast messages that share a key may start: fixed windows, parallelism, pins (contract 23.1). Reads no clock.

A start is a lease. A window begins with the first start after the one before it has ended.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from angarium.domain.declarations import FlowControl

DEFAULT_PERIOD = timedelta(seconds=1)
MAX_PERIOD = timedelta(days=7)
CLOCK_SKEW = timedelta(minutes=1)
"""A window that begins further ahead than this was begun before the clock was set back, and counts no more."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Start nothing (True), or go on (False)."""

    paused: bool


@dataclass(frozen=True, slots=True)
class Pin:
    """Fix what is given, whatever messages say; the window begins anew. `period` needs a rate."""

    parallelism: int | None = None
    rate: int | None = None
    period: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Unpin:
    """Let messages decide again; the pinned numbers stay until one brings others."""

    parallelism: bool = False
    rate: bool = False


@dataclass(frozen=True, slots=True)
class ResetRate:
    """Forget the starts of this window; it begins now."""


FlowChange = Pause | Pin | Unpin | ResetRate


@dataclass(frozen=True, slots=True)
class FlowState:
    """A key as it stands. None is unlimited. `started` counts starts since `window_start` (None: no window yet)."""

    parallelism: int | None = None
    rate: int | None = None
    period: timedelta = DEFAULT_PERIOD
    paused: bool = False
    pinned_parallelism: bool = False
    pinned_rate: bool = False
    active: int = 0
    started: int = 0
    window_start: datetime | None = None

    def room(self, now: datetime) -> int | None:
        """How many may start now; None: any number."""
        if self.paused:
            return 0
        free = [] if self.parallelism is None else [self.parallelism - self.active]
        if self.rate is not None:
            free.append(self.rate - self.started_at(now))
        return max(0, min(free)) if free else None

    def opens_at(self, now: datetime) -> datetime | None:
        """When one may start: now, when the window ends, or None while something else has to happen first."""
        if self.paused or (self.parallelism is not None and self.active >= self.parallelism):
            return None
        if self.rate is None or self.started_at(now) < self.rate or self.window_start is None:
            return now
        return self.window_start + self.period

    def started_at(self, now: datetime) -> int:
        """Starts in the window that this instant lies in."""
        return self.started if self._in_window(now) else 0

    def start(self, count: int, now: datetime) -> "FlowState":
        """So many started now."""
        if self._in_window(now):
            return replace(self, active=self.active + count, started=self.started + count)
        return replace(self, active=self.active + count, started=count, window_start=now)

    def end(self, count: int) -> "FlowState":
        """So many are not on their way any more."""
        return replace(self, active=max(0, self.active - count))

    def configured(self, limits: FlowControl) -> "FlowState":
        """With the limits that the newest message brings, as far as they are not pinned."""
        state = self if self.pinned_parallelism else replace(self, parallelism=limits.parallelism)
        return state if self.pinned_rate else replace(state, rate=limits.rate, period=limits.period)

    def changed(self, change: FlowChange, now: datetime) -> "FlowState":
        """After what a person asked for."""
        match change:
            case Pause(paused):
                return replace(self, paused=paused)
            case Pin():
                return self._pinned(change, now)
            case Unpin(parallelism, rate):
                return replace(
                    self,
                    pinned_parallelism=self.pinned_parallelism and not parallelism,
                    pinned_rate=self.pinned_rate and not rate,
                )
            case ResetRate():
                return replace(self, started=0, window_start=now)

    def _pinned(self, pin: Pin, now: datetime) -> "FlowState":
        state = replace(self, started=0, window_start=now)
        if pin.parallelism is not None:
            state = replace(state, parallelism=pin.parallelism, pinned_parallelism=True)
        if pin.rate is not None:
            state = replace(state, rate=pin.rate, period=pin.period or self.period, pinned_rate=True)
        return state

    def _in_window(self, now: datetime) -> bool:
        if self.window_start is None:
            return False
        return self.window_start - CLOCK_SKEW <= now < self.window_start + self.period
