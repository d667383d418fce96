"""The CRDs on a real API server: what they take and refuse, and how they look through kubectl."""

import re
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.support.cluster import ROOT, Object, apply, get, patch, path_of
from tests.support.controlplane import ControlPlane
from tests.support.crd_cases import CASES, DUPLICATE, UNKNOWN, Case, Refusal

EXAMPLES = (ROOT / "examples" / "quickstart" / "cluster", ROOT / "examples" / "queues")
APPLY = [argument for folder in EXAMPLES for argument in ("-f", str(folder))]
ROOT_OBJECT = "<nil>"
WORDS = {
    "required": "Required value",
    "type": "must be of type",
    "enum": "Unsupported value",
    "pattern": "should match",
    "format": "must be of type date-time",
    "minimum": "should be greater than or equal to",
    "maximum": "should be less than or equal to",
    "minLength": "should be at least",
    "maxLength": "Too long",
    "maxItems": "Too many",
    "minProperties": "should have at least",
    "maxProperties": "Too many",
    DUPLICATE: "Duplicate value",
}

PENDING = {
    "type": "Ready",
    "status": "Unknown",
    "reason": "Pending",
    "message": "Waiting for the operator",
    "lastTransitionTime": "1970-01-01T00:00:00Z",
}
READY = {**PENDING, "status": "True", "reason": "Ready", "message": "Fires and delivers", "observedGeneration": 1}

ENDPOINT_STATUS = {
    "observedGeneration": 1,
    "conditions": [READY, {**READY, "type": "Reachable", "status": "False", "reason": "AttemptsFail"}],
    "lastDelivery": {
        "time": "2026-01-05T05:00:01Z",
        "messageId": "msg_1",
        "status": 503,
        "outcome": "Failed",
        "durationMilliseconds": 41,
        "error": "503 Service Unavailable",
    },
    "consecutiveFailures": 2,
}
TOPIC_STATUS = {"conditions": [READY], "endpoints": 3, "missingEndpoints": ["billing", "audit"]}
QUEUE_STATUS = {
    "observedGeneration": 1,
    "conditions": [READY],
    "oldestWaitingSince": "2026-01-05T05:00:00.123Z",
    "blockedBy": {"messageId": "msg_1", "since": "2026-01-05T05:00:01.123Z", "reason": "EndpointSuspended"},
}
TOKEN_STATUS = {"conditions": [READY], "secretName": "shop-qstash", "adopted": False}
SCHEDULE_STATUS = {
    "observedGeneration": 1,
    "conditions": [READY],
    "when": "0 6 * * 1-5 Europe/Berlin",
    "destination": "endpoint/reports",
    "nextSlotTime": "2036-01-06T05:00:00Z",
    "lastSlotTime": "2026-01-05T05:00:00Z",
    "lastResult": "Retrying",
    "lastSuccessTime": "2026-01-02T05:00:01Z",
    "lastFailureTime": "2026-01-01T05:00:01Z",
    "skippedSlots": 4,
    "recentRuns": [
        {
            "slot": "2026-01-05T05:00:00Z",
            "trigger": "Slot",
            "state": "Retrying",
            "messageIds": ["msg_1"],
            "deliveries": {"total": 1, "delivered": 0, "failed": 0, "canceled": 0},
            "members": [
                {
                    "messageId": "msg_1",
                    "state": "Retrying",
                    "attempts": 1,
                    "attemptsAllowed": 4,
                    "nextAttemptTime": "2026-01-05T05:00:12Z",
                    "recentAttempts": [
                        {
                            "time": "2026-01-05T05:00:00Z",
                            "number": 1,
                            "status": 0,
                            "durationMilliseconds": 3,
                            "error": "connection refused",
                        }
                    ],
                }
            ],
        },
        {"slot": "2026-01-04T05:00:00Z", "trigger": "Manual", "state": "Failed", "reason": "RefNotFound"},
    ],
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.name}")
def test_takes_and_refuses(control_plane: ControlPlane, case: Case) -> None:
    answer = create(control_plane, case.manifest, "default", dryRun="All")
    if case.refusal is None:
        assert answer.status_code == 201, answer.text
    else:
        assert_refused(answer, case.refusal)


