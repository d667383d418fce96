"""Publishing with options (contract 3.2, 4.1–4.8, 8.1): what goes in comes back from GET /v2/messages."""

import asyncio
from datetime import timedelta
from urllib.parse import quote

import pytest
from tests.support.api import PUBLISH_ONLY_TOKEN, TOKEN, Api, orders

from angarium.domain.declarations import Endpoint, Topic, TopicMember
from angarium.domain.notices import Accepted

URL = "https://e.test/x"


async def test_a_plain_message_has_the_defaults(api: Api) -> None:
    published = await api.publish(URL)
    assert set(published) == {"messageId", "url"}
    assert published["messageId"].startswith("msg_")
    now_ms = int(api.clock.now().timestamp() * 1000)
    assert await api.message(published["messageId"]) == {
        "messageId": published["messageId"],
        "url": URL,
        "method": "POST",
        "maxRetries": 3,
        "notBefore": now_ms,
        "createdAt": now_ms,
        "callerIP": "127.0.0.1",
        "callerIp": "127.0.0.1",
    }


OPTIONS = [
    ("Upstash-Method", "put", {"method": "PUT"}),
    ("Upstash-Retries", "0", {"maxRetries": 0}),
    ("Upstash-Retry-Delay", "pow(2, retried) * 1000", {"retryDelayExpression": "pow(2, retried) * 1000"}),
    ("Upstash-Label", " a, b,,", {"label": "a", "labels": ["a", "b"]}),
    ("Upstash-Forward-x-team-ID", "a, b", {"header": {"X-Team-Id": ["a, b"]}}),
    ("Upstash-Callback", "https://c.test/done?x=1", {"callback": "https://c.test/done?x=1"}),
    ("Upstash-Failure-Callback", "https://f.test", {"failureCallback": "https://f.test"}),
    ("Upstash-Queue-Name", "mail", {"queueName": "mail"}),
]


@pytest.mark.parametrize(("name", "value", "view"), OPTIONS)
async def test_options_as_headers(api: Api, name: str, value: str, view: dict[str, object]) -> None:
    published = await api.publish(URL, (name.lower(), value))
    assert view.items() <= (await api.message(published["messageId"])).items()


@pytest.mark.parametrize(("name", "value", "view"), OPTIONS)
async def test_options_as_query_parameters(api: Api, name: str, value: str, view: dict[str, object]) -> None:
    parameter = f"{name.lower()}={value.replace(' ', '+').replace(',', '%2C')}"
    published = await api.publish(f"{URL}?a=1&{parameter}&b=2")
    message = await api.message(published["messageId"])
    assert view.items() <= message.items()
    assert message["url"] == f"{URL}?a=1&b=2"


async def test_options_that_belong_together_as_headers_or_parameters(api: Api) -> None:
    lines = (
        ("Upstash-Flow-Control-Key", "k 1"),
        ("Upstash-Flow-Control-Value", "parallelism=3, rate=4, period=2s"),
        ("Upstash-Callback", "https://c.test"),
        ("Upstash-Callback-Forward-x-a", "b"),
        ("Upstash-Failure-Callback", "https://f.test"),
        ("Upstash-Failure-Callback-Forward-x-c", "d"),
        ("Upstash-Failure-Callback-Something", "ignored"),
    )
    view = {
        "flowControlKey": "k 1",
        "parallelism": 3,
        "rate": 4,
        "period": 2,
        "callback": "https://c.test",
        "callbackHeader": {"X-A": ["b"]},
        "failureCallback": "https://f.test",
        "failureCallbackHeader": {"X-C": ["d"]},
    }
    query = "&".join(f"{name.lower()}={quote(value)}" for name, value in lines)
    for published in (await api.publish(URL, *lines), await api.publish(f"{URL}?{query}&a=1")):
        assert view.items() <= (await api.message(published["messageId"])).items()


async def test_redacted_fields_are_seen_by_nobody_but_sent(api: Api) -> None:
    api.dispatch.room = 1
    published = await api.publish(
        URL, ("Upstash-Redact-Fields", "body,header[X-Key]"), ("Upstash-Forward-X-Key", "secret-1"), body=b"secret-2"
    )
    for target in (f"/v2/messages/{published['messageId']}", "/v2/events"):
        reply = await api.request("GET", target)
        assert b"REDACTED:" in reply.body
        assert b"secret" not in reply.body
    [(_, [leased])] = api.dispatch.offered
    assert (leased.message.body, leased.message.headers[0].value) == (b"secret-2", "secret-1")


HOOK = (("X-Event", "push"), ("User-Agent", "hook"), ("Accept-Encoding", "gzip"), ("Content-Type", "application/json"))


async def test_header_forward_passes_all_headers_on_but_not_our_token(api: Api) -> None:
    published = await api.publish(URL, *HOOK, ("Upstash-Header-Forward", "true"), ("Upstash-Telemetry-Sdk", "x"))
    message = await api.message(published["messageId"])
    assert message["header"] == {"X-Event": ["push"], "Content-Type": ["application/json"]}


