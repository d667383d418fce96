"""Where the sources of the contract disagree, and what is right: a test for each row of contract 29, by its number."""

import json
from base64 import b64decode, urlsafe_b64decode
from datetime import timedelta
from typing import Any

import pytest
from tests.contract.api.test_queues import upsert
from tests.support.api import Api, Reply, attempt, orders
from tests.support.deliveries import deliver, line

from angarium.domain.messages import Response
from angarium.files.users import DEFAULT_USER

URL = "https://e.test/in"
JSON = ("Content-Type", "application/json")
NO_RETRY = ("Upstash-Retries", "0")
FLOW = (("Upstash-Flow-Control-Key", "k"), ("Upstash-Flow-Control-Value", "parallelism=1"))
BROKEN = Response(500, (("X-Answer", "1"),), b"broken")


async def get(api: Api, target: str) -> Any:
    return await api.done("GET", target)


async def dead(api: Api, *headers: tuple[str, str], to: str = URL) -> str:
    """The id of the dead letter that a message of this kind became."""
    message = await api.publish(to, NO_RETRY, *headers, body=b"sent")
    await attempt(api, BROKEN)
    (letter,) = (await get(api, f"/v2/dlq?messageId={message['messageId']}"))["messages"]
    return str(letter["dlqId"])


async def create(api: Api, name: str, *headers: tuple[str, str]) -> Any:
    cron = (("Upstash-Cron", "0 4 * * *"), ("Upstash-Schedule-Id", name))
    await api.done("POST", f"/v2/schedules/{URL}", *cron, *headers)
    return await get(api, f"/v2/schedules/{name}")


async def batch(api: Api, *elements: object) -> Any:
    return await api.done("POST", "/v2/batch", JSON, body=list(elements))


async def test_row_1_a_group_is_answered_by_a_bare_array(api: Api) -> None:
    await api.declare(("orders", orders()))
    answer = await api.publish("orders")
    assert isinstance(answer, list)
    assert [set(item) for item in answer] == [{"messageId", "url", "endpointName"}] * 2


async def test_row_2_groups_are_nested_in_the_answer_to_a_batch(api: Api) -> None:
    await api.declare(("orders", orders()))
    url, group = await batch(api, {"destination": URL}, {"destination": "orders"})
    assert (isinstance(url, dict), isinstance(group, list), len(group)) == (True, True, 2)


async def test_row_3_both_routes_of_the_log_have_their_own_key(api: Api) -> None:
    await api.publish(URL)
    events, logs = await get(api, "/v2/events"), await get(api, "/v2/logs")
    assert (list(events), list(logs)) == (["events"], ["logs"])
    assert events["events"] == logs["logs"] and len(logs["logs"]) == 1


async def test_row_4_canceled_has_one_l_and_both_spellings_are_filters(api: Api) -> None:
    message = await api.publish(URL)
    await api.done("DELETE", f"/v2/messages/{message['messageId']}")
    for spelling in ("CANCELED", "CANCELLED"):
        assert [entry["state"] for entry in (await get(api, f"/v2/events?state={spelling}"))["events"]] == ["CANCELED"]


async def test_row_5_headers_of_an_answer_have_both_names_in_the_log(api: Api) -> None:
    await dead(api)
    (entry,) = (await get(api, "/v2/events?state=ERROR"))["events"]
    assert entry["responseHeader"] == entry["responseHeaders"] == {"X-Answer": ["1"]}


async def test_row_6_the_retry_expression_has_both_names_on_every_entry(api: Api) -> None:
    await dead(api, ("Upstash-Retry-Delay", "1000 * retried"))
    entries = (await get(api, "/v2/events"))["events"]
    assert {(entry["retryDelayExpr"], entry["retryDelayExpression"]) for entry in entries} == {("1000 * retried",) * 2}
    assert len(entries) == 4


async def test_row_7_header_maps_of_callbacks_are_plural_in_the_log_alone(api: Api) -> None:
    lines = [
        (f"Upstash-{kind}{rest}", value)
        for kind in ("Callback", "Failure-Callback")
        for rest, value in (("", "https://c.test"), ("-Forward-X-A", "1"))
    ]
    published = await api.publish(URL, NO_RETRY, *lines)
    schedule = await create(api, "nightly", *lines)
    (entry,) = (await get(api, "/v2/events"))["events"]
    message = await api.message(published["messageId"])
    await attempt(api, BROKEN)
    (letter,) = (await get(api, f"/v2/dlq?messageId={published['messageId']}"))["messages"]
    for view in (message, letter, schedule):
        assert view["callbackHeader"] == view["failureCallbackHeader"] == {"X-A": ["1"]}
        assert not {"callbackHeaders", "failureCallbackHeaders"} & set(view)
    assert entry["callbackHeaders"] == entry["failureCallbackHeaders"] == {"X-A": ["1"]}
    assert not {"callbackHeader", "failureCallbackHeader"} & set(entry)


