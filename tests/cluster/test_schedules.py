"""When a Schedule fires and what it sends: every form of time and body, edits, pauses, policies and bad specs.

What takes long to happen is declared before the first test, so that the tests wait for it at the same time.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from tests.support.cluster import Object, wait_for
from tests.support.receiver import Answer, Received
from tests.support.stage import RUN_NOW, STATUS_S, Stage, instants, rfc3339

QUIET_S = 2.0
"""How long nothing must happen: two slots of the Schedules here would fit in."""
SECOND = timedelta(seconds=1)


def to(stage: Stage, path: str) -> Object:
    return {"url": stage.receiver.url(path)}


def now() -> datetime:
    return datetime.now(UTC)


def assert_quiet(stage: Stage, path: str) -> None:
    """Nothing arrives for a while: what does not happen can only be waited for in a window."""
    before = stage.receiver.count(path)
    with pytest.raises(AssertionError, match="requests came"):
        stage.receiver.wait_for(before + 1, QUIET_S, path)


@dataclass(frozen=True, slots=True)
class Body:
    """A Schedule's fields, and what arrives."""

    name: str
    spec: Object
    received: bytes
    content_type: str | None


BODIES = [
    Body("none", {}, b"", None),
    Body("text", {"body": {"text": "Grüße\n"}}, "Grüße\n".encode(), "text/plain; charset=utf-8"),
    Body("json", {"body": {"json": {"b": [1, "ü"], "a": {"y": True}}}}, '{"a":{"y":true},"b":[1,"ü"]}'.encode(),
         "application/json"),
    Body("base64", {"body": {"base64": base64.b64encode(bytes(range(256))).decode()}}, bytes(range(256)),
         "application/octet-stream"),
    Body("configmap", {"body": {"configMapKeyRef": {"name": "bodies", "key": "daily"}}}, b"from a ConfigMap",
         "text/plain; charset=utf-8"),
    Body("typed", {"body": {"json": 1}, "contentType": "application/cloudevents+json"}, b"1",
         "application/cloudevents+json"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unsound:
    """A spec that the API server takes and Angarium refuses: for which reason, naming which field."""

    name: str
    spec: Object
    reason: str
    field: str
    sound: Object = field(default_factory=dict)


UNSOUND = [
    Unsound("impossible-cron", {"cron": "0 0 30 2 *"}, "InvalidCron", "spec.cron", {"cron": "0 0 28 2 *"}),
    Unsound("malformed-cron", {"cron": "61 * * * *"}, "InvalidCron", "spec.cron", {"cron": "59 * * * *"}),
    Unsound("unknown-zone", {"cron": "0 6 * * *", "timeZone": "Mars/Olympus"}, "InvalidTimeZone", "spec.timeZone",
            {"timeZone": "Europe/Berlin"}),
    Unsound("bad-retry", {"every": "1s", "retry": {"delay": "pow(2"}}, "InvalidRetryDelay", "spec.retry.delay",
            {"retry": {"delay": "pow(2, retried)"}}),
    Unsound("wide-jitter", {"every": "10s", "jitter": "6s"}, "InvalidJitter", "spec.jitter", {"jitter": "5s"}),
    Unsound("long-timeout", {"every": "1h", "timeout": "3h"}, "InvalidDuration", "spec.timeout", {"timeout": "2h"}),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def declared(stage: Stage) -> Iterator[None]:
    stage.write("ConfigMap", "bodies", {"daily": "from a ConfigMap"})
    for body in BODIES:
        stage.once(f"body-{body.name}", to(stage, f"/body-{body.name}"), **body.spec)
    for unsound in UNSOUND:
        path = f"/{unsound.name}"
        stage.apply("Schedule", unsound.name, {"destination": to(stage, path), **unsound.spec})
    stage.apply("Schedule", "cron", {"cron": "* * * * *", "destination": to(stage, "/cron")})
    declare_policies(stage)
    declare_missing(stage)
    stage.apply("Schedule", "short", {"every": "1s", "historyLimit": 2, "destination": to(stage, "/short")})
    yield


def declare_policies(stage: Stage) -> None:
    stage.receiver.answer("/allow", Answer(delay_s=2.5))
    stage.apply("Schedule", "allow", {"every": "1s", "destination": to(stage, "/allow")})
    stage.receiver.answer("/forbid", Answer(delay_s=2.5))
    stage.apply(
        "Schedule", "forbid", {"every": "1s", "concurrencyPolicy": "Forbid", "destination": to(stage, "/forbid")}
    )
    stage.receiver.answer("/replace", 500)
    patient = {"limit": 5, "delay": "3600000"}
    stage.apply(
        "Schedule", "replace",
        {"every": "1s", "concurrencyPolicy": "Replace", "destination": to(stage, "/replace"), "retry": patient},
    )  # fmt: skip


MISSING = {
    "no-endpoint": ("EndpointNotFound", {"destination": {"endpointRef": {"name": "absent"}}}),
    "no-topic": ("TopicNotFound", {"destination": {"topicRef": {"name": "absent"}}}),
    "no-configmap": ("ConfigMapNotFound", {"body": {"configMapKeyRef": {"name": "absent", "key": "body"}}}),
}


def declare_missing(stage: Stage) -> None:
    for name, (_, spec) in MISSING.items():
        stage.apply("Schedule", name, {"every": "2s", "destination": to(stage, f"/{name}"), **spec})


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.name)
def test_bodies(stage: Stage, body: Body) -> None:
    (request,) = stage.receiver.wait_for(1, path=f"/body-{body.name}")
    assert (request.body, request.header("Content-Type")) == (body.received, body.content_type)
    assert request.header("Upstash-Schedule-Id") == f"body-{body.name}"
    assert request.method == "POST"


def test_a_changed_config_map_is_sent_from_the_next_slot_on(stage: Stage) -> None:
    """Long before a cached value would have aged, and never the old one again."""
    stage.write("ConfigMap", "changing", {"body": "old"})
    body = {"configMapKeyRef": {"name": "changing", "key": "body"}}
    stage.apply("Schedule", "changing", {"every": "1s", "destination": to(stage, "/changing"), "body": body})
    stage.receiver.wait_for(1, path="/changing")
    stage.write("ConfigMap", "changing", {"body": "new"})
    bodies = wait_for(
        lambda: [one.body for one in stage.receiver.received("/changing")],
        lambda bodies: bodies.count(b"new") > 1,
        within=20,
    )
    stage.change("Schedule", "changing", suspend=True)
    assert sorted(bodies, reverse=True) == bodies, "old ones, then new ones"


def test_what_is_sent_with_it(stage: Stage) -> None:
    """Method, headers (one of them from a Secret) and labels, which the log can be searched by."""
    stage.secret("schedule-auth", header="Bearer s3cret")
    reference = {"secretKeyRef": {"name": "schedule-auth", "key": "header"}}
    headers = [{"name": "x-team", "value": "pay"}, {"name": "Authorization", "valueFrom": reference}]
    stage.once("equipped", to(stage, "/equipped"), method="PUT", headers=headers, labels=["daily", "report"])
    (request,) = stage.receiver.wait_for(1, path="/equipped")
    assert request.method == "PUT"
    assert (request.header("X-Team"), request.header("Authorization")) == ("pay", "Bearer s3cret")
    entries = stage.api("GET", "/v2/logs", params={"label": "report"}).json()["logs"]
    assert {entry["scheduleId"] for entry in entries} == {"equipped"}
    assert entries[0]["labels"] == ["daily", "report"]
    assert "s3cret" not in str(entries)


def test_every(stage: Stage) -> None:
    """Slots lie whole intervals after the creation, and each fires once, not before its time."""
    created = stage.apply("Schedule", "every", {"every": "1s", "destination": to(stage, "/every")})
    stage.receiver.wait_for(4, path="/every")
    stage.change("Schedule", "every", suspend=True)
    runs = wait_for(lambda: stage.runs("every"), lambda runs: len(runs) >= 4, within=STATUS_S)
    slots = instants(runs)
    assert {later - earlier for earlier, later in pairwise(slots)} == {SECOND}
    start = datetime.fromisoformat(created["metadata"]["creationTimestamp"])
    assert (slots[0] - start) % SECOND == timedelta(0)
    arrivals = [request.at for request in stage.receiver.received("/every")]
    assert all(arrival >= slot.timestamp() for arrival, slot in zip(arrivals, slots, strict=False))


def test_every_counts_from_start_time_until_end_time(stage: Stage) -> None:
    start = now().replace(microsecond=500_000) + 2 * SECOND
    window = {"startTime": rfc3339(start), "endTime": rfc3339(start + 2 * SECOND)}
    stage.apply("Schedule", "window", {"every": "1s", "destination": to(stage, "/window"), **window})
    stage.receiver.wait_for(3, path="/window")
    runs = wait_for(lambda: stage.runs("window"), lambda runs: len(runs) == 3, within=STATUS_S)
    assert len(runs) == 3
    arrivals = [request.at for request in stage.receiver.received("/window")]
    assert all(at >= (start + n * SECOND).timestamp() for n, at in enumerate(arrivals))
    stage.condition("Schedule", "window", "Ready=True", "Completed")


def test_at_fires_once_and_is_completed(stage: Stage) -> None:
    stage.once("at", to(stage, "/at"))
    stage.run("at", "Delivered")
    stage.condition("Schedule", "at", "Ready=True", "Completed")
    status = stage.status("Schedule", "at")
    assert "nextSlotTime" not in status
    assert status["lastResult"] == "Delivered"
    assert stage.receiver.count("/at") == 1


def test_at_in_the_past_is_completed_without_a_run(stage: Stage) -> None:
    stage.apply("Schedule", "long-ago", {"at": "2020-12-24T18:00:00Z", "destination": to(stage, "/long-ago")})
    stage.condition("Schedule", "long-ago", "Ready=True", "Completed")
    assert stage.runs("long-ago") == []
    assert stage.receiver.count("/long-ago") == 0


EDITS = {
    "at": ({"at": rfc3339(now() + timedelta(days=1))}, {"at": rfc3339(now() - timedelta(minutes=1))}),
    "every": (
        {"every": "1h", "startTime": rfc3339(now() + timedelta(days=1))},
        {"every": "1h", "startTime": rfc3339(now() - timedelta(hours=1, seconds=30))},
    ),
    "cron": ({"cron": "0 0 1 1 *"}, {"cron": "0 * * * *", "startingDeadlineSeconds": 7200}),
}


@pytest.mark.parametrize("form", EDITS)
def test_editing_never_fires_a_past_slot(stage: Stage, form: str) -> None:
    before, after = EDITS[form]
    name = f"edited-{form}"
    stage.apply("Schedule", name, {**before, "destination": to(stage, f"/{name}")})
    stage.ready(("Schedule", name))
    stage.apply("Schedule", name, {**after, "destination": to(stage, f"/{name}")})
    stage.ready(("Schedule", name))
    assert_quiet(stage, f"/{name}")
    assert stage.runs(name) == []


def test_an_edit_counts_from_the_next_slot(stage: Stage) -> None:
    spec = {"every": "1s", "destination": to(stage, "/old")}
    stage.apply("Schedule", "moved", {**spec, "body": {"text": "old"}})
    stage.receiver.wait_for(1, path="/old")
    stage.apply("Schedule", "moved", {**spec, "destination": to(stage, "/new"), "body": {"text": "new"}})
    (first, *_) = stage.receiver.wait_for(2, path="/new")
    stage.change("Schedule", "moved", suspend=True)
    runs = wait_for(lambda: stage.runs("moved"), lambda runs: len(runs) >= 3, within=STATUS_S)
    slots = instants(runs)
    assert len(set(slots)) == len(slots), "no slot fired twice"
    assert {one.body for one in stage.receiver.received("/old")} == {b"old"}
    assert first.body == b"new"


def test_resuming_does_not_make_up_for_suspended_slots(stage: Stage) -> None:
    """Three slots and more pass while it is suspended; then it goes on, one run per slot, as if nothing had been."""
    stage.apply("Schedule", "paused", {"every": "1s", "missedRunPolicy": "RunAll", "destination": to(stage, "/paused")})
    stage.receiver.wait_for(1, path="/paused")
    stage.change("Schedule", "paused", suspend=True)
    stage.condition("Schedule", "paused", "Ready=True", "Suspended")
    assert "nextSlotTime" not in stage.status("Schedule", "paused")
    before = stage.receiver.count("/paused")
    with pytest.raises(AssertionError, match="requests came"):  # a window of more than three slots
        stage.receiver.wait_for(before + 1, 3.5, "/paused")
    resumed = now().timestamp()
    stage.change("Schedule", "paused", suspend=False)
    after = stage.receiver.wait_for(before + 3, path="/paused")[before:]
    gaps = [later.at - earlier.at for earlier, later in pairwise(after)]
    assert all(gap > 0.5 for gap in gaps), f"a burst: {gaps}"
    stage.change("Schedule", "paused", suspend=True)
    runs = wait_for(
        lambda: stage.runs("paused"), lambda runs: len(runs) == stage.receiver.count("/paused"), within=STATUS_S
    )
    gap = max(later - earlier for earlier, later in pairwise(instants(runs)))
    assert gap > 3 * SECOND
    assert [slot for slot in instants(runs) if resumed - 3 < slot.timestamp() < resumed - 0.1] == []
    assert stage.status("Schedule", "paused")["skippedSlots"] == 0, "what was suspended was not missed"


def test_run_now(stage: Stage) -> None:
    """Each new value fires one extra run; the same value again, or other changes, do not."""
    stage.apply("Schedule", "manual", {"every": "1h", "destination": to(stage, "/manual")})
    stage.ready(("Schedule", "manual"))
    stage.run_now("manual", "one")
    stage.receiver.wait_for(1, path="/manual")
    stage.run_now("manual", "one")
    stage.change("Schedule", "manual", body={"text": "changed"})
    stage.ready(("Schedule", "manual"))
    assert_quiet(stage, "/manual")
    stage.run_now("manual", "two")
    assert stage.receiver.wait_for(2, path="/manual")[1].body == b"changed"
    runs = wait_for(lambda: stage.runs("manual"), lambda runs: len(runs) == 2, within=STATUS_S)
    assert [run["trigger"] for run in runs] == ["Manual", "Manual"]
    assert "nextSlotTime" in stage.status("Schedule", "manual")


def test_a_run_that_is_canceled_over_the_api_is_seen_at_once(stage: Stage) -> None:
    stage.receiver.answer("/canceled", Answer(ending="hang"))
    stage.apply("Schedule", "canceled", {"every": "1h", "destination": to(stage, "/canceled")})
    stage.run_now("canceled", "now")
    (request,) = stage.receiver.wait_for(1, path="/canceled")
    assert stage.api("DELETE", f"/v2/messages/{request.header('Upstash-Message-Id')}").is_success
    assert stage.run("canceled", "Canceled")["deliveries"]["canceled"] == 1


def test_run_now_while_suspended(stage: Stage) -> None:
    spec = {"every": "1h", "suspend": True, "concurrencyPolicy": "Forbid", "destination": to(stage, "/asleep")}
    stage.apply("Schedule", "asleep", spec)
    stage.condition("Schedule", "asleep", "Ready=True", "Suspended")
    stage.run_now("asleep", "now")
    stage.receiver.wait_for(1, path="/asleep")
    assert_quiet(stage, "/asleep")


def test_a_run_now_that_was_there_first_does_not_fire(stage: Stage) -> None:
    spec = {"every": "1h", "destination": to(stage, "/restored")}
    stage.apply("Schedule", "restored", spec, annotations={RUN_NOW: "long ago"})
    stage.ready(("Schedule", "restored"))
    assert_quiet(stage, "/restored")
    stage.run_now("restored", "now")
    stage.receiver.wait_for(1, path="/restored")


def test_runs_may_overlap_unless_a_policy_says_otherwise(stage: Stage) -> None:
    arrivals = stage.receiver.wait_for(4, path="/allow")
    stage.change("Schedule", "allow", suspend=True)
    assert all(later.at - earlier.at < 2 for earlier, later in pairwise(arrivals))


def test_forbid_skips_slots_while_a_run_is_active(stage: Stage) -> None:
    """A run takes 2.5 s, slots come every second: two of three are skipped for good, and one Event tells."""
    arrivals = stage.receiver.wait_for(3, path="/forbid", timeout=20)
    assert all(later.at - earlier.at >= 2.5 for earlier, later in pairwise(arrivals))
    status = wait_for(
        lambda: stage.status("Schedule", "forbid"), lambda status: status["skippedSlots"] >= 2, within=STATUS_S
    )
    slots = instants(status["recentRuns"])
    assert all(later - earlier >= 2 * SECOND for earlier, later in pairwise(slots))
    (event,) = stage.events("Schedule", "forbid", "SlotsForbidden")
    assert event["type"] == "Normal"
    stage.change("Schedule", "forbid", suspend=True)


def test_replace_cancels_the_active_run(stage: Stage) -> None:
    requests = stage.receiver.wait_for(3, path="/replace", timeout=20)
    assert {request.header("Upstash-Retried") for request in requests} == {"0"}
    stage.change("Schedule", "replace", suspend=True)
    runs = wait_for(
        lambda: stage.runs("replace"),
        lambda runs: len(runs) >= 3 and runs[0]["state"] == "Retrying" and runs[1]["state"] == "Canceled",
        within=STATUS_S,
    )
    assert {run["state"] for run in runs[1:]} == {"Canceled"}
    canceled = runs[1]["members"][0]["messageId"]
    log = stage.api("GET", "/v2/logs", params={"messageId": canceled}).json()["logs"]
    assert log[0]["state"] == "CANCELED"


@pytest.mark.parametrize("name", MISSING)
def test_a_reference_to_nothing(stage: Stage, name: str) -> None:
    """ResolvedRefs names what is missing; each slot is a failed run; one Event tells, however many slots."""
    reason, _ = MISSING[name]
    assert "'absent'" in stage.condition("Schedule", name, "ResolvedRefs=False", reason)
    stage.condition("Schedule", name, "Ready=False", reason)
    stage.condition("Schedule", name, "Accepted=True")
    run = stage.run(name, "Failed")
    assert run["reason"] == "RefNotFound"
    assert "'absent'" in run["message"]
    assert "members" not in run
    (event,) = stage.events("Schedule", name, "RefNotFound")
    assert event["type"] == "Warning"
    assert "'absent'" in event["message"]


def test_references_heal_by_themselves(stage: Stage) -> None:
    """As soon as what was missing appears, the next slot is delivered."""
    stage.write("ConfigMap", "absent", {"body": "here now"})
    stage.endpoint("absent")
    member = {"name": "absent", "url": stage.receiver.url("/no-topic")}
    stage.apply("Topic", "absent", {"endpoints": [member]})
    stage.ready(("Schedule", "no-endpoint"), ("Schedule", "no-topic"))
    stage.receiver.wait_for(1, path="/absent")
    stage.receiver.wait_for(1, path="/no-topic")
    (request, *_) = stage.receiver.wait_for(1, timeout=STATUS_S, path="/no-configmap")
    assert request.body == b"here now"
    for name in MISSING:
        stage.run(name, "Delivered")
    stage.ready(("Schedule", "no-configmap"))


@pytest.mark.parametrize("unsound", UNSOUND, ids=lambda unsound: unsound.name)
def test_a_spec_that_cannot_be_accepted(stage: Stage, unsound: Unsound) -> None:
    """Accepted=False says why and where, nothing fires, and the fixed spec heals it."""
    told = stage.condition("Schedule", unsound.name, "Accepted=False", unsound.reason)
    assert unsound.field in told
    stage.condition("Schedule", unsound.name, "Ready=False", unsound.reason)
    assert stage.receiver.count(f"/{unsound.name}") == 0
    stage.change("Schedule", unsound.name, **unsound.sound)
    stage.ready(("Schedule", unsound.name))
    assert "nextSlotTime" in wait_for(
        lambda: stage.status("Schedule", unsound.name), lambda status: "nextSlotTime" in status, within=STATUS_S
    )


def test_a_sound_spec_that_is_broken_stops_and_heals(stage: Stage) -> None:
    """A refused edit stops the Schedule, rather than letting it go on with what nobody can see any more."""
    stage.apply("Schedule", "broken", {"every": "1s", "destination": to(stage, "/broken")})
    stage.receiver.wait_for(1, path="/broken")
    stage.change("Schedule", "broken", retry={"delay": "1 +"})
    stage.condition("Schedule", "broken", "Accepted=False", "InvalidRetryDelay")
    assert_quiet(stage, "/broken")
    before = stage.receiver.count("/broken")
    stage.change("Schedule", "broken", retry={"delay": "1 + retried"})
    stage.ready(("Schedule", "broken"))
    after = stage.receiver.wait_for(before + 2, path="/broken")[before:]
    assert_apart(after)
    stage.change("Schedule", "broken", suspend=True)


def assert_apart(requests: list[Received]) -> None:
    gaps = [later.at - earlier.at for earlier, later in pairwise(requests)]
    assert all(gap > 0.5 for gap in gaps), f"a burst: {gaps}"


def test_a_deleted_schedule_fires_no_more(stage: Stage) -> None:
    """Its messages go on."""
    stage.receiver.answer("/deleted", 500, 500, 200)
    stage.apply(
        "Schedule", "deleted",
        {"every": "1s", "destination": to(stage, "/deleted"), "retry": {"limit": 5, "delay": "2000"}},
    )  # fmt: skip
    stage.receiver.wait_for(2, path="/deleted")
    stage.delete("Schedule", "deleted")
    wait_for(lambda: stage.receiver.received("/deleted"), lambda got: any(retried(one) for one in got))
    ids = {one.header("Upstash-Message-Id") for one in stage.receiver.received("/deleted")}
    with pytest.raises(AssertionError):  # a window of two slots
        wait_for(
            lambda: {one.header("Upstash-Message-Id") for one in stage.receiver.received("/deleted")} - ids,
            within=QUIET_S,
        )


def retried(request: Received) -> bool:
    return request.header("Upstash-Retried") != "0"


def test_history_limit(stage: Stage) -> None:
    """It was declared first: many more runs than two have been seen by now."""
    stage.receiver.wait_for(4, path="/short")
    wait_for(lambda: stage.runs("short"), lambda runs: len(runs) == 2, within=STATUS_S)
    stage.change("Schedule", "short", suspend=True)


@pytest.mark.timeout(150)
def test_cron(stage: Stage) -> None:
    """Comes last: it was declared first, and fires at a full minute."""
    (request, *_) = stage.receiver.wait_for(1, timeout=65, path="/cron")
    assert 0 <= request.at % 60 < 1
    run = stage.run("cron", "Delivered")
    slot = datetime.fromisoformat(run["slot"])
    assert (slot.second, slot.microsecond) == (0, 0)
    status = stage.status("Schedule", "cron")
    assert status["when"] == "* * * * * UTC"
    assert datetime.fromisoformat(status["nextSlotTime"]) - slot >= timedelta(minutes=1)
