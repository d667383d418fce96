"""The processes that a program consists of, as the kernel tells it (Linux)."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """One process; `started` tells it from a later one with the same number."""

    pid: int
    started: str

    @property
    def exists(self) -> bool:
        """Whether it still runs: what has ended and was not yet waited for does not."""
        fields = _stat(self.pid)
        return fields is not None and fields[_STARTED] == self.started and fields[_STATE] not in "ZX"


_STATE, _PARENT, _STARTED = 0, 1, 19  # fields of proc_pid_stat(5), counted from the one after the name


def tree(pid: int) -> list[Process]:
    """The process, then all that descend from it."""
    everyone = {int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found = [pid]
    for parent in found:
        found += [child for child, fields in everyone.items() if fields and int(fields[_PARENT]) == parent]
    return [Process(one, fields[_STARTED]) for one in found if (fields := everyone.get(one))]


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
