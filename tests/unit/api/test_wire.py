"""JSON views against contract 15.1–15.3."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from angarium.api import wire
from angarium.domain.declarations import Header, KeyRef, Kind, ObjectRef
from angarium.domain.messages import Acceptance, LogState, Message, Response, Run
from angarium.domain.views import DeadLetter, LogEntry

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
        "scheduleId": "daily",
        "method": "POST",
        "header": FULL_HEADER,
        "body": '{"n":1}',
        "maxRetries": 5,
        "retryDelayExpression": "1000 * retried",
        "notBefore": CREATED_MS + 5000,
        "createdAt": CREATED_MS,
        "callerIP": "10.0.0.9",
        "callerIp": "10.0.0.9",
        "label": "a",
        "labels": ["a", "b"],
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
        "scheduleId": "daily",
        "header": FULL_HEADER,
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
    assert shown(wire.acceptance(Acceptance((BARE,), ("https://a.test/x",)))) == {
        "messageId": "msg_1",
        "url": "https://a.test/x",
    }
    unnamed = replace(BARE, id="msg_2", topic="orders")
    assert shown(wire.acceptance(Acceptance((FULL, unnamed), ("https://a.test", "https://b.test")))) == [
        {"messageId": "msg_1", "url": "https://a.test", "endpointName": "billing"},
        {"messageId": "msg_2", "url": "https://b.test"},
    ]
