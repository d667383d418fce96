"""What starting the operator costs with thousands of objects, on a real API server. The figures of ADR 0002.

Run: .venv/bin/python -m tests.bench.operator_start [SCHEDULES] [VARIANT…]
One control plane with SCHEDULES Schedules, a tenth as many Endpoints and a fiftieth Topics. First start (every status
is new), idle time, restart (nothing is new), idle time, one resync; then a restart for each variant of Kopf's settings.
"""

import asyncio
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import httpx
from tests.support import processes
from tests.support.angarium import Angarium
from tests.support.cluster import ROOT, Object, apply, condition, create_namespace, get, list_all, path_of, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.rights import SERVICE_ACCOUNT, cluster_operator_token
from tools.controlplane import build

NAMESPACE = "bench"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
CREATORS = 16
IDLE_S = 20.0
QUIET_S, QUIET_SHARE = 2.0, 0.1
POLL_S = 0.1
LIMIT_S, CATCH_UP_S = 300.0, 60.0
HANDLED = "ANGARIUM_BENCH_HANDLED"
SHIPPED, NO_KOPF = "shipped", "no-kopf"
VARIANTS: dict[str, dict[str, Any]] = {
    SHIPPED: {},
    "unchunked": {"watching.chunk_size": None},
    "lingering": {"watching.chunk_size": None, "queueing.idle_timeout": 0.05},
    "idle-5s": {"watching.chunk_size": None, "queueing.idle_timeout": 5.0},
    "kopf-default": {"watching.chunk_size": None, "queueing.idle_timeout": 5.0, "queueing.worker_limit": None},
    NO_KOPF: {},
}
"""What differs from the settings in angarium.kube.watch; without Kopf the resyncs are all there is."""


def serve(variant: str) -> None:
    """`angarium` as this variant has it; the rest of the command line is its own."""
    if variant == NO_KOPF:
        sys.modules["kopf"] = MagicMock()
    from angarium import cli
    from angarium.kube import reconciler, watch

    if variant == NO_KOPF:
        watch.Watch.start = lambda self: None
        watch.Watch.stop = lambda self, timeout_s: True
    watch._settings = partial(changed, watch._settings, VARIANTS[variant])
    count_handled(reconciler.Reconciler, os.environ.pop(HANDLED))
    cli.main()


def changed(shipped: Callable[[], Any], changes: dict[str, Any]) -> Any:
    settings = shipped()
    for name, value in changes.items():
        area, _, field = name.partition(".")
        setattr(getattr(settings, area), field, value)
    return settings


def count_handled(reconciler: Any, path: str) -> None:
    """The file grows by one byte for each event of the watch that has been handled."""
    file, event = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), reconciler.event

    async def counted(self: Any, deleted: bool, manifest: Object) -> None:
        await event(self, deleted, manifest)
        os.write(file, b".")

    reconciler.event = counted


