"""The API server goes away and comes back, and watches lose what they should bring: deliveries do not notice."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.support import rights
from tests.support.angarium import Angarium
from tests.support.api_proxy import ApiProxy
from tests.support.cluster import Object, find, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.stage import Stage, instants
from tests.support.staging import await_health, await_metric, silent, staged

UP = "angarium_operator_up"
PROBED_S = 30.0
"""An outage is noticed within a probe's interval (10 s) and a request's timeout (15 s)."""
FIRED_S = 3.0
"""A schedule that fires every second, were it still there, would have fired within this time."""

Switch = Callable[[], None]


def ticking(stage: Stage, name: str, **spec: object) -> None:
    """A Schedule that fires every second at the receiver's path of its name."""
    stage.endpoint(name)
    stage.apply("Schedule", name, {"every": "1s", "destination": {"endpointRef": {"name": name}}, **spec})


def await_more(stage: Stage, path: str, more: int, within: float = 10.0) -> None:
    stage.receiver.wait_for(stage.receiver.count(path) + more, within, path)


def newest_slot_is_after(stage: Stage, name: str, slot: datetime) -> None:
    def caught_up(runs: list[Object]) -> bool:
        return bool(runs) and instants(runs)[-1] > slot

    wait_for(lambda: stage.runs(name), caught_up, within=40, describe=f"the status of {name} has caught up")


