"""Whole statuses by kind: what they say, that the CRD takes them, and that they stand still while nothing happens."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.resources import NOW, declared_of, manifest_of, status_errors

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.messages import MessageState, Run, Trigger
from angarium.domain.views import (
    AttemptView,
    Block,
    BlockReason,
    EndpointView,
    MemberView,
    QueueView,
    RunView,
    ScheduleView,
    TokenView,
    TopicView,
)
from angarium.resources import manifest
from angarium.resources.conditions import Problem
from angarium.resources.manifest import View

SECOND = timedelta(seconds=1)
SCHEDULE = ObjectRef(Kind.SCHEDULE, "shop", "sample")
MISSING = (Problem("EndpointNotFound", "Endpoint 'reports' does not exist"),)
LIMIT = 32 * 1024


def attempt(number: int, status: int, error: str = "") -> AttemptView:
    return AttemptView(number, NOW + number * SECOND, timedelta(milliseconds=12), status, error)


def member(
    state: MessageState, name: str = "", attempts: tuple[AttemptView, ...] = (), message_id: str = "msg_1"
) -> MemberView:
    next_at = NOW + timedelta(milliseconds=61_250) if state is MessageState.RETRYING else None
    return MemberView(name, message_id, state, len(attempts), 4, next_at, None, attempts)


def run(*members: MemberView, slot: int = 0, **fields: Any) -> RunView:
    started = Run(f"run_{slot}", SCHEDULE, "uid-1", NOW - slot * SECOND, Trigger.SLOT)
    return RunView(started, members, **fields)


def view(*runs: RunView, **fields: Any) -> ScheduleView:
    nothing: dict[str, Any] = dict.fromkeys(("next_slot", "last_slot", "last_success", "last_failure"))
    return ScheduleView(**{**nothing, "skipped": 0, "completed": False, **fields}, runs=runs)


def status_of(
    kind: str,
    view: View = None,
    problems: tuple[Problem, ...] = (),
    spec: dict[str, Any] | None = None,
    previous: list[dict[str, Any]] | None = None,
    now: Any = NOW,
) -> dict[str, Any]:
    """The status, which the CRD's schema must accept, and which must be the same again a minute later."""
    declared = declared_of(kind, spec)
    status = manifest.status(declared, view, problems, previous or [], now)
    assert status_errors(kind, status) == []
    assert json.loads(json.dumps(status)) == status
    assert manifest.status(declared, view, problems, status["conditions"], now + 60 * SECOND) == status
    assert status["observedGeneration"] == 3
    return status


def condition(status: dict[str, Any], name: str) -> tuple[str, str]:
    return next((one["status"], one["reason"]) for one in status["conditions"] if one["type"] == name)


def test_a_new_endpoint() -> None:
    status = status_of("Endpoint", EndpointView())
    assert [one["type"] for one in status["conditions"]] == ["Ready", "Accepted", "ResolvedRefs", "Reachable"]
    assert condition(status, "Ready") == ("True", "Ready")
    assert condition(status, "Reachable") == ("Unknown", "NoDeliveries")
    assert status["consecutiveFailures"] == 0
    assert "lastDelivery" not in status


def test_a_suspended_endpoint_is_ready() -> None:
    assert condition(status_of("Endpoint", EndpointView(), spec={"suspend": True}), "Ready") == ("True", "Suspended")


def test_a_missing_secret_comes_before_suspension() -> None:
    status = status_of("Endpoint", EndpointView(), MISSING, spec={"suspend": True})
    assert condition(status, "Ready") == ("False", "EndpointNotFound")


def test_a_rejected_endpoint_still_shows_its_deliveries() -> None:
    status = status_of("Endpoint", EndpointView(attempt(1, 200), "msg_1"), spec={"url": "ftp://x"})
    assert condition(status, "Ready") == condition(status, "Accepted") == ("False", "InvalidURL")
    assert condition(status, "ResolvedRefs") == ("Unknown", "NotAccepted")
    assert status["lastDelivery"]["outcome"] == "Delivered"


def test_last_delivery() -> None:
    status = status_of("Endpoint", EndpointView(attempt(1, 503, "no upstream"), "msg_1", 7))
    assert status["consecutiveFailures"] == 7
    assert status["lastDelivery"] == {
        "time": "2026-11-23T12:00:01.012Z",
        "messageId": "msg_1",
        "status": 503,
        "outcome": "Failed",
        "durationMilliseconds": 12,
        "error": "no upstream",
    }


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (attempt(1, 200), ("True", "Delivered")),
        (attempt(1, 299), ("True", "Delivered")),
        (attempt(1, 300), ("False", "HTTP300")),
        (attempt(1, 500, "boom"), ("False", "HTTP500")),
        (attempt(1, 0, "Timeout: no answer in 30s"), ("False", "Timeout")),
        (attempt(1, 0, "DnsError: no such host"), ("False", "DnsError")),
        (attempt(1, 0, "no such host: x"), ("False", "NoResponse")),
        (attempt(1, 0), ("False", "NoResponse")),
    ],
)
def test_reachable(last: AttemptView, expected: tuple[str, str]) -> None:
    status = status_of("Endpoint", EndpointView(last, "msg_1", 1))
    assert condition(status, "Reachable") == expected
    assert condition(status, "Ready") == ("True", "Ready")


