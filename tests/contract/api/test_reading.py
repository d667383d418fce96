"""Messages, log and dead letters as they are read (contract 5, 6, 8.2, 9.1, 15, 21)."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.api import Api, attempt, orders

from angarium.domain.messages import Response

SERVER_ERROR = Response(500, (("content-type", "text/plain"), ("X-A", "1"), ("x-a", "2")), b"broken")
OK = Response(200, (), b"thanks")


async def get(api: Api, target: str) -> Any:
    reply = await api.request("GET", target)
    assert reply.status == 200, reply.body
    return reply.json


async def states(api: Api, query: str) -> list[str]:
    return [entry["state"] for entry in (await get(api, f"/v2/events?{query}"))["events"]]


async def test_a_life_in_the_log(api: Api) -> None:
    published = await api.publish(
        "https://e.test/x",
        ("Upstash-Retry-Delay", "1000"),
        ("Upstash-Label", "a,b"),
        ("Upstash-Forward-X", "1"),
        body=b'{"n":1}',
    )
    await attempt(api, SERVER_ERROR, more=True)
    await attempt(api, OK)
    events = (await get(api, "/v2/events?order=earliestFirst"))["events"]
    assert [event["state"] for event in events] == ["CREATED", "ACTIVE", "ERROR", "RETRY", "ACTIVE", "DELIVERED"]
    for event in events:
        assert event["messageId"] == published["messageId"]
        assert event["url"] == "https://e.test/x"
        assert event["method"] == "POST"
        assert event["header"] == {"X": ["1"]}
        assert event["body"] == "eyJuIjoxfQ=="
        assert event["retryDelayExpr"] == event["retryDelayExpression"] == "1000"
        assert (event["label"], event["labels"]) == ("a", ["a", "b"])
        assert (event["timeout"], event["maxRetries"]) == (900_000, 3)
        assert isinstance(event["time"], int)
        assert None not in event.values()
    failed, retried = events[2], events[3]
    assert (failed["responseStatus"], failed["responseBody"]) == (500, "YnJva2Vu")
    assert failed["responseHeader"] == failed["responseHeaders"] == {"Content-Type": ["text/plain"], "X-A": ["1", "2"]}
    assert retried["nextDeliveryTime"] == failed["time"] + 1000
    assert [event for event in events if "responseStatus" in event] == [failed]


async def test_both_log_routes_say_the_same_under_their_own_key(api: Api) -> None:
    await api.publish("https://e.test")
    events, logs = await get(api, "/v2/events"), await get(api, "/v2/logs")
    assert (set(events), set(logs)) == ({"events"}, {"logs"})
    assert events["events"] == logs["logs"] != []


async def test_a_message_id_with_a_state_is_one_entry(api: Api) -> None:
    first, second = await api.publish("https://e.test/1"), await api.publish("https://e.test/2")
    await attempt(api, OK)
    for published in (first, second):
        assert await states(api, f"state=DELIVERED&messageId={published['messageId']}") == ["DELIVERED"]
    assert len(await states(api, f"messageIds={first['messageId']},{second['messageId']}&label=none")) == 6
    assert await states(api, "messageIds=msg_none") == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("CREATED", {"CREATED"}),
        ("IN_PROGRESS", {"ACTIVE", "ERROR", "RETRY"}),
        ("FAILED", {"FAILED"}),
        ("DELIVERED", set()),
        ("CANCELLED", set()),
        ("CANCEL_REQUESTED", set()),
    ],
)
async def test_a_state_filter_is_about_entries(api: Api, state: str, expected: set[str]) -> None:
    await api.publish("https://e.test")
    await attempt(api, SERVER_ERROR, more=True)
    await attempt(api, SERVER_ERROR)
    assert set(await states(api, f"state={state}")) == expected


@pytest.mark.parametrize(
    ("query", "urls"),
    [
        ("label=a", {"https://a.test:8443/in?x=1"}),
        ("label=b&label=c", {"https://a.test:8443/in?x=1", "https://c.test/in"}),
        ("label=b,c", {"https://a.test:8443/in?x=1", "https://c.test/in"}),
        ("label=a&label=c&host=c.test", {"https://c.test/in"}),
        ("url=https%3A%2F%2Fa.test%3A8443%2Fin%3Fx%3D1", {"https://a.test:8443/in?x=1"}),
        ("host=A.test", {"https://a.test:8443/in?x=1"}),
        ("host=a.test:8443", {"https://a.test:8443/in?x=1"}),
        (
            "path=/in",
            {"https://a.test:8443/in?x=1", "https://c.test/in", "https://one.test/in", "https://two.test/in?x=1"},
        ),
        ("topicName=orders", {"https://one.test/in", "https://two.test/in?x=1"}),
        ("scheduleId=none", set()),
        ("queueName=line", {"https://four.test/queue"}),
        ("queueName=line&queueName=other&label=c", set()),
        ("flowControlKey=fast,slow", {"https://five.test/flow"}),
        ("callerIp=127.0.0.1&label=c", {"https://c.test/in"}),
        ("callerIP=10.0.0.1", set()),
        ("unknown=x&label=c", {"https://c.test/in"}),
    ],
)
async def test_log_filters(api: Api, query: str, urls: set[str]) -> None:
    await api.declare(("orders", orders()))
    await api.publish("https://a.test:8443/in?x=1", ("Upstash-Label", "a,b"))
    await api.publish("https://c.test/in", ("Upstash-Label", "c"))
    await api.publish("orders")
    await api.request("POST", "/v2/enqueue/line/https://four.test/queue")
    flow = (("Upstash-Flow-Control-Key", "fast"), ("Upstash-Flow-Control-Value", "rate=1"))
    await api.publish("https://five.test/flow", *flow)
    assert {event["url"] for event in (await get(api, f"/v2/events?{query}"))["events"]} == urls


async def test_dates_are_inclusive_milliseconds(api: Api) -> None:
    start = int(api.clock.now().timestamp() * 1000)
    for number in range(3):
        await api.publish(f"https://e.test/{number}")
        api.clock.time += timedelta(milliseconds=1)
    found = await get(api, f"/v2/logs?fromDate={start + 1}&toDate={start + 2}&order=earliestFirst")
    assert [entry["url"] for entry in found["logs"]] == ["https://e.test/1", "https://e.test/2"]


@pytest.mark.parametrize("order", ["", "&order=latestFirst", "&order=earliestFirst"])
async def test_pages_have_a_cursor_except_the_last(api: Api, order: str) -> None:
    for number in range(5):
        await api.publish(f"https://e.test/{number}")
    seen: list[str] = []
    cursor = ""
    for size in (2, 2, 1):
        page = await get(api, f"/v2/events?count=2{order}{cursor}")
        seen += [entry["url"][-1] for entry in page["events"]]
        assert len(page["events"]) == size
        assert ("cursor" in page) == (size == 2)
        cursor = f"&cursor={page['cursor']}" if size == 2 else ""
        assert isinstance(page.get("cursor", ""), str)
    assert seen == (list("01234") if "earliest" in order else list("43210"))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("cursor=%2Fetc", "cursor"),
        ("count=1001", "count"),
        ("count=x", "count"),
        ("state=DONE", "state"),
        ("fromDate=x", "fromDate"),
        ("order=up", "order"),
        ("label=%FF%00,", "label"),
    ],
)
async def test_bad_log_parameters_are_named(api: Api, query: str, field: str) -> None:
    reply = await api.request("GET", f"/v2/logs?{query}")
    assert (reply.status, reply.error.partition(":")[0]) == (400, field)


@pytest.mark.parametrize(
    "response", [SERVER_ERROR, Response(302), Response(489, (("Upstash-NonRetryable-Error", "true"),))]
)
async def test_errors_and_failures_tell_their_reason(api: Api, response: Response) -> None:
    await api.publish("https://e.test/x", ("Upstash-Retries", "0"))
    await attempt(api, response)
    reasons = {event["state"]: event.get("error") for event in (await get(api, "/v2/events"))["events"]}
    told = f"the destination answered with status {response.status}"
    assert reasons == {"FAILED": told, "ERROR": told, "ACTIVE": None, "CREATED": None}
    [letter] = (await get(api, "/v2/dlq"))["messages"]
    assert "error" not in letter, "there it is of the transport only"


async def test_a_message_that_ended_can_still_be_read(api: Api) -> None:
    published = await api.publish("https://e.test", body=b"x")
    await attempt(api, OK)
    assert (await api.message(published["messageId"]))["body"] == "x"


async def test_a_dead_letter(api: Api) -> None:
    published = await api.publish("https://e.test/x", ("Upstash-Retries", "0"), ("Upstash-Label", "a"), body=b"in")
    await attempt(api, SERVER_ERROR)
    [letter] = (await get(api, "/v2/dlq"))["messages"]
    dlq_id = letter.pop("dlqId")
    assert isinstance(dlq_id, str)
    message = await api.message(published["messageId"])
    assert message.items() <= letter.items()
    assert (letter["maxRetries"], letter["body"], letter["responseStatus"]) == (0, "in", 500)
    assert letter["responseBody"] == "broken"
    assert letter["responseHeader"] == {"Content-Type": ["text/plain"], "X-A": ["1", "2"]}
    for found in (f"dlqIds={dlq_id}", f"messageId={published['messageId']}", "responseStatus=500", "label=a"):
        assert len((await get(api, f"/v2/dlq?{found}"))["messages"]) == 1
    for absent in ("dlqIds=1-0", "messageId=msg_0", "responseStatus=404", "label=b", "topicName=t", "toDate=1"):
        assert await get(api, f"/v2/dlq?{absent}") == {"messages": []}


async def test_a_dead_letter_without_a_response_has_status_0(api: Api) -> None:
    await api.publish("https://e.test/x")
    await attempt(api, None, error="no answer within 15m")
    [letter] = (await get(api, "/v2/dlq"))["messages"]
    assert letter["responseStatus"] == 0
    assert "no answer within 15m" in letter["error"]
    assert not {"responseBody", "responseHeader", "responseBodyBase64"} & set(letter)


async def test_dead_letters_newest_first_in_pages(api: Api) -> None:
    for number in range(3):
        await api.publish(f"https://e.test/{number}")
        await attempt(api, SERVER_ERROR)
    first = await get(api, "/v2/dlq?count=2")
    assert [letter["url"][-1] for letter in first["messages"]] == ["2", "1"]
    last = await get(api, f"/v2/dlq?count=2&cursor={first['cursor']}")
    assert [letter["url"][-1] for letter in last["messages"]] == ["0"]
    assert "cursor" not in last


@pytest.mark.parametrize(
    "query",
    ["lable=a", "host=a", "path=/", "messageIds=m", "state=FAILED", "count=101"],
)
async def test_unknown_dead_letter_filters_are_refused_by_name(api: Api, query: str) -> None:
    reply = await api.request("GET", f"/v2/dlq?{query}")
    assert (reply.status, reply.error.partition(":")[0]) == (400, query.partition("=")[0])