async def test_row_8_a_schedule_is_paused_and_resumed_by_post_and_by_patch(api: Api) -> None:
    await create(api, "nightly")
    for method in ("POST", "PATCH"):
        for action, paused in (("pause", True), ("resume", False)):
            await api.done(method, f"/v2/schedules/nightly/{action}")
            assert (await get(api, "/v2/schedules/nightly"))["isPaused"] is paused


@pytest.mark.parametrize("by_body", [False, True], ids=["query", "body"])
async def test_row_9_messages_to_cancel_are_listed_in_the_query_or_the_body(api: Api, *, by_body: bool) -> None:
    ids = [(await api.publish(URL))["messageId"] for _ in range(3)]
    if by_body:
        answer = await api.done("DELETE", "/v2/messages", JSON, body={"messageIds": ids[:2]})
    else:
        answer = await api.done("DELETE", f"/v2/messages?messageIds={ids[0]}&messageIds={ids[1]}")
    assert answer == {"cancelled": 2}
    assert (await api.message(ids[2]))["messageId"] == ids[2]


@pytest.mark.parametrize("by_body", [False, True], ids=["query", "body"])
async def test_row_10_letters_to_delete_are_listed_in_the_query_or_the_body(api: Api, *, by_body: bool) -> None:
    ids = [await dead(api) for _ in range(3)]
    if by_body:
        answer = await api.done("DELETE", "/v2/dlq", JSON, body={"dlqIds": ids[:2]})
    else:
        answer = await api.done("DELETE", f"/v2/dlq?dlqIds={ids[0]}&dlqIds={ids[1]}")
    assert answer == {"deleted": 2}
    assert [letter["dlqId"] for letter in (await get(api, "/v2/dlq"))["messages"]] == ids[2:]


async def test_row_11_canceling_one_message_is_answered_by_a_number(api: Api) -> None:
    message = await api.publish(URL)
    assert await api.done("DELETE", f"/v2/messages/{message['messageId']}") == {"cancelled": 1}


async def test_row_12_a_dead_letter_has_its_id_and_its_retry_expression(api: Api) -> None:
    dlq_id = await dead(api, ("Upstash-Retry-Delay", "5"))
    for letter in (await get(api, f"/v2/dlq/{dlq_id}"), (await get(api, "/v2/dlq"))["messages"][0]):
        assert (letter["dlqId"], letter["retryDelayExpression"]) == (dlq_id, "5")


async def test_row_13_a_dead_letter_has_a_response_status_even_without_a_response(api: Api) -> None:
    await api.publish(URL, NO_RETRY)
    await attempt(api, None, error="refused")
    assert [letter["responseStatus"] for letter in (await get(api, "/v2/dlq"))["messages"]] == [0]


async def test_row_14_what_the_sdk_needs_is_there_also_as_0(api: Api) -> None:
    published = await api.publish(URL, NO_RETRY)
    message = await api.message(published["messageId"])
    now_ms = int(api.clock.now().timestamp() * 1000)
    assert (message["method"], message["maxRetries"]) == ("POST", 0)
    assert (message["notBefore"], message["createdAt"]) == (now_ms, now_ms)
    assert (await create(api, "nightly", NO_RETRY))["retries"] == 0
    await upsert(api)
    shown = {"name": "mail", "parallelism": 1, "createdAt": now_ms, "updatedAt": now_ms, "lag": 0, "paused": False}
    assert await get(api, "/v2/queues/mail") == shown


async def test_row_15_the_caller_has_both_spellings(api: Api) -> None:
    message = await api.message((await api.publish(URL))["messageId"])
    for view in (message, await create(api, "nightly")):
        assert view["callerIP"] == view["callerIp"] == "127.0.0.1"


async def test_row_16_both_spellings_are_filters_of_the_caller(api: Api) -> None:
    await dead(api)
    await api.publish(URL)
    for name in ("callerIp", "callerIP"):
        for address, found in (("127.0.0.1", 1), ("127.0.0.2", 0)):
            assert len((await get(api, f"/v2/dlq?{name}={address}"))["messages"]) == found
            assert bool((await get(api, f"/v2/logs?{name}={address}"))["logs"]) is bool(found)
        assert await api.done("DELETE", f"/v2/messages?{name}=127.0.0.2") == {"cancelled": 0}
    assert await api.done("DELETE", "/v2/messages?callerIP=127.0.0.1") == {"cancelled": 1}