def test_more_failures_of_the_same_kind_change_no_condition() -> None:
    first = status_of("Endpoint", EndpointView(attempt(1, 500), "msg_1", 1))
    then = status_of("Endpoint", EndpointView(attempt(2, 500), "msg_1", 2), previous=first["conditions"])
    assert then["conditions"] == first["conditions"]


def test_topic() -> None:
    status = status_of("Topic", TopicView((("billing", "billing"), ("audit", "http://x/"))))
    assert (status["endpoints"], condition(status, "Ready")) == (2, ("True", "Ready"))
    assert "missingEndpoints" not in status


def test_topic_with_a_missing_member() -> None:
    status = status_of("Topic", TopicView((("audit", "http://x/"),), ("reports",)), MISSING)
    assert (status["endpoints"], status["missingEndpoints"]) == (1, ["reports"])
    assert condition(status, "ResolvedRefs") == condition(status, "Ready") == ("False", "EndpointNotFound")


def test_an_empty_topic_is_ready_and_says_so() -> None:
    status = status_of("Topic", TopicView(), spec={"endpoints": None, "selector": {"matchLabels": {"a": "b"}}})
    assert condition(status, "Ready") == ("True", "Ready")
    assert "no member" in status["conditions"][0]["message"]


def test_a_topic_that_misses_everything_is_small_enough() -> None:
    names = tuple(f"{number:0253}" for number in range(100))
    problems = tuple(Problem("EndpointNotFound", f"Endpoint {name!r} does not exist") for name in names)
    assert len(json.dumps(status_of("Topic", TopicView((), names), problems))) <= LIMIT


def test_token() -> None:
    status = status_of("Token", TokenView(adopted=False, rotated_at=NOW))
    assert condition(status, "Ready") == ("True", "Ready")
    assert (status["secretName"], status["adopted"]) == ("sample-qstash", False)
    assert status["lastRotationTime"] == "2026-11-23T12:00:00Z"


def test_a_token_whose_secret_belongs_to_somebody_else() -> None:
    conflict = Problem("SecretConflict", "Secret 'sample-qstash' exists and holds no token")
    status = status_of("Token", TokenView(adopted=False), (conflict,))
    assert condition(status, "ResolvedRefs") == condition(status, "Ready") == ("False", "SecretConflict")
    assert "lastRotationTime" not in status


def test_a_token_waits_until_its_secret_was_looked_at() -> None:
    assert condition(status_of("Token"), "Ready") == ("Unknown", "Pending")
    seen = status_of("Token", TokenView(adopted=True))
    after_restart = status_of("Token", previous=seen["conditions"])
    assert after_restart["conditions"][1:] == seen["conditions"][1:]
    assert condition(after_restart, "Ready") == ("True", "Ready")


def test_schedule() -> None:
    seen = view(
        run(member(MessageState.DELIVERED, attempts=(attempt(1, 500, "boom"), attempt(2, 200)))),
        run(reason="RefNotFound", error="Endpoint 'reports' does not exist", slot=60),
        next_slot=NOW + 3600 * SECOND,
        last_slot=NOW,
        last_success=NOW + SECOND,
        last_failure=NOW - 60 * SECOND,
        skipped=4,
    )
    status = status_of("Schedule", seen, spec={"timeZone": "Europe/Berlin"})
    del status["conditions"]
    assert status == {
        "observedGeneration": 3,
        "when": "0 6 * * 1-5 Europe/Berlin",
        "destination": "endpoint/reports",
        "nextSlotTime": "2026-11-23T13:00:00Z",
        "lastSlotTime": "2026-11-23T12:00:00Z",
        "lastSuccessTime": "2026-11-23T12:00:01Z",
        "lastFailureTime": "2026-11-23T11:59:00Z",
        "skippedSlots": 4,
        "lastResult": "Delivered",
        "recentRuns": [
            {
                "slot": "2026-11-23T12:00:00Z",
                "trigger": "Slot",
                "state": "Delivered",
                "deliveries": {"total": 1, "delivered": 1, "failed": 0, "canceled": 0},
                "messageIds": ["msg_1"],
                "members": [
                    {
                        "messageId": "msg_1",
                        "state": "Delivered",
                        "attempts": 2,
                        "attemptsAllowed": 4,
                        "recentAttempts": [
                            {
                                "time": "2026-11-23T12:00:01.000Z",
                                "number": 1,
                                "status": 500,
                                "durationMilliseconds": 12,
                                "error": "boom",
                            },
                            {
                                "time": "2026-11-23T12:00:02.000Z",
                                "number": 2,
                                "status": 200,
                                "durationMilliseconds": 12,
                            },
                        ],
                    }
                ],
            },
            {
                "slot": "2026-11-23T11:59:00Z",
                "trigger": "Slot",
                "state": "Failed",
                "reason": "RefNotFound",
                "message": "Endpoint 'reports' does not exist",
            },
        ],
    }


