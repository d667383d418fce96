"""The ground the other cluster tests stand on: a real API server, real rights, and outages on demand."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from tests.support import rights
from tests.support.api_proxy import ApiProxy
from tests.support.cluster import (
    ROOT,
    Refused,
    apply,
    call,
    checked,
    create_namespace,
    delete,
    events_of,
    eventually,
    find,
    get,
    list_all,
    patch,
    path_of,
    remove_namespace,
    wait_for,
)
from tests.support.controlplane import ControlPlane
from tests.support.programs import Program
from tools.controlplane import build


def config_map(name: str, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@dataclass(frozen=True, slots=True)
class Watching:
    """What came over a watch, and whether its stream is over."""

    lines: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def has_seen(self, name: str) -> bool:
        return any(f'"name":"{name}"' in line for line in self.lines)


@contextmanager
def watching(proxy: ApiProxy, client: httpx.Client, namespace: str) -> Iterator[Watching]:
    """Watch the ConfigMaps of a namespace through the proxy, in a thread."""
    seen = Watching()

    def follow() -> None:
        with suppress(httpx.TransportError):
            path = path_of("ConfigMap", namespace=namespace)
            with client.stream("GET", path, params={"watch": "1"}, timeout=None) as answer:
                for line in answer.iter_lines():
                    seen.lines.append(line)
        seen.ended.set()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        wait_for(lambda: proxy.open_watches, describe="the watch is open")
        yield seen
    finally:
        proxy.cut_watches()
        thread.join(10)


@contextmanager
def client_of(proxy: ApiProxy, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
        yield client


def test_it_runs_the_pinned_version(control_plane: ControlPlane) -> None:
    assert call(control_plane, "GET", "/version")["gitVersion"] == build.KUBERNETES
    assert f"Server Version: {build.KUBERNETES}" in control_plane.kubectl("version").stdout


def test_it_serves_every_kind_we_ship(control_plane: ControlPlane) -> None:
    shipped = {path.stem for path in (ROOT / "crds").glob("*.yaml")}
    served = {found["spec"]["names"]["plural"] for found in list_all(control_plane, "CustomResourceDefinition")}
    assert shipped and served == shipped


def test_kubectl_knows_no_other_cluster(control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/somebody-elses")
    view = control_plane.kubectl("config", "view", "--output", "jsonpath={.clusters[*].cluster.server}")
    assert view.stdout == control_plane.url
    with pytest.raises(AssertionError, match=r'namespaces "no-such-namespace" not found'):
        control_plane.kubectl("get", "namespace", "no-such-namespace")


def test_rights_are_real(control_plane: ControlPlane, namespace: str) -> None:
    rights.create_service_account(control_plane, namespace, "nobody")
    token = rights.token_of(control_plane, namespace, "nobody")
    with control_plane.client_for(token) as client:
        answer = client.get(path_of("ConfigMap", namespace=namespace))
    assert answer.status_code == 403
    assert f"system:serviceaccount:{namespace}:nobody" in answer.json()["message"]


def test_the_operator_may_work_in_its_namespace_only(
    control_plane: ControlPlane, namespace: str, operator_token: str
) -> None:
    with control_plane.client_for(operator_token) as client:
        assert client.get(path_of("Schedule", namespace=namespace)).status_code == 200
        assert client.get(path_of("Schedule", namespace="default")).status_code == 403
        assert client.get(path_of("Schedule")).status_code == 403


def test_the_cluster_operator_may_work_everywhere(control_plane: ControlPlane, cluster_operator_token: str) -> None:
    with control_plane.client_for(cluster_operator_token) as client:
        assert client.get(path_of("Schedule")).status_code == 200
        assert client.get(path_of("Namespace")).status_code == 200
        assert client.get(path_of("ClusterRole")).status_code == 403


def test_objects_can_be_handled(control_plane: ControlPlane, namespace: str) -> None:
    apply(control_plane, config_map("settings", colour="blue"), namespace)
    patch(control_plane, "ConfigMap", "settings", namespace, {"data": {"colour": "green"}})
    assert get(control_plane, "ConfigMap", "settings", namespace)["data"] == {"colour": "green"}
    with pytest.raises(Refused, match="colours"):
        apply(control_plane, {**config_map("settings"), "colours": []}, namespace)
    delete(control_plane, "ConfigMap", "settings", namespace)
    assert find(control_plane, "ConfigMap", "settings", namespace) is None


def test_a_removed_namespace_leaves_nothing_behind(control_plane: ControlPlane) -> None:
    create_namespace(control_plane, "short-lived")
    apply(control_plane, config_map("settings"), "short-lived")
    remove_namespace(control_plane, "short-lived")
    assert find(control_plane, "Namespace", "short-lived") is None
    assert find(control_plane, "ConfigMap", "settings", "short-lived") is None


def test_the_controller_manager_collects_what_lost_its_owner(control_plane: ControlPlane, namespace: str) -> None:
    [owner] = apply(control_plane, config_map("owner"), namespace)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    owned = config_map("owned") | {"metadata": {"name": "owned", "ownerReferences": [reference]}}
    apply(control_plane, owned, namespace)
    control_plane.start_controller_manager()
    try:
        delete(control_plane, "ConfigMap", "owner", namespace)
        wait_for(
            lambda: find(control_plane, "ConfigMap", "owned", namespace),
            lambda found: found is None,
            within=30,
            describe="the owned ConfigMap is collected",
        )
    finally:
        control_plane.stop_controller_manager()


def test_an_outage_keeps_address_and_data(control_plane: ControlPlane, namespace: str) -> None:
    apply(control_plane, config_map("before"), namespace)
    token = rights_token(control_plane, namespace)
    control_plane.stop_apiserver()
    with pytest.raises(httpx.ConnectError):
        call(control_plane, "GET", "/version")
    control_plane.start_apiserver()
    assert get(control_plane, "ConfigMap", "before", namespace)
    with control_plane.client_for(token) as client:
        assert client.get(path_of("ConfigMap", namespace=namespace)).status_code == 403, "the token is still known"


def rights_token(control_plane: ControlPlane, namespace: str) -> str:
    rights.create_service_account(control_plane, namespace)
    return rights.token_of(control_plane, namespace)


def test_a_paused_api_server_answers_nothing(control_plane: ControlPlane) -> None:
    control_plane.pause_apiserver()
    try:
        with pytest.raises(httpx.ReadTimeout):
            control_plane.client.get("/version", timeout=0.3)
    finally:
        control_plane.resume_apiserver()
    assert call(control_plane, "GET", "/version")


def test_the_audit_log_tells_who_did_what(control_plane: ControlPlane, namespace: str) -> None:
    position = control_plane.audit_position()
    apply(control_plane, config_map("audited"), namespace)
    [entry] = [
        entry
        for entry in control_plane.audit_entries(position)
        if entry["verb"] == "patch" and entry["objectRef"]["namespace"] == namespace
    ]
    assert entry["user"]["username"] == "admin"
    assert (entry["objectRef"]["resource"], entry["objectRef"]["name"]) == ("configmaps", "audited")
    assert entry["responseStatus"]["code"] == 201


def test_events_are_found_by_their_object(control_plane: ControlPlane, namespace: str) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "it-happened"},
        "involvedObject": {"kind": "ConfigMap", "name": "settings", "namespace": namespace},
        "reason": "Happened",
        "type": "Normal",
    }
    apply(control_plane, event, namespace)
    assert [found["reason"] for found in events_of(control_plane, "ConfigMap", "settings", namespace)] == ["Happened"]
    assert events_of(control_plane, "ConfigMap", "others", namespace) == []


def test_a_wait_in_vain_shows_the_last_value() -> None:
    with pytest.raises(AssertionError, match=r"(?s)not within 0.1 s: the colour turns green.*blue"):
        wait_for(lambda: {"colour": "blue"}, lambda seen: seen["colour"] == "green", within=0.1,
                 describe="the colour turns green")  # fmt: skip


async def test_an_async_wait_lets_others_work() -> None:
    turns = iter([None, None, "done"])
    assert await eventually(lambda: next(turns), within=5) == "done"


def test_what_the_proxy_holds_comes_through_after_its_sender_has_gone(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy
) -> None:
    """And nothing else is held."""
    held = api_proxy.hold(lambda method, path: method == "POST" and path.endswith("/configmaps"))
    path = path_of("ConfigMap", namespace=namespace)
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}}
    with client_of(api_proxy, control_plane.admin_token) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post(path, json=config_map, timeout=1)
        assert held.caught.is_set()
        assert client.get(path).json()["items"] == []
    api_proxy.release()
    assert find(control_plane, "ConfigMap", "late", namespace) is not None
    with client_of(api_proxy, control_plane.admin_token) as client:
        assert client.post(path, json=config_map).status_code == 409


def test_the_proxy_passes_requests_with_the_callers_rights(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy
) -> None:
    with client_of(api_proxy, control_plane.admin_token) as client:
        created = checked(client.post(path_of("ConfigMap", namespace=namespace), json=config_map("through", a="é")))
        assert get(control_plane, "ConfigMap", "through", namespace) == created
        assert client.get(path_of("ConfigMap", "a%2Fb", namespace)).status_code == 404
    with client_of(api_proxy, "no-such-token") as client:
        assert client.get(path_of("ConfigMap", namespace=namespace)).status_code == 401


def test_the_proxy_streams_watches_and_cuts_them(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy
) -> None:
    with (
        client_of(api_proxy, control_plane.admin_token) as client,
        watching(api_proxy, client, namespace) as watch,
    ):
        apply(control_plane, config_map("first"), namespace)
        wait_for(lambda: watch.has_seen("first"), describe="the event")
        assert not watch.ended.is_set()
        assert api_proxy.cut_watches() == 1
        assert watch.ended.wait(5)
        assert client.get("/version").status_code == 200


def test_the_proxy_forgets_a_watch_whose_client_has_left(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy
) -> None:
    with (
        client_of(api_proxy, control_plane.admin_token) as client,
        client.stream("GET", path_of("ConfigMap", namespace=namespace), params={"watch": "1"}),
    ):
        assert api_proxy.open_watches == 1
    wait_for(lambda: api_proxy.open_watches, lambda count: count == 0, describe="the watch is gone")


def test_the_proxy_can_silence_watches(control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy) -> None:
    with (
        client_of(api_proxy, control_plane.admin_token) as client,
        watching(api_proxy, client, namespace) as watch,
    ):
        api_proxy.silence_watches()
        apply(control_plane, config_map("unheard"), namespace)
        assert client.get(path_of("ConfigMap", "unheard", namespace)).status_code == 200
        api_proxy.pass_through()
        apply(control_plane, config_map("heard"), namespace)
        wait_for(lambda: watch.has_seen("heard"), describe="the event")
        assert not watch.has_seen("unheard")


def test_the_proxy_refuses_and_comes_back(control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy) -> None:
    with (
        client_of(api_proxy, control_plane.admin_token) as client,
        watching(api_proxy, client, namespace) as watch,
    ):
        api_proxy.refuse()
        assert watch.ended.wait(5)
        with pytest.raises(httpx.ConnectError):
            client.get("/version")
        api_proxy.pass_through()
        assert client.get("/version").status_code == 200


def test_the_proxy_answers_503(control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy) -> None:
    with (
        client_of(api_proxy, control_plane.admin_token) as client,
        watching(api_proxy, client, namespace) as watch,
    ):
        api_proxy.answer_503()
        assert watch.ended.wait(5)
        answer = client.get("/version")
        assert (answer.status_code, answer.json()["reason"]) == (503, "ServiceUnavailable")
        api_proxy.pass_through()
        assert client.get("/version").status_code == 200


def test_programs_end_with_a_killed_test_run(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from tests.support.programs import Program\n"
        "sleeper = Program(['sleep', '600'], Path(sys.argv[1])); sleeper.start()\n"
        "print(sleeper.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "log")]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    wait_for(lambda: is_running(int(done.stdout)), lambda running: not running, describe="the program has ended")


def is_running(pid: int) -> bool:
    """A zombie has ended: only its parent has not asked yet."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    stubborn = Program(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"], tmp_path / "log")
    stubborn.start()
    wait_for(stubborn.last_words, lambda words: words.endswith("up"), describe="it has set its trap")
    assert stubborn.stop(grace_s=0.2) == -signal.SIGKILL
    assert not stubborn.running
