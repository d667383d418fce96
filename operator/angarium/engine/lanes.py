"""Which leased messages run and which wait in memory: at most so many attempts, and bytes, at once per lane.

A lane is one Endpoint, or the URLs of one host, of one tenant. Turns between tenants and lanes are taken where
messages are leased, in the store; here slow lanes, however many, only keep themselves waiting.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from angarium.domain.messages import Leased
from angarium.domain.ports import Clock

from .room import Room


@dataclass(slots=True, eq=False)
class Flight:
    """A message that this process holds, from its lease to its recorded outcome. `leased` is its newest lease.

    `settling`: the attempt is over and its outcome is being written. `is_cut_off`: whoever broke the attempt off sees
    to what follows.
    """

    leased: Leased
    attempt: "asyncio.Task[None] | None" = None
    settling: bool = False
    is_cut_off: bool = False

    def cut_off(self) -> None:
        """Break the attempt off, if there is one: nothing is recorded of it."""
        if self.attempt is not None:
            self.is_cut_off = True
            self.attempt.cancel()


@dataclass(slots=True)
class _Lane:
    """`ended`: how many left since `since` (monotonic seconds), `before`: in the second until then."""

    running: int = 0
    size: int = 0
    waiting: deque[Flight] = field(default_factory=deque)
    since: float = 0.0
    ended: int = 0
    before: int = 0

    @property
    def held(self) -> int:
        return self.running + len(self.waiting)

    def end(self, now: float) -> None:
        if now - self.since >= 1:
            self.before = self.pace(now)
            self.since, self.ended = now, 0
        self.ended += 1

    def pace(self, now: float) -> int:
        """How many attempts end in a second, of late."""
        return max(self.ended, self.before) if now - self.since < 2 else 0


class Lanes:
    """At most `cap` messages of a lane run at once.

    As many again may wait; then the lane is closed until few wait: early enough that it does not run dry, and not at
    the first free place, because then each attempt that ends in a busy lane would cost a claim. It is closed as well
    while its bodies have `cap_bytes` or more, until half of that is left.

    While half of the room is held, a lane may hold a small part of what is left, and as many more as end in it within
    a second: so slow lanes leave room for others, and quick ones lose nothing by it (ADR 0004).
    """

    def __init__(self, cap: int, cap_bytes: int, room: Room, clock: Clock) -> None:
        self._cap = cap
        self._cap_bytes = cap_bytes
        self._room = room
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._closed: set[str] = set()
        self._frozen: frozenset[str] | None = frozenset()

    def reopen(self) -> bool:
        """Open the lanes that may take messages again because others have left room. Whether there were any."""
        return any([self._open_if(name, self._lanes[name]) for name in tuple(self._closed)])

    def closed(self) -> frozenset[str]:
        """The lanes that take no more messages now."""
        portion, most_bytes = self._room.portion, self.room_bytes
        if portion is not None or most_bytes < self._cap_bytes:
            now = self._clock.monotonic()
            for name, lane in self._lanes.items():
                self._close_if(name, full=lane.held >= self._most(lane, now) or lane.size >= most_bytes)
        if self._frozen is None:
            self._frozen = frozenset(self._closed)
        return self._frozen

    @property
    def room(self) -> int:
        """How many messages any lane may take at once."""
        return min(self._cap, self._room.portion or self._cap)

    @property
    def room_bytes(self) -> int:
        """How many bytes of bodies a lane may take, or hold."""
        return min(self._cap_bytes, self._room.portion_bytes or self._cap_bytes)

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
        self._close_if(name, full=lane.held >= 2 * self._cap or lane.size >= self._cap_bytes)
        return may_run

    def leave(self, leased: Leased) -> tuple[Flight | None, bool]:
        """Its attempt is over: the message that may run now instead, and whether the lane just opened."""
        name = leased.lane
        lane = self._lanes[name]
        lane.size -= leased.size
        lane.end(self._clock.monotonic())
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

    def _most(self, lane: _Lane, now: float) -> int:
        most, portion = 2 * self._cap, self._room.portion
        return most if portion is None else min(most, portion + lane.pace(now))

    def _close_if(self, name: str, *, full: bool) -> None:
        if full and name not in self._closed:
            self._closed.add(name)
            self._frozen = None

    def _shrunk(self, name: str, lane: _Lane) -> bool:
        if lane.held == 0:
            del self._lanes[name]
        return name in self._closed and self._open_if(name, lane)

    def _open_if(self, name: str, lane: _Lane) -> bool:
        """Open it if it holds little. Whether it does."""
        most = self._most(lane, self._clock.monotonic())
        if lane.held and (lane.held > most * 5 // 8 or lane.size > self.room_bytes // 2):
            return False
        self._closed.remove(name)
        self._frozen = None
        return True