async def test_header_forward_as_a_parameter_passes_a_strangers_authorization_on(api: Api) -> None:
    target = f"{URL}?qstash_token={TOKEN}&upstash-header-forward=true"
    published = await api.publish(target, *HOOK, ("Authorization", "Bearer of-the-receiver"))
    message = await api.message(published["messageId"])
    assert message["url"] == URL
    assert message["header"] == {
        "X-Event": ["push"],
        "Content-Type": ["application/json"],
        "Authorization": ["Bearer of-the-receiver"],
    }


async def test_a_delayed_callback_is_for_messages_outside_queues(api: Api) -> None:
    delayed = (("Upstash-Callback", "https://c.test"), ("Upstash-Callback-Delay", "5s"))
    await api.publish(URL, *delayed)
    for target in (f"/v2/enqueue/q/{URL}", f"/v2/publish/{URL}?upstash-queue-name=q"):
        reply = await api.request("POST", target, *delayed)
        assert reply.status == 400
        assert "Upstash-Callback-Delay: " in reply.error


@pytest.mark.parametrize(
    "target", [f"/v2/publish/{URL}", f"/v2/enqueue/q/{URL}", f"/v2/publish/{URL}?upstash-retries=2"]
)
async def test_a_cron_makes_a_schedule_of_a_publish(api: Api, target: str) -> None:
    made = await api.request("POST", target, ("Upstash-Cron", "0 4 * * *"), ("Upstash-Schedule-Id", "nightly"))
    assert (made.status, made.json) == (200, {"scheduleId": "nightly"})
    schedule = (await api.request("GET", "/v2/schedules/nightly")).json
    assert (schedule["cron"], schedule["destination"]) == ("0 4 * * *", URL)
    assert schedule.get("queueName") == ("q" if "enqueue" in target else None)
    assert (await api.request("GET", "/v2/events")).json == {"events": []}


async def test_a_token_that_may_only_publish_makes_no_schedule(api: Api) -> None:
    bearer = ("Authorization", f"Bearer {PUBLISH_ONLY_TOKEN}")
    reply = await api.request("POST", f"/v2/publish/{URL}", bearer, ("Upstash-Cron", "0 4 * * *"))
    assert reply.status == 403
    assert (await api.request("GET", "/v2/schedules")).json == []


@pytest.mark.parametrize("rest", [URL, f"{URL}?upstash-timeout=1s"])
async def test_the_timeout_is_in_milliseconds_in_the_log(api: Api, rest: str) -> None:
    published = await api.publish(rest, ("Upstash-Timeout", "1.5s"))
    reply = await api.request("GET", f"/v2/events?messageId={published['messageId']}")
    assert [entry["timeout"] for entry in reply.json["events"]] == [1500]


@pytest.mark.parametrize(
    ("headers", "rest", "later"),
    [
        ([("Upstash-Delay", "1d10h")], URL, timedelta(days=1, hours=10)),
        ([], f"{URL}?upstash-delay=90", timedelta(seconds=90)),
        ([("Upstash-Not-Before", "{now+60}")], URL, timedelta(seconds=60)),
        ([("Upstash-Not-Before", "{now+60}"), ("Upstash-Delay", "5s")], URL, timedelta(seconds=60)),
        ([("Upstash-Not-Before", "1")], URL, timedelta(0)),
    ],
)
async def test_delayed_messages(api: Api, headers: list[tuple[str, str]], rest: str, later: timedelta) -> None:
    at = str(int(api.clock.now().timestamp()) + 60)
    published = await api.publish(rest, *((name, value.replace("{now+60}", at)) for name, value in headers))
    message = await api.message(published["messageId"])
    assert message["notBefore"] == message["createdAt"] + later // timedelta(milliseconds=1)
    [entry] = (await api.request("GET", "/v2/events")).json["events"]
    assert entry.get("nextDeliveryTime", message["createdAt"]) == message["notBefore"]


async def test_the_header_map_holds_forwarded_headers_and_the_content_type_alone(api: Api) -> None:
    published = await api.publish(
        URL,
        ("Content-Type", "application/json"),
        ("upstash-forward-bypass-tunnel-reminder", "true"),
        ("Upstash-Forward-Test-Header", "one"),
        ("upstash-forward-test-header", "two"),
        ("Upstash-Telemetry-Sdk", "js"),
        ("Upstash-Workflow-RunId", "1"),
        ("User-Agent", "curl"),
        ("Accept", "*/*"),
        ("X-Own", "1"),
        body=b"{}",
    )
    assert (await api.message(published["messageId"]))["header"] == {
        "Content-Type": ["application/json"],
        "Bypass-Tunnel-Reminder": ["true"],
        "Test-Header": ["one", "two"],
    }


async def test_a_forwarded_content_type_wins(api: Api) -> None:
    published = await api.publish(URL, ("Content-Type", "text/plain"), ("Upstash-Forward-Content-Type", "text/xml"))
    assert (await api.message(published["messageId"]))["header"] == {"Content-Type": ["text/xml"]}


