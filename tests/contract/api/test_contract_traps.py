"""What servers of this contract get wrong: one test for each trap of contract 31, by its number."""

import json
from base64 import urlsafe_b64decode
from datetime import timedelta
from typing import Any

import pytest
from tests.contract.api.test_contract_disagreements import FLOW, JSON, NO_RETRY, URL, batch, create, dead, get
from tests.contract.api.test_queues import upsert
from tests.support.api import TOKEN, Api, Clock, orders, serving
from tests.support.deliveries import deliver, line

from angarium.domain.messages import Response
from angarium.domain.ports import Limits, Store


async def keys(api: Api, name: str = "k") -> Any:
    return await get(api, f"/v2/flowControl/{name}")


async def furnished(api: Api) -> list[Any]:
    """Every kind of view there is, of objects with nothing set that can be left out."""
    await api.declare(("orders", orders()))
    await create(api, "nightly")
    await upsert(api)
    await dead(api)
    message = await api.publish(URL, *FLOW)
    lists = ("events", "logs", "dlq", "queues", "schedules", "topics", "flowControl", "globalParallelism")
    return [await api.message(message["messageId"]), *[await get(api, f"/v2/{name}") for name in lists]]


def values(view: Any) -> list[Any]:
    """Everything in a view, however deep."""
    inner = view.values() if isinstance(view, dict) else view if isinstance(view, list) else []
    return [view, *(value for part in inner for value in values(part))]


async def test_trap_1_paths_are_neither_cleaned_nor_redirected(api: Api) -> None:
    for url in ("https://e.test//a///b", "https://e.test/a/../b/./c/", "https://e.test//", "https://e.test"):
        reply = await api.request("POST", f"/v2/publish/{url}")
        assert (reply.status, reply.json["url"]) == (200, url)
    assert (await api.request("GET", "/v2//events")).status == 404


async def test_trap_2_parameters_of_the_destination_and_ours_are_told_apart(api: Api) -> None:
    rest = "https://e.test/p?x=1&upstash-retries=5&u=https://z.test/?k=1&qstash_token=ignored&y=a%20b&upstash-label=l"
    published = await api.publish(rest.replace("ignored", TOKEN))
    message = await api.message(published["messageId"])
    assert message["url"] == "https://e.test/p?x=1&u=https://z.test/?k=1&y=a%20b"
    assert (message["maxRetries"], message["labels"]) == (5, ["l"])


async def test_trap_3_arrays_are_not_wrapped(api: Api) -> None:
    await furnished(api)
    assert isinstance(await api.publish("orders"), list)
    assert isinstance(await batch(api, {"destination": URL}), list)
    for path in ("queues", "schedules", "topics", "flowControl"):
        assert isinstance(await get(api, f"/v2/{path}"), list)


async def test_trap_4_no_state_has_two_ls(api: Api) -> None:
    message = await api.publish(URL)
    await api.done("DELETE", f"/v2/messages/{message['messageId']}")
    events = await get(api, "/v2/events")
    assert [event["state"] for event in events["events"]] == ["CANCELED", "CANCEL_REQUESTED", "CREATED"]


async def test_trap_5_nothing_is_null_and_no_cursor_is_empty(api: Api) -> None:
    for path in ("events", "logs", "dlq", "queues", "schedules", "topics", "flowControl"):
        empty = await get(api, f"/v2/{path}")
        assert (empty if isinstance(empty, list) else empty[{"dlq": "messages"}.get(path, path)]) == []
    views = await furnished(api)
    assert None not in values(views)
    assert not any("cursor" in view for view in values(views) if isinstance(view, dict))
    schedule = await get(api, "/v2/schedules/nightly")
    assert not {"lastScheduleStates", "lastScheduleTime", "body", "error"} & set(schedule)


