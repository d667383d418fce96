"""A million delayed messages that wait: what they cost a publisher, in memory, and a restart after kill -9.

Turns with an empty database and with the full one alternate; the full one is filled once.
"""

import subprocess
import sys
import time
from pathlib import Path

from tests.bench.rig import Delivered, Rig
from tests.bench.server import Server
from tests.bench.sink import Sink
from tests.bench.waiting import BenchError
from tests.support.alone import NAMESPACE
from tests.support.processes import memory

FILL_S = 600.0
PORTION = 100_000


def run(rig: Rig) -> None:
    full = Server(rig.fresh(), settings={"waiting-limit": str(rig.waiting * 2)})
    fill(full.angarium.database, rig.waiting)
    for turn in range(rig.rounds):
        rig.round(f"{rig.waiting:,} messages waiting", turn)
        with Server(rig.fresh()) as empty:
            without, idle_without = measured(rig, empty)
        full.start()
        try:
            with_them, _ = measured(rig, full)
            full.angarium.kill()
            began = time.monotonic()
            full.start()
            rig.add("backlog.ready", time.monotonic() - began)
            idle_with = memory(full.pid).pss
            all_wait(full, rig.waiting)
        finally:
            full.stop()
        rig.add("backlog.publish", rate(with_them) / rate(without) * 100)
        rig.add("backlog.delivered", with_them.rate / without.rate * 100)
        rig.add("backlog.memory", with_them.memory.pss)
        rig.add("backlog.portion", (idle_with - idle_without) / rig.waiting * PORTION)


def fill(database: Path, count: int) -> None:
    """In a process of its own, through the Store port."""
    argv = [sys.executable, "-m", "tests.bench.stores", str(database), NAMESPACE, str(count)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=FILL_S, check=False)
    if done.returncode:
        raise BenchError(f"the database could not be filled: {done.stderr}")
    print(f"  {count:,} messages stored: {done.stdout.strip()}", flush=True)


def all_wait(server: Server, count: int) -> None:
    """Raises BenchError unless the backlog is what it is said to be."""
    waiting = round(server.angarium.metric("angarium_messages_waiting"))
    if waiting != count:
        raise BenchError(f"{waiting:,} messages wait, not {count:,}")


def measured(rig: Rig, server: Server) -> tuple[Delivered, float]:
    """Under load, and the memory (PSS, MiB) before it."""
    idle = memory(server.pid).pss
    with Sink(rig.fresh()) as sink:
        return rig.sustained(server, sink), idle


def rate(found: Delivered) -> float:
    """Publishes accepted per second while the load lasted."""
    return found.load.accepted / found.load.seconds
