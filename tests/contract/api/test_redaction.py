"""What is redacted is nowhere to be read, and everything is delivered as it was (contract 24)."""

import json
from hashlib import sha256

import pytest
from tests.support.api import Api, attempt

from angarium.domain.messages import LeaseGrant, Response

BODY, HEADER, OTHER = b"the secret of the body", "the secret of the header", "seen by all"
FORWARDED = (("Upstash-Forward-X-Secret", HEADER), ("Upstash-Forward-X-Other", OTHER))
VIEWS = ("/v2/messages/{id}", "/v2/events?messageIds={id}", "/v2/logs", "/v2/dlq", "/v2/dlq/{dlq}")


def hidden(original: bytes) -> str:
    return f"REDACTED:{sha256(original).hexdigest()}"


async def dead(api: Api, *options: tuple[str, str]) -> dict[str, str]:
    """A redacted message that failed; its id and that of its letter."""
    published = await api.publish("https://e.test", ("Upstash-Retries", "0"), *FORWARDED, *options, body=BODY)
    await attempt(api, Response(500, (), b"answer"))
    (letter,) = (await api.request("GET", "/v2/dlq")).json["messages"]
    return {"id": published["messageId"], "dlq": letter["dlqId"]}


async def views(api: Api, ids: dict[str, str]) -> dict[str, object]:
    shown = {}
    for path in VIEWS:
        reply = await api.request("GET", path.format(**ids))
        assert reply.status == 200
        shown[path] = reply.json
    return shown


@pytest.mark.parametrize(
    ("fields", "body_hidden", "headers_hidden"),
    [
        ("body", True, set()),
        ("header", False, {"X-Secret", "X-Other"}),
        ("headers", False, {"X-Secret", "X-Other"}),
        ("header[x-secret]", False, {"X-Secret"}),
        ("body, headers[X-SECRET]", True, {"X-Secret"}),
    ],
)
async def test_every_view_hides_it(api: Api, fields: str, body_hidden: bool, headers_hidden: set[str]) -> None:
    ids = await dead(api, ("Upstash-Redact-Fields", fields))
    shown = await views(api, ids)
    text = json.dumps(shown)
    assert (BODY.decode() in text) is not body_hidden
    assert "dGhlIHNlY3JldCBvZiB0aGUgYm9keQ" not in text or not body_hidden
    for path in VIEWS[:1] + VIEWS[4:]:
        view = shown[path]
        assert isinstance(view, dict)
        assert (view["body"] == hidden(BODY)) is body_hidden
        for name, original in (("X-Secret", HEADER), ("X-Other", OTHER)):
            assert view["header"][name] == [hidden(original.encode()) if name in headers_hidden else original]
    events = shown[VIEWS[1]]
    assert isinstance(events, dict)
    assert len(events["events"]) == 4
    for event in events["events"]:
        assert (event["body"] == hidden(BODY)) is body_hidden
        for name, original in (("X-Secret", HEADER), ("X-Other", OTHER)):
            assert (original in event["header"][name]) is (name not in headers_hidden)


async def test_the_answer_is_not_covered(api: Api) -> None:
    ids = await dead(api, ("Upstash-Redact-Fields", "body,header"))
    assert (await api.request("GET", f"/v2/dlq/{ids['dlq']}")).json["responseBody"] == "answer"


async def test_what_is_delivered_is_the_original_after_a_retry_too(api: Api) -> None:
    ids = await dead(api, ("Upstash-Redact-Fields", "body,header"))
    retried = (await api.request("POST", f"/v2/dlq/retry/{ids['dlq']}")).json["messageId"]
    claim = await api.store.claim(LeaseGrant("test", until=1e12, room=9, lane_room=9), api.clock.now())
    (leased,) = claim.leased
    assert leased.message.body == BODY
    assert HEADER in {header.value for header in leased.message.headers}
    assert (await api.message(retried))["body"] == hidden(BODY), "still redacted"


async def test_headers_of_callbacks_are_hidden_as_well(api: Api) -> None:
    callback = (("Upstash-Callback", "https://cb.test"), ("Upstash-Callback-Forward-X-Secret", HEADER))
    published = await api.publish("https://e.test", *callback, ("Upstash-Redact-Fields", "header[X-Secret]"))
    view = await api.message(published["messageId"])
    assert view["callback"] == "https://cb.test"
    assert view["callbackHeader"] == {"X-Secret": [hidden(HEADER.encode())]}
    log = (await api.request("GET", "/v2/events")).body.decode()
    assert HEADER not in log
    assert "callbackHeaders" in log


async def test_a_callback_shows_no_more_than_its_source(api: Api) -> None:
    await api.publish(
        "https://e.test",
        ("Upstash-Callback", "https://cb.test"),
        ("Upstash-Redact-Fields", "body"),
        body=BODY,
    )
    await attempt(api, Response(200, (), b"thanks"))
    events = (await api.request("GET", "/v2/events?url=https://cb.test")).json["events"]
    assert events
    assert all(event["body"].startswith("REDACTED:") for event in events)


@pytest.mark.parametrize("fields", ["header", "header[x-secret]"])
async def test_hidden_headers_are_not_in_the_bodies_of_callbacks(api: Api, fields: str) -> None:
    callbacks = (("Upstash-Callback", "https://cb.test"), ("Upstash-Failure-Callback", "https://cb.test"))
    await dead(api, *callbacks, ("Upstash-Redact-Fields", fields))
    events = (await api.request("GET", "/v2/events?url=https://cb.test")).json["events"]
    assert len({event["messageId"] for event in events}) == 2
    for event in events:
        view = await api.message(event["messageId"])
        assert event["body"] == view["body"] and view["body"].startswith("REDACTED:"), "it tells sourceHeader"


async def test_without_redaction_everything_is_shown(api: Api) -> None:
    ids = await dead(api)
    view = (await api.request("GET", f"/v2/messages/{ids['id']}")).json
    assert (view["body"], view["header"]) == (BODY.decode(), {"X-Secret": [HEADER], "X-Other": [OTHER]})
