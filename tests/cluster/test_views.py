"""What a person sees with `kubectl get`, `describe` and `events`, of objects in every state that they can be in."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.cluster import Object, wait_for
from tests.support.stage import STATUS_S, Stage
from tests.support.tables import AGE, Table, columns_of, table, value_of

SHORT_NAMES = {"Endpoint": "agep", "Topic": "agt", "Schedule": "ags", "Queue": "agq", "Token": "agtok"}
NEVER = {"limit": 0}


@pytest.fixture(scope="module", autouse=True)
def objects(stage: Stage) -> Iterator[None]:
    """Ready, failing, suspended, completed, unresolved and refused ones, each as its name says."""
    stage.secret("theirs", password="x")
    stage.endpoint("ready")
    stage.endpoint("failing", 500, retry=NEVER)
    stage.endpoint("suspended", suspend=True)
    missing = {"name": "X-Key", "valueFrom": {"secretKeyRef": {"name": "gone", "key": "key"}}}
    stage.endpoint("unresolved", headers=[missing])
    stage.apply("Topic", "ready", {"endpoints": [refer("ready"), refer("failing")]})
    stage.apply("Topic", "unresolved", {"endpoints": [refer("gone"), refer("lost"), refer("ready")]})
    yearly = {"cron": "0 6 1 1 *", "timeZone": "Europe/Berlin", "destination": {"endpointRef": {"name": "ready"}}}
    stage.apply("Schedule", "ready", yearly)
    stage.apply("Schedule", "suspended", {**yearly, "suspend": True})
    stage.apply("Schedule", "failing", {**yearly, "destination": {"endpointRef": {"name": "failing"}}})
    stage.apply("Schedule", "completed", {"at": "2001-01-01T00:00:00Z", "destination": {"url": "http://a.test/"}})
    stage.apply("Schedule", "unresolved", {"every": "365d", "destination": {"topicRef": {"name": "gone"}}})
    stage.apply("Schedule", "refused", {"cron": "0 0 31 2 *", "destination": {"url": "http://a.test/"}})
    stage.apply("Queue", "ready", {"parallelism": 3})
    stage.apply("Queue", "suspended", {"suspend": True})
    stage.apply("Queue", "failing", {})
    stage.apply("Token", "ready", {"access": "PublishOnly"})
    stage.apply("Token", "unresolved", {"secretName": "theirs"})
    stage.ready(*[(kind, "ready") for kind in SHORT_NAMES], ("Schedule", "failing"), ("Queue", "failing"))
    stage.run_now("ready", "1")
    stage.run_now("failing", "1")
    stage.receiver.answer("/busy", 500)
    for queue in ("failing", "failing", "suspended"):
        headers = {"Upstash-Retries": "1", "Upstash-Retry-Delay": "3600000"}
        stage.api("POST", f"/v2/enqueue/{queue}/{stage.receiver.url('/busy')}", headers=headers).raise_for_status()
    stage.run("ready", "Delivered")
    stage.run("failing", "Failed")
    yield


def refer(name: str) -> Object:
    return {"name": name, "endpointRef": {"name": name}}


def printed(stage: Stage, what: str, *args: str) -> str:
    return stage.control_plane.kubectl("get", what, *args, "-n", stage.namespace).stdout


def oddities(stage: Stage, kind: str, *, wide: bool) -> list[str]:
    """Cells that are not what the CRD's column says of the object as it is."""
    columns = [one for one in columns_of(kind) if wide or not one.get("priority")]
    rows = table(printed(stage, SHORT_NAMES[kind], *(("-o", "wide") if wide else ())))
    found = {obj["metadata"]["name"]: obj for obj in stage.list_all(kind)}
    assert rows.keys() == found.keys()
    assert all([*row] == ["NAME", *(one["name"].upper() for one in columns)] for row in rows.values())
    return [
        f"{name}: {column['name']} is {row[column['name'].upper()]!r}, not {value_of(found[name], column)!r}"
        for name, row in rows.items()
        for column in columns
        if not shows(row[column["name"].upper()], column["type"], value_of(found[name], column))
    ]


def shows(cell: str, type_: str, value: object) -> bool:
    if value is None:
        return cell == ""
    if type_ == "date":
        return AGE.fullmatch(cell) is not None
    if isinstance(value, list):
        return cell == "[" + ",".join(f'"{one}"' for one in value) + "]"
    return cell == (str(value).lower() if isinstance(value, bool) else str(value))