async def test_trap_6_zeros_are_shown(api: Api) -> None:
    published = await api.publish(URL, NO_RETRY, *FLOW)
    assert (await api.message(published["messageId"]))["maxRetries"] == 0
    schedule = await create(api, "nightly", NO_RETRY)
    assert (schedule["retries"], schedule["isPaused"]) == (0, False)
    await upsert(api)
    queue = await get(api, "/v2/queues/mail")
    assert (queue["lag"], queue["paused"]) == (0, False)
    key = await keys(api)
    assert [key[name] for name in ("parallelismCount", "rateMax", "rateCount", "ratePeriodStart")] == [0] * 4
    assert [key[name] for name in ("isPaused", "isPinnedParallelism", "isPinnedRate")] == [False] * 3
    await deliver(api, OSError("not a transport error, but none has a status"))
    (letter,) = (await get(api, "/v2/dlq"))["messages"]
    assert (letter["responseStatus"], letter["maxRetries"]) == (0, 0)


async def test_trap_7_header_maps_have_canonical_names_and_nothing_else(api: Api) -> None:
    sent = (
        ("upstash-forward-bypass-tunnel-reminder", "true"),
        ("content-type", "application/json"),
        ("user-agent", "undici"),
        ("accept", "*/*"),
        ("upstash-telemetry-sdk", "js"),
        ("upstash-label", "l"),
        ("x-own", "1"),
    )
    expected = {"Bypass-Tunnel-Reminder": ["true"], "Content-Type": ["application/json"]}
    message = await api.message((await api.publish(URL, *sent))["messageId"])
    assert message["header"] == (await create(api, "nightly", *sent))["header"] == expected
    (event,) = (await get(api, "/v2/events"))["events"]
    assert event["header"] == expected


async def test_trap_8_values_of_headers_are_not_split_at_commas(api: Api) -> None:
    lines = (("upstash-forward-x-a", "1, 2,3"), ("upstash-forward-x-a", "4"))
    message = await api.message((await api.publish(URL, *lines))["messageId"])
    assert message["header"] == {"X-A": ["1, 2,3", "4"]}
    (request,) = await deliver(api)
    assert [value for name, value in request.headers if name == "X-A"] == ["1, 2,3", "4"]


async def test_trap_9_endpoints_of_a_group_have_url_and_name_alone(api: Api) -> None:
    endpoints = [{"url": "https://one.test", "name": "one"}, {"url": "https://two.test"}]
    await api.done("POST", "/v2/topics/pair/endpoints", JSON, body={"endpoints": endpoints})
    assert (await get(api, "/v2/topics/pair"))["endpoints"] == endpoints


async def test_trap_10_python_writes_true_with_a_capital(api: Api) -> None:
    for status in (200, 202):
        by_content = ("Upstash-Content-Based-Deduplication", "True")
        assert (await api.request("POST", f"/v2/publish/{URL}", by_content)).status == status


async def test_trap_11_the_body_of_a_delete_is_read(api: Api) -> None:
    letter, rest = await dead(api), await dead(api)
    message, kept = await api.publish(URL), await api.publish(URL)
    endpoints = {"endpoints": [{"url": "https://one.test"}, {"url": "https://two.test"}]}
    await api.done("POST", "/v2/topics/pair/endpoints", JSON, body=endpoints)
    for target, body, answer in (
        ("/v2/messages", {"messageIds": [message["messageId"]]}, {"cancelled": 1}),
        ("/v2/dlq", {"dlqIds": [letter]}, {"deleted": 1}),
        ("/v2/topics/pair/endpoints", {"endpoints": endpoints["endpoints"][:1]}, None),
    ):
        assert await api.done("DELETE", target, JSON, body=body) in (answer, {})
    assert (await api.message(kept["messageId"]))["messageId"] == kept["messageId"]
    assert [one["dlqId"] for one in (await get(api, "/v2/dlq"))["messages"]] == [rest]
    assert (await get(api, "/v2/topics/pair"))["endpoints"] == endpoints["endpoints"][1:]


async def test_trap_12_pause_and_resume_of_a_schedule_take_patch(api: Api) -> None:
    await create(api, "nightly")
    for action, paused in (("pause", True), ("resume", False)):
        assert (await api.request("PATCH", f"/v2/schedules/nightly/{action}")).status == 200
        assert (await get(api, "/v2/schedules/nightly"))["isPaused"] is paused


