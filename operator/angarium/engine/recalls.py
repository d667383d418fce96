"""Which messages were recalled of late: ended while they were leased, without an outcome.

For leases that are still on their way here when their message ends. Belongs to one event loop.
"""

from collections.abc import Iterable
from datetime import timedelta

from angarium.domain.ports import Clock


class Recalls:
    """Ids, each kept for `kept`: as long as a lease lasts, since one that comes later could not be used any more."""

    def __init__(self, kept: timedelta, clock: Clock) -> None:
        self._kept_s = kept.total_seconds()
        self._clock = clock
        self._since: dict[str, float] = {}

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._since

    def add(self, message_ids: Iterable[str]) -> None:
        now = self._clock.monotonic()
        while self._since and now - self._since[oldest := next(iter(self._since))] > self._kept_s:
            del self._since[oldest]
        self._since.update(dict.fromkeys(message_ids, now))