@pytest.mark.parametrize("kind", SHORT_NAMES)
@pytest.mark.parametrize("wide", [False, True], ids=["usual", "wide"])
def test_cells_are_what_the_columns_say(stage: Stage, kind: str, wide: bool) -> None:
    wait_for(
        lambda: oddities(stage, kind, wide=wide),
        lambda found: not found,
        within=STATUS_S,
        describe="the table shows what stands in the objects",
    )


EXPECTED: list[tuple[str, str, dict[str, str]]] = [
    ("Endpoint", "ready", {"READY": "True", "REASON": "Ready", "REACHABLE": "True", "FAILURES": "0"}),
    ("Endpoint", "failing", {"READY": "True", "REASON": "Ready", "REACHABLE": "False", "FAILURES": "1"}),
    ("Endpoint", "suspended", {"READY": "True", "REASON": "Suspended", "REACHABLE": "Unknown", "SUSPENDED": "true"}),
    ("Endpoint", "unresolved", {"READY": "False", "REASON": "SecretNotFound", "REACHABLE": "Unknown"}),
    ("Topic", "ready", {"ENDPOINTS": "2", "READY": "True", "REASON": "Ready", "MISSING": ""}),
    ("Topic", "unresolved", {"ENDPOINTS": "1", "READY": "False", "MISSING": '["gone","lost"]',
                             "MESSAGE": "Endpoint 'gone' does not exist; Endpoint 'lost' does not exist"}),
    ("Schedule", "ready", {"RESULT": "Delivered", "READY": "True", "DESTINATION": "endpoint/ready", "REASON": "Ready",
                           "WHEN": "0 6 1 1 * Europe/Berlin", "LAST-FAILURE": ""}),
    ("Schedule", "failing", {"RESULT": "Failed", "READY": "True", "SUSPENDED": "false", "LAST-SUCCESS": ""}),
    ("Schedule", "suspended", {"SUSPENDED": "true", "NEXT": "", "LAST": "", "READY": "True", "REASON": "Suspended"}),
    ("Schedule", "completed", {"WHEN": "at 2001-01-01T00:00:00Z", "NEXT": "", "READY": "True", "REASON": "Completed"}),
    ("Schedule", "unresolved", {"DESTINATION": "topic/gone", "READY": "False", "REASON": "TopicNotFound"}),
    ("Schedule", "refused", {"WHEN": "", "DESTINATION": "", "NEXT": "", "READY": "False"}),
    ("Queue", "ready", {"PARALLELISM": "3", "WAITING": "", "BLOCKED-BY": "", "READY": "True", "REASON": "Ready"}),
    ("Queue", "failing", {"BLOCKED-BY": "Retry", "READY": "True", "REASON": "Ready"}),
    ("Queue", "suspended", {"SUSPENDED": "true", "BLOCKED-BY": "", "READY": "True", "REASON": "Suspended"}),
    ("Token", "ready", {"ACCESS": "PublishOnly", "SECRET": "ready-qstash", "READY": "True", "ADOPTED": "false"}),
    ("Token", "unresolved", {"SECRET": "theirs", "READY": "False", "REASON": "SecretConflict", "ROTATED": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "cells"), EXPECTED, ids=lambda value: value if isinstance(value, str) else "")
def test_states_are_seen(stage: Stage, kind: str, name: str, cells: dict[str, str]) -> None:
    def row() -> dict[str, str]:
        return table(printed(stage, SHORT_NAMES[kind], "-o", "wide"))[name]

    seen = wait_for(row, lambda row: cells.items() <= row.items(), within=STATUS_S, describe=f"{kind} {name}: {cells}")
    assert not any("<" in cell for cell in seen.values()), "no <invalid>, <unknown> or <none>"
    assert not any(cell.endswith("...") for cell in seen.values()), "nothing is cut off"


def test_times_are_seen(stage: Stage) -> None:
    """Of queues that stand still and schedules that have fired."""
    rows: Table = table(printed(stage, "ags", "-o", "wide"))
    assert AGE.fullmatch(rows["ready"]["LAST-SUCCESS"])
    assert AGE.fullmatch(rows["failing"]["LAST-FAILURE"])
    assert rows["ready"]["NEXT"].endswith("-01-01T05:00:00Z")
    queues = table(printed(stage, "agq", "-o", "wide"))
    assert AGE.fullmatch(queues["failing"]["WAITING"]) and AGE.fullmatch(queues["failing"]["BLOCKED"])
    assert queues["failing"]["BLOCKING-MESSAGE"].startswith("msg_")
    assert AGE.fullmatch(queues["suspended"]["WAITING"])


def test_the_category_lists_all_kinds(stage: Stage) -> None:
    names = printed(stage, "angarium", "-o", "name").split()
    assert {name.partition(".")[0] for name in names} == {kind.lower() for kind in SHORT_NAMES}
    assert {"schedule.angarium.dev/ready", "queue.angarium.dev/suspended"} <= set(names)
    tables = printed(stage, "angarium").split("\n\n")
    assert len(tables) == len(SHORT_NAMES), "one table for each kind"


def published(stage: Stage, topic: str, count: int) -> None:
    batch = [{"destination": topic, "headers": {"Upstash-Retries": "0"}, "body": "x"} for _ in range(100)]
    for _ in range(count // len(batch)):
        stage.api("POST", "/v2/batch", json=batch).raise_for_status()


def test_failures_of_an_object_are_one_event_with_a_count(stage: Stage) -> None:
    """A burst of 1,000 is a few writes; what else fails has Events of its own."""
    stage.endpoint("burst", 500)
    stage.endpoint("aside", 500, retry=NEVER)
    stage.apply("Topic", "burst", {"endpoints": [refer("burst")]})
    stage.apply("Topic", "aside", {"endpoints": [refer("aside")]})
    stage.ready(("Topic", "burst"), ("Topic", "aside"))
    assert stage.token
    begun, since = datetime.now(UTC), stage.control_plane.audit_position()
    published(stage, "burst", 1000)
    stage.api("POST", "/v2/publish/aside", content=b"x").raise_for_status()
    (event,) = wait_for(
        lambda: stage.events("Endpoint", "burst", "DeliveryFailed"),
        lambda found: [one["count"] for one in found] == [1000],
        within=60,
        describe="one Event with a count of 1000",
    )
    (aside,) = stage.events("Endpoint", "aside", "DeliveryFailed")
    assert aside["count"] == 1
    told_about(event, stage, "Endpoint", "burst")
    first, last = (datetime.fromisoformat(event[f"{which}Timestamp"]) for which in ("first", "last"))
    assert begun - timedelta(seconds=1) <= first <= last <= datetime.now(UTC)
    writes = [one for one in stage.control_plane.audit_entries(since) if writes_an_event(one)]
    assert len(writes) <= 10, "of 1,001 failures"


def told_about(event: Object, stage: Stage, kind: str, name: str) -> None:
    about = stage.get(kind, name)
    assert event["involvedObject"] == {
        "apiVersion": about["apiVersion"],
        "kind": kind,
        "namespace": stage.namespace,
        "name": name,
        "uid": about["metadata"]["uid"],
    }
    assert event["metadata"]["namespace"] == stage.namespace
    assert (event["type"], event["source"]["component"], event["reportingComponent"]) == (
        "Warning",
        "angarium",
        "angarium",
    )


def writes_an_event(entry: Object) -> bool:
    about = entry.get("objectRef", {})
    return about.get("resource") == "events" and entry["verb"] in ("create", "patch", "update")


def test_kubectl_shows_the_events_of_an_object(stage: Stage) -> None:
    run = stage.run("failing", "Failed")
    stage.events("Schedule", "failing", "DeliveryFailed")
    for name in ("schedule/failing", "schedule.angarium.dev/failing"):
        (row,) = stage.control_plane.kubectl("events", "--for", name, "-n", stage.namespace).stdout.splitlines()[1:]
        words = row.split()
        assert words[1:4] == ["Warning", "DeliveryFailed", "Schedule/failing"]
        assert run["messageIds"][0] in words
    described = stage.control_plane.kubectl("describe", "ags", "failing", "-n", stage.namespace).stdout
    line = next(line for line in described.splitlines() if "DeliveryFailed" in line)
    assert line.split()[:2] == ["Warning", "DeliveryFailed"] and " angarium " in line
    heading, *rows = printed(stage, "events", "-o", "wide").splitlines()
    assert "COUNT" in heading
    assert any("endpoint/burst" in row and "1000" in row.split() for row in rows)


def test_each_reason_has_events_of_its_own_and_a_restart_goes_on_with_them(stage: Stage) -> None:
    """A new one is begun only if the five minutes of the first end in between."""
    stage.run_now("unresolved", "1")
    (lacking,) = stage.events("Schedule", "unresolved", "RefNotFound")
    told_about(lacking, stage, "Schedule", "unresolved")
    stage.angarium.stop()
    stage.angarium.start()
    stage.run_now("unresolved", "2")
    told = wait_for(
        lambda: stage.events("Schedule", "unresolved", "RefNotFound"),
        lambda events: sum(event["count"] for event in events) == 2,
        describe="the second run is counted",
    )
    assert told[0]["metadata"]["uid"] == lacking["metadata"]["uid"]
    assert [event["count"] for event in told] in ([2], [1, 1])
