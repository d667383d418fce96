"""What the dispatcher holds in memory, and what it is counted in: messages, their lanes and the hosts these lead to.

Counts only; who may run, and when a lane takes no more, is decided in `lanes`.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from angarium.domain.messages import Leased


@dataclass(slots=True, eq=False)
class Flight:
    """A message that this process holds, from its lease to its recorded outcome. `leased` is its newest lease.

    `settling`: the attempt is over and its outcome is being written. `is_cut_off`: whoever broke the attempt off sees
    to what follows. `branch`: where it is counted, from entering its lane to leaving it.
    """

    leased: Leased
    attempt: "asyncio.Task[None] | None" = None
    settling: bool = False
    is_cut_off: bool = False
    branch: "Branch | None" = None

    def cut_off(self) -> None:
        """Break the attempt off, if there is one: nothing is recorded of it."""
        if self.attempt is not None:
            self.is_cut_off = True
            self.attempt.cancel()


@dataclass(slots=True, eq=False)
class Lane:
    """`ended`: how many left since `since` (monotonic seconds), `before`: in the second until then.

    An Endpoint's URL may change and URLs of one host may have two schemes, so a lane may lead to several hosts: it has
    a branch for each.
    """

    namespace: str
    running: int = 0
    waiting: int = 0
    size: int = 0
    branches: "dict[str, Branch]" = field(default_factory=dict)
    since: float = 0.0
    ended: int = 0
    before: int = 0

    @property
    def held(self) -> int:
        return self.running + self.waiting

    def end(self, now: float) -> None:
        if now - self.since >= 1:
            self.before = self.pace(now)
            self.since, self.ended = now, 0
        self.ended += 1

    def pace(self, now: float) -> int:
        """How many attempts end in a second, of late."""
        return max(self.ended, self.before) if now - self.since < 2 else 0


class Host:
    """A host and port: at most `cap` attempts at once, whichever lanes they are of. `branches` counts its branches."""

    __slots__ = ("_turns", "branches", "cap", "name", "running")

    def __init__(self, name: str, cap: int) -> None:
        self.name = name
        self.cap = cap
        self.running = 0
        self.branches = 0
        self._turns: OrderedDict[str, OrderedDict[Branch, None]] | None = None

    @property
    def is_full(self) -> bool:
        return self.running >= self.cap

    @property
    def awaited(self) -> bool:
        """Whether any message waits to be sent there."""
        return bool(self._turns)

    def await_turn(self, branch: "Branch") -> None:
        """Something waits in this branch."""
        if self._turns is None:
            self._turns = OrderedDict()
        self._turns.setdefault(branch.lane.namespace, OrderedDict())[branch] = None

    def give_up_turn(self, branch: "Branch") -> None:
        """Nothing waits in this branch any more."""
        assert self._turns is not None
        branches = self._turns[branch.lane.namespace]
        del branches[branch]
        if not branches:
            del self._turns[branch.lane.namespace]

    def next(self, may_run: Callable[["Branch"], bool]) -> "Branch | None":
        """Of the branches that may run, the one whose turn it is: turns go to tenants first, then to lanes."""
        if self._turns is None or self.is_full:
            return None  # Of thousands that wait here, none has to be asked.
        for namespace, branches in self._turns.items():
            for branch in branches:
                if may_run(branch):
                    branches.move_to_end(branch)
                    self._turns.move_to_end(namespace)
                    return branch
        return None


class Branch:
    """What one lane has for one host: `running` attempts, and those that wait, oldest first."""

    __slots__ = ("host", "lane", "running", "waiting")

    def __init__(self, lane: Lane, host: Host) -> None:
        self.lane = lane
        self.host = host
        self.running = 0
        self.waiting: deque[Flight] = deque()

    def begin(self) -> None:
        """An attempt runs."""
        self.running += 1
        self.lane.running += 1
        self.host.running += 1

    def end(self) -> None:
        """An attempt is over."""
        self.running -= 1
        self.lane.running -= 1
        self.host.running -= 1

    def wait(self, flight: Flight) -> None:
        if not self.waiting:
            self.host.await_turn(self)
        self.waiting.append(flight)
        self.lane.waiting += 1

    def withdraw(self, flight: Flight) -> None:
        """It does not wait any more."""
        self.waiting.remove(flight)
        self.lane.waiting -= 1
        if not self.waiting:
            self.host.give_up_turn(self)

    def begin_next(self) -> Flight:
        """The one that has waited longest runs."""
        flight = self.waiting.popleft()
        self.lane.waiting -= 1
        if not self.waiting:
            self.host.give_up_turn(self)
        self.begin()
        return flight
