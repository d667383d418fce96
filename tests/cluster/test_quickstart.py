"""The first minutes with Angarium: apply the example, wait until all is Ready, see what happens with kubectl."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support import tables
from tests.support.cluster import ROOT, Object, wait_for
from tests.support.stage import STATUS_S, Stage, instants, statuses
from tests.support.tables import Table

EXAMPLE = ROOT / "examples" / "quickstart" / "cluster"
PLACEHOLDER = "http://receiver.default.svc:8080"
ALL = "agep,agt,ags,agtok"


@pytest.fixture(scope="module", autouse=True)
def example(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The example with the address of a destination of ours, applied as its reader would."""
    folder = tmp_path_factory.mktemp("quickstart")
    for file in EXAMPLE.glob("*.yaml"):
        (folder / file.name).write_text(file.read_text().replace(PLACEHOLDER, stage.receiver.url("").rstrip("/")))
    kubectl(stage, "apply", "-f", str(folder))
    yield folder


def kubectl(stage: Stage, *args: str) -> str:
    return stage.control_plane.kubectl(*args, "-n", stage.namespace).stdout


def table(stage: Stage, kind: str) -> Table:
    return tables.table(kubectl(stage, "get", kind))


def described(stage: Stage, kind: str, name: str) -> str:
    """What `kubectl describe` prints, with one space between words."""
    return "\n".join(" ".join(line.split()) for line in kubectl(stage, "describe", kind, name).splitlines())


def test_everything_becomes_ready(stage: Stage) -> None:
    waited = kubectl(stage, "wait", ALL, "--all", "--for=condition=Ready", "--timeout=30s").splitlines()
    assert sorted(line.split("/")[0] for line in waited) == [
        "endpoint.angarium.dev", "schedule.angarium.dev", "schedule.angarium.dev", "token.angarium.dev",
        "topic.angarium.dev",
    ]  # fmt: skip
    assert all(line.endswith(" condition met") for line in waited)


def test_deliveries_arrive(stage: Stage) -> None:
    """With what the Schedule and its Endpoint say: body, plain header, header from a Secret."""
    requests = stage.receiver.wait_for(2, timeout=15, path="/reports")
    assert {request.body for request in requests} == {b'{"kind":"heartbeat"}'}
    names = ("X-Team", "Authorization", "Content-Type", "Upstash-Schedule-Id", "User-Agent")
    expected = ["sales", "Bearer replace-me", "application/json", "heartbeat", "Upstash-QStash"]
    assert [requests[0].header(name) for name in names] == expected


def test_runs_are_seen_in_status(stage: Stage) -> None:
    runs = wait_for(
        lambda: stage.runs("heartbeat"),
        lambda runs: len(runs) >= 2 and runs[0]["state"] == "Delivered",
        within=STATUS_S,
    )
    first, second, *_ = instants(runs)
    assert second - first == timedelta(seconds=5)
    (member,) = runs[0]["members"]
    assert runs[0]["messageIds"] == [member["messageId"]]
    assert runs[0]["deliveries"] == {"total": 1, "delivered": 1, "failed": 0, "canceled": 0}
    assert statuses(member) == [(1, 200)]
    assert (member["attempts"], member["attemptsAllowed"]) == (1, 6)
    ids = {request.header("Upstash-Message-Id") for request in stage.receiver.received("/reports")}
    assert member["messageId"] in ids


def test_next_times_are_seen_in_status(stage: Stage) -> None:
    heartbeat, morning = stage.status("Schedule", "heartbeat"), stage.status("Schedule", "morning")
    upcoming = datetime.fromisoformat(heartbeat["nextSlotTime"])
    assert (upcoming - datetime.fromisoformat(heartbeat["lastSlotTime"])) % timedelta(seconds=5) == timedelta(0)
    at = datetime.fromisoformat(morning["nextSlotTime"])
    assert datetime.now(UTC) < at < datetime.now(UTC) + timedelta(days=4)
    assert at.weekday() < 5 and at.hour in (4, 5) and at.minute == 0
    assert "lastSlotTime" not in morning


