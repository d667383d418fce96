"""What a Schedule's callbacks tell, to whom, and what of its messages stays hidden."""

import base64
import hashlib
import json
from typing import Any

from tests.support.cluster import Object, wait_for
from tests.support.stage import STATUS_S, Stage


def report(stage: Stage, path: str, place: int = 0) -> tuple[Any, Object]:
    """The request with a report, and the report itself."""
    request = stage.receiver.wait_for(place + 1, timeout=STATUS_S, path=path)[place]
    found: Object = json.loads(request.body)
    return request, found


def text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


def test_every_attempt_is_reported_to_an_endpoint_with_its_secrets(stage: Stage) -> None:
    stage.secret("audit-auth", header="Bearer one")
    header = {"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "audit-auth", "key": "header"}}}
    stage.endpoint("audit", method="PUT", headers=[{"name": "X-Audit", "value": "yes"}])
    stage.endpoint("wobbly", 500, 200, retry={"limit": 3, "delay": "200"})
    stage.once(
        "reported", "wobbly", body={"text": "hello"},
        callback={"endpointRef": {"name": "audit"}, "headers": [header]},
    )  # fmt: skip
    stage.ready(("Schedule", "reported"))
    for place, status in enumerate((500, 200)):
        request, told = report(stage, "/audit", place)
        assert (told["status"], told["retried"], told["maxRetries"]) == (status, place, 3)
        assert request.method == "PUT"
        assert request.header("Authorization") == "Bearer one"
        assert request.header("X-Audit") == "yes"
        assert request.header("Content-Type") == "application/json"
        assert request.header("Upstash-Signature")
        assert text(told["sourceBody"]) == "hello"
        assert (told["scheduleId"], told["url"]) == ("reported", stage.receiver.url("/wobbly"))
    assert stage.message("reported", "Delivered")["messageId"] == told["sourceMessageId"]


def test_a_message_given_up_is_reported_once_with_its_dead_letter(stage: Stage) -> None:
    stage.endpoint("hopeless", 503, retry={"limit": 1, "delay": "100"})
    stage.once("mourned", "hopeless", failureCallback={"url": stage.receiver.url("/pager"), "method": "PATCH"})
    request, told = report(stage, "/pager")
    assert request.method == "PATCH"
    assert (told["status"], told["retried"]) == (503, 1)
    (letter,) = stage.dead_letters(scheduleId="mourned")
    assert told["dlqId"] == letter["dlqId"]
    assert told["sourceMessageId"] == letter["messageId"]
    assert stage.receiver.count("/pager") == 1


def test_a_callback_to_an_endpoint_that_is_missing_is_told_and_heals(stage: Stage) -> None:
    stage.endpoint("told-of")
    stage.apply(
        "Schedule", "waiting-for-audit",
        {
            "every": "1s",
            "destination": {"endpointRef": {"name": "told-of"}},
            "callback": {"endpointRef": {"name": "late-audit"}},
        },
    )  # fmt: skip
    told = stage.condition("Schedule", "waiting-for-audit", "ResolvedRefs=False", "EndpointNotFound")
    assert "'late-audit'" in told
    stage.receiver.wait_for(1, path="/told-of")
    stage.endpoint("late-audit")
    stage.ready(("Schedule", "waiting-for-audit"))
    stage.receiver.wait_for(1, path="/late-audit", timeout=STATUS_S)
    stage.change("Schedule", "waiting-for-audit", suspend=True)


def test_a_missing_secret_of_a_callback_is_told(stage: Stage) -> None:
    missing = {"name": "X-Key", "valueFrom": {"secretKeyRef": {"name": "no-such-secret", "key": "header"}}}
    stage.apply(
        "Schedule", "lacking-secret",
        {
            "cron": "@yearly",
            "destination": {"url": stage.receiver.url("/yearly")},
            "failureCallback": {"url": stage.receiver.url("/yearly"), "headers": [missing]},
        },
    )  # fmt: skip
    assert "no-such-secret" in stage.condition(
        "Schedule", "lacking-secret", "ResolvedRefs=False", "SecretNotFound"
    )  # fmt: skip


def test_callbacks_hold_the_place_in_a_queue(stage: Stage) -> None:
    stage.apply("Queue", "reported", {})
    stage.endpoint("first-of-two")
    stage.receiver.answer("/hesitant", 500, 200)
    callback = {"url": stage.receiver.url("/hesitant"), "retry": {"limit": 3, "delay": "1500"}}
    spec: Object = {"queueRef": {"name": "reported"}, "callback": callback}
    stage.ready(("Queue", "reported"), ("Endpoint", "first-of-two"))
    stage.once("first-of-two", "first-of-two", **spec)
    stage.receiver.wait_for(1, path="/hesitant", timeout=STATUS_S)
    answer = stage.api("POST", f"/v2/enqueue/reported/{stage.receiver.url('/second-of-two')}")
    assert answer.is_success
    (second,) = stage.receiver.wait_for(1, path="/second-of-two", timeout=STATUS_S)
    reports = stage.receiver.received("/hesitant")
    assert len(reports) == 2
    assert reports[1].at < second.at


def test_what_is_redacted_is_delivered_and_never_shown(stage: Stage) -> None:
    stage.receiver.answer("/redacted", 500)
    stage.once(
        "discreet", {"url": stage.receiver.url("/redacted")},
        body={"text": "the plan"},
        headers=[{"name": "X-Secret", "value": "hush"}, {"name": "X-Plain", "value": "loud"}],
        retry={"limit": 0},
        redact={"body": True, "headers": ["x-secret"]},
    )  # fmt: skip
    (request,) = stage.receiver.wait_for(1, path="/redacted", timeout=STATUS_S)
    assert (request.body, request.header("X-Secret")) == (b"the plan", "hush")
    wait_for(lambda: stage.dead_letters(scheduleId="discreet"), within=STATUS_S)
    logs = stage.api("GET", "/v2/logs", params={"scheduleId": "discreet"})
    dlq = stage.api("GET", "/v2/dlq", params={"scheduleId": "discreet"})
    declared = stage.api("GET", "/v2/schedules/discreet")
    (letter,) = dlq.json()["messages"]
    assert letter["body"] == declared.json()["body"] == hashed("the plan")
    assert letter["header"]["X-Secret"] == declared.json()["header"]["X-Secret"] == [hashed("hush")]
    assert letter["header"]["X-Plain"] == ["loud"]
    for answer in (logs, dlq, declared):
        assert answer.status_code == 200
        assert "the plan" not in answer.text
        assert "hush" not in answer.text
        assert base64.b64encode(b"the plan").decode() not in answer.text


def hashed(value: str) -> str:
    return f"REDACTED:{hashlib.sha256(value.encode()).hexdigest()}"
