import json
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from angarium.domain.callbacks import Report, body_of, callbacks_of
from angarium.domain.declarations import (
    Callback,
    DeliveryOptions,
    Destination,
    FlowControl,
    Header,
    KeyRef,
    Redaction,
)
from angarium.domain.messages import Message, Publication, Response

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_900, UTC)
CREATED = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
JSON = Header("Content-Type", "application/json")
TOLD = Callback(Destination(url="https://told.test/in"))
WARNED = Callback(Destination(endpoint="pager"))
ANSWER = Response(503, (("content-type", "text/plain"), ("set-cookie", "a=1"), ("Set-Cookie", "b=2")), b"no \xff")


def message(**given: Any) -> Message:
    values = {
        "id": "msg_1",
        "namespace": "shop",
        "url": "https://billing.test/in?x=1",
        "endpoint": None,
        "method": "PUT",
        "headers": (Header("x-team", "ä"), Header("X-Team", "b, c"), Header("X-Key", secret=KeyRef("keys", "a"))),
        "body": b"\x00 body",
        "timeout": timedelta(seconds=30),
        "max_retries": 5,
        "retry_delay": None,
        "created_at": CREATED,
        "not_before": CREATED + timedelta(milliseconds=1500),
        "caller_ip": "10.0.0.1",
        "callback": TOLD,
        "failure_callback": WARNED,
    }
    return Message(**values | given)


def report(*, of: Message | None = None, **given: Any) -> Report:
    about = of or message()
    return Report(**{"message": about, "url": about.url or "", "retried": 2, "response": ANSWER} | given)


def told(about: Report, dlq_id: str | None = None) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(body_of(about, dlq_id))
    return decoded


class TestBody:
    def test_every_field(self) -> None:
        about = report(of=message(topic="orders", endpoint_name="billing", schedule="nightly"))
        assert told(about, "1725323658779-4") == {
            "status": 503,
            "header": {"Content-Type": ["text/plain"], "Set-Cookie": ["a=1", "b=2"]},
            "body": b64encode(b"no \xff").decode(),
            "retried": 2,
            "maxRetries": 5,
            "dlqId": "1725323658779-4",
            "sourceMessageId": "msg_1",
            "topicName": "orders",
            "endpointName": "billing",
            "url": "https://billing.test/in?x=1",
            "method": "PUT",
            "sourceHeader": {"X-Team": ["ä", "b, c"]},
            "sourceBody": b64encode(b"\x00 body").decode(),
            "notBefore": 1767322801500,
            "createdAt": 1767322800000,
            "scheduleId": "nightly",
            "callerIP": "10.0.0.1",
        }

    def test_what_there_is_not(self) -> None:
        about = report(of=message(body=b"", headers=(), caller_ip=None, max_retries=0), retried=0, response=None)
        assert told(about) == {
            "status": 0,
            "header": {},
            "body": "",
            "retried": 0,
            "maxRetries": 0,
            "sourceMessageId": "msg_1",
            "url": "https://billing.test/in?x=1",
            "method": "PUT",
            "sourceHeader": {},
            "sourceBody": "",
            "notBefore": 1767322801500,
            "createdAt": 1767322800000,
            "callerIP": "",
        }

    def test_the_url_is_that_of_the_attempt(self) -> None:
        assert told(report(of=message(url=None, endpoint="billing"), url="https://now.test/"))["url"] == (
            "https://now.test/"
        )

    def test_an_answer_in_latin_1(self) -> None:
        header = b"caf\xe9".decode("utf-8", "surrogateescape")
        assert told(report(response=Response(200, (("X-Place", header),))))["header"] == {"X-Place": ["café"]}

    def test_originals_whatever_views_leave_out(self) -> None:
        hidden = report(of=message(redaction=Redaction(body=True, all_headers=True)))
        assert body_of(hidden) == body_of(report())
        assert b64decode(told(hidden)["sourceBody"]) == b"\x00 body"

    def test_it_is_compact_utf_8(self) -> None:
        text = body_of(report()).decode()
        assert ": " not in text and '", "' not in text and "ä" in text


class TestWhen:
    @staticmethod
    def destinations(about: Report) -> list[str]:
        return [str(each.destination) for each in callbacks_of(about, NOW)]

    def test_after_every_attempt(self) -> None:
        assert self.destinations(report()) == ["https://told.test/in"]
        assert self.destinations(report(response=None)) == ["https://told.test/in"]

    def test_a_final_failure_causes_both(self) -> None:
        assert self.destinations(report(dlq_id="1-1")) == ["https://told.test/in", "endpoint/pager"]

    def test_given_up_without_an_attempt(self) -> None:
        assert self.destinations(report(dlq_id="1-1", attempted=False)) == ["endpoint/pager"]

    def test_each_without_the_other(self) -> None:
        assert self.destinations(report(of=message(callback=None), dlq_id="1-1")) == ["endpoint/pager"]
        assert self.destinations(report(of=message(callback=None))) == []
        assert self.destinations(report(of=message(failure_callback=None), dlq_id="1-1")) == ["https://told.test/in"]

    def test_a_callback_has_none_of_its_own(self) -> None:
        assert self.destinations(report(of=message(source="msg_0"), dlq_id="1-1")) == []

    def test_only_the_failure_callback_names_the_dead_letter(self) -> None:
        always, failure = callbacks_of(report(dlq_id="1-1"), NOW)
        assert "dlqId" not in json.loads(always.body)
        assert json.loads(failure.body)["dlqId"] == "1-1"


class TestPublication:
    @staticmethod
    def only(callback: Callback, **given: Any) -> Publication:
        (publication,) = callbacks_of(report(of=message(callback=callback, **given)), NOW)
        return publication

    def test_what_it_inherits(self) -> None:
        redaction = Redaction(body=True)
        publication = self.only(TOLD, redaction=redaction, queue="orders", labels=("a",))
        assert publication == Publication(
            namespace="shop",
            destination=Destination(url="https://told.test/in"),
            created_at=NOW,
            body=body_of(report()),
            options=DeliveryOptions(headers=(JSON,)),
            caller_ip="10.0.0.1",
            redaction=redaction,
            source="msg_1",
            default_retries=5,
        )

    def test_what_was_asked_for(self) -> None:
        options = DeliveryOptions(
            method="PATCH",
            headers=(Header("X-A", "1"),),
            timeout=timedelta(seconds=9),
            retry_limit=0,
            retry_delay="1000",
            flow_control=FlowControl("told", parallelism=1),
        )
        publication = self.only(Callback(TOLD.destination, options, ("x",), timedelta(minutes=1)))
        assert publication.options == replace(options, headers=(JSON, Header("X-A", "1")))
        assert publication.labels == ("x",)
        assert publication.not_before == NOW + timedelta(minutes=1)

    @pytest.mark.parametrize("name", ["Content-Type", "content-type"])
    def test_a_content_type_of_its_own(self, name: str) -> None:
        own = DeliveryOptions(headers=(Header(name, "application/vnd.shop+json"),))
        assert self.only(Callback(TOLD.destination, own)).options.headers == own.headers