async def test_trap_13_canceling_is_answered_in_json(api: Api) -> None:
    message = await api.publish(URL)
    reply = await api.request("DELETE", f"/v2/messages/{message['messageId']}")
    assert (reply.status, reply.headers["content-type"], reply.json) == (200, "application/json", {"cancelled": 1})


async def test_trap_14_a_message_can_be_read_for_a_minute_after_its_delivery(api: Api) -> None:
    message = await api.publish(URL, body=b"x")
    await deliver(api)
    api.clock.time += timedelta(seconds=60)
    assert (await api.message(message["messageId"]))["body"] == "x"


@pytest.mark.parametrize(
    ("value", "view"),
    [
        ("parallelism=3", {"parallelism": 3, "period": 1}),
        ("rate=2", {"rate": 2, "period": 1}),
        ("rate=2, period=1m", {"rate": 2, "period": 60}),
    ],
)
async def test_trap_15_the_period_is_always_shown_and_limits_only_if_given(
    api: Api, value: str, view: dict[str, int]
) -> None:
    flow = (("Upstash-Flow-Control-Key", "k"), ("Upstash-Flow-Control-Value", value))
    message = await api.message((await api.publish(URL, *flow))["messageId"])
    (entry,) = (await get(api, "/v2/events"))["events"]
    for shown in (message, entry, await create(api, "nightly", *flow)):
        assert {name: shown[name] for name in ("parallelism", "rate", "period") if name in shown} == view


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v2/dlq"), ("DELETE", "/v2/dlq"), ("POST", "/v2/dlq/retry"), ("DELETE", "/v2/messages")],
)
async def test_trap_16_an_unknown_filter_is_refused_where_it_selects_what_is_changed(
    api: Api, method: str, path: str
) -> None:
    letter, message = await dead(api), await api.publish(URL)
    for query in ("lable=a", "urlGroup=g", "api=llm", *(("host=e.test", "path=/in") if "dlq" in path else ())):
        reply = await api.request(method, f"{path}?{query}")
        assert (reply.status, reply.error.partition(":")[0]) == (400, query.partition("=")[0])
    assert [one["dlqId"] for one in (await get(api, "/v2/dlq"))["messages"]] == [letter]
    assert (await get(api, f"/v2/events?messageId={message['messageId']}"))["events"][0]["state"] == "CREATED"


async def test_trap_17_some_deletes_are_idempotent_and_some_are_404(api: Api) -> None:
    for path in ("/v2/topics/none", "/v2/queues/none", "/v2/schedules/none"):
        assert (await api.request("DELETE", path)).status == 200
    for path in ("/v2/dlq/1-0", "/v2/messages/msg_none"):
        assert (await api.request("DELETE", path)).status == 404


async def test_trap_18_claims_of_a_signature_have_the_types_that_receivers_check(api: Api) -> None:
    await api.publish("https://e.test/in?a=1", body=b"{}")
    (request,) = await deliver(api)
    header, payload, _ = (line(request, "Upstash-Signature") or "").split(".")
    assert json.loads(urlsafe_b64decode(header + "===")) == {"alg": "HS256", "typ": "JWT"}
    claims = json.loads(urlsafe_b64decode(payload + "==="))
    now_s = int(api.clock.now().timestamp())
    assert (claims["iss"], claims["sub"], claims["nbf"]) == ("Upstash", "https://e.test/in?a=1", 0)
    assert (claims["iat"] <= now_s, claims["exp"]) == (True, now_s + 300)
    assert isinstance(claims["jti"], str) and claims["jti"].startswith("jwt_")
    assert "aud" not in claims