@pytest.mark.parametrize("fields", ["header", "headers", "header[X-Key]", "headers[x-key]"])
async def test_row_17_headers_to_redact_have_several_spellings(api: Api, fields: str) -> None:
    published = await api.publish(URL, ("Upstash-Redact-Fields", fields), ("Upstash-Forward-X-Key", "crown"))
    message = await api.message(published["messageId"])
    assert message["header"]["X-Key"][0].startswith("REDACTED:")


@pytest.mark.parametrize(("text", "second"), [("True", 202), ("true", 202), ("TRUE", 202), ("False", 200)])
async def test_row_18_a_boolean_has_any_case(api: Api, text: str, second: int) -> None:
    for status in (200, second):
        content = ("Upstash-Content-Based-Deduplication", text)
        assert (await api.request("POST", f"/v2/publish/{URL}", content)).status == status


async def test_row_19_the_factor_of_the_backoff_is_two_and_a_half(api: Api) -> None:
    message = await api.publish(URL)
    waits = []
    for _ in range(3):
        await deliver(api, Response(500))
        (entry, *_) = (await get(api, f"/v2/events?state=RETRY&messageId={message['messageId']}"))["events"]
        waits.append(entry["nextDeliveryTime"] - entry["time"])
        api.clock.time += timedelta(milliseconds=waits[-1])
    assert waits == [12_182, 148_413, 1_808_042]


async def test_row_20_a_duplicate_is_one_for_ten_minutes(api: Api) -> None:
    once = ("Upstash-Deduplication-Id", "once")
    for minutes, status in ((0, 200), (9, 202), (1, 200)):
        api.clock.time += timedelta(minutes=minutes)
        assert (await api.request("POST", f"/v2/publish/{URL}", once)).status == status


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (("Upstash-Telemetry-Sdk", "upstash-qstash-js@2"), 202),
        (("Upstash-Retries", "1"), 202),
        (("X-Own", "1"), 202),
        (("Upstash-Forward-X-Own", "1"), 200),
        (("Content-Type", "text/xml"), 200),
    ],
)
async def test_row_21_the_hash_of_the_content_leaves_options_and_telemetry_out(
    api: Api, line: tuple[str, str], status: int
) -> None:
    by_content = ("Upstash-Content-Based-Deduplication", "true")
    await api.publish(URL, by_content)
    assert (await api.request("POST", f"/v2/publish/{URL}", by_content, line)).status == status


async def test_row_22_a_signature_is_valid_from_always(api: Api) -> None:
    await api.publish(URL)
    (request,) = await deliver(api)
    payload = (line(request, "Upstash-Signature") or "").split(".")[1]
    assert json.loads(urlsafe_b64decode(payload + "==="))["nbf"] == 0


async def callbacks(api: Api, *answers: Response, retries: str = "0") -> list[Any]:
    """The callbacks of a message whose attempts are answered so."""
    lines = (("Upstash-Callback", "https://c.test"), ("Upstash-Retry-Delay", "1000"), ("Upstash-Retries", retries))
    await api.publish(URL, ("Upstash-Forward-X-A", "1"), *lines, body=b"sent")
    bodies = []
    for answer in answers:
        requests = await deliver(api, answer)
        assert [request.url for request in requests] == [URL]
        bodies += [json.loads(request.body) for request in await deliver(api)]
        api.clock.time += timedelta(seconds=1)
    return bodies


async def test_row_23_times_in_callbacks_are_numbers(api: Api) -> None:
    now_ms = int(api.clock.now().timestamp() * 1000)
    (body,) = await callbacks(api, Response(200))
    assert (body["notBefore"], body["createdAt"]) == (now_ms, now_ms)


async def test_row_24_headers_in_callbacks_are_arrays(api: Api) -> None:
    (body,) = await callbacks(api, Response(200, (("X-B", "2"),)))
    assert (body["sourceHeader"], body["header"]) == ({"X-A": ["1"]}, {"X-B": ["2"]})


async def test_row_25_a_callback_follows_each_attempt(api: Api) -> None:
    bodies = await callbacks(api, Response(500), Response(503), Response(200, (), b"ok"), retries="5")
    assert [(body["status"], body["retried"]) for body in bodies] == [(500, 0), (503, 1), (200, 2)]
    assert b64decode(bodies[-1]["body"]) == b"ok"


async def test_row_26_a_delayed_callback_is_taken_but_not_in_a_queue(api: Api) -> None:
    delayed = (("Upstash-Callback", "https://c.test"), ("Upstash-Callback-Delay", "5s"))
    await api.publish(URL, *delayed)
    await deliver(api)
    assert await deliver(api) == []
    api.clock.time += timedelta(seconds=5)
    assert [request.url for request in await deliver(api)] == ["https://c.test"]
    assert (await api.request("POST", f"/v2/enqueue/q/{URL}", *delayed)).status == 400


