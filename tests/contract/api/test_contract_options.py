"""Each row of contract 4.3 in every form: header and query of a publish and of an enqueue, and element of a batch."""

import json
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.api import Api, Reply
from tests.support.deliveries import deliver, line

from angarium.domain.messages import Response

URL = "https://e.test/in"
START_S = 1_772_366_400
"""The time on the API's clock, in Unix seconds."""

Lines = tuple[tuple[str, str], ...]
FORMS = ("header", "query", "enqueue", "enqueue by query", "batch")


async def send(api: Api, form: str, lines: Lines, body: str = "sent") -> Reply:
    """A message with these options, given in this form."""
    if form == "batch":
        element = {"destination": URL, "headers": dict(lines), "body": body}
        return await api.request(
            "POST", "/v2/batch", ("Content-Type", "application/json"), body=json.dumps([element]).encode()
        )
    target = f"/v2/enqueue/line/{URL}" if "enqueue" in form else f"/v2/publish/{URL}"
    if "query" in form:
        parameters = "".join(f"&{name.lower()}={quote(value, safe='')}" for name, value in lines)
        return await api.request("POST", f"{target}?a=1{parameters}&b=2", body=body.encode())
    return await api.request("POST", target, *lines, body=body.encode())


def made(form: str, reply: Reply) -> dict[str, Any]:
    """The answer's item, which has to be one of success."""
    assert reply.status in (200, 202), reply.body
    item: dict[str, Any] = reply.json[0] if form == "batch" else reply.json
    assert set(item) - {"deduplicated"} == {"messageId", "url"}, item
    assert item["url"] == (f"{URL}?a=1&b=2" if "query" in form else URL)
    return item


async def shown(api: Api, message_id: str) -> dict[str, Any]:
    """The message as it is shown, with the timeout that only its log tells."""
    entries = (await api.done("GET", f"/v2/events?messageId={message_id}&order=earliestFirst"))["events"]
    return {**await api.message(message_id), "timeout": entries[0]["timeout"]}


ROWS: list[tuple[Lines, dict[str, Any]]] = [
    ((), {"method": "POST", "maxRetries": 3, "timeout": 900_000, "notBefore": START_S * 1000}),
    *(((("Upstash-Method", method),), {"method": method.upper()}) for method in ("GET", "put", "Patch", "DELETE")),
    ((("Upstash-Timeout", "1m30s"),), {"timeout": 90_000}),
    ((("Upstash-Retries", "0"),), {"maxRetries": 0}),
    ((("Upstash-Retry-Delay", "pow(2, retried) * 1000"),), {"retryDelayExpression": "pow(2, retried) * 1000"}),
    ((("Upstash-Delay", "1h"),), {"notBefore": (START_S + 3600) * 1000}),
    ((("Upstash-Not-Before", str(START_S + 60)),), {"notBefore": (START_S + 60) * 1000}),
    (
        (("Upstash-Not-Before", str(START_S + 60)), ("Upstash-Delay", "1h")),
        {"notBefore": (START_S + 60) * 1000},
    ),
    ((("Upstash-Not-Before", "1"),), {"notBefore": START_S * 1000}),
    ((("Upstash-Callback", "https://c.test/a?b=1&c=2"),), {"callback": "https://c.test/a?b=1&c=2"}),
    ((("Upstash-Failure-Callback", "https://f.test/a?b=1"),), {"failureCallback": "https://f.test/a?b=1"}),
    ((("Upstash-Label", " a, b ,,c"),), {"label": "a", "labels": ["a", "b", "c"]}),
    (
        (("Upstash-Flow-Control-Key", "k/1 ü"), ("Upstash-Flow-Control-Value", "parallelism=3, rate=4, period=2s")),
        {"flowControlKey": "k/1 ü", "parallelism": 3, "rate": 4, "period": 2},
    ),
    ((("Upstash-Redact-Fields", "body"),), {"body": f"REDACTED:{sha256(b'sent').hexdigest()}"}),
    ((("Upstash-Forward-x-team", "a, b"),), {"header": {"X-Team": ["a, b"]}}),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("lines", "view"), ROWS)