def test_get_schedules(stage: Stage) -> None:
    stage.run("heartbeat", "Delivered")
    schedules = table(stage, "ags")
    assert list(schedules["morning"]) == [
        "NAME", "WHEN", "DESTINATION", "SUSPENDED", "NEXT", "LAST", "RESULT", "READY", "AGE",
    ]  # fmt: skip
    heartbeat, morning = schedules["heartbeat"], schedules["morning"]
    assert (heartbeat["WHEN"], heartbeat["DESTINATION"]) == ("every 5s", "endpoint/reports")
    assert (morning["WHEN"], morning["DESTINATION"]) == ("0 6 * * 1-5 Europe/Berlin", "topic/orders")
    assert (heartbeat["SUSPENDED"], heartbeat["RESULT"], heartbeat["READY"]) == ("false", "Delivered", "True")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:00:00Z", morning["NEXT"])
    assert re.fullmatch(r"\d+s", heartbeat["LAST"])


def test_get_the_others(stage: Stage) -> None:
    stage.condition("Endpoint", "reports", "Reachable=True")
    (endpoint,), (topic,), (token,) = (table(stage, kind).values() for kind in ("agep", "agt", "agtok"))
    assert endpoint["URL"] == stage.receiver.url("/reports")
    assert (endpoint["READY"], endpoint["REACHABLE"], endpoint["FAILURES"]) == ("True", "True", "0")
    assert (topic["ENDPOINTS"], topic["READY"]) == ("2", "True")
    assert (token["ACCESS"], token["SECRET"], token["READY"]) == ("ReadWrite", "shop-qstash", "True")
    assert "<invalid>" not in "".join(kubectl(stage, "get", kind, "-o", "wide") for kind in ALL.split(","))


def test_describe(stage: Stage) -> None:
    """What somebody finds who asks why, or why not."""
    run = stage.run("heartbeat", "Delivered")
    schedule = described(stage, "ags", "heartbeat")
    for words in (
        "When: every 5s", "Destination: endpoint/reports", "Last Result: Delivered", "Recent Runs:", "Trigger: Slot",
        "Attempts Allowed: 6", "Reason: Ready", "Message: The spec is accepted", "Type: ResolvedRefs",
    ):  # fmt: skip
        assert words in schedule
    assert re.search(r"Message Id: msg_\w+", schedule)
    assert run["messageIds"]
    endpoint = described(stage, "agep", "reports")
    for words in ("Type: Reachable", "Message: The last attempt was answered with success.", "Outcome: Delivered"):
        assert words in endpoint
    assert "Endpoints: 2" in described(stage, "agt", "orders")
    assert "Secret Name: shop-qstash" in described(stage, "agtok", "shop")


def test_reconciling_leaves_the_manifests_alone(stage: Stage, example: Path) -> None:
    stage.run("heartbeat", "Delivered")
    assert kubectl(stage, "diff", "-f", str(example)) == ""
    applied = [line for line in kubectl(stage, "apply", "-f", str(example)).splitlines() if ".angarium.dev/" in line]
    assert applied and all(line.endswith(" unchanged") for line in applied)
    for kind in ("Endpoint", "Topic", "Schedule", "Token"):
        for found in stage.list_all(kind):
            assert_untouched(found)


def assert_untouched(found: Object) -> None:
    """Nothing of ours in metadata, and what the operator owns is the status alone."""
    metadata = found["metadata"]
    assert "finalizers" not in metadata
    assert set(metadata.get("annotations", {})) == {"kubectl.kubernetes.io/last-applied-configuration"}
    ours = [entry for entry in metadata["managedFields"] if not entry["manager"].startswith("kubectl")]
    assert ours and {entry["subresource"] for entry in ours} == {"status"}


def test_nothing_of_a_status_is_lost(stage: Stage) -> None:
    """The API server drops what the schema does not know, and says so: then the operator logs a warning."""
    stage.run("heartbeat", "Delivered")
    assert [line for line in stage.angarium.log_lines() if line["level"] in ("warning", "error")] == []
