"""`angarium` as a measurement runs it: as shipped, with other settings of Kopf, or without a part; it keeps a journal.

Run: python -m tests.bench.operator.program VARIANT JOURNAL run …  (the command line of `angarium` follows)
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

SHIPPED, NO_KOPF, NO_OPERATOR, DELIVERY = "shipped", "no-kopf", "no-operator", "delivery"
VARIANTS: dict[str, dict[str, Any]] = {
    SHIPPED: {},
    NO_KOPF: {},
    NO_OPERATOR: {},
    DELIVERY: {},
    "chunks-25": {"watching.chunk_size": 25},
    "unchunked": {"watching.chunk_size": None},
    "lingering": {"watching.chunk_size": None, "queueing.idle_timeout": 0.05},
    "idle-5s": {"watching.chunk_size": None, "queueing.idle_timeout": 5.0},
    "kopf-default": {"watching.chunk_size": None, "queueing.idle_timeout": 5.0, "queueing.worker_limit": None},
}
"""What differs from the settings in angarium.kube.watch.

Without Kopf the resyncs are all there is; without the operator nobody talks to the API server, though all of it is
loaded; `delivery` has not even loaded Kopf.
"""
HANDLED, RESYNCS = "handled", "resyncs"
"""Files of the journal: a byte for each event of the watch that was handled; a line for each resync: when it began and
ended (monotonic seconds), and the CPU seconds of the process meanwhile."""


def serve(variant: str, journal: Path) -> None:
    if variant in (NO_KOPF, DELIVERY):
        sys.modules["kopf"] = MagicMock()
    from angarium import cli
    from angarium.kube import operator, reconciler, resync, watch

    if variant == NO_KOPF:
        watch.Watch.start = lambda self: None
        watch.Watch.stop = lambda self, timeout_s: True
    if variant in (NO_OPERATOR, DELIVERY):
        operator.Operator.start = lambda self: None
        operator.Operator.stop = lambda self, timeout_s: None
    watch._settings = partial(changed, watch._settings, VARIANTS[variant])
    note_events(reconciler.Reconciler, journal / HANDLED)
    note_resyncs(resync.Resync, journal / RESYNCS)
    cli.main()


def changed(shipped: Callable[[], Any], changes: dict[str, Any]) -> Any:
    settings = shipped()
    for name, value in changes.items():
        area, _, field = name.partition(".")
        setattr(getattr(settings, area), field, value)
    return settings


def note_events(reconciler: Any, path: Path) -> None:
    file, event = opened(path), reconciler.event

    async def noted(self: Any, deleted: bool, manifest: dict[str, Any]) -> None:
        await event(self, deleted, manifest)
        os.write(file, b".")

    reconciler.event = noted


def note_resyncs(resync: Any, path: Path) -> None:
    file, run = opened(path), resync.run

    async def noted(self: Any, *, watched: bool) -> Any:
        began, cpu = time.monotonic(), time.process_time()
        try:
            return await run(self, watched=watched)
        finally:
            os.write(file, f"{began} {time.monotonic()} {time.process_time() - cpu}\n".encode())

    resync.run = noted


def opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)


if __name__ == "__main__":
    _, chosen, folder, *rest = sys.argv
    sys.argv[1:] = rest
    serve(chosen, Path(folder))
