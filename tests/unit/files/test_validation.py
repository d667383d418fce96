"""What the table of the CRDs leaves out: metadata, defaults, nulls, versions, several problems at once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from angarium.domain.errors import SettingsError
from angarium.files import validation
from angarium.files.validation import Problem, Validator

URL = "https://a.test/"


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator()


def manifest(kind: str = "Endpoint", spec: Any = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "angarium.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "sample", **metadata},
        "spec": {"url": URL} if spec is None else spec,
    }


def fields(problems: tuple[Problem, ...]) -> set[tuple[str, str]]:
    return {(problem.field, problem.keyword) for problem in problems}


@pytest.mark.parametrize(
    ("metadata", "field", "keyword"),
    [
        ({"name": None}, "metadata.name", "required"),
        ({"name": 5}, "metadata.name", "type"),
        ({"name": "A"}, "metadata.name", "pattern"),
        ({"name": "a."}, "metadata.name", "pattern"),
        ({"name": "a\n"}, "metadata.name", "pattern"),
        ({"name": "a" * 254}, "metadata.name", "pattern"),
        ({"namespace": "a.b"}, "metadata.namespace", "pattern"),
        ({"namespace": "a" * 64}, "metadata.namespace", "pattern"),
        ({"label": {}}, "metadata.label", "unknown"),
        ({"labels": []}, "metadata.labels", "type"),
        ({"labels": {"a": True}}, "metadata.labels.a", "type"),
        ({"labels": {"a": "b c"}}, "metadata.labels.a", "pattern"),
        ({"labels": {"a": "b" * 64}}, "metadata.labels.a", "pattern"),
        ({"labels": {"a b": "c"}}, "metadata.labels.a b", "pattern"),
        ({"labels": {"A_b/c": "d"}}, "metadata.labels.A_b/c", "pattern"),
        ({"annotations": {"a/b/c": "d"}}, "metadata.annotations.a/b/c", "pattern"),
        ({"annotations": {"a": "b" * 262_144}}, "metadata.annotations", "maxLength"),
        ({"generateName": "A-"}, "metadata.generateName", "pattern"),
        ({"generation": "1"}, "metadata.generation", "type"),
        ({"creationTimestamp": "yesterday"}, "metadata.creationTimestamp", "format"),
        ({"finalizers": ["a b"]}, "metadata.finalizers[0]", "pattern"),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a"}]},
            "metadata.ownerReferences[0].uid",
            "required",
        ),
    ],
)
def test_metadata(validator: Validator, metadata: dict[str, Any], field: str, keyword: str) -> None:
    assert fields(validator.judge(manifest(**metadata)).problems) == {(field, keyword)}


def test_good_metadata(validator: Validator) -> None:
    sound = manifest(
        name="a.b-c",
        namespace="",
        generateName="a-",
        creationTimestamp=None,
        finalizers=["example.com/a"],
        labels={"example.com/A_b": "", "a": "B-c.d"},
        annotations={"example.com/A": "any text\n", "b": ""},
    )
    assert validator.judge(sound).problems == ()


def test_defaults_and_nulls(validator: Validator) -> None:
    """As on a real API server: nulls go, then defaults come; status is nobody's to give."""
    given = manifest("Schedule", {"every": "1h", "suspend": None, "destination": {"url": URL}, "method": None})
    given["status"] = {"conditions": "anything"}
    given["spec"]["body"] = {"json": {"a": {"b": 1}}}
    verdict = validator.judge(given)
    assert verdict.problems == ()
    assert verdict.manifest["spec"] == {
        "every": "1h",
        "suspend": False,
        "destination": {"url": URL},
        "missedRunPolicy": "RunLatest",
        "concurrencyPolicy": "Allow",
        "historyLimit": 10,
        "body": {"json": {"a": {"b": 1}}},
    }
    assert "status" not in verdict.manifest
    assert given["spec"]["suspend"] is None


@pytest.mark.parametrize("name", ["metadata", "spec"])
def test_parts_that_are_no_objects(validator: Validator, name: str) -> None:
    for value in (5, "x", []):
        problems = validator.judge({**manifest(), name: value}).problems
        assert {problem.field for problem in problems} == {name}


