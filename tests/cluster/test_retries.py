"""What becomes of a delivery that fails: how often it is tried again, when, and what a person sees of it.

All cases are declared at once, so that the waiting for their statuses is done at the same time.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from tests.support.cluster import Object, wait_for
from tests.support.programs import free_port
from tests.support.receiver import Answer, Received
from tests.support.stage import STATUS_S, Stage, statuses

EARLY_S = 0.005
"""Retries are timed by the operator's clock, arrivals here are stamped by the receiver's."""


@dataclass(frozen=True, slots=True)
class Case:
    """One message to an Endpoint of this spec. `gaps_s` are the shortest pauses between the attempts that must come;
    `seen` is what status tells of each attempt."""

    name: str
    answers: tuple[Answer | int, ...]
    state: str
    seen: tuple[int, ...]
    gaps_s: tuple[float, ...] = ()
    spec: dict[str, Any] = field(default_factory=dict)


def retry(limit: int, delay: str) -> dict[str, Any]:
    return {"retry": {"limit": limit, "delay": delay}}


NOT_RETRYABLE = Answer(489, (("Upstash-NonRetryable-Error", "true"),))
WAIT_2_S = Answer(429, (("Retry-After", "2"),))
WAIT_1500_MS = Answer(503, (("X-RateLimit-Reset", "1s500ms"),))
MOVED = Answer(302, (("Location", "/elsewhere"),))

CASES = [
    Case("heals", (500, 500, 200), "Delivered", (500, 500, 200), (0.3, 0.3), retry(3, "300")),
    Case("exhausted", (503,), "Failed", (503, 503, 503), (0.1, 0.1), retry(2, "100")),
    Case("no-retries", (400,), "Failed", (400,), (), retry(0, "100")),
    Case("refused-for-good", (NOT_RETRYABLE,), "Failed", (489,), (), retry(5, "100")),
    Case("489-alone", (489, 200), "Delivered", (489, 200), (0.1,), retry(5, "100")),
    Case("retry-after", (WAIT_2_S, 200), "Delivered", (429, 200), (2.0,), retry(5, "100")),
    Case("rate-limit-reset", (WAIT_1500_MS, 200), "Delivered", (503, 200), (1.5,), retry(5, "100")),
    Case("expression", (500, 500, 500, 200), "Delivered", (500, 500, 500, 200), (0.1, 0.4, 0.7),
         retry(5, "100 + 300 * retried")),
    Case("silent", (Answer(ending="hang"), 200), "Delivered", (0, 200), (1.0,), {**retry(5, "100"), "timeout": "1s"}),
    Case("cut-off", (Answer(ending="reset"), 200), "Delivered", (0, 200), (0.1,), retry(5, "100")),
    Case("redirect", (MOVED,), "Failed", (302,), (), retry(0, "100")),
]  # fmt: skip


def endpoint_of(case: Case) -> str:
    return f"retry-{case.name}"


@pytest.fixture(scope="module", autouse=True)
def declared(stage: Stage) -> Iterator[None]:
    """All cases, and one whose destination nobody listens at."""
    for case in CASES:
        stage.endpoint(endpoint_of(case), *case.answers, **case.spec)
        stage.once(endpoint_of(case), endpoint_of(case))
    stage.once("nobody", {"url": f"http://127.0.0.1:{free_port()}/"}, **retry(1, "100"))
    stage.endpoint("overridden", 500, timeout="1s", **retry(50, "3600000"))
    stage.once("overridden", "overridden", **retry(1, "100"))
    yield


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_attempts(stage: Stage, case: Case) -> None:
    """So many attempts, numbered, none too early, each told in status; and not one more."""
    requests = stage.receiver.wait_for(len(case.seen), path=f"/{endpoint_of(case)}", timeout=STATUS_S)
    assert_in_order(requests, case.gaps_s)
    message = stage.message(endpoint_of(case), case.state)
    assert statuses(message) == list(enumerate(case.seen, 1))
    assert message["attempts"] == len(case.seen)
    assert message["attemptsAllowed"] == 1 + case.spec["retry"]["limit"]
    assert "nextAttemptTime" not in message
    assert {request.header("Upstash-Message-Id") for request in requests} == {message["messageId"]}
    assert stage.receiver.count(f"/{endpoint_of(case)}") == len(case.seen)


def assert_in_order(requests: list[Received], gaps_s: tuple[float, ...]) -> None:
    assert [request.header("Upstash-Retried") for request in requests] == [str(n) for n in range(len(requests))]
    gaps = [later.at - earlier.at for earlier, later in pairwise(requests)]
    assert all(gap >= least - EARLY_S for gap, least in zip(gaps, gaps_s, strict=True)), gaps


def test_redirects_are_not_followed(stage: Stage) -> None:
    stage.message("retry-redirect", "Failed")
    assert stage.receiver.count("/elsewhere") == 0


def test_a_failed_message_is_a_dead_letter(stage: Stage) -> None:
    """What was given up can be found in the DLQ, with what the last attempt got."""
    message = stage.message("retry-exhausted", "Failed")
    (letter,) = [one for one in stage.dead_letters() if one["scheduleId"] == "retry-exhausted"]
    assert letter["messageId"] == message["messageId"]
    assert letter["url"] == stage.receiver.url("/retry-exhausted")
    assert letter["responseStatus"] == 503
    assert letter["maxRetries"] == 2


def test_what_was_delivered_is_no_dead_letter(stage: Stage) -> None:
    stage.message("retry-heals", "Delivered")
    assert "retry-heals" not in {letter["scheduleId"] for letter in stage.dead_letters()}


def test_a_failure_is_an_event(stage: Stage) -> None:
    """One Warning at the Schedule says what failed, where, how often and where to look."""
    message = stage.message("retry-exhausted", "Failed")
    (event,) = stage.events("Schedule", "retry-exhausted", "DeliveryFailed")
    assert event["type"] == "Warning"
    for words in (message["messageId"], stage.receiver.url("/retry-exhausted"), "3 attempts", "HTTP 503", "DLQ"):
        assert words in event["message"]
    assert stage.event_reasons("Schedule", "retry-heals") == []


def test_a_failed_run_says_why(stage: Stage) -> None:
    run = stage.run("retry-exhausted", "Failed")
    assert (run["reason"], run["message"]) == ("HTTP503", "HTTP 503")
    status = stage.status("Schedule", "retry-exhausted")
    assert status["lastResult"] == "Failed"
    assert "lastFailureTime" in status
    assert "lastSuccessTime" not in status
    (ready,) = [one for one in status["conditions"] if one["type"] == "Ready"]
    assert ready["status"] == "True", "what becomes of deliveries never changes Ready"


def test_a_timeout_is_a_failed_attempt(stage: Stage) -> None:
    message = stage.message("retry-silent", "Delivered")
    first, _ = message["recentAttempts"]
    assert first["status"] == 0
    assert first["error"].startswith("Timeout: no complete response")
    assert 1000 <= first["durationMilliseconds"] < 5000


def test_nobody_listens(stage: Stage) -> None:
    message = stage.message("nobody", "Failed")
    assert statuses(message) == [(1, 0), (2, 0)]
    assert "refused the connection" in message["recentAttempts"][0]["error"]


def test_a_schedule_overrides_its_endpoint_field_by_field(stage: Stage) -> None:
    message = stage.message("overridden", "Failed")
    assert statuses(message) == [(1, 500), (2, 500)]


def test_published_messages_retry_too(stage: Stage) -> None:
    """The same over HTTP: 500, 500, 200, and a log that tells each step."""
    stage.receiver.answer("/published", 500, 500, Answer(200, body=b"thanks"))
    headers = {"Upstash-Retries": "5", "Upstash-Retry-Delay": "200", "Content-Type": "text/plain"}
    answer = stage.api("POST", f"/v2/publish/{stage.receiver.url('/published')}", headers=headers, content=b"hello")
    assert answer.status_code == 200, answer.text
    message_id = answer.json()["messageId"]
    requests = stage.receiver.wait_for(3, path="/published")
    assert_in_order(requests, (0.2, 0.2))
    assert [request.body for request in requests] == [b"hello"] * 3
    log = wait_for(lambda: log_of(stage, message_id), lambda log: log[0]["state"] == "DELIVERED", within=5)
    steps = ["CREATED", "ACTIVE", "ERROR", "RETRY", "ACTIVE", "ERROR", "RETRY", "ACTIVE", "DELIVERED"]
    assert [entry["state"] for entry in reversed(log)] == steps
    assert [entry["responseStatus"] for entry in log if entry["state"] == "ERROR"] == [500, 500]
    assert base64.b64decode(log[0]["body"]) == b"hello"


def log_of(stage: Stage, message_id: str) -> list[Object]:
    """What the log says about a message, newest first."""
    answer = stage.api("GET", "/v2/logs", params={"messageId": message_id})
    assert answer.status_code == 200, answer.text
    found: list[Object] = answer.json()["logs"]
    return found