async def test_row_27_a_delay_is_taken_when_enqueueing(api: Api) -> None:
    published = await api.done("POST", f"/v2/enqueue/q/{URL}", ("Upstash-Delay", "10s"))
    message = await api.message(published["messageId"])
    assert (message["notBefore"] - message["createdAt"], message["queueName"]) == (10_000, "q")
    assert await deliver(api) == []
    api.clock.time += timedelta(seconds=10)
    assert len(await deliver(api)) == 1


async def test_row_28_paused_is_honoured_both_ways_when_a_queue_is_written(api: Api) -> None:
    for paused in (True, False, True):
        await upsert(api, parallelism=1, paused=paused)
        assert (await get(api, "/v2/queues/mail"))["paused"] is paused


async def test_row_29_the_log_gives_100_entries_and_up_to_1000_on_request(api: Api) -> None:
    await batch(api, *({"destination": URL} for _ in range(1010)))
    for query, found in (("", 100), ("?count=101", 101), ("?count=1000", 1000)):
        assert len((await get(api, f"/v2/events{query}"))["events"]) == found
    assert (await api.request("GET", "/v2/events?count=1001")).status == 400


async def test_row_30_filters_that_only_sdks_know(api: Api) -> None:
    wanted = await api.publish("https://a.test/deep/in?x=1", *FLOW)
    await api.publish("https://b.test/")
    found = ("host=a.test", "path=/deep/in", "flowControlKey=k", f"messageIds={wanted['messageId']}")
    for query in (*found, "callerIp=127.0.0.1&host=a.test"):
        entries = (await get(api, f"/v2/events?{query}"))["events"]
        assert [entry["messageId"] for entry in entries] == [wanted["messageId"]]
    assert (await get(api, "/v2/events?callerIp=10.0.0.1"))["events"] == []


async def test_row_31_letters_are_listed_by_id_and_retried_by_count_and_cursor(api: Api) -> None:
    ids = [await dead(api) for _ in range(3)]
    shown = (await get(api, f"/v2/dlq?dlqIds={ids[0]}&dlqIds={ids[2]}"))["messages"]
    assert {letter["dlqId"] for letter in shown} == {ids[0], ids[2]}
    first = await api.request("POST", "/v2/dlq/retry?count=2")
    assert (first.status, len(first.json["responses"])) == (201, 2)
    last = await api.request("POST", f"/v2/dlq/retry?count=2&cursor={first.json['cursor']}")
    assert (last.status, len(last.json["responses"]), "cursor" in last.json) == (201, 1, False)


async def test_row_32_a_filter_that_matches_no_letter_retries_none_successfully(api: Api) -> None:
    by_filter = await api.request("POST", "/v2/dlq/retry?label=none&count=100")
    assert (by_filter.status, by_filter.json) == (201, {"responses": []})
    assert (await api.request("POST", "/v2/dlq/retry?dlqIds=1-0")).status == 404


async def test_row_33_a_duplicate_is_202(api: Api) -> None:
    replies: list[Reply] = [
        await api.request("POST", target, ("Upstash-Deduplication-Id", "once"))
        for target in (f"/v2/publish/{URL}", f"/v2/publish/{URL}", f"/v2/enqueue/q/{URL}")
    ]
    assert [reply.status for reply in replies] == [200, 202, 202]
    assert [reply.json.get("deduplicated") for reply in replies] == [None, True, True]


async def test_row_34_a_last_page_has_no_cursor_on_any_route(api: Api) -> None:
    await dead(api)
    for method, target in (
        ("GET", "/v2/events"),
        ("GET", "/v2/logs"),
        ("GET", "/v2/dlq"),
        ("POST", "/v2/dlq/retry"),
        ("DELETE", "/v2/dlq"),
    ):
        reply = await api.request(method, target)
        assert (reply.status < 300, "cursor" in reply.json) == (True, False)


def test_row_35_the_user_of_dev_mode_has_the_keys_that_the_sdk_knows() -> None:
    keys = ("sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r", "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs")
    assert (DEFAULT_USER.keys.current, DEFAULT_USER.keys.next) == keys


async def test_row_36_a_publish_is_answered_with_its_url(api: Api) -> None:
    for rest, url in ((f"{URL}?upstash-retries=1&a=1", f"{URL}?a=1"), ("https://e.test", "https://e.test")):
        assert (await api.publish(rest))["url"] == url
