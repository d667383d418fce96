"""Errors and limits: the shape, each row of the table of statuses, the headers of a 429, each limit (contract 3)."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.support.api import READ_ONLY_TOKEN, TOKEN, Api, Clock, orders, serving
from tests.support.deliveries import deliver, line

from angarium.api.options import OptionLimits
from angarium.domain.credentials import SigningKeys
from angarium.domain.declarations import Kind
from angarium.domain.messages import Response
from angarium.domain.ports import Limits, Store
from angarium.service.objects import Quotas

URL = "https://e.test/in"
PUBLISH = f"/v2/publish/{URL}"
CRON = ("Upstash-Cron", "0 4 * * *")
MIB = 2**20


async def refused(api: Api, status: int, method: str, target: str, *headers: tuple[str, str], body: bytes = b"") -> str:
    """The text of the refusal, which has the one shape that errors have."""
    reply = await api.request(method, target, *headers, body=body)
    assert reply.status == status, reply.body
    assert list(reply.json) == ["error"]
    return reply.error


BAD_REQUESTS = [
    ("POST", "/v2/publish/ftp://e.test", b"", "destination"),
    ("POST", "/v2/publish/no%20name", b"", "destination"),
    ("POST", f"{PUBLISH}?upstash-retries=x", b"", "upstash-retries"),
    ("POST", f"/v2/enqueue/a%20b/{URL}", b"", "queue"),
    ("POST", f"/v2/schedules/{URL}", b"", "Upstash-Cron"),
    ("POST", "/v2/batch", b'{"destination": "https://e.test"}', "batch"),
    ("POST", "/v2/batch", b"[{}]", "batch[0]"),
    ("POST", "/v2/queues", b"{}", "queueName"),
    ("POST", "/v2/topics/a%20b/endpoints", b'{"endpoints": []}', "name"),
    ("DELETE", "/v2/topics/none/endpoints", b'{"endpoints": [{}]}', "endpoints[0]"),
    ("GET", "/v2/dlq?lable=a", b"", "lable"),
    ("POST", "/v2/dlq/retry?lable=a", b"", "lable"),
    ("DELETE", "/v2/messages?lable=a", b"", "lable"),
    ("POST", "/v2/flowControl/k/pin", b"", "parallelism"),
    ("POST", "/v2/flowControl/k/pin?rate=x", b"", "rate"),
    ("POST", "/v2/flowControl/k/pin?period=5", b"", "period"),
    (
        "POST",
        f"/v2/enqueue/q/{URL}?upstash-callback=https://c.test&upstash-callback-delay=5s",
        b"",
        "upstash-callback-delay",
    ),
]


@pytest.mark.parametrize(("method", "target", "body", "field"), BAD_REQUESTS)
async def test_400_names_what_is_wrong(api: Api, method: str, target: str, body: bytes, field: str) -> None:
    assert field.lower() in (await refused(api, 400, method, target, body=body)).lower()


async def test_401_without_a_token_that_is_known(api: Api) -> None:
    for authorization in ("Bearer nobody", "Bearer", "Basic eA==", TOKEN):
        await refused(api, 401, "POST", PUBLISH, ("Authorization", authorization))


async def test_403_when_a_reader_writes(api: Api) -> None:
    reader = ("Authorization", f"Bearer {READ_ONLY_TOKEN}")
    for method, target in (("POST", PUBLISH), ("DELETE", "/v2/messages"), ("POST", "/v2/flowControl/k/pause")):
        await refused(api, 403, method, target, reader)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/v2/messages/msg_none"),
        ("DELETE", "/v2/messages/msg_none"),
        ("GET", "/v2/dlq/1-0"),
        ("DELETE", "/v2/dlq/1-0"),
        ("POST", "/v2/dlq/retry/1-0"),
        ("POST", "/v2/dlq/retry?dlqIds=1-0&dlqIds=2-0"),
        ("GET", "/v2/queues/none"),
        ("GET", "/v2/schedules/none"),
        ("GET", "/v2/topics/none"),
        ("GET", "/v2/flowControl/none"),
        ("POST", "/v2/publish/none"),
        ("POST", "/v2/enqueue/q/none"),
        ("POST", "/v2/schedules/none"),
        ("GET", "/v2/none"),
    ],
)
async def test_404_for_what_does_not_exist(api: Api, method: str, target: str) -> None:
    assert "none" in await refused(api, 404, method, target, CRON) or "1-0" in target


async def test_405_for_another_method(api: Api) -> None:
    for target in ("/v2/batch", "/v2/queues", PUBLISH):
        assert "PUT" in await refused(api, 405, "PUT", target)


async def test_409_for_what_a_resource_owns_and_for_adopted_keys(api: Api) -> None:
    await api.declare(("orders", orders()))
    await refused(api, 409, "DELETE", "/v2/topics/orders")
    await api.store.put_signing_keys("shop", SigningKeys("sig_a", "sig_b", adopted=True), replace=True)
    await refused(api, 409, "POST", "/v2/keys/rotate")


async def test_412_for_quotas(store: Store, clock: Clock) -> None:
    async with serving(store, clock, quotas=Quotas({Kind.QUEUE: 1, Kind.SCHEDULE: 1})) as api:
        queue, more = (json.dumps({"queueName": name}).encode() for name in ("mail", "more"))
        await api.done("POST", "/v2/queues", body=queue)
        await api.done("POST", f"/v2/schedules/{URL}", CRON)
        await refused(api, 412, "POST", "/v2/queues", body=more)
        await refused(api, 412, "POST", f"/v2/schedules/{URL}", CRON)
        await api.done("POST", "/v2/queues", body=queue)
        await refused(api, 412, "POST", "/v2/queues", body=b'{"queueName": "mail", "parallelism": 100000000}')


async def test_413_for_a_body_that_is_too_large(api: Api) -> None:
    assert (await api.request("POST", PUBLISH, body=b"x" * MIB)).status == 200
    assert str(MIB) in await refused(api, 413, "POST", PUBLISH, body=b"x" * (MIB + 1))


@pytest.mark.parametrize("limits", [Limits(waiting=1)])
async def test_429_is_a_burst_with_its_three_headers(store: Store, clock: Clock, limits: Limits) -> None:
    async with serving(store, clock) as api:
        await api.publish(URL)
        reply = await api.request("POST", PUBLISH)
        assert (reply.status, bool(reply.error)) == (429, True)
        burst = {name: value for name, value in reply.headers.items() if "ratelimit" in name}
        assert set(burst) == {f"burst-ratelimit-{name}" for name in ("limit", "remaining", "reset")}
        assert (burst["burst-ratelimit-limit"], burst["burst-ratelimit-remaining"]) == ("1", "0")
        assert int(burst["burst-ratelimit-reset"]) >= clock.now().timestamp()


async def test_deletes_of_objects_are_idempotent_and_those_of_messages_are_not(api: Api) -> None:
    for path in ("/v2/topics/none", "/v2/queues/none", "/v2/schedules/none"):
        for _ in range(2):
            await api.done("DELETE", path)
    message = await api.publish(URL, ("Upstash-Retries", "0"))
    await deliver(api, Response(500))
    (letter,) = (await api.done("GET", "/v2/dlq"))["messages"]
    await api.done("DELETE", f"/v2/dlq/{letter['dlqId']}")
    await refused(api, 404, "DELETE", f"/v2/dlq/{letter['dlqId']}")
    await refused(api, 404, "DELETE", f"/v2/messages/{message['messageId']}")


FLOW = "upstash-flow-control-key=k&upstash-flow-control-value"


@pytest.mark.parametrize(
    ("most", "too_much"),
    [
        ("upstash-delay=366d", "upstash-delay=367d"),
        ("upstash-delay=10d", "upstash-delay=9999d"),
        ("upstash-retries=100", "upstash-retries=101"),
        ("upstash-timeout=2h", "upstash-timeout=2h1s"),
        (f"{FLOW}=rate%3D1,period%3D7d", f"{FLOW}=rate%3D1,period%3D8d"),
    ],
)
async def test_as_much_as_allowed_and_no_more(api: Api, most: str, too_much: str) -> None:
    await api.publish(f"{URL}?{most}")
    assert "upstash-" in (await refused(api, 412, "POST", f"{PUBLISH}?{too_much}")).lower()
    assert len((await api.done("GET", "/v2/events"))["events"]) == 1


def test_a_batch_may_have_100_mib_and_a_body_1() -> None:
    limits = OptionLimits()
    assert (limits.body, limits.batch) == (MIB, 100 * MIB)


async def test_defaults_of_limits(api: Api) -> None:
    message = await api.publish(URL, ("Upstash-Flow-Control-Key", "k"), ("Upstash-Flow-Control-Value", "rate=1"))
    shown: Any = await api.message(message["messageId"])
    (entry,) = (await api.done("GET", "/v2/events"))["events"]
    assert (shown["maxRetries"], shown["period"], entry["timeout"]) == (3, 1, 15 * 60 * 1000)
    await api.done("POST", f"/v2/enqueue/mail/{URL}")
    assert (await api.done("GET", "/v2/queues/mail"))["parallelism"] == 1


@pytest.mark.parametrize(("expression", "most"), [("999999999999", 86_400), ("", 86_400)])
async def test_no_retry_waits_longer_than_a_day(api: Api, expression: str, most: int) -> None:
    await api.publish(URL, *((("Upstash-Retry-Delay", expression),) if expression else ()), ("Upstash-Retries", "9"))
    waits = []
    for _ in range(6):
        await deliver(api, Response(500))
        retry = (await api.done("GET", "/v2/events?state=RETRY"))["events"][0]
        waits.append((retry["nextDeliveryTime"] - retry["time"]) / 1000)
        api.clock.time += timedelta(seconds=waits[-1])
    assert max(waits) == most


async def test_a_schedule_fires_on_whole_minutes(api: Api) -> None:
    api.clock.time += timedelta(seconds=17)
    created = await api.done("POST", f"/v2/schedules/{URL}", ("Upstash-Cron", "* * * * *"))
    shown = await api.done("GET", f"/v2/schedules/{created['scheduleId']}")
    assert shown["nextScheduleTime"] % 60_000 == 0
    await refused(api, 400, "POST", f"/v2/schedules/{URL}", ("Upstash-Cron", "*/5 * * * * *"))


async def test_every_attempt_has_a_signature_of_its_own(api: Api) -> None:
    await api.publish(URL, ("Upstash-Retry-Delay", "0"))
    tokens = set()
    for _ in range(3):
        (request,) = await deliver(api, Response(500))
        tokens.add(line(request, "Upstash-Signature"))
    assert len(tokens) == 3