class Outage:
    """A running instance behind a proxy, with a Schedule that ticks, one with a Secret header, and a bad day."""

    def __init__(self, stage: Stage, begin: Switch, end: Switch) -> None:
        self.stage, self.angarium = stage, stage.angarium
        self.begin, self.end = begin, end

    def prepare(self) -> None:
        stage = self.stage
        self.angarium.start()
        stage.secret("auth", header="Bearer one")
        header = {"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "auth", "key": "header"}}}
        stage.endpoint("secret", headers=[header])
        stage.apply("Schedule", "secret", {"every": "2s", "destination": {"endpointRef": {"name": "secret"}}})
        ticking(stage, "tick")
        await_more(stage, "/tick", 1)
        await_more(stage, "/secret", 1)
        stage.run("tick", "Delivered")
        await_metric(self.angarium, UP, 1)
        self.slot = instants(stage.runs("tick"))[-1]

    def noticed(self) -> None:
        """The operator is down, and says so; everything else goes on."""
        await_metric(self.angarium, UP, 0, within=PROBED_S)
        await_more(self.stage, "/tick", 3)
        await_more(self.stage, "/secret", 1)
        assert self.stage.receiver.received("/secret")[-1].header("Authorization") == "Bearer one"
        self.healthy()

    def lasts(self, seconds: float) -> None:
        """Every tick comes in time, and nothing is called unhealthy."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await_more(self.stage, "/tick", 1, within=5)
            self.healthy()

    def healthy(self) -> None:
        assert self.angarium.health("/livez") == (200, "ok\n")
        assert self.angarium.health("/readyz")[0] == 200

    def restarted(self) -> None:
        """Killed and started again: it delivers from its store at once; what needs a Secret has to wait."""
        self.angarium.kill()
        before = self.stage.receiver.count("/secret")
        self.angarium.start(ready=False)
        await_more(self.stage, "/tick", 2, within=5)
        await_health(self.angarium, "/readyz", 503, "the first resync is not done", within=20)
        assert self.angarium.health("/livez") == (200, "ok\n")
        assert self.angarium.metric(UP) == 0
        assert self.stage.receiver.count("/secret") == before

    def over(self) -> None:
        """Nothing was lost, no retry was spent on what could not be looked up, and statuses catch up."""
        waiting = self.stage.receiver.count("/secret")
        self.end()
        self.angarium.wait_until(self.angarium.is_ready, "ready", within_s=30)
        await_metric(self.angarium, UP, 1)
        newest_slot_is_after(self.stage, "tick", self.slot + timedelta(seconds=FIRED_S))
        self.stage.receiver.wait_for(waiting + 1, 30, "/secret")
        assert {request.header("Upstash-Retried") for request in self.stage.receiver.received("/secret")} == {"0"}
        self.stage.run("secret", "Delivered")
        self.healthy()


def outage(stage: Stage, proxy: ApiProxy, kind: str) -> Outage:
    control_plane = stage.control_plane
    switches: dict[str, tuple[Switch, Switch]] = {
        "refused": (proxy.refuse, proxy.pass_through),
        "unavailable": (proxy.answer_503, proxy.pass_through),
        "stopped": (control_plane.stop_apiserver, control_plane.start_apiserver),
        "paused": (control_plane.pause_apiserver, control_plane.resume_apiserver),
    }
    return Outage(stage, *switches[kind])


def go_through(one: Outage, seconds: float) -> None:
    one.prepare()
    one.begin()
    one.noticed()
    one.lasts(seconds)
    one.restarted()
    one.over()


@pytest.mark.parametrize("kind, seconds", [("refused", 15), ("unavailable", 1)])
def test_deliveries_and_schedules_go_on_without_an_api_server(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path, kind: str, seconds: float
) -> None:
    # Noticing it takes up to 10 s: the first of the outages lasts half a minute.
    with staged(control_plane, namespace, tmp_path, server=api_proxy.url) as stage:
        go_through(outage(stage, api_proxy, kind), seconds)


@pytest.mark.thorough
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind, seconds", [("stopped", 180), ("unavailable", 120), ("paused", 30)])
def test_deliveries_and_schedules_go_on_for_minutes(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path, kind: str, seconds: float
) -> None:
    with staged(control_plane, namespace, tmp_path, server=api_proxy.url) as stage:
        go_through(outage(stage, api_proxy, kind), seconds)


def test_a_process_that_starts_while_the_api_server_is_away_listens_and_heals(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path
) -> None:
    with staged(control_plane, namespace, tmp_path, server=api_proxy.url) as stage:
        api_proxy.refuse()
        stage.angarium.start(ready=False)
        await_health(stage.angarium, "/readyz", 503, "the first resync is not done", "did not answer")
        assert stage.angarium.health("/livez")[0] == 200
        with stage.angarium.client("no token is known yet") as client:
            assert client.get("/v2/keys").status_code == 401
        api_proxy.pass_through()
        stage.angarium.wait_until(stage.angarium.is_ready, "ready")
        ticking(stage, "tick")
        await_more(stage, "/tick", 1)


def test_what_was_deleted_while_the_operator_was_down_is_gone(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with staged(control_plane, namespace, tmp_path) as stage:
        stage.angarium.start()
        ticking(stage, "gone")
        ticking(stage, "stays")
        await_more(stage, "/gone", 1)
        token = stage.token
        stage.angarium.kill()
        for kind, name in (("Schedule", "gone"), ("Endpoint", "gone"), ("Token", "stage")):
            stage.delete(kind, name)
            assert find(control_plane, kind, name, namespace) is None, "nothing may hold back a deletion"
        stage.angarium.start()
        await_more(stage, "/stays", 1)
        silent_soon(stage, "/gone")  # what was under way at the kill is sent again
        with stage.angarium.client(token) as client:
            assert client.get("/v2/keys").status_code == 401


def test_what_was_deleted_while_watches_were_cut_is_gone(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path
) -> None:
    with staged(control_plane, namespace, tmp_path, server=api_proxy.url, resync="3s") as stage:
        stage.angarium.start()
        ticking(stage, "gone")
        await_more(stage, "/gone", 1)
        api_proxy.refuse()
        stage.delete("Schedule", "gone")
        assert find(control_plane, "Schedule", "gone", namespace) is None
        await_more(stage, "/gone", 2)
        api_proxy.pass_through()
        ticking(stage, "next")
        await_more(stage, "/next", 1, within=30)
        silent(stage.receiver, "/gone", FIRED_S)


def test_failures_are_counted_on_over_a_crash(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """Of each Endpoint for itself; what was on its way when the program was killed is no failure of anybody's."""
    with staged(control_plane, namespace, tmp_path) as stage:
        stage.angarium.start()
        stage.endpoint("failing", 503, retry={"limit": 100, "delay": "300"})
        stage.endpoint("fine")
        members = [{"name": name, "endpointRef": {"name": name}} for name in ("failing", "fine")]
        stage.apply("Topic", "both", {"endpoints": members})
        stage.ready(("Topic", "both"))
        assert stage.api("POST", "/v2/publish/both").status_code == 200
        stage.receiver.wait_for(3, path="/failing")
        stage.angarium.kill()
        before = stage.receiver.count("/failing")
        stage.angarium.start()
        stage.receiver.wait_for(before + 3, path="/failing")

        def counted_on(status: Object) -> bool:
            return before < status.get("consecutiveFailures", 0) <= stage.receiver.count("/failing")

        wait_for(lambda: stage.status("Endpoint", "failing"), counted_on, within=40, describe="it counts on")
        stage.condition("Endpoint", "fine", "Reachable=True", "Delivered")
        assert stage.status("Endpoint", "fine")["consecutiveFailures"] == 0


def missed(angarium: Angarium) -> int:
    return sum("the watch has missed" in line["message"] for line in angarium.log_lines())


def test_a_deaf_watch_is_found_out_and_replaced(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path
) -> None:
    with staged(control_plane, namespace, tmp_path, server=api_proxy.url, resync="2s") as stage:
        angarium = stage.angarium
        angarium.start()
        for name in ("one", "two", "three"):
            ticking(stage, name)
            await_more(stage, f"/{name}", 1)
        api_proxy.silence_watches()
        pid = angarium.program.pid
        stage.delete("Schedule", "one")
        wait_for(lambda: missed(angarium) == 1, within=30, describe="the resync finds one missing")
        stage.delete("Schedule", "two")
        await_health(angarium, "/livez", 503, "two resyncs in a row")
        assert angarium.metric(UP) == 0
        silent(stage.receiver, "/one", FIRED_S)
        silent(stage.receiver, "/two", FIRED_S)

        api_proxy.pass_through()
        await_health(angarium, "/livez", 200)
        await_metric(angarium, UP, 1)
        found_out = missed(angarium)
        position = control_plane.audit_position()
        stage.delete("Schedule", "three")
        wait_for(lambda: resyncs(control_plane, namespace, position) >= 2, within=20, describe="two more resyncs")
        assert missed(angarium) == found_out, "the new watch brings what happens"
        silent_soon(stage, "/three")
        assert angarium.program.pid == pid


def resyncs(control_plane: ControlPlane, namespace: str, since: int) -> int:
    """How often the operator has listed Schedules in pages, which is what only a resync does."""
    lists = [
        entry
        for entry in control_plane.audit_entries(since)
        if entry["verb"] == "list" and "/schedules?limit=" in entry["requestURI"]
    ]
    return sum(entry["objectRef"]["namespace"] == namespace for entry in lists)


def silent_soon(stage: Stage, path: str) -> None:
    wait_for(lambda: quiet_for(stage, path) > FIRED_S, within=15, describe=f"nothing comes on {path} any more")


def quiet_for(stage: Stage, path: str) -> float:
    return time.time() - stage.receiver.received(path)[-1].at


@pytest.mark.rights_taken("those on Schedules are gone for a while")
def test_a_right_that_is_taken_away_is_no_deletion(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    with staged(control_plane, namespace, tmp_path, resync="2s") as stage:
        stage.angarium.start()
        ticking(stage, "tick")
        await_more(stage, "/tick", 1)
        rights.grant(control_plane, namespace, without=rights.on("schedules"))
        await_metric(stage.angarium, UP, 0)
        assert any("Schedules cannot be listed" in line["message"] for line in stage.angarium.log_lines())
        assert stage.angarium.is_ready(), "publishers need no API server"
        await_more(stage, "/tick", 3)

        stage.angarium.kill()
        stage.angarium.start(ready=False)
        lost = f"may not list, watch schedules.angarium.dev in namespace {namespace}"
        await_health(stage.angarium, "/readyz", 503, lost)
        assert any(lost in line["message"] for line in stage.angarium.log_lines())
        await_more(stage, "/tick", 3)

        rights.grant(control_plane, namespace)
        stage.angarium.wait_until(stage.angarium.is_ready, "ready")
        await_metric(stage.angarium, UP, 1)
        stage.change("Schedule", "tick", suspend=True)
        silent_soon(stage, "/tick")
