"""`make bench-operator`: the operator with thousands of objects on a real API server, as docs/benchmarks.md tells.

Absolute figures drift with the machine. Nothing is asserted but that all arrived and every status was written.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.operator.cluster import create, objects, running_control_plane
from tests.bench.operator.rig import Rig
from tests.bench.operator.scenarios import churn, due, idle, kopf, large, memory, resync, start
from tests.bench.operator.targets import ROWS
from tests.bench.result import Result, machine
from tests.bench.tools import MISSING

SCENARIOS: dict[str, Callable[[Rig], None]] = {
    "start": start.run,
    "idle": idle.run,
    "resync": resync.run,
    "due": due.run,
    "churn": churn.run,
    "memory": memory.run,
    "large": large.run,
    "kopf": kopf.run,
}
ON_REQUEST = ("kopf",)
RESULT = Path("build/bench-operator.json")
UNUSABLE = 2


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-operator", description=(__doc__ or "").splitlines()[0])
    every = ", ".join(SCENARIOS)
    text = f"of {every}; all but {', '.join(ON_REQUEST)} by default"
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=text)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rate", type=int, default=2000, help="messages published in a second, where some are")
    parser.add_argument("--schedules", type=int, default=5000, help="with a tenth as many Endpoints, a fiftieth Topics")
    parser.add_argument("--folder", type=Path, help="where databases go: a disk, not a file system in memory")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/benchmarks.md has it, too")
    given = parser.parse_args()
    if unknown := set(given.scenarios) - set(SCENARIOS):
        parser.error(f"there is no scenario {unknown.pop()}; there are {every}")
    return given


def main() -> int:
    given = options()
    if MISSING:
        print(MISSING.replace("make bench", "make bench-operator"), file=sys.stderr)
        return UNUSABLE
    chosen = given.scenarios or [name for name in SCENARIOS if name not in ON_REQUEST]
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.folder) as folder:
        asked = {"rounds": given.rounds, "schedules": given.schedules, "rate": given.rate}
        result = Result("make bench-operator", ROWS, machine(Path(folder)), asked)
        with running_control_plane(Path(folder) / "controlplane") as control_plane:
            documents = list(objects(given.schedules))
            asyncio.run(create(control_plane, documents))
            rig = Rig(Path(folder), control_plane, given.schedules, len(documents), given.rounds, given.rate)
            result.run({name: SCENARIOS[name] for name in SCENARIOS if name in chosen}, rig)
        return result.tell(rig.figures, RESULT, markdown=given.markdown)


if __name__ == "__main__":
    sys.exit(main())
