"""Which leased messages run and which wait in memory: at most so many attempts, and bytes, at once per lane.

A lane is one Endpoint, or the URLs of one host, of one tenant. Turns between tenants and lanes are taken where
messages are leased, in the store; here one slow lane only keeps itself waiting.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from angarium.domain.messages import Leased


@dataclass(slots=True, eq=False)
class Flight:
    """A message that this process holds, from its lease to its recorded outcome. `leased` is its newest lease.

    `settling`: the attempt is over and its outcome is being written. `cut_off`: the attempt was stopped to give the
    message back.
    """

    leased: Leased
    attempt: "asyncio.Task[None] | None" = None
    settling: bool = False
    cut_off: bool = False


@dataclass(slots=True)
class _Lane:
    running: int = 0
    size: int = 0
    waiting: deque[Flight] = field(default_factory=deque)

    @property
    def held(self) -> int:
        return self.running + len(self.waiting)


class Lanes:
    """At most `cap` messages of a lane run at once.

    As many again may wait; then the lane is closed until few wait: early enough that it does not run dry, and not at
    the first free place, because then each attempt that ends in a busy lane would cost a claim. It is closed as well
    while its bodies have `cap_bytes` or more, until half of that is left.
    """

    def __init__(self, cap: int, cap_bytes: int) -> None:
        self._cap = cap
        self._close_at = 2 * cap
        self._open_at = cap + cap // 4
        self._close_at_bytes = cap_bytes
        self._open_at_bytes = cap_bytes // 2
        self._lanes: dict[str, _Lane] = {}
        self._closed: set[str] = set()
        self._frozen: frozenset[str] | None = frozenset()

    def closed(self) -> frozenset[str]:
        """The lanes that take no more messages now."""
        if self._frozen is None:
            self._frozen = frozenset(self._closed)
        return self._frozen

    def enter(self, flight: Flight) -> bool:
        """Take a message in. Whether it may run at once; else it waits here until `leave` returns it."""
        name = flight.leased.lane
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane()
        may_run = lane.running < self._cap
        if may_run:
            lane.running += 1
        else:
            lane.waiting.append(flight)
        lane.size += flight.leased.size
        if name not in self._closed and (lane.held >= self._close_at or lane.size >= self._close_at_bytes):
            self._closed.add(name)
            self._frozen = None
        return may_run

    def leave(self, leased: Leased) -> tuple[Flight | None, bool]:
        """Its attempt is over: the message that may run now instead, and whether the lane just opened."""
        name = leased.lane
        lane = self._lanes[name]
        lane.size -= leased.size
        following = lane.waiting.popleft() if lane.waiting else None
        if following is None:
            lane.running -= 1
        return following, self._shrunk(name, lane)

    def withdraw(self, flight: Flight) -> bool:
        """Forget a waiting message. Whether its lane just opened."""
        name = flight.leased.lane
        lane = self._lanes[name]
        lane.waiting.remove(flight)
        lane.size -= flight.leased.size
        return self._shrunk(name, lane)

    def _shrunk(self, name: str, lane: _Lane) -> bool:
        if lane.held == 0:
            del self._lanes[name]
        if name not in self._closed or lane.held > self._open_at or lane.size > self._open_at_bytes:
            return False
        self._closed.remove(name)
        self._frozen = None
        return True
