from datetime import timedelta
from typing import Any

import pytest
from tests.support.resources import NOW

from angarium.domain.declarations import Endpoint, Rejection
from angarium.resources import conditions
from angarium.resources.conditions import Condition, Problem

SOUND = Endpoint("http://receiver/")
REJECTED = Rejection("InvalidURL", "spec.url: is missing")
LATER = NOW + timedelta(minutes=1)

NO_SECRET = Problem("SecretNotFound", "Secret 'a' does not exist")
NO_ENDPOINT = Problem("EndpointNotFound", "Endpoint 'b' does not exist")
UNREADABLE = Problem("ReferenceUnavailable", "Secret 'c' cannot be read just now", retry=True)

PENDING = {
    "type": "Ready",
    "status": "Unknown",
    "reason": "Pending",
    "message": "Waiting for the operator",
    "lastTransitionTime": "1970-01-01T00:00:00Z",
}


def judged(*args: Any, **kwargs: Any) -> list[tuple[str, str, str]]:
    return [(one.type, one.status, one.reason) for one in conditions.judge(*args, **kwargs)]


@pytest.mark.parametrize(
    ("spec", "problems", "expected"),
    [
        (SOUND, [], [("True", "Suspended"), ("True", "Accepted"), ("True", "ResolvedRefs")]),
        (SOUND, [NO_SECRET], [("False", "SecretNotFound"), ("True", "Accepted"), ("False", "SecretNotFound")]),
        (
            SOUND,
            [NO_ENDPOINT, NO_SECRET],
            [("False", "EndpointNotFound"), ("True", "Accepted"), ("False", "EndpointNotFound")],
        ),
        (
            SOUND,
            [UNREADABLE, NO_SECRET],
            [("False", "SecretNotFound"), ("True", "Accepted"), ("False", "SecretNotFound")],
        ),
        (
            SOUND,
            [UNREADABLE],
            [("Unknown", "ReferenceUnavailable"), ("True", "Accepted"), ("Unknown", "ReferenceUnavailable")],
        ),
        (REJECTED, [], [("False", "InvalidURL"), ("False", "InvalidURL"), ("Unknown", "NotAccepted")]),
        (REJECTED, [NO_SECRET], [("False", "InvalidURL"), ("False", "InvalidURL"), ("Unknown", "NotAccepted")]),
    ],
)
def test_precedence(spec: Any, problems: list[Problem], expected: list[tuple[str, str]]) -> None:
    found = judged(spec, 3, problems, [], ("Suspended", "messages wait"))
    assert [name for name, _, _ in found] == ["Ready", "Accepted", "ResolvedRefs"]
    assert [(status, reason) for _, status, reason in found] == expected


def test_ready_says_what_the_failing_one_says() -> None:
    ready, accepted, _ = conditions.judge(REJECTED, 3, [], [])
    assert ready.message == accepted.message == "spec.url: is missing"


def test_all_missing_names_are_listed() -> None:
    resolved = conditions.judge(SOUND, 3, [NO_ENDPOINT, NO_SECRET, UNREADABLE], [])[2]
    assert resolved.message == "Endpoint 'b' does not exist; Secret 'a' does not exist"


def test_too_many_missing_names_are_counted() -> None:
    many = [Problem("EndpointNotFound", f"Endpoint '{number:0200}' does not exist") for number in range(100)]
    resolved = conditions.judge(SOUND, 3, many, [])[2]
    assert len(resolved.message) <= conditions.MAX_MESSAGE
    assert resolved.message.endswith("; and 96 more")
    assert resolved.message.count("does not exist") == 4


@pytest.mark.parametrize("status", ["True", "False"])
def test_what_cannot_be_told_now_stays_as_it_was(status: str) -> None:
    before = {"type": "ResolvedRefs", "status": status, "reason": "SecretNotFound", "observedGeneration": 3}
    previous = [{**PENDING, **before}]
    resolved = conditions.judge(SOUND, 3, [UNREADABLE], previous)[2]
    assert resolved == Condition("ResolvedRefs", status, "SecretNotFound", "Waiting for the operator")


def test_a_reason_that_nobody_knows_is_not_kept() -> None:
    """Another version, or another hand, wrote it."""
    before = {"type": "ResolvedRefs", "status": "False", "reason": "Old", "observedGeneration": 3}
    resolved = conditions.judge(SOUND, 3, [UNREADABLE], [{**PENDING, **before}])[2]
    assert (resolved.status, resolved.reason) == ("Unknown", "ReferenceUnavailable")


def test_what_was_said_of_an_older_spec_says_nothing_of_this_one() -> None:
    previous = [
        {**PENDING, "type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs", "observedGeneration": 2}
    ]
    assert conditions.judge(SOUND, 3, [UNREADABLE], previous)[2].status == "Unknown"


def written(status: str, previous: Any, now: Any = NOW, reason: str = "Ready") -> dict[str, Any]:
    (one,) = conditions.merge(previous, [Condition("Ready", status, reason, "text")], 3, now)
    return one


def test_a_transition_is_a_flip_of_status() -> None:
    first = written("True", [PENDING])
    assert first["lastTransitionTime"] == "2026-11-23T12:00:00Z"
    assert first["observedGeneration"] == 3
    same = written("True", [first], LATER, reason="Suspended")
    assert (same["lastTransitionTime"], same["reason"]) == ("2026-11-23T12:00:00Z", "Suspended")
    assert written("False", [same], LATER)["lastTransitionTime"] == "2026-11-23T12:01:00Z"
    assert written("Unknown", [PENDING])["lastTransitionTime"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "previous", [[], ["Ready"], [{}], [{"type": "Ready", "status": "True"}], [{**PENDING, "lastTransitionTime": None}]]
)
def test_a_status_that_somebody_broke_is_no_obstacle(previous: Any) -> None:
    assert written("Unknown", previous)["lastTransitionTime"] == "2026-11-23T12:00:00Z"
    assert conditions.judge(SOUND, 3, [UNREADABLE], previous)[2].status == "Unknown"


def test_merge_keeps_the_order_and_drops_what_is_not_wanted() -> None:
    wanted = conditions.judge(SOUND, 3, [], [])
    types = [one["type"] for one in conditions.merge([{**PENDING, "type": "Old"}], wanted, 3, NOW)]
    assert types == ["Ready", "Accepted", "ResolvedRefs"]


def test_long_messages_are_cut() -> None:
    (one,) = conditions.merge([], [Condition("Ready", "True", "Ready", "x" * 2000)], 3, NOW)
    assert len(one["message"]) == conditions.MAX_MESSAGE
