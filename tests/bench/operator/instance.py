"""One database and one control plane, on which Angarium is started again and again, whole or without a part."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.operator.cluster import NAMESPACE
from tests.bench.operator.program import HANDLED, RESYNCS, SHIPPED
from tests.bench.waiting import BenchError
from tests.support import processes
from tests.support.angarium import Angarium
from tests.support.cluster import Object
from tests.support.controlplane import ControlPlane
from tests.support.processes import Memory
from tests.support.rights import SERVICE_ACCOUNT

OPERATOR = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
QUIET_S, QUIET_SHARE = 2.0, 0.1
POLL_S = 0.1
LIMIT_S = 300.0
LONG = "5m"
"""The interval of resyncs as shipped: none comes by itself while something else is measured, but one after 30 s."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The program and its courier at one moment: monotonic time, CPU seconds so far, memory, and its peak (RSS)."""

    at: float
    cpu_s: float
    memory: Memory
    peak: float


@dataclass(frozen=True, slots=True)
class ResyncNote:
    """One resync, as the program notes it: monotonic seconds, and CPU seconds of the process meanwhile."""

    began: float
    ended: float
    cpu_s: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Instance:
    """`with Instance(…) as instance: instance.start(); …`; what is asked of the audit log is since `mark()`."""

    def __init__(self, control_plane: ControlPlane, folder: Path, token: str, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        kubeconfig = control_plane.write_kubeconfig(folder / "kubeconfig", token)
        given = {"resync": LONG, "log-level": "info", "log-format": "json"}
        given |= {name.replace("_", "-"): value for name, value in settings.items()}
        self.angarium = Angarium(folder, kubeconfig=kubeconfig, settings=given)
        self._control_plane = control_plane
        self._folder = folder
        self._command = self.angarium.program.argv[1:]
        self._marked = 0
        self.started = 0.0

    @property
    def pid(self) -> int:
        return self.angarium.program.pid

    def launch(self, variant: str = SHIPPED) -> None:
        """Start it and do not wait."""
        ours = [sys.executable, "-m", "tests.bench.operator.program", variant, str(self._folder)]
        self.angarium.program.argv = [*ours, *self._command]
        self.mark()
        self.started = time.monotonic()
        self.angarium.program.start()

    def start(self, variant: str = SHIPPED) -> float:
        """Returns after how many seconds it is ready: the first resync has been made."""
        self.launch(variant)
        return self.await_ready()

    def await_ready(self) -> float:
        self.wait_until(self.angarium.is_ready, "is not ready")
        return time.monotonic() - self.started

    def start_alone(self, variant: str) -> None:
        """A variant without the operator: it is never ready, it listens."""
        self.launch(variant)
        self.wait_until(self.angarium.listens, "does not listen")

    def stop(self) -> None:
        self.angarium.stop()

    def mark(self) -> None:
        """From here on requests are counted."""
        self._marked = self._control_plane.audit_position()

    def requests(self, *verbs: str) -> list[Object]:
        """What the operator has asked of the API server since the mark, of these verbs, or of all."""
        entries = self._control_plane.audit_entries(self._marked)
        own = [entry for entry in entries if entry["user"]["username"] == OPERATOR]
        return [entry for entry in own if not verbs or entry["verb"] in verbs]

    def writes(self) -> int:
        asked = self.requests("create", "update", "patch", "delete", "deletecollection")
        return sum(1 for entry in asked if entry["objectRef"]["apiGroup"] != "authorization.k8s.io")

    def written(self) -> float:
        """Statuses that it has sent since its start."""
        return self.angarium.metric("angarium_status_writes_total")

    def handled(self) -> int:
        """Events of the watch that it has handled since its start."""
        return (self._folder / HANDLED).stat().st_size

    def resyncs(self) -> list[ResyncNote]:
        """Those that have ended since its start."""
        lines = (self._folder / RESYNCS).read_text().splitlines()
        return [ResyncNote(*map(float, line.split())) for line in lines]

    def usage(self) -> Usage:
        pid = self.pid
        return Usage(time.monotonic(), processes.cpu_s(pid), processes.memory(pid), processes.peak_mib(pid))

    def forget_peak(self) -> None:
        """From here on the peak of memory is looked for anew (proc(5), clear_refs)."""
        for one in processes.tree(self.pid):
            with suppress(OSError):
                Path(f"/proc/{one.pid}/clear_refs").write_text("5")

    def quiet(self) -> Usage:
        """Once it hardly works any more; `at` is when that began."""
        deadline, quiet_from, last = time.monotonic() + LIMIT_S, self.usage(), self.usage()
        while last.at - quiet_from.at < QUIET_S:
            time.sleep(POLL_S)
            now = self.usage()
            if now.cpu_s - quiet_from.cpu_s > QUIET_SHARE * max(now.at - quiet_from.at, 1.0):
                quiet_from = now
            if now.at > deadline:
                raise BenchError("angarium does not become quiet")
            last = now
        return replace(last, at=quiet_from.at)

    def wait_until(self, reached: Callable[[], bool], what: str, within_s: float = LIMIT_S) -> None:
        deadline = time.monotonic() + within_s
        while not reached():
            if not self.angarium.program.running or time.monotonic() > deadline:
                raise BenchError(f"angarium {what}\n{self.angarium.program.last_words()}")
            time.sleep(POLL_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.angarium.program.running:
            self.stop()
