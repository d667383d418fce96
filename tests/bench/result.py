"""What a run of scenarios comes to: the machine it ran on, its table, and the file that has every figure."""

import json
import os
import platform
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from tests.bench.figures import Figures, as_json, markdown_table, text_table
from tests.bench.targets import Row
from tests.bench.waiting import BenchError

R = TypeVar("R")


class Result:
    """`command`: what was called, for the words about what failed; `asked`: what it was told to do."""

    def __init__(self, command: str, rows: Sequence[Row], about: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        self._command = command
        self._rows = rows
        self._about = about
        self._asked = asked
        self._failed: list[str] = []
        print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)

    def run(self, scenarios: Mapping[str, Callable[[R], None]], rig: R) -> None:
        """All of them; one that cannot be measured does not keep the others from it."""
        for name, scenario in scenarios.items():
            try:
                scenario(rig)
            except BenchError as error:
                self._fail(f"{name}: {error}")
            except Exception as error:  # noqa: BLE001  the figures of the others are not to be lost with one scenario
                traceback.print_exc()
                self._fail(f"{name}: {error!r}")

    def _fail(self, why: str) -> None:
        self._failed.append(why)
        print(why, file=sys.stderr)

    def tell(self, figures: Figures, file: Path, *, markdown: bool) -> int:
        """Print the table, write the file. Returns the exit code: a target that is not reached is no failure."""
        print(f"\n{text_table(figures, self._rows)}")
        if markdown:
            print(f"\n{markdown_table(figures, self._rows)}")
        result = {
            "machine": self._about,
            "asked": self._asked,
            "failed": self._failed,
            "figures": as_json(figures, self._rows),
        }
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
        print(f"\n{file} has them all")
        for problem in self._failed:
            print(f"{self._command}: {problem}", file=sys.stderr)
        return 1 if self._failed else 0


def machine(folder: Path) -> dict[str, Any]:
    """What the figures depend on; `folder` is where the databases are."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "cpu": next(models, platform.machine()),
        "cores": os.cpu_count(),
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "database on": file_system(folder),
    }


def file_system(folder: Path) -> str:
    """The type of the file system that a folder is on, of all mounted ones the one that is nearest to it."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(Path(where).parts), kind) for where, kind in mounts if folder.resolve().is_relative_to(where)]
    return max(above)[1]
