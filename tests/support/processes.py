"""What the processes of a program hold, from /proc (Linux only)."""

import os
from pathlib import Path

_PROC = Path("/proc")


def tree(pid: int) -> set[int]:
    """This process and all below it."""
    parents = {}
    for status in _PROC.glob("[0-9]*/stat"):
        try:
            # The name of a process may hold blanks and brackets.
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def peak_mib(pid: int) -> float:
    """The most resident memory that the processes of this tree have had, in MiB."""
    lines = [line for one in tree(pid) for line in (_PROC / f"{one}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def connections(ports: set[int], pid: int | None = None) -> int:
    """How many TCP connections over IPv4 this tree (of the caller, unless told) holds to these remote ports."""
    held = set()
    for one in tree(pid or os.getpid()):
        for entry in (_PROC / f"{one}/fd").iterdir():
            try:
                target = os.readlink(entry)
            except OSError:
                continue
            held.add(target.removeprefix("socket:[").removesuffix("]"))
    lines = [line.split() for line in (_PROC / "net/tcp").read_text().splitlines()[1:]]
    return sum(line[9] in held and int(line[2].partition(":")[2], 16) in ports for line in lines)
