"""What tools that wait see in our objects: kstatus, the health checks for Argo CD and Flux, and `kubectl wait`.

Objects as the API server serves them, of every kind and in every state; each is judged by all of them.
"""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from tests.support.cluster import Object, apply, create_namespace, patch, remove_namespace, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.ready_checks import ARGO_CD, HEALTH, Judged, ReadyChecks, Verdict, health, restricted
from tests.support.stage import Stage
from tests.support.staging import staged

OF_KIND = {"Endpoint": "reports", "Topic": "orders", "Schedule": "yearly", "Queue": "line", "Token": "app"}
CHANGES: dict[str, Object] = {
    "Endpoint": {"timeout": "30s"},
    "Topic": {"selector": {"matchLabels": {"events": "orders"}}},
    "Schedule": {"historyLimit": 3},
    "Queue": {"parallelism": 2},
    "Token": {"access": "ReadOnly"},
}
EVERY_KIND = pytest.mark.parametrize("kind", OF_KIND)

WAITING = Verdict("InProgress", "Progressing", "inProgress")
READY = Verdict("Current", "Healthy", "current")
NEVER = Verdict("InProgress", "Degraded", "failed")
LEAVING = Verdict("Terminating", "Progressing", "inProgress")


class Waiter:
    """Asks all of them about the objects of a stage."""

    def __init__(self, stage: Stage, checks: ReadyChecks) -> None:
        self.stage = stage
        self.checks = checks

    def judge(self, kind: str, name: str) -> Judged:
        """Of an object as the API server has it now."""
        (found,) = self.checks.judge([self.stage.get(kind, name)])
        return found

    def judge_all(self) -> dict[str, Verdict]:
        """Of one object of each kind, by kind."""
        objects = [self.stage.get(kind, name) for kind, name in OF_KIND.items()]
        return dict(zip(OF_KIND, [found.verdict for found in self.checks.judge(objects)], strict=True))

    def ready(self, kind: str, name: str, timeout: str = "30s") -> bool:
        """`kubectl wait` until an object is Ready; false if it is not in time."""
        wait = ("wait", f"{kind.lower()}.angarium.dev/{name}", "--for=condition=Ready", f"--timeout={timeout}")
        done = self.stage.control_plane.kubectl(*wait, "-n", self.stage.namespace, check=False)
        assert done.returncode == 0 or "timed out waiting for the condition" in done.stderr, done
        return done.returncode == 0


@pytest.fixture(scope="module")
def waiter(control_plane: ControlPlane, kstatus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiter]:
    """One object of each kind, and an operator that is stopped and started as a test needs it."""
    namespace = "test-ready-checks"
    create_namespace(control_plane, namespace)
    with staged(control_plane, namespace, tmp_path_factory.mktemp("ready-checks")) as stage:
        stage.endpoint("reports")
        stage.apply("Topic", "orders", {"endpoints": [{"name": "reports", "endpointRef": {"name": "reports"}}]})
        stage.apply("Schedule", "yearly", {"cron": "@yearly", "destination": {"topicRef": {"name": "orders"}}})
        stage.apply("Queue", "line", {})
        stage.apply("Token", "app", {})
        yield Waiter(stage, ReadyChecks(kstatus))
    remove_namespace(control_plane, namespace)


def present(waiter: Waiter) -> Stage:
    """The stage with its operator at work."""
    if not waiter.stage.angarium.program.running:
        waiter.stage.angarium.start()
    return waiter.stage


def absent(waiter: Waiter) -> Stage:
    """The stage with nobody who looks at it."""
    if waiter.stage.angarium.program.running:
        waiter.stage.angarium.stop()
    return waiter.stage


def test_objects_that_no_operator_has_seen_are_in_progress(waiter: Waiter) -> None:
    absent(waiter)
    assert waiter.judge_all() == dict.fromkeys(OF_KIND, WAITING)
    told = "Waiting for the operator"
    assert waiter.judge("Schedule", "yearly") == Judged(WAITING, told, told)
    assert not waiter.ready("Schedule", "yearly", timeout="1s")


def test_objects_that_are_ready_are_current(waiter: Waiter) -> None:
    present(waiter)
    assert all(waiter.ready(kind, name) for kind, name in OF_KIND.items())
    assert waiter.judge_all() == dict.fromkeys(OF_KIND, READY)


