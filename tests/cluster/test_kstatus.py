"""What tools that wait see in our objects: Flux, Helm and others judge by kstatus, people by `kubectl wait`."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.cluster import Object, apply, create_namespace, patch, remove_namespace, wait_for
from tests.support.controlplane import ControlPlane
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


class Waiter:
    """Asks kstatus and kubectl about the objects of a stage."""

    def __init__(self, stage: Stage, program: Path) -> None:
        self.stage = stage
        self._program = program

    def judge(self, kind: str, name: str) -> tuple[str, str]:
        """kstatus' (status, message) of an object as the API server has it now."""
        ((found, message),) = self._judged([self.stage.get(kind, name)])
        return found, message

    def judge_all(self) -> dict[str, str]:
        """Its status of one object of each kind, by kind."""
        objects = [self.stage.get(kind, name) for kind, name in OF_KIND.items()]
        return dict(zip(OF_KIND, [status for status, _ in self._judged(objects)], strict=True))

    def ready(self, kind: str, name: str, timeout: str = "30s") -> bool:
        """`kubectl wait` until an object is Ready; false if it is not in time."""
        wait = ("wait", f"{kind.lower()}.angarium.dev/{name}", "--for=condition=Ready", f"--timeout={timeout}")
        done = self.stage.control_plane.kubectl(*wait, "-n", self.stage.namespace, check=False)
        assert done.returncode == 0 or "timed out waiting for the condition" in done.stderr, done
        return done.returncode == 0

    def _judged(self, objects: list[Object]) -> list[tuple[str, str]]:
        documents = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        done = subprocess.run([self._program], input=documents, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        verdicts = [json.loads(line) for line in done.stdout.splitlines()]
        assert [one["name"] for one in verdicts] == [one["metadata"]["name"] for one in objects]
        return [(one["status"], one["message"]) for one in verdicts]


@pytest.fixture(scope="module")
def waiter(control_plane: ControlPlane, kstatus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiter]:
    """One object of each kind, and an operator that is stopped and started as a test needs it."""
    namespace = "test-kstatus"
    create_namespace(control_plane, namespace)
    with staged(control_plane, namespace, tmp_path_factory.mktemp("kstatus")) as stage:
        stage.endpoint("reports")
        stage.apply("Topic", "orders", {"endpoints": [{"name": "reports", "endpointRef": {"name": "reports"}}]})
        stage.apply("Schedule", "yearly", {"cron": "@yearly", "destination": {"topicRef": {"name": "orders"}}})
        stage.apply("Queue", "line", {})
        stage.apply("Token", "app", {})
        yield Waiter(stage, kstatus)
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
    assert waiter.judge_all() == dict.fromkeys(OF_KIND, "InProgress")
    assert waiter.judge("Schedule", "yearly") == ("InProgress", "Waiting for the operator")
    assert not waiter.ready("Schedule", "yearly", timeout="1s")


def test_objects_that_are_ready_are_current(waiter: Waiter) -> None:
    present(waiter)
    assert all(waiter.ready(kind, name) for kind, name in OF_KIND.items())
    assert waiter.judge_all() == dict.fromkeys(OF_KIND, "Current")


def test_a_change_that_was_not_observed_is_in_progress(waiter: Waiter) -> None:
    """Though Ready is still True: of the generation before."""
    stage = present(waiter)
    stage.ready(*OF_KIND.items())
    absent(waiter)
    for kind, name in OF_KIND.items():
        stage.change(kind, name, **CHANGES[kind])
    assert waiter.judge_all() == dict.fromkeys(OF_KIND, "InProgress")
    told = "Schedule generation is 2, but latest observed generation is 1"
    assert waiter.judge("Schedule", "yearly") == ("InProgress", told)
    assert not waiter.ready("Schedule", "yearly", timeout="1s")
    present(waiter)
    assert all(waiter.ready(kind, name) for kind, name in OF_KIND.items())
    assert waiter.judge_all() == dict.fromkeys(OF_KIND, "Current")


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
    assert words in stage.condition(kind, name, "Ready=True", reason)
    assert waiter.judge(kind, name) == ("Current", "Resource is Ready")
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
    assert waiter.judge(kind, "unresolved") == ("InProgress", message)


def test_what_is_never_accepted_is_in_progress_with_the_reason(waiter: Waiter) -> None:
    """There is no condition Stalled: docs/resources.md says so, and what to wait for instead."""
    stage = present(waiter)
    stage.apply("Schedule", "never", {"cron": "0 0 31 2 *", "destination": {"url": "http://a.test/"}})
    message = stage.condition("Schedule", "never", "Ready=False")
    assert stage.condition("Schedule", "never", "Accepted=False") == message
    assert waiter.judge("Schedule", "never") == ("InProgress", message)
    rejected = ("wait", "ags/never", "--for=condition=Accepted=False", "--timeout=10s", "-n", stage.namespace)
    assert "condition met" in stage.control_plane.kubectl(*rejected).stdout


@EVERY_KIND
def test_what_is_being_deleted_is_terminating(waiter: Waiter, kind: str) -> None:
    """Somebody's finalizer holds it, never one of ours."""
    stage = present(waiter)
    apply(stage.control_plane, held(stage, kind), stage.namespace)
    stage.ready((kind, "held"))
    stage.delete(kind, "held")
    assert waiter.judge(kind, "held")[0] == "Terminating"
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
    wait_for(lambda: waiter.judge("Schedule", "once"), lambda seen: seen[0] == "Current", within=10)