@pytest.mark.parametrize("limits", [Limits(waiting=1)])
async def test_trap_19_a_burst_429_has_no_daily_limit(store: Store, clock: Clock, limits: Limits) -> None:
    async with serving(store, clock) as api:
        await api.publish(URL)
        reply = await api.request("POST", f"/v2/publish/{URL}")
        assert (reply.status, bool(reply.error)) == (429, True)
        assert {"burst-ratelimit-limit", "burst-ratelimit-remaining", "burst-ratelimit-reset"} <= set(reply.headers)
        assert not {"ratelimit-limit", "x-ratelimit-limit-requests"} & set(reply.headers)


async def test_trap_20_a_slash_too_many_deletes_nothing(api: Api) -> None:
    letter, message = await dead(api), await api.publish(URL)
    for path in ("/v2/messages/", "/v2/dlq/", "/v2/messages//", "/v2/dlq//"):
        assert (await api.request("DELETE", path)).status == 404
    assert [one["dlqId"] for one in (await get(api, "/v2/dlq"))["messages"]] == [letter]
    assert (await get(api, f"/v2/events?messageId={message['messageId']}"))["events"][0]["state"] == "CREATED"


@pytest.mark.parametrize("token", [TOKEN, TOKEN.replace("=", "%3D")])
async def test_trap_21_a_token_in_the_query_may_end_in_equals_signs(api: Api, token: str) -> None:
    assert TOKEN.endswith("==")
    reply = await api.request("GET", f"/v2/keys?qstash_token={token}", ("Authorization", "Bearer wrong"))
    assert reply.status == 200


async def test_trap_22_null_in_a_batch_is_like_nothing(api: Api) -> None:
    (item,) = await batch(api, {"destination": URL, "body": None, "queue": None, "headers": {}})
    message = await api.message(item["messageId"])
    assert not {"body", "bodyBase64", "queueName"} & set(message)


async def test_trap_23_retried_is_0_in_the_expression_when_the_first_retry_is_timed(api: Api) -> None:
    await api.publish(URL, ("Upstash-Retry-Delay", "7000 * (retried + 1)"))
    headers, waits = [], []
    for _ in range(3):
        (request,) = await deliver(api, Response(500))
        headers.append(line(request, "Upstash-Retried"))
        retry = (await get(api, "/v2/events?state=RETRY"))["events"][0]
        waits.append(retry["nextDeliveryTime"] - retry["time"])
        api.clock.time += timedelta(milliseconds=waits[-1])
    assert (headers, waits) == (["0", "1", "2"], [7000, 14_000, 21_000])


async def test_trap_24_seconds_and_milliseconds(api: Api) -> None:
    now_s = int(api.clock.now().timestamp())
    flow = (("Upstash-Flow-Control-Key", "k"), ("Upstash-Flow-Control-Value", "rate=9, period=1m"))
    at = await api.publish(URL, ("Upstash-Not-Before", str(now_s + 60)), ("Upstash-Timeout", "2s"), *flow)
    later = await api.publish(URL, ("Upstash-Delay", "90"), ("Upstash-Retry-Delay", "1500"))
    assert (await api.message(at["messageId"]))["notBefore"] == (now_s + 60) * 1000
    message = await api.message(later["messageId"])
    assert message["notBefore"] == message["createdAt"] + 90_000 == (now_s + 90) * 1000
    (entry,) = (await get(api, f"/v2/events?messageId={at['messageId']}"))["events"]
    assert (entry["timeout"], entry["time"]) == (2000, now_s * 1000)
    assert (await create(api, "nightly", ("Upstash-Delay", "1m30s")))["delay"] == 90
    api.clock.time += timedelta(seconds=60)
    await deliver(api)
    key = await keys(api)
    assert (key["ratePeriod"], key["ratePeriodStart"]) == (60, now_s + 60)
    api.clock.time += timedelta(seconds=30)
    (request,) = await deliver(api, Response(500))
    claims = json.loads(urlsafe_b64decode((line(request, "Upstash-Signature") or "").split(".")[1] + "==="))
    assert claims["exp"] == now_s + 90 + 300
    (retry,) = (await get(api, "/v2/events?state=RETRY"))["events"]
    assert retry["nextDeliveryTime"] - retry["time"] == 1500