def test_a_change_that_was_not_observed_is_in_progress(waiter: Waiter) -> None:
    """Though Ready is still True: of the generation before."""
    stage = present(waiter)
    stage.ready(*OF_KIND.items())
    absent(waiter)
    for kind, name in OF_KIND.items():
        stage.change(kind, name, **CHANGES[kind])
    assert waiter.judge_all() == dict.fromkeys(OF_KIND, WAITING)
    told = "Schedule generation is 2, but latest observed generation is 1"
    argo_cd_told = "Waiting for the operator: it has not yet seen generation 2"
    assert waiter.judge("Schedule", "yearly") == Judged(WAITING, told, argo_cd_told)
    assert not waiter.ready("Schedule", "yearly", timeout="1s")
    present(waiter)
    assert all(waiter.ready(kind, name) for kind, name in OF_KIND.items())
    assert waiter.judge_all() == dict.fromkeys(OF_KIND, READY)


@pytest.mark.parametrize(
    ("kind", "spec", "reason", "words"),
    [
        ("Schedule", {"every": "1h", "suspend": True, "destination": {"url": "http://a.test/"}}, "Suspended", ""),
        ("Schedule", {"at": "2001-01-01T00:00:00Z", "destination": {"url": "http://a.test/"}}, "Completed", ""),
        ("Endpoint", {"url": "http://a.test/", "suspend": True}, "Suspended", ""),
        ("Queue", {"suspend": True}, "Suspended", ""),
        ("Topic", {"selector": {"matchLabels": {"nobody": "has-it"}}}, "Ready", "it has no member now"),
    ],
)
def test_what_has_nothing_to_do_is_current(waiter: Waiter, kind: str, spec: Object, reason: str, words: str) -> None:
    stage = present(waiter)
    name = f"idle-{kind.lower()}-{reason.lower()}"
    stage.apply(kind, name, spec)
    message = stage.condition(kind, name, "Ready=True", reason)
    assert words in message
    assert waiter.judge(kind, name) == Judged(READY, "Resource is Ready", f"{reason}: {message}")
    assert waiter.ready(kind, name)


@pytest.mark.parametrize(
    ("kind", "spec", "reason"),
    [
        ("Schedule", {"every": "1h", "destination": {"endpointRef": {"name": "gone"}}}, "EndpointNotFound"),
        ("Topic", {"endpoints": [{"name": "gone", "endpointRef": {"name": "gone"}}]}, "EndpointNotFound"),
        ("Endpoint", {"url": "https://a.test/", "tls": {"caSecretRef": {"name": "gone"}}}, "SecretNotFound"),
        ("Token", {"secretName": "theirs"}, "SecretConflict"),
    ],
)
def test_a_reference_that_does_not_resolve_is_in_progress(waiter: Waiter, kind: str, spec: Object, reason: str) -> None:
    """It heals without a change of the object, so it must not count as failed."""
    stage = present(waiter)
    stage.secret("theirs", password="x")
    stage.apply(kind, "unresolved", spec)
    message = stage.condition(kind, "unresolved", "Ready=False", reason)
    assert waiter.judge(kind, "unresolved") == Judged(WAITING, message, f"{reason}: {message}")


def test_what_is_never_accepted_fails_where_that_can_be_said(waiter: Waiter) -> None:
    """There is no condition Stalled: docs/resources.md says so, and what to wait for instead."""
    stage = present(waiter)
    stage.apply("Schedule", "never", {"cron": "0 0 31 2 *", "destination": {"url": "http://a.test/"}})
    message = stage.condition("Schedule", "never", "Ready=False")
    assert stage.condition("Schedule", "never", "Accepted=False") == message
    assert waiter.judge("Schedule", "never") == Judged(NEVER, message, f"InvalidCron: {message}")
    rejected = ("wait", "ags/never", "--for=condition=Accepted=False", "--timeout=10s", "-n", stage.namespace)
    assert "condition met" in stage.control_plane.kubectl(*rejected).stdout