@pytest.mark.parametrize(
    ("spec", "problems", "completed", "expected"),
    [
        ({}, (), False, ("True", "Ready")),
        ({}, (), True, ("True", "Completed")),
        ({"suspend": True}, (), False, ("True", "Suspended")),
        ({"suspend": True}, (), True, ("True", "Suspended")),
        ({"suspend": True}, MISSING, True, ("False", "EndpointNotFound")),
        ({"suspend": True, "cron": "R * * * *"}, MISSING, True, ("False", "InvalidCron")),
    ],
)
def test_readiness_of_a_schedule(
    spec: dict[str, Any], problems: tuple[Problem, ...], completed: bool, expected: tuple[str, str]
) -> None:
    status = status_of("Schedule", view(completed=completed, next_slot=NOW), problems, spec)
    assert condition(status, "Ready") == expected
    assert ("nextSlotTime" in status) is not ("suspend" in spec)


def test_failed_runs_change_no_condition() -> None:
    well = status_of("Schedule", view(run(member(MessageState.DELIVERED))))
    badly = status_of("Schedule", view(run(member(MessageState.FAILED))), previous=well["conditions"])
    assert badly["conditions"] == well["conditions"]
    assert badly["lastResult"] == "Failed"


def test_a_rejected_schedule_still_shows_its_runs() -> None:
    status = status_of("Schedule", view(run(member(MessageState.DELIVERED))), spec={"cron": "no"})
    assert "when" not in status
    assert len(status["recentRuns"]) == 1


def test_the_last_slot_is_the_stores_whatever_somebody_wrote_into_the_status() -> None:
    declared = manifest.decode({**manifest_of("Schedule"), "status": {"lastSlotTime": "2098-01-01T00:00:00Z"}})
    assert manifest.status(declared, view(last_slot=NOW), (), [], NOW)["lastSlotTime"] == "2026-11-23T12:00:00Z"
    assert "lastSlotTime" not in manifest.status(declared, view(), (), [], NOW)


def test_a_failed_run_says_why_its_first_failed_message_failed() -> None:
    failed = run(
        member(MessageState.DELIVERED, "a", (attempt(1, 200),)),
        member(MessageState.FAILED, "b", (attempt(4, 0, "Timeout: no answer in 30s"), attempt(3, 500, "boom"))),
    )
    (entry,) = status_of("Schedule", view(failed))["recentRuns"]
    assert (entry["state"], entry["reason"], entry["message"]) == ("Failed", "Timeout", "Timeout: no answer in 30s")
    assert [one["number"] for one in entry["members"][0]["recentAttempts"]] == [3, 4]


def test_a_retrying_member_shows_its_next_attempt() -> None:
    (entry,) = status_of("Schedule", view(run(member(MessageState.RETRYING, attempts=(attempt(1, 500),)))))[
        "recentRuns"
    ]
    assert entry["members"][0]["nextAttemptTime"] == "2026-11-23T12:01:01.250Z"
    assert entry["state"] == "Retrying"
    assert "reason" not in entry


def test_fan_out_is_summed_up_and_failing_members_come_first() -> None:
    states = [MessageState.DELIVERED] * 12 + [MessageState.WAITING, MessageState.RETRYING, MessageState.FAILED]
    members = [member(state, f"m{place}", message_id=f"msg_{place}") for place, state in enumerate(states)]
    (entry,) = status_of("Schedule", view(run(*members)))["recentRuns"]
    assert [one["name"] for one in entry["members"]] == ["m14", "m13", "m12", *(f"m{place}" for place in range(7))]
    assert entry["messageIds"] == [f"msg_{place}" for place in (14, 13, 12, 0, 1, 2, 3, 4, 5, 6)]
    assert entry["deliveries"] == {"total": 15, "delivered": 12, "failed": 1, "canceled": 0}


def test_counts_of_the_store_tell_of_members_that_are_not_shown() -> None:
    counted = run(member(MessageState.FAILED), counts={MessageState.FAILED: 1, MessageState.WAITING: 149})
    (entry,) = status_of("Schedule", view(counted))["recentRuns"]
    assert entry["state"] == "Waiting"
    assert entry["deliveries"] == {"total": 150, "delivered": 0, "failed": 1, "canceled": 0}