def assert_refused(answer: httpx.Response, refusal: Refusal) -> None:
    """The refusal is among the causes, and nothing is said about another field."""
    status = answer.json()
    if refusal.keyword == UNKNOWN:
        assert status["message"].endswith(f'strict decoding error: unknown field "{refusal.path}"')
        return
    assert answer.status_code == 422, answer.text
    causes = status["details"]["causes"]
    field = refusal.path or ROOT_OBJECT
    told = [cause["message"] for cause in causes if cause["field"] == field]
    assert any((refusal.message or WORDS[refusal.keyword]) in message for message in told), causes
    assert {cause["field"] for cause in causes} <= {field, ROOT_OBJECT}, causes


def create(control_plane: ControlPlane, manifest: Object, namespace: str, **params: str) -> httpx.Response:
    path = path_of(manifest["kind"], namespace=namespace)
    return control_plane.client.post(path, json=manifest, params={"fieldValidation": "Strict", **params})


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Endpoint", {"url": "https://a.test/", "suspend": False}),
        ("Topic", {"selector": {"matchLabels": {"events": "orders"}}}),
        ("Token", {"access": "ReadWrite"}),
        ("Queue", {"parallelism": 1, "suspend": False}),
        (
            "Schedule",
            {
                "every": "1h",
                "destination": {"url": "https://a.test/"},
                "suspend": False,
                "missedRunPolicy": "RunLatest",
                "concurrencyPolicy": "Allow",
                "historyLimit": 10,
            },
        ),
    ],
)
def test_defaults_are_visible_at_once(
    control_plane: ControlPlane, namespace: str, kind: str, spec: dict[str, Any]
) -> None:
    """What can be inherited (method, headers, timeout, retry, flowControl) has no default; new objects are waiting."""
    given = {key: value for key, value in spec.items() if key in ("url", "selector", "every", "destination")}
    manifest = {**head(kind), **({"spec": given} if given else {})}
    created = create(control_plane, manifest, namespace).raise_for_status().json()
    assert created["spec"] == spec
    assert created["status"] == {"conditions": [PENDING]}
    assert get(control_plane, kind, "sample", namespace)["status"] == {"conditions": [PENDING]}


def test_json_bodies_come_back_as_they_were(control_plane: ControlPlane, namespace: str) -> None:
    body = {"text": "a", "list": [1, 2.5, True, {"deep": {"er": ""}}], "apiVersion": "v1", "metadata": {"x": 1}}
    manifest = {**head("Schedule"), "spec": {"every": "1h", "destination": {"url": "https://a.test/"}}}
    manifest["spec"]["body"] = {"json": body}
    assert create(control_plane, manifest, namespace).json()["spec"]["body"] == {"json": body}


def test_a_spec_cannot_be_written_through_status(control_plane: ControlPlane, namespace: str) -> None:
    apply(control_plane, {**head("Endpoint"), "spec": {"url": "https://a.test/"}}, namespace)
    change = {"spec": {"url": "https://b.test/"}, "status": {"consecutiveFailures": 1}}
    patched = patch(control_plane, "Endpoint", "sample", namespace, change, "status")
    assert patched["spec"]["url"] == "https://a.test/"
    assert patched["status"]["consecutiveFailures"] == 1
    assert patched["metadata"]["generation"] == 1


def test_diff_is_clean_after_apply(control_plane: ControlPlane, namespace: str) -> None:
    for _ in range(2):
        control_plane.kubectl("apply", "--dry-run=server", "-n", namespace, *APPLY)
        applied = control_plane.kubectl("apply", "-n", namespace, *APPLY)
    ours = [line for line in applied.stdout.splitlines() if ".angarium.dev/" in line]
    assert len(ours) == 10
    assert all(line.endswith(" unchanged") for line in ours), ours
    assert control_plane.kubectl("diff", "-n", namespace, *APPLY).stdout == ""


