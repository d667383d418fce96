"""Part of a lock file of requirements/: some packages, and all that they need."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"^([a-z0-9][a-z0-9._-]*)==", re.MULTILINE)
_VIA = re.compile(r"^    #(?: via)? +([a-z0-9][a-z0-9._-]*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Package:
    """A pinned package: its lines in the lock file, hashes included, and the names of those that need it."""

    text: str
    needed_by: frozenset[str]


def packages(lock: Path) -> Mapping[str, Package]:
    """All packages of a lock file by name."""
    text = lock.read_text()
    starts = [matched.start() for matched in _NAME.finditer(text)]
    found = {}
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        block = text[start:end]
        found[block.partition("==")[0]] = Package(block, frozenset(_VIA.findall(block)))
    return found


def part(lock: Path, names: Collection[str], without: Path) -> str:
    """The lines for `names` and what they need, except for what the lock file `without` brings. KeyError: not in it."""
    known, there = packages(lock), packages(without)
    chosen = {name: known[name] for name in names}
    while more := [name for name in known if name not in chosen and known[name].needed_by & chosen.keys()]:
        chosen |= {name: known[name] for name in more}
    return "".join(chosen[name].text for name in sorted(chosen) if name not in there)
