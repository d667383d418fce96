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
from tests.bench.processes import BenchError
from tests.bench.rig import Rig
from tests.bench.scenarios import backlog, fanout, flow_control, latency, queues, schedules, sustained
from tests.bench.tools import MISSING

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


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


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
    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.folder) as folder:
        rig = Rig(Path(folder), given.rounds, given.seconds, given.waiting)
        failed = ""
        for name in given.scenarios or SCENARIOS:
            try:
                SCENARIOS[name](rig)
            except BenchError as error:
                failed = f"{name}: {error}"
                break
    print("\n" + text_table(rig.figures))
    if given.markdown:
        print("\n" + markdown_table(rig.figures))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(
        json.dumps({"machine": about, "failed": failed, "figures": as_json(rig.figures)}, indent=2) + "\n"
    )
    print(f"\n{RESULT} has them all", flush=True)
    if failed:
        print(f"make bench: {failed}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
