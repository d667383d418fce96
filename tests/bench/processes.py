"""What a program costs with all that it has started: CPU time and memory, as /proc tells (Linux only)."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.programs import Program

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB. Of a page that several processes share, `pss` counts a part in each of them, `rss` all of it."""

    pss: float = 0.0
    rss: float = 0.0

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.pss + other.pss, self.rss + other.rss)


def tree(pid: int) -> list[int]:
    """This process and its descendants that are there now."""
    children: dict[int, list[int]] = {}
    for one, fields in _all_fields():
        children.setdefault(int(fields[1]), []).append(one)
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process and its descendants have used, those that have ended and were waited for too."""
    wanted = set(tree(pid))
    ticks = (sum(map(int, fields[11:15])) for one, fields in _all_fields() if one in wanted)
    return sum(ticks) / TICKS_PER_S


def memory(pid: int) -> Memory:
    """Of a process and its descendants."""
    return sum(map(_memory_of, tree(pid)), Memory())


def fields_of(pid: int) -> list[str]:
    """What /proc/PID/stat says, from the state on (field 3 of proc(5)). Raises OSError if the process is gone."""
    return PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()


def kib_of(pid: int, file: str, *names: str) -> list[float]:
    """The lines of these names in a file like /proc/PID/status. Raises OSError if the process is gone."""
    lines = (line.split() for line in PROC.joinpath(str(pid), file).read_text().splitlines())
    found = {line[0].rstrip(":"): float(line[1]) for line in lines if len(line) == 3 and line[2] == "kB"}
    return [found[name] for name in names]


class Peak:
    """`with Peak(pid) as peak: …; peak.memory`: the most that was seen, looked at a few times a second."""

    def __init__(self, pid: int, every_s: float = 0.25) -> None:
        self.memory = Memory()
        self._pid = pid
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="peak", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._take()

    def _look(self) -> None:
        while not self._ended.wait(self._every_s):
            self._take()

    def _take(self) -> None:
        now = memory(self._pid)
        self.memory = Memory(max(self.memory.pss, now.pss), max(self.memory.rss, now.rss))


def wait_for(reached: Callable[[], bool], within_s: float, what: str, every_s: float = 0.005) -> None:
    """Returns as soon as it is reached. Raises BenchError if that takes too long."""
    deadline = time.monotonic() + within_s
    while not reached():
        if time.monotonic() > deadline:
            raise BenchError(f"{what} within {within_s:g} s")
        time.sleep(every_s)


def await_listening(program: Program, port: int, within_s: float = 30) -> None:
    """Raises BenchError if the program ends, or does not listen on this loopback port in time."""

    def listens() -> bool:
        if not program.running:
            raise BenchError(f"it did not start: {program.last_words()}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    wait_for(listens, within_s, f"{program.name} does not listen", every_s=0.02)


class BenchError(Exception):
    """The measurement cannot be made, or something was lost in it."""


def _memory_of(pid: int) -> Memory:
    try:
        pss, rss = kib_of(pid, "smaps_rollup", "Pss", "Rss")
    except (OSError, KeyError):  # it has just ended
        return Memory()
    return Memory(pss / 1024, rss / 1024)


def _all_fields() -> Iterator[tuple[int, list[str]]]:
    for entry in os.listdir(PROC):
        if entry.isdigit():
            try:
                yield int(entry), fields_of(int(entry))
            except OSError:
                continue