def objects(schedules: int) -> Iterator[Object]:
    """Endpoints, Topics of three of them each, and Schedules that fire once a year, every other one at a Topic."""
    endpoints, topics = max(3, schedules // 10), max(1, schedules // 50)
    for number in range(endpoints):
        yield manifest("Endpoint", number, {"url": f"http://127.0.0.1:9/hooks/{number}", "timeout": "30s"})
    for number in range(topics):
        named = [f"endpoint-{(number + step) % endpoints}" for step in range(3)]
        yield manifest("Topic", number, {"endpoints": [{"name": one, "endpointRef": {"name": one}} for one in named]})
    for number in range(schedules):
        to_endpoint = {"endpointRef": {"name": f"endpoint-{number % endpoints}"}}
        to = to_endpoint if number % 2 else {"topicRef": {"name": f"topic-{number % topics}"}}
        yield manifest("Schedule", number, {"cron": half_a_year_away(), "destination": to, "body": {"text": "x" * 250}})


def manifest(kind: str, number: int, spec: Object) -> Object:
    metadata = {"name": f"{kind.lower()}-{number}", "labels": {"group": str(number % 10)}}
    return {"apiVersion": "angarium.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def half_a_year_away() -> str:
    return f"0 6 1 {(datetime.now(UTC).month + 5) % 12 + 1} *"


async def create(control_plane: ControlPlane, documents: Iterable[Object]) -> None:
    waiting = iter(documents)
    headers = {"Authorization": f"Bearer {control_plane.admin_token}"}
    verify = ssl.create_default_context(cafile=control_plane.ca_file)
    async with httpx.AsyncClient(base_url=control_plane.url, headers=headers, verify=verify, timeout=60) as client:

        async def create_some() -> None:
            for document in waiting:
                answer = await client.post(path_of(document["kind"], namespace=NAMESPACE), json=document)
                answer.raise_for_status()

        await asyncio.gather(*(create_some() for _ in range(CREATORS)))


@contextmanager
def running_control_plane(folder: Path) -> Iterator[ControlPlane]:
    control_plane = ControlPlane(folder, build.locate() or build.build())
    try:
        control_plane.start()
        for crd in apply(control_plane, ROOT / "crds"):
            await_served(control_plane, crd["metadata"]["name"])
        create_namespace(control_plane, NAMESPACE)
        yield control_plane
    finally:
        control_plane.stop()


def await_served(control_plane: ControlPlane, crd: str) -> None:
    def served(found: Object) -> bool:
        established = condition(found, "Established")
        return established is not None and established["status"] == "True"

    wait_for(lambda: get(control_plane, "CustomResourceDefinition", crd), served, describe=f"{crd} served")


@dataclass(frozen=True, slots=True)
class Usage:
    """A program at one moment: monotonic time, CPU seconds so far, resident memory now and at most, in MiB.

    What several processes had at most is added up, though each had it at its own time.
    """

    at: float
    cpu_s: float
    resident: float
    peak: float

    @classmethod
    def of(cls, pid: int) -> "Usage":
        found = [processes.kib_of(one.pid, "status", "VmRSS", "VmHWM") for one in processes.tree(pid)]
        resident, peak = (sum(kib) / 1024 for kib in zip(*found, strict=True))
        return cls(time.monotonic(), processes.cpu_s(pid), resident, peak)


class Bench:
    """One database and one control plane with `total` objects, started again and again."""

    def __init__(self, control_plane: ControlPlane, folder: Path, total: int) -> None:
        token = cluster_operator_token(control_plane, NAMESPACE)
        kubeconfig = control_plane.write_kubeconfig(folder / "kubeconfig", token)
        self._control_plane = control_plane
        self._total = total
        self._handled = folder / "handled"
        self._angarium = Angarium(folder, kubeconfig=kubeconfig, settings={"resync": "5m"})
        self._angarium.program.env = {**(self._angarium.program.env or {}), HANDLED: str(self._handled)}
        self._command = self._angarium.program.argv[1:]
        self._health = httpx.Client(base_url=self._angarium.health_url, timeout=10)
        self._audit_from = 0
        self._started = 0.0

    def run(self, variants: Iterable[str]) -> None:
        try:
            self._first_start()
            self._idle()
            self._angarium.stop()
            self._restart(SHIPPED)
            self._idle()
            self._resync()
            self._angarium.stop()
            for variant in variants:
                self._restart(variant)
                self._angarium.stop()
        finally:
            if self._angarium.program.running:
                self._angarium.stop()
            self._health.close()

    def _first_start(self) -> None:
        began = self._start("first start", SHIPPED)
        self._await(lambda: self._written() >= self._total, "written all statuses")
        self._await(lambda: not self._pending(), "made every object known")
        tell("every status written", f"{self._last_patch() - began:.1f} s")
        usage = self._quiet()
        tell("PATCHes", str(self._writes()))
        tell("CPU", f"{usage.cpu_s:.1f} s")
        tell("resident, peak", f"{usage.resident:.0f}, {usage.peak:.0f} MiB")

    def _restart(self, variant: str) -> None:
        self._start(f"restart, {variant}", variant)
        if variant != NO_KOPF:
            tell("watch has caught up", self._caught_up())
        usage = self._quiet()
        tell("CPU until quiet", f"{usage.cpu_s:.1f} s")
        tell("writes", str(self._writes()))
        tell("resident, peak", f"{usage.resident:.0f}, {usage.peak:.0f} MiB")

    def _caught_up(self) -> str:
        while (handled := self._handled.stat().st_size) < self._total:
            if time.monotonic() - self._started > CATCH_UP_S:
                return f"no, {handled} of {self._total} after {CATCH_UP_S:.0f} s"
            time.sleep(POLL_S)
        return f"{time.monotonic() - self._started:.1f} s"

    def _idle(self) -> None:
        self._audit_from = self._control_plane.audit_position()
        before = self._usage()
        time.sleep(IDLE_S)
        after = self._usage()
        cpu = (after.cpu_s - before.cpu_s) / (after.at - before.at)
        tell(f"{IDLE_S:.0f} s idle", f"{self._writes()} writes, {cpu:.1%} of a CPU")

    def _resync(self) -> None:
        """The second one after a start comes soon: it judges the new watch."""
        before = self._usage()
        self._await(lambda: self._lists() > 0, "listed again")
        after = self._quiet()
        tell("a resync: CPU, writes", f"{after.cpu_s - before.cpu_s:.1f} s, {self._writes()}")
        tell("after it: resident, peak", f"{after.resident:.0f}, {after.peak:.0f} MiB")

    def _start(self, name: str, variant: str) -> float:
        """Returns when it is ready; the answer is the time of day at which it was started."""
        print(f"{name} (load average {os.getloadavg()[0]:.1f})", flush=True)
        program, ours = self._angarium.program, [sys.executable, "-m", "tests.bench.operator_start", "--serve", variant]
        program.argv = [*ours, *self._command]
        self._audit_from = self._control_plane.audit_position()
        began, self._started = time.time(), time.monotonic()
        self._angarium.program.start()
        self._await(self._ready, "ready")
        usage = self._usage()
        tell("ready", f"{usage.at - self._started:.1f} s, {usage.resident:.0f} MiB")
        return began

    def _quiet(self) -> Usage:
        """Once it hardly works any more; `at` is when that began."""
        deadline, quiet_from, last = time.monotonic() + LIMIT_S, self._usage(), self._usage()
        while last.at - quiet_from.at < QUIET_S:
            time.sleep(POLL_S)
            now = self._usage()
            if now.cpu_s - quiet_from.cpu_s > QUIET_SHARE * max(now.at - quiet_from.at, 1.0):
                quiet_from = now
            if now.at > deadline:
                raise AssertionError("angarium does not become quiet")
            last = now
        return replace(last, at=quiet_from.at)

    def _await(self, reached: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not reached():
            if not self._angarium.program.running or time.monotonic() > deadline:
                raise AssertionError(f"angarium has not {what}\n{self._angarium.program.last_words()}")
            time.sleep(POLL_S)

    def _ready(self) -> bool:
        try:
            return self._health.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _written(self) -> float:
        lines = self._health.get("/metrics").text.splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith("angarium_status_writes_total"))

    def _pending(self) -> int:
        found = [one for kind in ("Endpoint", "Topic", "Schedule") for one in list_all(self._control_plane, kind)]
        ready = [condition(one, "Ready") for one in found]
        return sum(1 for one in ready if one is None or one["reason"] == "Pending")

    def _asked(self, *verbs: str) -> list[Object]:
        entries = self._control_plane.audit_entries(self._audit_from)
        return [entry for entry in entries if entry["user"]["username"] == OPERATOR and entry["verb"] in verbs]

    def _writes(self) -> int:
        asked = self._asked("create", "update", "patch", "delete", "deletecollection")
        return sum(1 for entry in asked if entry["objectRef"]["apiGroup"] != "authorization.k8s.io")

    def _lists(self) -> int:
        asked = [entry["requestURI"] for entry in self._asked("list") if entry["userAgent"] == "angarium"]
        return sum(1 for path in asked if "/schedules?" in path)

    def _last_patch(self) -> float:
        return max(datetime.fromisoformat(entry["stageTimestamp"]).timestamp() for entry in self._asked("patch"))

    def _usage(self) -> Usage:
        return Usage.of(self._angarium.program.pid)


def tell(what: str, figure: str) -> None:
    print(f"  {what:25} {figure}", flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        variant = sys.argv[2]
        del sys.argv[1:3]
        serve(variant)
        return
    schedules = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with tempfile.TemporaryDirectory() as folder, running_control_plane(Path(folder) / "controlplane") as control_plane:
        documents = list(objects(schedules))
        asyncio.run(create(control_plane, documents))
        Bench(control_plane, Path(folder), len(documents)).run(sys.argv[2:] or list(VARIANTS))


if __name__ == "__main__":
    main()