@pytest.mark.parametrize(("limit", "shown"), [(0, 0), (1, 1), (10, 10), (50, 50)])
def test_history_limit(limit: int, shown: int) -> None:
    runs = [run(member(MessageState.DELIVERED), slot=slot) for slot in range(60)]
    status = status_of("Schedule", view(*runs), spec={"historyLimit": limit})
    slots = [entry["slot"] for entry in status.get("recentRuns", [])]
    assert len(slots) == shown
    assert slots == sorted(slots, reverse=True)
    assert status["lastResult"] == "Delivered"


def size(status: dict[str, Any]) -> int:
    """As the API server writes it, which escapes what HTML would take for its own."""
    text = json.dumps(status, separators=(",", ":"), ensure_ascii=False)
    return len(text.encode()) + 5 * sum(map(text.count, "<>&")) + 3 * sum(map(text.count, "\u2028\u2029"))


def big(slot: int, error: str, members: int = 100) -> RunView:
    attempts = tuple(attempt(number, 0, error) for number in range(1, 6))
    return run(
        *(member(MessageState.FAILED, f"member-{place}", attempts, f"msg_{place:040}") for place in range(members)),
        slot=slot,
    )


@pytest.mark.parametrize(
    ("error", "attempts_shown"),
    [("x" * 10_000, 5), ("", 5), ("ä" * 256, 4), ("日" * 256, 3), ("\x01" * 256, 1), ("<" * 256, 1)],
)
def test_no_status_is_larger_than_32_kib(error: str, attempts_shown: int) -> None:
    status = status_of("Schedule", view(*(big(slot, error) for slot in range(50))), spec={"historyLimit": 50})
    assert size(status) <= LIMIT
    assert status["recentRuns"][0]["slot"] == "2026-11-23T12:00:00Z"
    members = status["recentRuns"][0]["members"]
    assert len(members) == 10
    assert {len(one["recentAttempts"]) for one in members} == {attempts_shown}


def test_the_oldest_runs_give_way_and_only_as_many_as_must() -> None:
    runs = [big(slot, "refused", members=1) for slot in range(50)]
    status = status_of("Schedule", view(*runs), spec={"historyLimit": 50})
    shown = len(status["recentRuns"])
    assert 0 < shown < 50
    assert [entry["slot"] for entry in status["recentRuns"]] == sorted(
        (entry["slot"] for entry in status["recentRuns"]), reverse=True
    )
    assert LIMIT - size(status) < size(status["recentRuns"][-1]) + 2


@given(st.integers(0, 60), st.integers(1, 12), st.text(max_size=300))
def test_any_status_fits(count: int, members: int, error: str) -> None:
    runs = [big(slot, error, members) for slot in range(count)]
    declared = declared_of("Schedule", {"historyLimit": 50})
    assert size(manifest.status(declared, view(*runs), (), [], NOW)) <= LIMIT


def test_a_queue_says_what_it_waits_for() -> None:
    blocked = Block("msg_1", NOW - SECOND, BlockReason.ENDPOINT_SUSPENDED)
    status = manifest.status(declared_of("Queue"), QueueView(7, NOW - 2 * SECOND, blocked), (), (), NOW)
    assert status_errors("Queue", status) == []
    assert status["oldestWaitingSince"] == "2026-11-23T11:59:58.000Z"
    assert status["blockedBy"] == {
        "messageId": "msg_1",
        "since": "2026-11-23T11:59:59.000Z",
        "reason": "EndpointSuspended",
    }


@pytest.mark.parametrize("reason", BlockReason)
def test_every_reason_of_a_block_fits_the_schema(reason: BlockReason) -> None:
    view = QueueView(1, None, Block("msg_1", NOW, reason))
    assert status_errors("Queue", manifest.status(declared_of("Queue"), view, (), (), NOW)) == []


def test_a_queue_that_moves_counts_nothing() -> None:
    """How many messages are in it would change all the time: that is a metric."""
    queue = declared_of("Queue")
    assert manifest.status(queue, QueueView(7), (), (), NOW) == manifest.status(queue, QueueView(8), (), (), NOW)
    assert set(manifest.status(queue, QueueView(7), (), (), NOW)) == {"observedGeneration", "conditions"}


def test_a_suspended_queue_is_ready_with_that_reason() -> None:
    ready = manifest.status(declared_of("Queue", {"suspend": True}), QueueView(), (), (), NOW)["conditions"][0]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "True", "Suspended")


def test_a_queue_that_is_not_accepted_says_why() -> None:
    ready = manifest.status(declared_of("Queue", {"parallelism": 0}), QueueView(), (), (), NOW)["conditions"][0]
    assert (ready["status"], ready["reason"]) == ("False", "InvalidParallelism")