async def test_an_option_counts_in_every_form(api: Api, form: str, lines: Lines, view: dict[str, Any]) -> None:
    item = made(form, await send(api, form, lines))
    message = await shown(api, item["messageId"])
    assert view.items() <= message.items()
    assert message.get("queueName") == ("line" if "enqueue" in form else None)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "option", [("Upstash-Deduplication-Id", "order 7"), ("Upstash-Content-Based-Deduplication", "True")]
)
async def test_deduplication_counts_in_every_form(api: Api, form: str, option: tuple[str, str]) -> None:
    first, second = [await send(api, form, (option,)) for _ in range(2)]
    assert made(form, second) == {**made(form, first), "deduplicated": True}
    assert (first.status, second.status) == (200, 200 if form == "batch" else 202)


@pytest.mark.parametrize("form", ["header", "query", "batch"])
async def test_the_name_of_a_queue_counts_in_every_form(api: Api, form: str) -> None:
    item = made(form, await send(api, form, (("Upstash-Queue-Name", "mail"),)))
    assert (await api.message(item["messageId"]))["queueName"] == "mail"
    assert (await api.done("GET", "/v2/queues/mail"))["lag"] == 1


@pytest.mark.parametrize("form", FORMS)
async def test_other_headers_are_forwarded_on_request_in_every_form(api: Api, form: str) -> None:
    others = (("X-Event", "push"), ("User-Agent", "hook"), ("Upstash-Telemetry-Sdk", "x"), ("Host", "h.test"))
    option = ("Upstash-Header-Forward", "true")
    if "query" in form:
        target = f"/v2/enqueue/line/{URL}" if "enqueue" in form else f"/v2/publish/{URL}"
        item = await api.done("POST", f"{target}?upstash-header-forward=true", *others[:3])
    else:
        item = made(form, await send(api, form, (option, *others[: 4 if form == "batch" else 3])))
    assert (await api.message(item["messageId"]))["header"] == {"X-Event": ["push"]}


KINDS = ("Callback", "Failure-Callback")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
async def test_options_of_a_callback_count_in_every_form(api: Api, form: str, kind: str) -> None:
    prefix = f"Upstash-{kind}"
    lines = (
        (prefix, "https://c.test/told"),
        (f"{prefix}-Method", "put"),
        (f"{prefix}-Timeout", "7s"),
        (f"{prefix}-Retries", "9"),
        (f"{prefix}-Retry-Delay", "1234"),
        (f"{prefix}-Forward-x-team", "pay"),
        (f"{prefix}-Label", "l"),
        (f"{prefix}-Flow-Control-Key", "told"),
        (f"{prefix}-Flow-Control-Value", "parallelism=2"),
        (f"{prefix}-Workflow-RunId", "ignored"),
        *(() if "enqueue" in form else ((f"{prefix}-Delay", "10s"),)),
    )
    made(form, await send(api, form, (("Upstash-Retries", "0"), *lines)))
    await deliver(api, Response(500))
    (entry,) = (await api.done("GET", "/v2/events?url=https://c.test/told&state=CREATED"))["events"]
    message = await shown(api, entry["messageId"])
    view = {
        "method": "PUT",
        "timeout": 7000,
        "maxRetries": 9,
        "retryDelayExpression": "1234",
        "labels": ["l"],
        "flowControlKey": "told",
        "header": {"Content-Type": ["application/json"], "X-Team": ["pay"]},
        "notBefore": message["createdAt"] + (0 if "enqueue" in form else 10_000),
    }
    assert view.items() <= message.items()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_callback_has_the_retries_of_its_message_unless_told_otherwise(api: Api, form: str, kind: str) -> None:
    made(form, await send(api, form, ((f"Upstash-{kind}", "https://c.test/told"), ("Upstash-Retries", "0"))))
    await deliver(api, Response(500))
    (entry,) = (await api.done("GET", "/v2/events?url=https://c.test/told&state=CREATED"))["events"]
    message = await api.message(entry["messageId"])
    assert (message["maxRetries"], message["method"]) == (0, "POST")


async def test_a_cron_and_its_id_make_a_schedule_in_header_and_query(api: Api) -> None:
    lines = (("Upstash-Cron", "CRON_TZ=Europe/Berlin 0 4 * * *"), ("Upstash-Schedule-Id", "nightly"))
    for form in FORMS[:4]:
        assert (await send(api, form, lines)).json == {"scheduleId": "nightly"}
        schedule = await api.done("GET", "/v2/schedules/nightly")
        assert schedule["cron"] == lines[0][1]
        assert schedule["destination"] == (f"{URL}?a=1&b=2" if "query" in form else URL)
        assert schedule.get("queueName") == ("line" if "enqueue" in form else None)
        await api.done("DELETE", "/v2/schedules/nightly")