def test_parts_that_are_missing(validator: Validator) -> None:
    """As on a real API server: without metadata it is the name that is missing."""
    for name, field in (("metadata", "metadata.name"), ("spec", "spec")):
        problems = validator.judge({**manifest(), name: None}).problems
        assert fields(problems) == {(field, "required")}


def test_another_version(validator: Validator) -> None:
    (problem,) = validator.judge({**manifest(), "apiVersion": "angarium.dev/v1"}).problems
    assert problem == Problem("apiVersion", "is angarium.dev/v1; write angarium.dev/v1alpha1", "enum")


def test_all_problems_at_once(validator: Validator) -> None:
    spec = {"url": 5, "metod": "PUT", "headers": [{"name": "X-A"}, {"value": 1}], "retry": {"limit": 101}}
    assert fields(validator.judge({**manifest(spec=spec), "extra": 1}).problems) == {
        ("extra", "unknown"),
        ("spec.metod", "unknown"),
        ("spec.url", "type"),
        ("spec.headers[1].name", "required"),
        ("spec.headers[1].value", "type"),
        ("spec.retry.limit", "maximum"),
    }


def test_messages_say_what_to_write(validator: Validator) -> None:
    spec = {"url": "x" * 3000, "method": "post", "timeout": 30, "suspend": "maybe", "retry": {"limit": 2**31}}
    problems = {problem.field: problem.message for problem in validator.judge(manifest(spec=spec)).problems}
    assert problems == {
        "spec.url": "is 3000 characters long; write at most 2048",
        "spec.method": "is 'post'; write one of GET, POST, PUT, PATCH, DELETE",
        "spec.timeout": "is 30; write a text (in quotes)",
        "spec.suspend": "is 'maybe'; write true or false",
        "spec.retry.limit": "is 2147483648; int32 does not hold that",
    }


def test_a_number_without_room_leaves_the_rules_to_be_judged(validator: Validator) -> None:
    spec = {"url": "http://:8", "flowControl": {"rate": 2**31}}
    found = validator.judge(manifest(spec=spec)).problems
    assert fields(found) == {("spec.url", "rule"), ("spec.flowControl.rate", "maximum")}


def test_a_list_for_a_time_leaves_the_rules_to_be_judged(validator: Validator) -> None:
    found = validator.judge(manifest("Schedule", {"at": [], "destination": {}})).problems
    assert fields(found) == {("spec.at", "list"), ("spec.destination", "rule")}


def test_a_list_for_a_time_is_told_once(validator: Validator) -> None:
    spec = {"every": "1m", "startTime": LATER, "endTime": [], "destination": {"url": URL}}
    assert fields(validator.judge(manifest("Schedule", spec)).problems) == {("spec.endTime", "list")}


TIME, LATER = "2026-12-24t18:00:00z", "2026-12-25T18:00:00Z"


@pytest.mark.parametrize(
    ("times", "field"),
    [
        ({"every": "1m", "startTime": TIME}, None),
        ({"every": "1m", "startTime": TIME, "endTime": LATER}, "spec"),
        ({"every": "1m", "endTime": TIME}, None),
        ({"at": TIME}, "spec"),
    ],
)
def test_a_time_in_lower_case_is_wrong_only_where_a_rule_needs_it(
    validator: Validator, times: dict[str, str], field: str | None
) -> None:
    verdict = validator.judge(manifest("Schedule", {"destination": {"url": URL}, **times}))
    assert fields(verdict.problems) == ({(field, "rule")} if field else set())
    assert all("is no time with an upper-case T and Z" in problem.message for problem in verdict.problems)


def test_without_the_extra() -> None:
    program = "import sys; sys.modules['jsonschema'] = None; import angarium.files.validation"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "SettingsError" in run.stderr
    assert "pip install 'angarium[dev]'" in run.stderr


def test_without_crds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "_CRD_FOLDERS", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(SettingsError, match="CRDs are missing"):
        Validator()