@dataclass(frozen=True, slots=True)
class Table:
    """One line of `kubectl get` for an object with this status; a star stands for some age."""

    kind: str
    short_name: str
    spec: Object
    status: Object
    columns: str
    cells: list[str]


TABLES = [
    Table(
        "Endpoint", "agep", {"url": "https://a.test/"}, ENDPOINT_STATUS,
        "NAME URL READY REASON REACHABLE LAST FAILURES AGE",
        ["sample", "https://a.test/", "True", "Ready", "False", "*", "2", "*"],
    ),
    Table(
        "Topic", "agt", {"selector": {"matchLabels": {"a": "b"}}}, TOPIC_STATUS,
        "NAME ENDPOINTS READY REASON AGE",
        ["sample", "3", "True", "Ready", "*"],
    ),
    Table(
        "Schedule", "ags", {"every": "1h", "destination": {"url": "https://a.test/"}}, SCHEDULE_STATUS,
        "NAME WHEN DESTINATION SUSPENDED NEXT LAST RESULT READY AGE",
        [
            "sample", "0 6 * * 1-5 Europe/Berlin", "endpoint/reports", "false", "2036-01-06T05:00:00Z", "*",
            "Retrying", "True", "*",
        ],
    ),
    Table(
        "Queue", "agq", {}, QUEUE_STATUS,
        "NAME PARALLELISM SUSPENDED WAITING BLOCKED-BY READY REASON AGE",
        ["sample", "1", "false", "*", "EndpointSuspended", "True", "Ready", "*"],
    ),
    Table(
        "Token", "agtok", {}, TOKEN_STATUS,
        "NAME ACCESS SECRET READY REASON AGE",
        ["sample", "ReadWrite", "shop-qstash", "True", "Ready", "*"],
    ),
]  # fmt: skip


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.kind)
def test_columns(control_plane: ControlPlane, namespace: str, table: Table) -> None:
    """The short name works; a full status fits its schema and fills the columns."""
    apply(control_plane, {**head(table.kind), "spec": table.spec}, namespace)
    written = patch(control_plane, table.kind, "sample", namespace, {"status": table.status}, "status")
    assert written["status"] == table.status
    heading, row = control_plane.kubectl("get", table.short_name, "-n", namespace).stdout.splitlines()
    assert heading.split() == table.columns.split()
    cells = cells_under(heading, row)
    ages = [at for at, cell in enumerate(table.cells) if cell == "*"]
    assert [cell if at not in ages else "*" for at, cell in enumerate(cells)] == table.cells
    assert all(re.fullmatch("([0-9]+[smhdy])+", cells[at]) for at in ages), cells
    assert "<invalid>" not in control_plane.kubectl("get", table.short_name, "-n", namespace, "-o", "wide").stdout


def cells_under(heading: str, row: str) -> list[str]:
    starts = [found.start() for found in re.finditer(r"\S+", heading)]
    return [row[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]


def test_kubectl_shows_our_messages(control_plane: ControlPlane, namespace: str) -> None:
    """What a person reads who applies a bad manifest."""
    manifest = """
        apiVersion: angarium.dev/v1alpha1
        kind: Schedule
        metadata: {name: sample}
        spec: {cron: "0 0 6 * * 1", destination: {}}
    """
    refused = control_plane.kubectl("apply", "-n", namespace, "-f", "-", input=manifest, check=False)
    assert refused.returncode == 1
    assert 'spec.cron: Invalid value: "0 0 6 * * 1": must have exactly five fields' in refused.stderr
    assert "spec.destination: Invalid value: needs exactly one of url, endpointRef and topicRef" in refused.stderr


def head(kind: str) -> dict[str, Any]:
    return {"apiVersion": "angarium.dev/v1alpha1", "kind": kind, "metadata": {"name": "sample"}}
