"""What the HTTP client costs in the whole path: publish, store, sign, send, record. The figures of ADR 0001.

Run: .venv/bin/python -m tests.bench.http_stack [seconds] [rounds]
Bare loop, `angarium run`, and the same with another sender take turns; only ratios within one run count.
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.httpx_sender import HttpxSender
from tests.bench.rig import Rig
from tests.bench.server import Server
from tests.bench.sink import Sink
from tests.bench.tools import MISSING
from tests.bench.waiting import BenchError

SHIPPED = "AiohttpSender"
OTHER_SENDER = "--with-httpx"


def serve() -> None:
    """`angarium` with the other sender in the place where app makes the shipped one."""
    from angarium import app, cli

    if not isinstance(getattr(app, SHIPPED, None), type):
        raise BenchError(f"app makes no {SHIPPED} any more: say here where the sender is made")
    setattr(app, SHIPPED, lambda policy, max_response: HttpxSender())
    cli.main()


def measured(rig: Rig, command: Sequence[str]) -> float:
    folder = rig.fresh()
    with Sink(folder) as sink, Server(folder, command=command) as server:
        return rig.sustained(server, sink).rate


def main() -> None:
    if sys.argv[1:2] == [OTHER_SENDER]:
        del sys.argv[1]
        serve()
        return
    if MISSING:
        sys.exit(MISSING)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    rates: dict[str, list[float]] = {"bare loop": [], "aiohttp": [], "httpx": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        rig = Rig(Path(folder), rounds, seconds)
        for _ in range(rounds):
            rates["bare loop"].append(rig.bare().rate)
            rates["aiohttp"].append(measured(rig, ()))
            rates["httpx"].append(measured(rig, [sys.executable, "-m", "tests.bench.http_stack", OTHER_SENDER]))
    bare_rate = statistics.median(rates["bare loop"])
    for name, found in rates.items():
        rate = statistics.median(found)
        each = ", ".join(f"{one:.0f}" for one in found)
        print(f"{name:10} {rate:7.0f}/s  {rate / bare_rate:5.0%} of the bare loop   ({each})")


if __name__ == "__main__":
    main()
