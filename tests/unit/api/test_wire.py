"""JSON views against contract 15.1–15.3, 15.7 and 24."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from angarium.api import wire
from angarium.domain.declarations import (
    Callback,
    DeliveryOptions,
    Destination,
    FlowControl,
    Header,
    KeyRef,
    Kind,
    ObjectRef,
    Redaction,
)
from angarium.domain.messages import Acceptance, LogState, Message, Response, Run
from angarium.domain.views import DeadLetter, FlowControlView, LogEntry

CREATED = datetime(2026, 3, 1, 12, 0, 0, 123_999, tzinfo=UTC)
CREATED_MS = 1_772_366_400_123
BARE = Message(
    id="msg_1",
    namespace="shop",
    url="https://a.test/x",
    endpoint=None,
    method="POST",
    headers=(),
    body=b"",
    timeout=timedelta(minutes=15),
    max_retries=0,
    retry_delay=None,
    created_at=CREATED,
    not_before=CREATED,
)
BARE_JSON = {
    "messageId": "msg_1",
    "url": "https://a.test/x",
    "method": "POST",
    "maxRetries": 0,
    "notBefore": CREATED_MS,
    "createdAt": CREATED_MS,
}
FULL = replace(
    BARE,
    headers=(
        Header("content-type", "application/json"),
        Header("X-List", "a, b"),
        Header("x-list", "c"),
        Header("Authorization", secret=KeyRef("billing", "token")),
    ),
    body=b'{"n":1}',
    max_retries=5,
    retry_delay="1000 * retried",
    not_before=CREATED + timedelta(seconds=5),
    labels=("a", "b"),
    caller_ip="10.0.0.9",
    topic="orders",
    endpoint_name="billing",
    run=Run("run_1", ObjectRef(Kind.SCHEDULE, "shop", "daily"), "uid", CREATED),
    schedule="daily",
    queue="line",
    flow_control=FlowControl("fast", rate=4, period=timedelta(minutes=1)),
    callback=Callback(
        Destination(url="https://cb.test/?x=1"), DeliveryOptions(headers=(Header("x-cb", "1"), Header("x-cb", "2")))
    ),
    failure_callback=Callback(
        Destination(endpoint="alarm"), DeliveryOptions(headers=(Header("X-S", secret=KeyRef("s", "k")),))
    ),
)
FULL_HEADER = {"Content-Type": ["application/json"], "X-List": ["a, b", "c"]}


def shown(payload: object) -> object:
    return json.loads(wire.encode(payload))


def test_a_message_shows_zeros_and_leaves_out_what_is_unset() -> None:
    assert shown(wire.message(BARE, "https://a.test/x")) == BARE_JSON


def test_a_message_shows_everything_it_has_but_no_secret_header() -> None:
    assert shown(wire.message(FULL, "https://now.test")) == {
        "messageId": "msg_1",
        "url": "https://now.test",
        "topicName": "orders",
        "endpointName": "billing",
        "queueName": "line",
        "scheduleId": "daily",
        "method": "POST",
        "header": FULL_HEADER,
        "callback": "https://cb.test/?x=1",
        "callbackHeader": {"X-Cb": ["1", "2"]},
        "failureCallback": "endpoint:alarm",
        "body": '{"n":1}',
        "maxRetries": 5,
        "retryDelayExpression": "1000 * retried",
        "notBefore": CREATED_MS + 5000,
        "createdAt": CREATED_MS,
        "callerIP": "10.0.0.9",
        "callerIp": "10.0.0.9",
        "label": "a",
        "labels": ["a", "b"],
        "flowControlKey": "fast",
        "rate": 4,
        "period": 60,
    }


@pytest.mark.parametrize(
    ("body", "view"),
    [
        (b"", {}),
        ("größe".encode(), {"body": "größe"}),
        (b"\xff\x00", {"bodyBase64": "/wA="}),
        (b"\x00", {"body": "\0"}),
    ],
)
def test_a_body_is_text_or_base64(body: bytes, view: dict[str, str]) -> None:
    assert shown(wire.message(replace(BARE, body=body), "https://a.test/x")) == {**BARE_JSON, **view}


def test_a_log_entry_has_both_spellings_and_base64_bodies() -> None:
    response = Response(500, (("content-type", "text/plain"), ("x-a", "1"), ("X-A", "caf\udce9")), b"no")
    entry = LogEntry(7, CREATED, LogState.ERROR, "https://then.test", FULL, "status 500", None, response)
    header = {"Content-Type": ["text/plain"], "X-A": ["1", "café"]}
    assert shown(wire.log_entry(entry)) == {
        "time": CREATED_MS,
        "messageId": "msg_1",
        "state": "ERROR",
        "url": "https://then.test",
        "topicName": "orders",
        "endpointName": "billing",
        "queueName": "line",
        "scheduleId": "daily",
        "header": FULL_HEADER,
        "callback": "https://cb.test/?x=1",
        "callbackHeaders": {"X-Cb": ["1", "2"]},
        "failureCallback": "endpoint:alarm",
        "body": "eyJuIjoxfQ==",
        "error": "status 500",
        "responseStatus": 500,
        "responseBody": "bm8=",
        "responseHeader": header,
        "responseHeaders": header,
        "timeout": 900_000,
        "method": "POST",
        "maxRetries": 5,
        "retryDelayExpr": "1000 * retried",
        "retryDelayExpression": "1000 * retried",
        "callerIP": "10.0.0.9",
        "callerIp": "10.0.0.9",
        "label": "a",
        "labels": ["a", "b"],
        "flowControlKey": "fast",
        "rate": 4,
        "period": 60,
    }


def test_a_log_entry_of_a_bare_message() -> None:
    entry = LogEntry(7, CREATED, LogState.RETRY, "https://a.test/x", BARE, next_delivery=CREATED + timedelta(seconds=1))
    assert shown(wire.log_entry(entry)) == {
        "time": CREATED_MS,
        "messageId": "msg_1",
        "state": "RETRY",
        "url": "https://a.test/x",
        "nextDeliveryTime": CREATED_MS + 1000,
        "timeout": 900_000,
        "method": "POST",
        "maxRetries": 0,
    }


def test_a_dead_letter_always_has_a_response_status() -> None:
    letter = DeadLetter("1-0", CREATED, BARE, "https://a.test/x", "Timeout: …", None)
    assert shown(wire.dead_letter(letter)) == {
        **BARE_JSON,
        "dlqId": "1-0",
        "responseStatus": 0,
        "error": "Timeout: …",
    }
    answered = replace(letter, error="", response=Response(404, (("x", "y"),), b"404 Not Found"))
    assert shown(wire.dead_letter(answered)) == {
        **BARE_JSON,
        "dlqId": "1-0",
        "responseStatus": 404,
        "responseHeader": {"X": ["y"]},
        "responseBody": "404 Not Found",
    }
    binary = replace(letter, error="", response=Response(502, (), b"\xff"))
    assert shown(wire.dead_letter(binary)) == {
        **BARE_JSON,
        "dlqId": "1-0",
        "responseStatus": 502,
        "responseBodyBase64": "/w==",
    }


def test_a_publish_answers_an_object_for_a_url_and_an_array_for_a_topic() -> None:
    assert shown(wire.acceptance(Acceptance((BARE,), ("https://a.test/x",)), group=False)) == {
        "messageId": "msg_1",
        "url": "https://a.test/x",
    }
    unnamed = replace(BARE, id="msg_2", topic="orders")
    assert shown(wire.acceptance(Acceptance((FULL, unnamed), ("https://a.test", "https://b.test")), group=True)) == [
        {"messageId": "msg_1", "url": "https://a.test", "endpointName": "billing"},
        {"messageId": "msg_2", "url": "https://b.test"},
    ]


def test_a_message_retried_from_the_dlq_still_names_its_schedule() -> None:
    assert shown(wire.message(replace(BARE, schedule="daily"), "https://a.test/x")) == {
        **BARE_JSON,
        "scheduleId": "daily",
    }


@pytest.mark.parametrize(
    ("limits", "view"),
    [
        (FlowControl("k", parallelism=3), {"parallelism": 3, "period": 1}),
        (FlowControl("k", rate=2), {"rate": 2, "period": 1}),
        (FlowControl("k", 3, 4, timedelta(days=7)), {"parallelism": 3, "rate": 4, "period": 604_800}),
    ],
)
def test_flow_control_shows_its_period_always_and_only_the_limits_given(
    limits: FlowControl, view: dict[str, int]
) -> None:
    assert shown(wire.message(replace(BARE, flow_control=limits), "https://a.test/x")) == {
        **BARE_JSON,
        "flowControlKey": "k",
        **view,
    }


def test_a_flow_control_key_shows_every_number_and_0_for_what_is_unlimited() -> None:
    idle = FlowControlView("k", 0, None, 0, None, 0, timedelta(seconds=1), None, False, False, False)
    assert shown(wire.flow_control_key(idle)) == {
        "flowControlKey": "k",
        "waitListSize": 0,
        "parallelismMax": 0,
        "parallelismCount": 0,
        "rateMax": 0,
        "rateCount": 0,
        "ratePeriod": 1,
        "ratePeriodStart": 0,
        "isPaused": False,
        "isPinnedParallelism": False,
        "isPinnedRate": False,
    }
    busy = FlowControlView("k", 7, 3, 2, 10, 9, timedelta(minutes=1), CREATED, True, True, False)
    assert shown(wire.flow_control_key(busy)) == {
        "flowControlKey": "k",
        "waitListSize": 7,
        "parallelismMax": 3,
        "parallelismCount": 2,
        "rateMax": 10,
        "rateCount": 9,
        "ratePeriod": 60,
        "ratePeriodStart": CREATED_MS // 1000,
        "isPaused": True,
        "isPinnedParallelism": True,
        "isPinnedRate": False,
    }


HIDDEN_BODY = "REDACTED:2bfd14f43d17fc7cea24e0917a8879b4b2f880b8baeec1b9d90fbaad655e71bd"
HIDDEN_C = "REDACTED:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"


def test_a_hidden_body_is_its_hash_in_every_view() -> None:
    hidden = replace(FULL, redaction=Redaction(body=True))
    letter = DeadLetter("1-0", CREATED, hidden, "https://a.test", "", Response(500, (), b"seen"))
    for view in (
        wire.message(hidden, "https://a.test"),
        wire.log_entry(LogEntry(1, CREATED, LogState.CREATED, "https://a.test", hidden)),
        wire.dead_letter(letter),
    ):
        assert view["body"] == HIDDEN_BODY
        assert view["header"] == FULL_HEADER
    assert wire.dead_letter(letter)["responseBody"] == "seen"
    binary = replace(hidden, body=b"\xff")
    view = wire.message(binary, "https://a.test")
    assert str(view["body"]).startswith("REDACTED:")
    assert "bodyBase64" not in view
    assert "body" not in wire.message(replace(hidden, body=b""), "https://a.test")


def test_a_hidden_header_keeps_its_name_and_hides_each_of_its_lines() -> None:
    hidden = replace(FULL, redaction=Redaction(names=("x-list",)))
    view = wire.message(hidden, "https://a.test")
    header = view["header"]
    assert isinstance(header, dict)
    assert header["Content-Type"] == ["application/json"]
    assert header["X-List"][1] == HIDDEN_C
    assert len(header["X-List"]) == 2
    assert "a, b" not in str(view)


def test_all_headers_hidden_are_those_of_callbacks_too() -> None:
    hidden = replace(FULL, redaction=Redaction(all_headers=True))
    view = wire.message(hidden, "https://a.test")
    for name in ("header", "callbackHeader"):
        header = view[name]
        assert isinstance(header, dict)
        assert all(value.startswith("REDACTED:") for values in header.values() for value in values)
    assert "Authorization" not in str(view)
    assert view["body"] == '{"n":1}'
