"""What the processes that this one has started use: the `process_*` metrics are of this process alone (Linux only)."""

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import Metric

from angarium.telemetry.families import counter, gauge

_PROC = Path("/proc")
# Places in /proc/<pid>/stat after the name, which may hold blanks (proc_pid_stat(5)): utime, stime, rss.
_USER, _SYSTEM, _RESIDENT = 11, 12, 21


def families() -> Iterator[Metric]:
    """Children that have ended count with the CPU time that they used."""
    found = [numbers for pid in children() if (numbers := _numbers(pid)) is not None]
    ticks = sum(numbers[_USER] + numbers[_SYSTEM] for numbers in found)
    ended = os.times()
    cpu_s = ticks / os.sysconf("SC_CLK_TCK") + ended.children_user + ended.children_system
    resident = sum(numbers[_RESIDENT] for numbers in found) * os.sysconf("SC_PAGE_SIZE")
    yield gauge("child_processes", "Processes that Angarium has started and that run now.", len(found))
    yield gauge(
        "child_processes_resident_memory_bytes",
        "Resident memory of the processes that Angarium has started, shared pages counted for each.",
        resident,
    )
    yield counter("child_processes_cpu_seconds", "CPU time used by the processes that Angarium has started.", cpu_s)


def children(parent: int | str = "self") -> list[int]:
    """Process ids; none where the system does not tell."""
    try:
        return [
            int(pid) for task in (_PROC / str(parent) / "task").iterdir() for pid in _read(task / "children").split()
        ]
    except OSError:
        return []


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # the thread has ended
        return ""


def _numbers(pid: int) -> list[int] | None:
    """The fields after state; None if the process has ended."""
    fields = _read(_PROC / str(pid) / "stat").rpartition(")")[2].split()
    return [0, *map(int, fields[1:])] if fields and fields[0] != "Z" else None