@pytest.mark.parametrize("by_query", [False, True], ids=["header", "query"])
async def test_what_belongs_together_counts_for_a_schedule_in_both_forms(api: Api, *, by_query: bool) -> None:
    lines = (
        ("Upstash-Cron", "0 4 * * *"),
        ("Upstash-Schedule-Id", "nightly"),
        ("Upstash-Flow-Control-Key", "k"),
        ("Upstash-Flow-Control-Value", "rate=2, period=1m"),
        ("Upstash-Callback", "https://c.test"),
        ("Upstash-Callback-Forward-X-A", "1"),
        ("Upstash-Failure-Callback", "https://f.test"),
        ("Upstash-Failure-Callback-Forward-X-B", "2"),
        ("Upstash-Redact-Fields", "header[X-Key]"),
        ("Upstash-Forward-X-Key", "crown"),
        ("Upstash-Queue-Name", "mail"),
    )
    parameters = "&".join(f"{name.lower()}={quote(value, safe='')}" for name, value in lines)
    target = f"/v2/schedules/{URL}?{parameters}" if by_query else f"/v2/schedules/{URL}"
    assert await api.done("POST", target, *(() if by_query else lines)) == {"scheduleId": "nightly"}
    view = {
        "cron": "0 4 * * *",
        "destination": URL,
        "flowControlKey": "k",
        "rate": 2,
        "period": 60,
        "callback": "https://c.test",
        "callbackHeader": {"X-A": ["1"]},
        "failureCallback": "https://f.test",
        "failureCallbackHeader": {"X-B": ["2"]},
        "header": {"X-Key": [f"REDACTED:{sha256(b'crown').hexdigest()}"]},
        "queueName": "mail",
    }
    assert view.items() <= (await api.done("GET", "/v2/schedules/nightly")).items()


BAD = [
    ("Upstash-Method", "HEAD"),
    ("Upstash-Timeout", "soon"),
    ("Upstash-Retries", "-1"),
    ("Upstash-Retry-Delay", "retry * 2"),
    ("Upstash-Delay", "-1s"),
    ("Upstash-Not-Before", "1.5"),
    ("Upstash-Deduplication-Id", ""),
    ("Upstash-Content-Based-Deduplication", "maybe"),
    ("Upstash-Callback", "c.test"),
    ("Upstash-Failure-Callback", "ftp://c.test"),
    ("Upstash-Callback-Method", "HEAD"),
    ("Upstash-Failure-Callback-Retries", "x"),
    ("Upstash-Label", "x" * 513),
    ("Upstash-Flow-Control-Key", "k"),
    ("Upstash-Flow-Control-Value", "rate=1"),
    ("Upstash-Redact-Fields", "everything"),
    ("Upstash-Header-Forward", "maybe"),
    ("Upstash-Queue-Name", "a b"),
    ("Upstash-Schedule-Id", "a b"),
    ("Upstash-Forward-", "x"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "value"), BAD)
async def test_a_bad_value_is_named_in_every_form(api: Api, form: str, name: str, value: str) -> None:
    reply = await send(api, form, ((name, value),))
    error = reply.json[0]["error"] if form == "batch" else reply.error
    assert reply.status == (200 if form == "batch" else 400)
    assert name.lower() in error.lower()
    assert (await api.done("GET", "/v2/events")) == {"events": []}


@pytest.mark.parametrize("form", ["header", "query", "batch"])
async def test_what_is_forwarded_and_how_reaches_the_destination(api: Api, form: str) -> None:
    lines = (("Upstash-Forward-X-Team", "pay"), ("Upstash-Method", "PUT"), ("Upstash-Timeout", "5s"))
    made(form, await send(api, form, lines))
    (request,) = await deliver(api)
    assert (request.method, request.body, request.timeout.total_seconds()) == ("PUT", b"sent", 5)
    assert line(request, "X-Team") == "pay"
    ours = {name for name, _ in request.headers if name.lower().startswith("upstash-")}
    assert ours == {"Upstash-Signature", "Upstash-Message-Id", "Upstash-Retried", "Upstash-Caller-Ip"}