async def test_text_in_headers_is_utf_8_or_refused(api: Api) -> None:
    published = await api.publish(URL, ("Upstash-Forward-X", "größe"), ("Upstash-Label", "größe"))
    message = await api.message(published["messageId"])
    assert (message["header"], message["label"]) == ({"X": ["größe"]}, "größe")
    for name in ("Upstash-Forward-X", "Upstash-Label", "Upstash-Retry-Delay", "Upstash-Method"):
        reply = await api.request("POST", f"/v2/publish/{URL}", (name, "gr\udcf6\udcdfe"))
        assert reply.status == 400
        assert reply.error.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("body", "view"),
    [(b"", {}), ("größe\x00".encode(), {"body": "größe\x00"}), (b"\xff\xfe", {"bodyBase64": "//4="})],
)
async def test_bodies_are_opaque_bytes(api: Api, body: bytes, view: dict[str, str]) -> None:
    published = await api.publish(URL, ("Content-Encoding", "gzip"), body=body)
    message = await api.message(published["messageId"])
    assert {key: message[key] for key in ("body", "bodyBase64") if key in message} == view
    assert "header" not in message


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Upstash-Method", "HEAD", 400),
        ("Upstash-Timeout", "0s", 400),
        ("Upstash-Timeout", "3h", 412),
        ("Upstash-Retries", "-1", 400),
        ("Upstash-Retries", "101", 412),
        ("Upstash-Retry-Delay", "pow(2", 400),
        ("Upstash-Retry-Delay", "(" * 900, 400),
        ("Upstash-Delay", "soon", 400),
        ("Upstash-Delay", "9999d", 412),
        ("Upstash-Not-Before", "1.5", 400),
        ("Upstash-Not-Before", "99999999999999999999", 412),
        ("Upstash-Label", "x" * 513, 400),
        ("Upstash-Callback", "c.test", 400),
        ("Upstash-Failure-Callback", "ftp://c.test", 400),
        ("Upstash-Callback", "http://169.254.169.254/", 400),
        ("Upstash-Callback-Retries", "x", 400),
        ("Upstash-Flow-Control-Value", "rate=1", 400),
        ("Upstash-Flow-Control-Key", "endpoint/billing", 400),
        ("Upstash-Deduplication-Id", "", 400),
        ("Upstash-Content-Based-Deduplication", "maybe", 400),
        ("Upstash-Redact-Fields", "everything", 400),
        ("Upstash-Header-Forward", "maybe", 400),
        ("Upstash-Cron", "soon", 400),
        ("Upstash-Schedule-Id", "a b", 400),
        ("Upstash-Queue-Name", "a b", 400),
    ],
)
async def test_refused_options_are_named_and_nothing_is_stored(api: Api, name: str, value: str, status: int) -> None:
    reply = await api.request("POST", f"/v2/publish/{URL}", (name, value))
    assert reply.status == status
    assert name in reply.error
    query = await api.request("POST", f"/v2/publish/{URL}?{name.lower()}={value.replace(' ', '+')}")
    assert query.status == status
    assert name.lower() in query.error.lower()
    assert (await api.request("GET", "/v2/events")).json == {"events": []}


async def test_a_publish_to_a_topic_takes_what_its_endpoints_say_unless_told_otherwise(api: Api) -> None:
    await api.declare(
        ("billing", Endpoint("https://billing.test/hook")),
        ("both", Topic((TopicMember("b", endpoint="billing"), TopicMember("u", url="https://u.test")))),
    )
    published = await api.publish("both", ("Upstash-Method", "PATCH"))
    assert [item["url"] for item in published] == ["https://billing.test/hook", "https://u.test"]
    assert {(await api.message(item["messageId"]))["method"] for item in published} == {"PATCH"}


async def test_an_endpoint_is_no_publish_destination(api: Api) -> None:
    await api.declare(("billing", Endpoint("https://billing.test/hook")))
    assert (await api.request("POST", "/v2/publish/billing")).status == 404


async def test_many_publishers_at_once_get_their_own_messages(api: Api) -> None:
    async def one(number: int) -> tuple[int, str]:
        published = await api.publish(f"https://e.test/{number}", body=str(number).encode())
        message = await api.message(published["messageId"])
        assert (message["url"], message["body"]) == (f"https://e.test/{number}", str(number))
        return number, published["messageId"]

    ids = dict(await asyncio.gather(*(one(number) for number in range(50))))
    assert len(set(ids.values())) == 50


async def test_observers_and_the_dispatcher_are_told_of_what_was_stored(api: Api) -> None:
    await api.declare(("orders", orders()))
    published = await api.publish("orders")
    accepted = [notice for notice in api.watcher.notices if isinstance(notice, Accepted)]
    assert [notice.message.id for notice in accepted] == [item["messageId"] for item in published]
    assert [grant for grant, _ in api.dispatch.offered] == api.dispatch.granted
    assert api.dispatch.wakes == 1
