"""What every scenario works with: folders, rounds, a place for its figures, and the ways to measure deliveries."""

import itertools
import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import number
from tests.bench.load import Load
from tests.bench.server import Bare, Server
from tests.bench.sink import Sink
from tests.bench.targets import ROWS, Row
from tests.bench.waiting import BenchError, wait_for
from tests.support.processes import Memory, Peak, cpu_s

DRAIN_S = 120.0
POLL_S = 0.004


@dataclass(frozen=True, slots=True)
class Delivered:
    """`rate`: deliveries per second at the sink, from the first publish to the last delivery; `cpu_ms` per delivery."""

    rate: float
    cpu_ms: float
    memory: Memory
    load: Load


class Notes:
    """`figures` has the values of all rounds by row; each is told as it comes. One new folder per measurement."""

    def __init__(self, folder: Path, rows: Sequence[Row]) -> None:
        self.figures: dict[str, list[float]] = defaultdict(list)
        self._folder = folder
        self._numbers = itertools.count(1)
        self._rows = {row.key: row for row in rows}

    def fresh(self) -> Path:
        """A new folder."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        return folder

    def add(self, key: str, value: float) -> None:
        """One round's value of a row."""
        row = self._rows[key]
        self.figures[key].append(value)
        print(f"  {row.text:55} {number(value, row.digits)} {row.unit}", flush=True)

    def begin(self, what: str) -> None:
        """Say what is measured next, and how busy the machine is."""
        print(f"{what} (load average {os.getloadavg()[0]:.1f})", flush=True)


class Rig(Notes):
    """`seconds`: how long wrk publishes in a round; `waiting`: how many messages a backlog has."""

    def __init__(self, folder: Path, rounds: int, seconds: float, waiting: int = 0) -> None:
        super().__init__(folder, ROWS)
        self.rounds = rounds
        self.seconds = seconds
        self.waiting = waiting

    def round(self, name: str, turn: int) -> None:
        self.begin(f"{name}, round {turn + 1} of {self.rounds}")

    def bare(self) -> Delivered:
        """One round of the bare loop."""
        folder = self.fresh()
        with Sink(folder) as sink, Bare(folder, sink.url()) as bare:
            return delivered(bare.pid, sink, lambda: bare.publish(self.seconds))

    def sustained(self, server: Server, sink: Sink) -> Delivered:
        """One round of wrk's load, until the last message has arrived."""
        found = delivered(server.pid, sink, lambda: server.publish(sink.url(), self.seconds))
        all_arrived(server, sink)
        return found


def delivered(pid: int, sink: Sink, publish: Callable[[], Load]) -> Delivered:
    """Load, and wait until all that was accepted is at the sink."""
    before, cpu_before = sink.count(), cpu_s(pid)
    with Peak(pid) as peak:
        load = publish()
        wait_for(lambda: sink.count() - before >= load.accepted, DRAIN_S, "messages did not arrive", POLL_S)
        arrived, ended = sink.count() - before, time.monotonic()
    return Delivered(arrived / (ended - load.began), (cpu_s(pid) - cpu_before) / arrived * 1e3, peak.memory, load)


def all_arrived(server: Server, sink: Sink, within_s: float = DRAIN_S) -> None:
    """Raises BenchError unless each accepted message comes to the sink, once: nothing is killed here, nothing fails."""
    arrived = accepted = 0

    def equal() -> bool:
        nonlocal arrived, accepted
        arrived, accepted = sink.count(), server.accepted()
        return arrived == accepted

    try:
        wait_for(equal, within_s, "", every_s=0.05)
    except BenchError as error:
        raise BenchError(f"{accepted} messages were accepted, {arrived} arrived") from error
