"""What the HTTP client costs in the whole path: publish, store, sign, send, record. The figures of ADR 0001.

Run: .venv/bin/python -m tests.bench.http_stack [seconds] [rounds]
Bare loop, `angarium run`, and the same without a courier, with either client in its one process, take turns; only
ratios within one run count.
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

from angarium import app, cli
from angarium.domain.addresses import AddressPolicy
from angarium.domain.ports import References, Sender
from angarium.engine.sender import AiohttpSender
from angarium.plane import DeliveryPlane, Foundation

ALONE = "--alone-with"


def serve(client: str) -> None:
    """`angarium` that sends in its own process, with this client."""

    def plane(base: Foundation, references: References, policy: AddressPolicy) -> DeliveryPlane:
        sender: Sender = AiohttpSender(policy, base.settings.max_response) if client == "aiohttp" else HttpxSender()
        return DeliveryPlane(base, references, policy, sender)

    app.DeliveryPlane = plane  # type: ignore[assignment,misc]
    cli.main()


def alone_with(client: str) -> Sequence[str]:
    return [sys.executable, "-m", "tests.bench.http_stack", ALONE, client]


def measured(rig: Rig, command: Sequence[str]) -> float:
    folder = rig.fresh()
    with Sink(folder) as sink, Server(folder, command=command) as server:
        return rig.sustained(server, sink).rate


def main() -> None:
    if sys.argv[1:2] == [ALONE]:
        client = sys.argv[2]
        del sys.argv[1:3]
        serve(client)
        return
    if MISSING:
        sys.exit(MISSING)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    rates: dict[str, list[float]] = {"bare loop": [], "courier": [], "aiohttp": [], "httpx": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        rig = Rig(Path(folder), rounds, seconds)
        for _ in range(rounds):
            rates["bare loop"].append(rig.bare().rate)
            rates["courier"].append(measured(rig, ()))
            for client in ("aiohttp", "httpx"):
                rates[client].append(measured(rig, alone_with(client)))
    bare_rate = statistics.median(rates["bare loop"])
    for name, found in rates.items():
        rate = statistics.median(found)
        each = ", ".join(f"{one:.0f}" for one in found)
        print(f"{name:10} {rate:7.0f}/s  {rate / bare_rate:5.0%} of the bare loop   ({each})")


if __name__ == "__main__":
    main()
