"""Which leased messages run and which wait in memory: at most so many attempts, and bytes, at once per lane.

A lane is one Endpoint, or the URLs of one host, of one tenant. Turns between tenants and lanes are taken where
messages are leased, in the store; here slow lanes, however many, only keep themselves waiting. Lanes that lead to the
same host share its cap: there they take turns.
"""

from collections.abc import Sequence

from angarium.domain.destinations import authority_of
from angarium.domain.messages import Leased
from angarium.domain.ports import Clock

from .flight import Branch, Flight, Host, Lane
from .room import Room, portion_of

_UNBOUNDED = 2**62
_NOWHERE = ""
"""The host of messages that are given back instead of sent: their Endpoint is gone or suspended."""


class Lanes:
    """At most `cap` messages of a lane run at once.

    As many again may wait; then the lane is closed until few wait: early enough that it does not run dry, and not at
    the first free place, because then each attempt that ends in a busy lane would cost a claim. It is closed as well
    while its bodies have `cap_bytes` or more, until half of that is left.

    While half of the room is held, a lane may hold a small part of what is left, and as many more as end in it within
    a second: so slow lanes leave room for others, and quick ones lose nothing by it (ADR 0004).

    At most `host_cap` attempts run at once at one host and port, whichever lanes and tenants they are of; by the same
    rule slow lanes leave places to others that lead there. The host is that of the attempt: an Endpoint that is
    declared anew may lead what waits to another one (`rebind`).
    """

    def __init__(self, cap: int, cap_bytes: int, room: Room, clock: Clock, host_cap: int = _UNBOUNDED) -> None:
        self._cap = cap
        self._host_cap = host_cap
        self._cap_bytes = cap_bytes
        self._room = room
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        self._hosts: dict[str, Host] = {}
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
        may_run = self._join(flight)
        branch, leased = flight.branch, flight.leased
        assert branch is not None
        lane = branch.lane
        lane.size += leased.size
        self._close_if(leased.lane, full=lane.held >= 2 * self._cap or lane.size >= self._cap_bytes)
        return may_run

    def leave(self, flight: Flight) -> tuple[Sequence[Flight], bool]:
        """Its attempt is over: the messages that may run now instead, and whether its lane just opened."""
        branch = flight.branch
        assert branch is not None
        lane = branch.lane
        branch.end()
        lane.size -= flight.leased.size
        lane.end(self._clock.monotonic())
        following = self._following(branch) if lane.waiting or branch.host.awaited else ()
        return following, self._shrunk(flight, branch)

    def withdraw(self, flight: Flight) -> bool:
        """Forget a waiting message. Whether its lane just opened."""
        branch = flight.branch
        assert branch is not None
        branch.withdraw(flight)
        branch.lane.size -= flight.leased.size
        return self._shrunk(flight, branch)

    def rebind(self, flight: Flight) -> bool:
        """The lease of a waiting message was replaced, and its URL may have changed. Whether it may run now."""
        branch = flight.branch
        assert branch is not None
        if branch.host.name == _host_of(flight.leased):
            return False
        branch.withdraw(flight)
        may_run = self._join(flight)
        self._tidy(branch)
        return may_run

    def _join(self, flight: Flight) -> bool:
        """Count it in its branch. Whether it may run at once; else it waits there."""
        branch = flight.branch = self._branch(flight.leased)
        may_run = not branch.waiting and self._may_run(branch)
        if may_run:
            branch.begin()
        else:
            branch.wait(flight)
        return may_run

    def _branch(self, leased: Leased) -> Branch:
        lane = self._lanes.get(leased.lane)
        if lane is None:
            lane = self._lanes[leased.lane] = Lane(leased.message.namespace)
        name = _host_of(leased)
        branch = lane.branches.get(name)
        if branch is None:
            host = self._hosts.get(name)
            if host is None:
                host = self._hosts[name] = Host(name, self._host_cap if name else _UNBOUNDED)
            host.branches += 1
            branch = lane.branches[name] = Branch(lane, host)
        return branch

    def _may_run(self, branch: Branch) -> bool:
        host = branch.host
        if branch.lane.running >= self._cap or host.is_full:
            return False
        portion = portion_of(host.cap, host.running)
        return portion is None or branch.running < portion + branch.lane.pace(self._clock.monotonic())

    def _following(self, branch: Branch) -> list[Flight]:
        """Those that may run now that an attempt of this branch is over."""
        following: list[Flight] = []
        while (one := self._next(branch)) is not None:
            following.append(one.begin_next())
        return following

    def _next(self, branch: Branch) -> Branch | None:
        """What the same lane has for other hosts comes first: they must not wait behind this one."""
        for other in branch.lane.branches.values():
            if other is not branch and other.waiting and self._may_run(other):
                return other
        return branch.host.next(self._may_run)

    def _most(self, lane: Lane, now: float) -> int:
        most, portion = 2 * self._cap, self._room.portion
        return most if portion is None else min(most, portion + lane.pace(now))

    def _close_if(self, name: str, *, full: bool) -> None:
        if full and name not in self._closed:
            self._closed.add(name)
            self._frozen = None

    def _shrunk(self, flight: Flight, branch: Branch) -> bool:
        name, lane = flight.leased.lane, branch.lane
        self._tidy(branch)
        if lane.held == 0:
            del self._lanes[name]
        return name in self._closed and self._open_if(name, lane)

    def _tidy(self, branch: Branch) -> None:
        """Forget a branch in which nothing is left, and its host with the last one."""
        if branch.running or branch.waiting:
            return
        host = branch.host
        del branch.lane.branches[host.name]
        host.branches -= 1
        if host.branches == 0:
            del self._hosts[host.name]

    def _open_if(self, name: str, lane: Lane) -> bool:
        """Open it if it holds little. Whether it does."""
        most = self._most(lane, self._clock.monotonic())
        if lane.held and (lane.held > most * 5 // 8 or lane.size > self.room_bytes // 2):
            return False
        self._closed.remove(name)
        self._frozen = None
        return True


def _host_of(leased: Leased) -> str:
    url, endpoint = leased.message.url, leased.endpoint
    if url is None and endpoint is not None and not endpoint.suspend:
        url = endpoint.url
    return _NOWHERE if url is None else authority_of(url)
