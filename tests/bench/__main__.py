"""`make bench`: measures what docs/benchmarks.md tells. Load generator, server and sink are processes on this machine.

Absolute figures drift with the machine; ratios within one run count. Nothing is asserted but that all arrived.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.figures import as_json, markdown_table, text_table
from tests.bench.rig import Rig
from tests.bench.scenarios import backlog, fanout, flow_control, latency, queues, schedules, sustained
from tests.bench.tools import MISSING
from tests.bench.waiting import BenchError

SCENARIOS: dict[str, Callable[[Rig], None]] = {
    "sustained": sustained.run,
    "latency": latency.run,
    "fanout": fanout.run,
    "queues": queues.run,
    "flow-control": flow_control.run,
    "schedules": schedules.run,
    "backlog": backlog.run,
}
RESULT = Path("build/bench.json")
UNUSABLE = 2


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


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="how long wrk publishes in each round")
    parser.add_argument("--waiting", type=int, default=1_000_000, help="how many messages wait in `backlog`")
    parser.add_argument("--folder", type=Path, help="where the database files go: a disk, not a file system in memory")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/benchmarks.md has it, too")
    given = parser.parse_args()
    if unknown := set(given.scenarios) - set(SCENARIOS):
        parser.error(f"there is no scenario {unknown.pop()}; there are {', '.join(SCENARIOS)}")
    return given


def main() -> int:
    given = options()
    if MISSING:
        print(MISSING, file=sys.stderr)
        return UNUSABLE
    failed = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.folder) as folder:
        about = machine(Path(folder))
        print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
        rig = Rig(Path(folder), given.rounds, given.seconds, given.waiting)
        for name in given.scenarios or SCENARIOS:
            try:
                SCENARIOS[name](rig)
            except BenchError as error:
                failed.append(f"{name}: {error}")
                print(failed[-1], file=sys.stderr)
    print(f"\n{text_table(rig.figures)}")
    if given.markdown:
        print(f"\n{markdown_table(rig.figures)}")
    asked = {"rounds": given.rounds, "seconds": given.seconds, "waiting": given.waiting}
    result = {"machine": about, "asked": asked, "failed": failed, "figures": as_json(rig.figures)}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    print(f"\n{RESULT} has them all")
    for problem in failed:
        print(f"make bench: {problem}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
