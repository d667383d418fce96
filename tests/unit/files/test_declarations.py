from datetime import UTC, datetime, timedelta
from typing import Any

from angarium.domain.declarations import Endpoint, Kind, ObjectRef, Schedule
from angarium.files.declarations import declare

NOW = datetime(2026, 1, 5, 12, 0, 0, 600_000, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def manifest(kind: str = "Endpoint", spec: Any = None, **metadata: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "a", **metadata}, "spec": spec or {"url": "http://a.test"}}


def test_a_new_object() -> None:
    declared = declare(manifest(labels={"x": "y"}, annotations={"angarium.dev/run-now": "1"}), None, NOW)
    assert declared.ref == ObjectRef(Kind.ENDPOINT, "default", "a")
    assert (declared.generation, declared.labels, declared.run_now) == (1, {"x": "y"}, "1")
    assert declared.created_at == NOW.replace(microsecond=0)
    assert declared.spec == Endpoint("http://a.test")


def test_nothing_changes_by_itself() -> None:
    first = declare(manifest(uid="x", generation=7, creationTimestamp="2020-01-01T00:00:00Z"), None, NOW)
    assert declare(manifest(), first, LATER) == first


def test_uids_tell_objects_apart() -> None:
    uids = {
        declare(one, None, NOW).uid
        for one in (
            manifest(),
            manifest(name="b"),
            manifest(namespace="shop"),
            manifest("Token", {"access": "ReadOnly"}),
        )
    }
    assert len(uids) == 4


def test_a_new_spec_is_a_new_generation() -> None:
    first = declare(manifest(), None, NOW)
    second = declare(manifest(spec={"url": "http://b.test"}), first, LATER)
    assert (second.generation, second.uid, second.created_at) == (2, first.uid, first.created_at)
    assert second.fingerprint != first.fingerprint


def test_new_labels_are_not() -> None:
    first = declare(manifest(), None, NOW)
    second = declare(manifest(labels={"x": "y"}), first, LATER)
    assert second.generation == 1
    assert second.fingerprint != first.fingerprint


def test_an_interval_goes_on_counting_from_where_it_began() -> None:
    spec = {"every": "90s", "destination": {"url": "http://a.test"}}
    first = declare(manifest("Schedule", spec), None, NOW)
    again = declare(manifest("Schedule", spec), first, LATER)
    assert again == first
    assert isinstance(again.spec, Schedule)
    assert again.spec.timing.anchor == NOW.replace(microsecond=0)
