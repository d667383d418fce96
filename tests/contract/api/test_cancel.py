"""Canceling (contract 8.3, 21): every form of asking, what counts, and that nothing else is touched."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.support.api import Api, Reply, attempt, orders

from angarium.domain.messages import LeaseGrant, Lost, Response

JSON = ("Content-Type", "application/json")
LATER = ("Upstash-Delay", "1h")


async def delayed(api: Api, *urls: str, headers: tuple[tuple[str, str], ...] = ()) -> list[str]:
    return [(await api.publish(url, LATER, *headers))["messageId"] for url in urls]


async def cancel(api: Api, query: str = "", body: object = None) -> Reply:
    headers, data = ((), b"") if body is None else ((JSON,), json.dumps(body).encode())
    return await api.request("DELETE", f"/v2/messages{query}", *headers, body=data)


async def cancelled(api: Api, query: str = "", body: object = None) -> int:
    reply = await cancel(api, query, body)
    assert reply.status == 200, reply.body
    assert set(reply.json) == {"cancelled"}
    count: int = reply.json["cancelled"]
    return count


async def states(api: Api, message_id: str) -> list[str]:
    reply = await api.request("GET", f"/v2/events?messageIds={message_id}&order=earliestFirst")
    return [entry["state"] for entry in reply.json["events"]]


async def test_one_message(api: Api) -> None:
    (message_id,) = await delayed(api, "https://e.test")
    reply = await api.request("DELETE", f"/v2/messages/{message_id}")
    assert (reply.status, reply.json) == (200, {"cancelled": 1})
    assert await states(api, message_id) == ["CREATED", "CANCEL_REQUESTED", "CANCELED"]
    again = await api.request("DELETE", f"/v2/messages/{message_id}")
    assert again.status == 404
    assert message_id in again.error


async def test_a_canceled_message_is_not_there_any_more_but_its_log_is(api: Api) -> None:
    canceled, kept = await delayed(api, "https://e.test", "https://e.test")
    assert await cancelled(api, f"?messageIds={canceled}") == 1
    gone = await api.request("GET", f"/v2/messages/{canceled}")
    assert (gone.status, canceled in gone.error) == (404, True)
    assert (await api.request("GET", f"/v2/messages/{kept}")).status == 200
    assert (await states(api, canceled))[-1] == "CANCELED"


@pytest.mark.parametrize("message_id", ["msg_none", "%FF", "a,b", "%00"])
async def test_an_unknown_message(api: Api, message_id: str) -> None:
    assert (await api.request("DELETE", f"/v2/messages/{message_id}")).status in (400, 404)


async def test_a_message_that_was_delivered_or_failed_is_not_found(api: Api) -> None:
    done = await api.publish("https://e.test")
    await attempt(api, Response(200))
    dead = await api.publish("https://e.test")
    await attempt(api, Response(500))
    for ended in (done, dead):
        assert (await api.request("DELETE", f"/v2/messages/{ended['messageId']}")).status == 404
    assert await cancelled(api) == 0


@pytest.mark.parametrize("form", ["repeated", "commas", "body"])
async def test_listed_ids(api: Api, form: str) -> None:
    first, second, third = await delayed(api, "https://e.test/1", "https://e.test/2", "https://e.test/3")
    ids = [first, second, second, "msg_none"]
    query = {"repeated": "?" + "&".join(f"messageIds={each}" for each in ids), "commas": f"?messageIds={','.join(ids)}"}
    assert await cancelled(api, query.get(form, ""), {"messageIds": ids} if form == "body" else None) == 2
    assert await states(api, third) == ["CREATED"]
    assert await cancelled(api) == 1, "after 2 of 3, all is 1"
    assert await cancelled(api) == 0


async def test_listed_ids_win_over_filters_and_count(api: Api) -> None:
    first, second = await delayed(api, "https://e.test/1", "https://e.test/2")
    assert await cancelled(api, f"?messageIds={first},{second}&label=none&count=1") == 2


async def test_more_ids_than_one_transaction_takes(api: Api) -> None:
    ids = await delayed(api, *(f"https://e.test/{number}" for number in range(12)))
    unknown = [f"msg_{number}" for number in range(1200)]
    assert await cancelled(api, body={"messageIds": [*ids[:6], *unknown, *ids[6:]]}) == 12


async def test_an_empty_list_of_ids_cancels_nothing(api: Api) -> None:
    await delayed(api, "https://e.test")
    assert await cancelled(api, body={"messageIds": []}) == 0
    assert await cancelled(api) == 1


@pytest.mark.parametrize("body", [None, {}])
async def test_neither_query_nor_body_means_all(api: Api, body: object) -> None:
    await delayed(api, "https://e.test/1", "https://e.test/2")
    await api.publish("https://e.test/now")
    assert await cancelled(api, body=body) == 3


async def test_all_is_more_than_one_transaction(api: Api) -> None:
    batch = [{"destination": f"https://e.test/{number}", "headers": {"Upstash-Delay": "1h"}} for number in range(1100)]
    assert (await api.request("POST", "/v2/batch", JSON, body=json.dumps(batch).encode())).status == 200
    assert await cancelled(api) == 1100


async def test_a_count_bounds_what_one_call_cancels(api: Api) -> None:
    await delayed(api, *(f"https://e.test/{number}" for number in range(5)))
    assert [await cancelled(api, "?count=2") for _ in range(4)] == [2, 2, 1, 0]


FILTERS: list[tuple[str, dict[str, Any], int]] = [
    ("label=a", {"label": "a"}, 1),
    ("label=a&label=b", {"label": ["a", "b"]}, 2),
    ("label=a,b", {"label": "a,b"}, 2),
    ("label=a&host=b.test", {"label": "a", "host": "b.test"}, 0),
    ("url=https%3A%2F%2Fa.test%2Fin", {"url": "https://a.test/in"}, 1),
    ("host=B.test", {"host": "B.test"}, 1),
    ("host=b.test:8443", {"host": ["b.test:8443"]}, 1),
    ("path=/in", {"path": "/in"}, 4),
    ("topicName=orders", {"topicName": "orders"}, 2),
    ("queueName=line", {"queueName": "line"}, 1),
    ("flowControlKey=fast", {"flowControlKey": "fast"}, 1),
    ("callerIp=127.0.0.1", {"callerIp": "127.0.0.1"}, 6),
    ("callerIP=10.0.0.1", {"callerIP": "10.0.0.1"}, 0),
    ("scheduleId=none", {"scheduleId": "none"}, 0),
    ("fromDate=1", {"fromDate": 1}, 6),
    ("toDate=1", {"toDate": 1}, 0),
    ("path=/in&count=3&cursor=ignored", {"path": "/in", "count": 3, "cursor": "ignored"}, 3),
]


@pytest.mark.parametrize("form", ["query", "body"])
@pytest.mark.parametrize(("query", "body", "count"), FILTERS, ids=lambda given: str(given))
async def test_filters(api: Api, form: str, query: str, body: dict[str, Any], count: int) -> None:
    await api.declare(("orders", orders()))
    await api.publish("https://a.test/in", LATER, ("Upstash-Label", "a,c"))
    await api.publish("https://b.test:8443/in?x=1", LATER, ("Upstash-Label", "b"))
    await api.publish("orders", LATER)
    flow = (("Upstash-Flow-Control-Key", "fast"), ("Upstash-Flow-Control-Value", "rate=1"))
    await api.publish("https://three.test/flow", LATER, *flow)
    await api.request("POST", "/v2/enqueue/line/https://four.test/queue", LATER)
    if form == "query":
        assert await cancelled(api, f"?{query}") == count
    else:
        assert await cancelled(api, body=body) == count
    assert await cancelled(api) == 6 - count


async def test_dates_are_those_of_acceptance(api: Api) -> None:
    await delayed(api, "https://e.test/1")
    api.clock.time += timedelta(seconds=1)
    since = int(api.clock.now().timestamp() * 1000)
    (second,) = await delayed(api, "https://e.test/2")
    assert await cancelled(api, f"?fromDate={since}&toDate={since}") == 1
    assert (await states(api, second))[-1] == "CANCELED"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("lable=a", "lable"),
        ("messageId=msg_1", "messageId"),
        ("state=CREATED", "state"),
        ("dlqIds=1-0", "dlqIds"),
        ("order=latestFirst", "order"),
        ("label=", "label"),
        ("count=0", "count"),
        ("count=501", "count"),
        ("fromDate=now", "fromDate"),
    ],
)
async def test_a_filter_that_does_not_exist_cancels_nothing(api: Api, query: str, field: str) -> None:
    (message_id,) = await delayed(api, "https://e.test")
    reply = await cancel(api, f"?label=a&{query}" if field != "label" else f"?{query}")
    assert (reply.status, reply.error.partition(":")[0]) == (400, field)
    name, _, value = query.partition("=")
    in_body = await cancel(api, body={name: value})
    assert (in_body.status, in_body.error.partition(":")[0]) == (400, field)
    assert await states(api, message_id) == ["CREATED"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'{"label": null}', b'{"all": true}', b"\xff"])
async def test_a_body_that_is_no_object_of_filters_cancels_nothing(api: Api, body: bytes) -> None:
    (message_id,) = await delayed(api, "https://e.test")
    reply = await api.request("DELETE", "/v2/messages", JSON, body=body)
    assert reply.status == 400
    assert "body" in reply.error
    assert await states(api, message_id) == ["CREATED"]


async def test_the_token_in_the_query_is_no_filter(api: Api) -> None:
    await delayed(api, "https://e.test")
    reply = await api.request("DELETE", "/v2/messages?qstash_token=secret-token==", ("Authorization", "none"))
    assert (reply.status, reply.json) == (200, {"cancelled": 1})


async def test_a_message_that_waits_for_a_retry_counts(api: Api) -> None:
    published = await api.publish("https://e.test")
    await attempt(api, Response(500), more=True)
    assert await cancelled(api) == 1
    assert (await states(api, published["messageId"]))[-2:] == ["CANCEL_REQUESTED", "CANCELED"]


async def test_a_message_in_flight_is_canceled_at_once_and_its_outcome_is_not_written(api: Api) -> None:
    published = await api.publish("https://e.test")
    claim = await api.store.claim(LeaseGrant("test", until=1e12, room=1, lane_room=1), api.clock.now())
    assert len(claim.leased) == 1
    assert await cancelled(api) == 1
    renewed = await api.store.renew(claim.leased, 1e12)
    assert renewed == [Lost.ENDED], "whoever holds it in memory finds that it is gone"
    assert (await states(api, published["messageId"]))[-1] == "CANCELED"
    assert await cancelled(api) == 0


async def test_whoever_holds_messages_is_woken(api: Api) -> None:
    await delayed(api, "https://e.test")
    before = api.dispatch.wakes
    assert await cancelled(api, "?label=none") == 0
    assert api.dispatch.wakes == before
    assert await cancelled(api) == 1
    assert api.dispatch.wakes > before
