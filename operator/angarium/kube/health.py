"""What the operator knows of its own state, for /livez, /readyz and metrics. Its loop writes it, anyone reads it.

What is new in it is logged, once: a state that lasts must not fill the log.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from angarium.domain.figures import Turn
from angarium.domain.ports import Clock

logger = logging.getLogger(__name__)

DOWN_LIMIT_S = 300.0
MISSED_LIMIT = 2


class Health:
    """Problems in words; an empty list is good health."""

    def __init__(self, clock: Clock, resync: timedelta) -> None:
        self._clock = clock
        self._resync_limit_s = 2 * resync.total_seconds() + 60
        self._started = clock.monotonic()
        self._turned = self._started
        self._reached: float | None = None
        self._down_since: float | None = self._started
        self._missed_in_a_row = 0
        self._synced = False
        self._failed = False
        self._lacking: tuple[str, ...] = ()
        self._unreachable = ""
        self.resyncs = 0
        self._watching: Callable[[], bool] = lambda: False

    def failed(self) -> None:
        """The operator's thread has ended by an error."""
        self._failed = True

    def unreachable(self, why: str) -> None:
        """The API server does not answer, or cannot be asked now."""
        if not self._unreachable:
            logger.warning(
                "the API server cannot be asked, deliveries go on meanwhile: %s",
                why,
                extra={"action": "apiserver.lose"},
            )
        self._turned = self._clock.monotonic()
        self._unreachable = why
        self._down_since = None  # while the API server is away, nothing is the operator's fault

    def lacking(self, problems: Sequence[str]) -> None:
        """The API server answers; these CRDs or rights are missing."""
        if self._unreachable:
            logger.info("the API server answers again", extra={"action": "apiserver.return"})
        for problem in problems:
            if problem not in self._lacking:
                logger.error("not all that is declared gets through: %s", problem, extra={"action": "operator.lack"})
        if self._lacking and not problems:
            logger.info(
                "what was missing is there: all that is declared is followed", extra={"action": "operator.heal"}
            )
        self._turned = self._clock.monotonic()
        self._unreachable, self._lacking = "", tuple(problems)

    @property
    def synced(self) -> bool:
        """All was listed once, with nothing missing."""
        return self._synced

    @property
    def lacks(self) -> bool:
        """Something has to be granted or applied before all can be listed."""
        return bool(self._lacking)

    def watching(self, alive: Callable[[], bool]) -> None:
        self._watching = alive

    def resynced(self, *, missed: bool, watched: bool, problems: Sequence[str]) -> None:
        self.lacking(problems)
        now = self._turned
        self.resyncs += 1
        self._synced = self._synced or not problems
        self._missed_in_a_row = self._missed_in_a_row + 1 if missed else 0
        if (watched and not missed) or problems:
            self._down_since = None  # what has to be granted or applied, no restart brings
        elif self._down_since is None:
            self._down_since = now

    @property
    def up(self) -> bool:
        """Declarations get through: the first resync is done, all kinds can be listed, the watch runs."""
        hindered = self._unreachable or self._lacking or self._missed_in_a_row
        return self._synced and not hindered and self._watching()

    @property
    def turn(self) -> Turn:
        """Of the resync, whose turns are at its attempts."""
        return Turn(self._clock.monotonic() - self._turned, self._resync_limit_s)

    def live(self) -> list[str]:
        now = self._clock.monotonic()
        problems: list[str] = []
        if self._failed:
            problems.append("operator: it has failed, see the log")
        if now - self._turned > self._resync_limit_s:
            problems.append(f"resync: no turn for {now - self._turned:.0f} s")
        if self._missed_in_a_row >= MISSED_LIMIT:
            problems.append("watch: two resyncs in a row found changes that it should have brought")
        if self._synced and self._down_since is not None and now - self._down_since > DOWN_LIMIT_S:
            problems.append(f"watch: not up for {now - self._down_since:.0f} s with an API server that answers")
        return problems

    def ready(self) -> list[str]:
        """Once all was listed, publishers need no API server: what is lost later takes nobody away from them."""
        if self._synced:
            return []
        if self._lacking:
            return [f"operator: {problem}" for problem in self._lacking]
        return [f"operator: the first resync is not done{f': {self._unreachable}' if self._unreachable else ''}"]
