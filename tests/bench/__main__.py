"""`make bench`: measures what docs/benchmarks.md tells. Load generator, server and sink are processes on this machine.

Absolute figures drift with the machine; ratios within one run count. Nothing is asserted but that all arrived.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.result import Result, machine
from tests.bench.rig import Rig
from tests.bench.scenarios import backlog, fanout, flow_control, latency, queues, schedules, sustained
from tests.bench.targets import ROWS
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
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.folder) as folder:
        rig = Rig(Path(folder), given.rounds, given.seconds, given.waiting)
        asked = {"rounds": given.rounds, "seconds": given.seconds, "waiting": given.waiting}
        result = Result("make bench", ROWS, machine(Path(folder)), asked)
        result.run({name: SCENARIOS[name] for name in given.scenarios or SCENARIOS}, rig)
        return result.tell(rig.figures, RESULT, markdown=given.markdown)


if __name__ == "__main__":
    sys.exit(main())
