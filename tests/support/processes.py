"""A program with all that it has started, as /proc tells (Linux): what runs, what it costs, what it is connected to."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")
_STATE, _PARENT, _STARTED = 0, 1, 19  # fields of proc_pid_stat(5), counted from the one after the name
_CPU = slice(11, 15)


@dataclass(frozen=True, slots=True)
class Process:
    """One process; `started` tells it from a later one with the same number."""

    pid: int
    started: str

    @property
    def exists(self) -> bool:
        """Whether it still runs: what has ended and was not yet waited for does not."""
        try:
            fields = _fields_of(self.pid)
        except OSError:
            return False
        return fields[_STARTED] == self.started and fields[_STATE] not in "ZX"


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB. Of a page that several processes share, `pss` counts a part in each of them, `rss` all of it."""

    pss: float = 0.0
    rss: float = 0.0

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.pss + other.pss, self.rss + other.rss)


def tree(pid: int) -> list[Process]:
    """The process, then all that descend from it and are there now."""
    return [Process(one, fields[_STARTED]) for one, fields in _family(pid)]


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process and its descendants have used, those that have ended and were waited for too."""
    return sum(int(ticks) for _, fields in _family(pid) for ticks in fields[_CPU]) / TICKS_PER_S


def memory(pid: int) -> Memory:
    """Of a process and its descendants."""
    return sum((memory_of(one) for one, _ in _family(pid)), Memory())


def peak_mib(pid: int) -> float:
    """The most resident memory that the processes of this tree have had, each at its time, in MiB."""
    return sum(kib_of(one, "status", "VmHWM")[0] for one, _ in _family(pid)) / 1024


def kib_of(pid: int, file: str, *names: str) -> list[float]:
    """The lines of these names in a file like /proc/PID/status. Raises OSError if the process is gone."""
    lines = (line.split() for line in PROC.joinpath(str(pid), file).read_text().splitlines())
    found = {line[0].rstrip(":"): float(line[1]) for line in lines if len(line) == 3 and line[2] == "kB"}
    return [found[name] for name in names]


def connections(ports: set[int], pid: int | None = None) -> int:
    """How many TCP connections over IPv4 this tree (of the caller, unless told) holds to these remote ports."""
    held = set()
    for one, _ in _family(pid or os.getpid()):
        for entry in PROC.joinpath(str(one), "fd").iterdir():
            try:
                target = os.readlink(entry)
            except OSError:
                continue
            held.add(target.removeprefix("socket:[").removesuffix("]"))
    lines = [line.split() for line in PROC.joinpath("net/tcp").read_text().splitlines()[1:]]
    return sum(line[9] in held and int(line[2].partition(":")[2], 16) in ports for line in lines)


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


def memory_of(pid: int) -> Memory:
    """Of one process; nothing once it is gone."""
    try:
        pss, rss = kib_of(pid, "smaps_rollup", "Pss", "Rss")
    except (OSError, KeyError):  # it has just ended
        return Memory()
    return Memory(pss / 1024, rss / 1024)


def _family(pid: int) -> list[tuple[int, list[str]]]:
    """The process and its descendants, with what their stat says."""
    everyone = dict(_all_fields())
    found = [pid]
    for parent in found:
        found += [child for child, fields in everyone.items() if int(fields[_PARENT]) == parent]
    return [(one, everyone[one]) for one in found if one in everyone]


def _all_fields() -> Iterator[tuple[int, list[str]]]:
    for entry in os.listdir(PROC):
        if entry.isdigit():
            try:
                yield int(entry), _fields_of(int(entry))
            except OSError:
                continue


def _fields_of(pid: int) -> list[str]:
    """What /proc/PID/stat says from the state on. Raises OSError if the process is gone."""
    # The name of a process may hold blanks and brackets.
    return PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()