@EVERY_KIND
def test_what_is_being_deleted_is_terminating(waiter: Waiter, kind: str) -> None:
    """Somebody's finalizer holds it, never one of ours."""
    stage = present(waiter)
    apply(stage.control_plane, held(stage, kind), stage.namespace)
    stage.ready((kind, "held"))
    stage.delete(kind, "held")
    assert waiter.judge(kind, "held").verdict == LEAVING
    patch(stage.control_plane, kind, "held", stage.namespace, {"metadata": {"finalizers": None}})
    gone = ("wait", f"{kind.lower()}.angarium.dev/held", "--for=delete", "--timeout=10s", "-n", stage.namespace)
    stage.control_plane.kubectl(*gone)


def held(stage: Stage, kind: str) -> Object:
    spec = stage.get(kind, OF_KIND[kind])["spec"]
    metadata = {"name": "held", "finalizers": ["example.com/hold"]}
    return {"apiVersion": "angarium.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def test_a_run_can_be_waited_for(waiter: Waiter) -> None:
    """There is nothing to roll out; what a script waits for after run-now is the result of the run."""
    stage = present(waiter)
    stage.apply("Schedule", "once", {"cron": "@yearly", "destination": {"endpointRef": {"name": "reports"}}})
    stage.ready(("Schedule", "once"), ("Endpoint", "reports"))
    stage.run_now("once", "1")
    delivered = ("wait", "ags/once", "--for=jsonpath={.status.lastResult}=Delivered", "--timeout=30s")
    assert "condition met" in stage.control_plane.kubectl(*delivered, "-n", stage.namespace).stdout
    wait_for(lambda: waiter.judge("Schedule", "once"), lambda seen: seen.verdict == READY, within=10)


def test_argo_cd_sees_an_object_without_a_status(waiter: Waiter) -> None:
    """As of a CRD that gives none by default."""
    for kind, name in OF_KIND.items():
        obj = waiter.stage.get(kind, name)
        for bare in (
            without(obj, "status"),
            {**obj, "status": {}},
            {**obj, "status": without(obj["status"], "conditions")},
        ):
            assert health(waiter.checks.scripts[kind], bare) == ("Progressing", "Waiting for the operator")


def without(obj: Object, field: str) -> Object:
    return {name: deepcopy(value) for name, value in obj.items() if name != field}


def test_what_is_unknown_just_now_is_in_progress(waiter: Waiter) -> None:
    """The reference cannot be read: an object as it is served then, by its conditions."""
    stage = present(waiter)
    stage.ready(("Schedule", "yearly"))
    obj = stage.get("Schedule", "yearly")
    for one in obj["status"]["conditions"]:
        if one["type"] != "Accepted":
            one |= {"status": "Unknown", "reason": "ReferenceUnavailable", "message": "the API server is away"}
    (judged,) = waiter.checks.judge([obj])
    assert judged == Judged(WAITING, "the API server is away", "ReferenceUnavailable: the API server is away")


def test_scripts_have_no_more_than_argo_cd_gives_them() -> None:
    lua = restricted()
    for missing in ("string", "math", "io", "debug", "coroutine", "python", "os.execute", "os.getenv"):
        assert lua.eval(missing) is None, missing
    with pytest.raises(Exception, match="attempt to index"):
        lua.execute("return ('text'):upper()")


def test_the_keys_are_added_to_a_config_map_that_is_there(waiter: Waiter, tmp_path: Path) -> None:
    """By the command in its head; what Argo CD and others have put there stays, and every kind is judged."""
    stage = waiter.stage
    stage.write("ConfigMap", "argocd-cm", {"url": "https://argocd.example.com"})
    file = tmp_path / "argocd-cm.yaml"
    file.write_text(ARGO_CD.read_text().replace("namespace: argocd", f"namespace: {stage.namespace}"))
    given = ("apply", "--server-side", "--field-manager=angarium", "-f", str(file))
    stage.control_plane.kubectl(*given)
    data = stage.get("ConfigMap", "argocd-cm")["data"]
    assert data.keys() == {"url", *(HEALTH + kind for kind in OF_KIND)}
    assert {data[HEALTH + kind] for kind in OF_KIND} == set(waiter.checks.scripts.values())
    assert waiter.checks.expressions.keys() == set(OF_KIND)
