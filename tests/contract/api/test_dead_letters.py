"""The dead letter queue over HTTP (contract 9, 15.3): read, deleted, and published anew."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.support.api import Api, Reply, attempt, orders

from angarium.domain.messages import Response
from angarium.domain.notices import Accepted

JSON = ("Content-Type", "application/json")
BROKEN = Response(500, (("X-Why", "broken"),), b"no")
NO_RETRY = ("Upstash-Retries", "0")


async def die(api: Api, *urls: str, headers: tuple[tuple[str, str], ...] = (), body: bytes = b"in") -> list[str]:
    """Messages that fail, one after the other; ids of their dead letters, the oldest first."""
    for url in urls:
        await api.publish(url, NO_RETRY, *headers, body=body)
        await attempt(api, BROKEN)
    return [letter["dlqId"] for letter in (await letters(api, "?order=earliestFirst"))[-len(urls) :]]


async def letters(api: Api, query: str = "") -> list[dict[str, Any]]:
    reply = await api.request("GET", f"/v2/dlq{query}")
    assert reply.status == 200, reply.body
    found: list[dict[str, Any]] = reply.json["messages"]
    return found


async def ask(api: Api, method: str, target: str, body: object = None, *headers: tuple[str, str]) -> Reply:
    if body is None:
        return await api.request(method, target, *headers)
    return await api.request(method, target, JSON, *headers, body=json.dumps(body).encode())


async def test_one_letter_by_id(api: Api) -> None:
    (dlq_id,) = await die(api, "https://e.test/x")
    reply = await api.request("GET", f"/v2/dlq/{dlq_id}")
    assert reply.status == 200
    assert [reply.json] == await letters(api)
    assert (reply.json["dlqId"], reply.json["responseStatus"]) == (dlq_id, 500)
    assert (reply.json["responseHeader"], reply.json["responseBody"]) == ({"X-Why": ["broken"]}, "no")


@pytest.mark.parametrize("dlq_id", ["1-0", "none", "%00", "1-0,2-0", "99999999999999999999-1"])
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("POST", "retry/")])
async def test_an_unknown_letter(api: Api, method: str, path: str, dlq_id: str) -> None:
    await die(api, "https://e.test")
    reply = await api.request(method, f"/v2/dlq/{path}{dlq_id}")
    assert reply.status == 404
    assert reply.error
    assert len(await letters(api)) == 1


async def test_a_letter_is_deleted_once(api: Api) -> None:
    first, second = await die(api, "https://e.test/1", "https://e.test/2")
    assert (await api.request("DELETE", f"/v2/dlq/{first}")).status == 200
    assert (await api.request("DELETE", f"/v2/dlq/{first}")).status == 404
    assert (await api.request("GET", f"/v2/dlq/{first}")).status == 404
    assert [letter["dlqId"] for letter in await letters(api)] == [second]


FILTERS: list[tuple[str, dict[str, Any], set[int]]] = [
    ("label=a", {"label": "a"}, {0}),
    ("label=a&label=b", {"label": ["a", "b"]}, {0, 1}),
    ("label=a&url=https%3A%2F%2Ftwo.test%2Fin", {"label": "a", "url": "https://two.test/in"}, set()),
    ("url=https%3A%2F%2Ftwo.test%2Fin", {"url": "https://two.test/in"}, {1}),
    ("topicName=orders", {"topicName": "orders"}, {2, 3}),
    ("queueName=line", {"queueName": "line"}, {4}),
    ("flowControlKey=fast", {"flowControlKey": "fast"}, {5}),
    ("responseStatus=500", {"responseStatus": 500}, {0, 1, 2, 3, 4, 5}),
    ("responseStatus=404,0", {"responseStatus": [404, 0]}, set()),
    ("scheduleId=none", {"scheduleId": "none"}, set()),
    ("callerIp=127.0.0.1", {"callerIp": "127.0.0.1"}, {0, 1, 2, 3, 4, 5}),
    ("callerIP=10.0.0.1", {"callerIP": "10.0.0.1"}, set()),
    ("toDate=1", {"toDate": 1}, set()),
]


async def variety(api: Api) -> list[str]:
    """Six dead letters; their ids, the oldest first."""
    await api.declare(("orders", orders()))
    await die(api, "https://one.test/in", headers=(("Upstash-Label", "a,c"),))
    await die(api, "https://two.test/in", headers=(("Upstash-Label", "b"),))
    await die(api, "orders")
    await api.request("POST", "/v2/enqueue/line/https://four.test/queue", NO_RETRY)
    await attempt(api, BROKEN)
    flow = (("Upstash-Flow-Control-Key", "fast"), ("Upstash-Flow-Control-Value", "rate=1"))
    await die(api, "https://five.test/flow", headers=flow)
    return [letter["dlqId"] for letter in await letters(api, "?order=earliestFirst")]


@pytest.mark.parametrize(("query", "body", "found"), FILTERS, ids=lambda given: str(given))
async def test_the_same_filters_on_every_route(api: Api, query: str, body: dict[str, Any], found: set[int]) -> None:
    ids = await variety(api)
    listed = [letter["dlqId"] for letter in await letters(api, f"?{query}")]
    assert set(listed) == {ids[each] for each in found}
    retried = await ask(api, "POST", "/v2/dlq/retry", body)
    assert (retried.status, len(retried.json["responses"])) == (201, len(found))
    assert (await ask(api, "DELETE", "/v2/dlq", body)).json == {"deleted": 0}
    left = [letter["dlqId"] for letter in await letters(api)]
    assert set(left) == set(ids) - {ids[each] for each in found}


@pytest.mark.parametrize("form", ["query", "body"])
async def test_deleting_by_filter(api: Api, form: str) -> None:
    ids = await variety(api)
    reply = (
        await ask(api, "DELETE", "/v2/dlq?label=a&label=b")
        if form == "query"
        else await ask(api, "DELETE", "/v2/dlq", {"label": ["a", "b"]})
    )
    assert reply.json == {"deleted": 2}
    assert {letter["dlqId"] for letter in await letters(api)} == set(ids[2:])


@pytest.mark.parametrize("form", ["repeated", "commas", "body"])
async def test_deleting_listed_letters_skips_those_that_do_not_exist(api: Api, form: str) -> None:
    first, second, third = await die(api, "https://e.test/1", "https://e.test/2", "https://e.test/3")
    ids = [first, second, "1-0", "x"]
    queries = {"repeated": "?" + "&".join(f"dlqIds={each}" for each in ids), "commas": f"?dlqIds={','.join(ids)}"}
    body = {"dlqIds": ids} if form == "body" else None
    reply = await ask(api, "DELETE", f"/v2/dlq{queries.get(form, '')}", body)
    assert (reply.status, reply.json) == (200, {"deleted": 2})
    assert [letter["dlqId"] for letter in await letters(api)] == [third]
    assert (await ask(api, "DELETE", "/v2/dlq", {"dlqIds": ids})).json == {"deleted": 0}


async def test_an_empty_list_of_ids_selects_nothing(api: Api) -> None:
    await die(api, "https://e.test")
    assert (await ask(api, "DELETE", "/v2/dlq", {"dlqIds": []})).json == {"deleted": 0}
    reply = await ask(api, "POST", "/v2/dlq/retry", {"dlqIds": []})
    assert (reply.status, reply.json) == (201, {"responses": []})
    assert len(await letters(api)) == 1


async def test_deleting_all_page_by_page(api: Api) -> None:
    await die(api, *(f"https://e.test/{number}" for number in range(5)))
    seen = []
    cursor = ""
    for _ in range(3):
        page = (await ask(api, "DELETE", f"/v2/dlq?count=2{cursor}")).json
        seen.append((page["deleted"], "cursor" in page))
        cursor = f"&cursor={page.get('cursor', '')}"
    assert seen == [(2, True), (2, True), (1, False)]
    assert await letters(api) == []
    assert (await ask(api, "DELETE", "/v2/dlq")).json == {"deleted": 0}


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
@pytest.mark.parametrize(
    "query", ["lable=a", "host=e.test", "path=/", "messageIds=m", "state=FAILED", "count=101", "count=0", "cursor=x"]
)
async def test_a_filter_that_does_not_exist_is_refused(api: Api, method: str, query: str) -> None:
    await die(api, "https://e.test")
    reply = await api.request(method, f"/v2/dlq{'/retry' if method == 'POST' else ''}?{query}")
    assert (reply.status, reply.error.partition(":")[0]) == (400, query.partition("=")[0])
    assert len(await letters(api)) == 1


async def test_a_retry_is_a_new_message_like_the_old_one(api: Api) -> None:
    options = (
        ("Upstash-Method", "PUT"),
        ("Upstash-Forward-X-A", "1"),
        ("Upstash-Label", "a,b"),
        ("Upstash-Retry-Delay", "1000"),
        ("Upstash-Callback", "https://cb.test"),
        ("Upstash-Failure-Callback", "https://failed.test"),
        ("Upstash-Failure-Callback-Forward-X-F", "2"),
        ("Upstash-Flow-Control-Key", "k"),
        ("Upstash-Flow-Control-Value", "rate=100"),
    )
    (dlq_id,) = [one for one in await die(api, "https://e.test/x?y=1", headers=options)]
    before = (await api.request("GET", f"/v2/dlq/{dlq_id}")).json
    api.clock.time += timedelta(minutes=1)
    reply = await api.request("POST", f"/v2/dlq/retry/{dlq_id}")
    assert reply.status == 201
    assert set(reply.json) == {"messageId"}
    assert (await api.request("GET", f"/v2/dlq/{dlq_id}")).status == 404
    after = await api.message(reply.json["messageId"])
    differing = {"messageId", "createdAt", "notBefore"}
    letter_only = {"dlqId", "responseStatus", "responseHeader", "responseBody", "error"}
    assert after.keys() == before.keys() - letter_only
    assert {name for name in after if after[name] != before[name]} == differing
    assert after["createdAt"] == after["notBefore"] == int(api.clock.now().timestamp() * 1000)
    assert (await api.request("POST", f"/v2/dlq/retry/{dlq_id}")).status == 404


async def test_a_retry_begins_its_attempts_anew(api: Api) -> None:
    await api.publish("https://e.test", ("Upstash-Retries", "1"))
    await attempt(api, BROKEN, more=True)
    await attempt(api, BROKEN)
    (letter,) = await letters(api)
    retried = (await api.request("POST", f"/v2/dlq/retry/{letter['dlqId']}")).json["messageId"]
    await attempt(api, Response(200))
    events = (await api.request("GET", f"/v2/events?messageIds={retried}&order=earliestFirst")).json["events"]
    assert [event["state"] for event in events] == ["CREATED", "ACTIVE", "DELIVERED"]


async def test_publish_headers_override_what_was_stored(api: Api) -> None:
    headers = (("Upstash-Forward-X-A", "1"), ("Upstash-Forward-X-B", "2"), ("Upstash-Label", "old"))
    (dlq_id,) = await die(api, "https://e.test/x", headers=(*headers, ("Content-Type", "text/plain")))
    reply = await ask(
        api,
        "POST",
        "/v2/dlq/retry",
        {"dlqIds": [dlq_id]},
        ("Upstash-Retries", "7"),
        ("Upstash-Method", "PATCH"),
        ("Upstash-Forward-x-a", "new"),
        ("Upstash-Label", "new"),
        ("Upstash-Delay", "1h"),
        ("Upstash-Telemetry-Sdk", "x"),
    )
    assert reply.status == 201
    after = await api.message(reply.json["responses"][0]["messageId"])
    assert (after["maxRetries"], after["method"], after["labels"]) == (7, "PATCH", ["new"])
    assert after["header"] == {"X-A": ["new"], "X-B": ["2"], "Content-Type": ["text/plain"]}
    assert after["notBefore"] == after["createdAt"] + 3_600_000


async def test_no_retries_is_an_override_too(api: Api) -> None:
    await api.publish("https://e.test", ("Upstash-Retries", "0"))
    await attempt(api, BROKEN)
    (letter,) = await letters(api)
    reply = await api.request("POST", f"/v2/dlq/retry/{letter['dlqId']}", ("Upstash-Retries", "3"))
    assert (await api.message(reply.json["messageId"]))["maxRetries"] == 3
    await attempt(api, BROKEN)
    (letter,) = await letters(api)
    reply = await api.request("POST", f"/v2/dlq/retry/{letter['dlqId']}?upstash-retries=0")
    assert (await api.message(reply.json["messageId"]))["maxRetries"] == 0


@pytest.mark.parametrize(
    ("header", "status"), [(("Upstash-Retries", "x"), 400), (("Upstash-Retries", "101"), 412)], ids=str
)
async def test_a_bad_override_retries_nothing(api: Api, header: tuple[str, str], status: int) -> None:
    (dlq_id,) = await die(api, "https://e.test")
    for target in (f"/v2/dlq/retry/{dlq_id}", "/v2/dlq/retry", f"/v2/dlq/retry?dlqIds={dlq_id}"):
        reply = await api.request("POST", target, header)
        assert reply.status == status
        assert "Upstash-Retries" in reply.error
    assert len(await letters(api)) == 1


@pytest.mark.parametrize("form", ["query", "body"])
async def test_retrying_listed_letters_takes_those_that_exist_and_has_no_cursor(api: Api, form: str) -> None:
    first, second, third = await die(api, "https://e.test/1", "https://e.test/2", "https://e.test/3")
    ids = [first, "1-0", second]
    reply = (
        await ask(api, "POST", f"/v2/dlq/retry?dlqIds={ids[0]}&dlqIds={ids[1]}&dlqIds={ids[2]}&count=1")
        if form == "query"
        else await ask(api, "POST", "/v2/dlq/retry", {"dlqIds": ids})
    )
    assert reply.status == 201
    assert set(reply.json) == {"responses"}
    urls = {(await api.message(one["messageId"]))["url"] for one in reply.json["responses"]}
    assert urls == {"https://e.test/1", "https://e.test/2"}
    assert [letter["dlqId"] for letter in await letters(api)] == [third]
    none = await ask(api, "POST", "/v2/dlq/retry", {"dlqIds": ids})
    assert none.status == 404
    assert none.error


async def test_retrying_all_page_by_page(api: Api) -> None:
    await die(api, *(f"https://e.test/{number}" for number in range(3)))
    first = (await ask(api, "POST", "/v2/dlq/retry?count=2")).json
    assert len(first["responses"]) == 2
    assert isinstance(first["cursor"], str)
    last = (await ask(api, "POST", f"/v2/dlq/retry?count=2&cursor={first['cursor']}")).json
    assert (len(last["responses"]), "cursor" in last) == (1, False)
    empty = await ask(api, "POST", "/v2/dlq/retry?label=none")
    assert (empty.status, empty.json) == (201, {"responses": []})


async def test_more_listed_letters_than_one_transaction_takes(api: Api) -> None:
    batch = [{"destination": f"https://e.test/{number}", "headers": dict([NO_RETRY])} for number in range(130)]
    await api.request("POST", "/v2/batch", JSON, body=json.dumps(batch).encode())
    await attempt(api, BROKEN)
    ids = [letter["dlqId"] for letter in await letters(api)]
    ids += [letter["dlqId"] for letter in await letters(api, "?order=earliestFirst")]
    assert len(set(ids)) == 130
    reply = await ask(api, "POST", "/v2/dlq/retry", {"dlqIds": ids})
    assert (len(reply.json["responses"]), "cursor" in reply.json) == (130, False)
    await attempt(api, BROKEN)
    ids = [letter["dlqId"] for letter in await letters(api)]
    ids += [letter["dlqId"] for letter in await letters(api, "?order=earliestFirst")]
    assert (await ask(api, "DELETE", "/v2/dlq", {"dlqIds": ids})).json == {"deleted": 130}


async def test_a_letter_of_a_topic_is_retried_for_its_own_url_alone(api: Api) -> None:
    await api.declare(("orders", orders()))
    await die(api, "orders")
    letter = next(one for one in await letters(api) if one["url"] == "https://two.test/in?x=1")
    retried = (await api.request("POST", f"/v2/dlq/retry/{letter['dlqId']}")).json["messageId"]
    message = await api.message(retried)
    assert (message["url"], message["topicName"], message["endpointName"]) == (
        "https://two.test/in?x=1",
        "orders",
        "two",
    )
    assert len(await letters(api)) == 1


async def test_what_is_retried_is_told_and_goes_out_at_once(api: Api) -> None:
    (dlq_id,) = await die(api, "https://e.test")
    api.watcher.notices.clear()
    api.dispatch.room = 10
    retried = (await api.request("POST", f"/v2/dlq/retry/{dlq_id}")).json["messageId"]
    (told,) = [notice for notice in api.watcher.notices if isinstance(notice, Accepted)]
    assert told.message.id == retried
    assert [one.message.id for _, offered in api.dispatch.offered for one in offered] == [retried]
    assert len(api.dispatch.granted) == len(api.dispatch.offered), "every grant is given back"


async def test_without_room_the_dispatcher_is_woken(api: Api) -> None:
    (dlq_id,) = await die(api, "https://e.test")
    before = api.dispatch.wakes
    await api.request("POST", f"/v2/dlq/retry/{dlq_id}")
    assert api.dispatch.wakes > before
