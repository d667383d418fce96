"""What becomes of an attempt, when the next one is made, and the states in between (contract 18, 19, 21)."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.api import Api, Clock
from tests.support.deliveries import deliver

from angarium.domain.errors import SendError
from angarium.domain.messages import LeaseGrant, Response

URL = "https://e.test/in"
FINAL = (("Upstash-NonRetryable-Error", "true"),)
BROKEN = Response(500)
FAR = timedelta(days=2)
STARTED = Clock().now()


async def entries(api: Api, message: Any) -> list[Any]:
    """The log of a message, oldest first."""
    log = await api.done("GET", f"/v2/events?messageId={message['messageId']}&order=earliestFirst")
    found: list[Any] = log["events"]
    return found


async def states(api: Api, message: Any) -> list[str]:
    return [entry["state"] for entry in await entries(api, message)]


async def letters(api: Api, message: Any) -> list[Any]:
    found: list[Any] = (await api.done("GET", f"/v2/dlq?messageId={message['messageId']}"))["messages"]
    return found


DELIVERED, RETRIED, GIVEN_UP = ["ACTIVE", "DELIVERED"], ["ACTIVE", "ERROR", "RETRY"], ["ACTIVE", "ERROR", "FAILED"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        *((Response(status), DELIVERED) for status in (200, 201, 204, 299)),
        (Response(200, FINAL), DELIVERED),
        (Response(489, FINAL), GIVEN_UP),
        (Response(489, (("upstash-nonretryable-error", "TRUE"),)), GIVEN_UP),
        (Response(489), RETRIED),
        (Response(489, (("Upstash-NonRetryable-Error", "false"),)), RETRIED),
        (Response(400, FINAL), RETRIED),
        *((Response(status), RETRIED) for status in (101, 300, 302, 400, 404, 429, 500, 503)),
        *((SendError(reason, "no answer"), RETRIED) for reason in ("Timeout", "DnsError", "TlsError", "Refused")),
    ],
    ids=lambda given: str(getattr(given, "status", given)),
)
async def test_what_an_attempt_leads_to_while_retries_are_left(
    api: Api, answer: Response | Exception, expected: list[str]
) -> None:
    message = await api.publish(URL, ("Upstash-Retries", "1"))
    await deliver(api, answer)
    assert await states(api, message) == ["CREATED", *expected]
    assert len(await letters(api, message)) == (expected == GIVEN_UP)
    api.clock.time += FAR
    assert len(await deliver(api)) == (expected == RETRIED)


@pytest.mark.parametrize("answer", [Response(500, (), b"x"), SendError("Timeout", "no answer")], ids=["500", "none"])
async def test_without_retries_left_a_failure_is_a_dead_letter_and_told(api: Api, answer: Response | SendError) -> None:
    lines = (("Upstash-Retries", "1"), ("Upstash-Failure-Callback", "https://f.test"))
    message = await api.publish(URL, *lines)
    for _ in range(2):
        assert await letters(api, message) == []
        assert [request.url for request in await deliver(api, answer)] == [URL]
        api.clock.time += FAR
    assert await states(api, message) == ["CREATED", *RETRIED, *GIVEN_UP]
    (letter,) = await letters(api, message)
    assert letter["responseStatus"] == (500 if isinstance(answer, Response) else 0)
    failed = [entry for entry in await entries(api, message) if entry["state"] == "ERROR"]
    assert all(("responseStatus" in entry) is isinstance(answer, Response) for entry in failed)
    assert [request.url for request in await deliver(api)] == ["https://f.test"]


async def wait_of(api: Api, answer: Response, *lines: tuple[str, str]) -> float:
    """How many seconds after this answer the next attempt is made; nothing goes out before, and something then."""
    message = await api.publish(URL, *lines)
    await deliver(api, answer)
    retry = (await entries(api, message))[-1]
    wait = timedelta(milliseconds=retry["nextDeliveryTime"] - retry["time"])
    if wait:
        api.clock.time += wait - timedelta(milliseconds=1)
        assert await deliver(api) == []
        api.clock.time += timedelta(milliseconds=1)
    assert len(await deliver(api)) == 1
    return wait.total_seconds()


BACKOFF_S = 12.182
EXPRESSION = ("Upstash-Retry-Delay", "5000")


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        *((name, "10", 10) for name in ("Retry-After", "X-RateLimit-Reset")),
        *((f"x-ratelimit-reset-{of}", "10", 10) for of in ("requests", "tokens")),
        ("Retry-After", "0", 0),
        ("Retry-After", "1.5", 1.5),
        ("Retry-After", "86400", 86_400),
        ("Retry-After", "86401", None),
        ("Retry-After", "-1", None),
        ("Retry-After", "soon", None),
        ("Retry-After", "Sun, 01 Mar 2026 12:00:07 GMT", 7),
        ("Retry-After", "Tue, 01 Mar 2026 12:00:07 GMT", 7),
        ("Retry-After", "Sun, 01 Mar 2026 11:59:59 GMT", 0),
        ("Retry-After", "Tue, 03 Mar 2026 12:00:00 GMT", None),
        ("Retry-After", "6m5s", 365),
        ("Retry-After", "1h0.5s", 3600.5),
        ("Retry-After", "250ms", 0.25),
        ("Retry-After", "500000us", 0.5),
        ("Retry-After", "500000µs", 0.5),
        ("Retry-After", "250000000ns", 0.25),
        ("Retry-After", "1d", None),
        ("X-RateLimit-Other", "10", None),
    ],
)
async def test_an_answer_may_time_the_next_attempt(api: Api, name: str, value: str, seconds: float | None) -> None:
    answer = Response(503, ((name, value),))
    assert await wait_of(api, answer) == (BACKOFF_S if seconds is None else seconds)
    assert await wait_of(api, answer, EXPRESSION) == (5 if seconds is None else remaining(api, value, seconds))


def remaining(api: Api, value: str, seconds: float) -> float:
    """How long the same value lets wait now: until a date it is less than it was in the beginning."""
    return max(0.0, seconds - (api.clock.now() - STARTED).total_seconds()) if "GMT" in value else seconds


async def test_the_first_valid_header_of_the_family_decides(api: Api) -> None:
    order = ("Retry-After", "X-RateLimit-Reset", "X-RateLimit-Reset-Requests", "X-RateLimit-Reset-Tokens")
    for first in range(4):
        values = ["nonsense" if n < first else str(n + 1) for n in range(4)]
        lines = tuple(reversed([*zip(order, values, strict=True)]))
        assert await wait_of(api, Response(500, lines), EXPRESSION) == first + 1
    assert await wait_of(api, BROKEN, EXPRESSION) == 5
    assert await wait_of(api, BROKEN) == BACKOFF_S


async def test_the_backoff_grows_to_a_day(api: Api) -> None:
    message = await api.publish(URL, ("Upstash-Retries", "6"))
    waits = []
    for _ in range(6):
        assert len(await deliver(api, BROKEN)) == 1
        retry = (await entries(api, message))[-1]
        waits.append((retry["nextDeliveryTime"] - retry["time"]) / 1000)
        api.clock.time += timedelta(seconds=waits[-1])
    assert waits == [12.182, 148.413, 1808.042, 22026.466, 86_400, 86_400]


async def test_a_header_adds_no_attempt(api: Api) -> None:
    message = await api.publish(URL, ("Upstash-Retries", "0"))
    await deliver(api, Response(503, (("Retry-After", "1"),)))
    assert (await states(api, message))[-1] == "FAILED"


WAITING = {
    "delay": ("publish", (("Upstash-Delay", "1h"),)),
    "queue": ("enqueue/q", ()),
    "flow control": ("publish", (("Upstash-Flow-Control-Key", "k"), ("Upstash-Flow-Control-Value", "parallelism=1"))),
}


@pytest.mark.parametrize("why", WAITING)
async def test_what_waits_is_created_and_no_more(api: Api, why: str) -> None:
    route, lines = WAITING[why]
    messages = [await api.done("POST", f"/v2/{route}/{URL}", *lines) for _ in range(2)]
    waiting = messages if why == "delay" else messages[1:]
    await lease(api)
    for message in waiting:
        assert await states(api, message) == ["CREATED"]
        assert (await api.done("DELETE", f"/v2/messages/{message['messageId']}")) == {"cancelled": 1}
        assert await states(api, message) == ["CREATED", "CANCEL_REQUESTED", "CANCELED"]


async def lease(api: Api) -> int:
    """How many of those that are due are on their way then."""
    claim = await api.store.claim(LeaseGrant("test", until=1e12, room=9, lane_room=9), api.clock.now())
    return len(claim.leased)


@pytest.mark.parametrize("before", ["CREATED", "ACTIVE", "RETRY"])
async def test_what_has_not_ended_can_be_canceled(api: Api, before: str) -> None:
    message = await api.publish(
        URL, ("Upstash-Callback", "https://c.test"), ("Upstash-Failure-Callback", "https://f.test")
    )
    if before == "RETRY":
        await deliver(api, BROKEN)
        await deliver(api)  # the callback of this attempt
    elif before == "ACTIVE":
        assert await lease(api) == 1
    assert (await states(api, message))[-1] == before
    assert (await api.done("DELETE", f"/v2/messages/{message['messageId']}")) == {"cancelled": 1}
    assert (await states(api, message))[-2:] == ["CANCEL_REQUESTED", "CANCELED"]
    api.clock.time += FAR
    assert (await deliver(api), await letters(api, message)) == ([], [])


@pytest.mark.parametrize("answer", [Response(200), BROKEN, None], ids=["DELIVERED", "FAILED", "CANCELED"])
async def test_what_has_ended_cannot_be_canceled(api: Api, answer: Response | None) -> None:
    message = await api.publish(URL, ("Upstash-Retries", "0"))
    target = f"/v2/messages/{message['messageId']}"
    if answer:
        await deliver(api, answer)
    else:
        await api.done("DELETE", target)
    before = await states(api, message)
    assert (await api.request("DELETE", target)).status == 404
    assert await api.done("DELETE", "/v2/messages") == {"cancelled": 0}
    assert await states(api, message) == before


async def test_each_state_is_a_filter_of_entries(api: Api) -> None:
    delivered, failed, canceled = [await api.publish(f"{URL}/{n}", ("Upstash-Retries", "1")) for n in range(3)]
    await api.done("DELETE", f"/v2/messages/{canceled['messageId']}")
    await deliver(api, Response(200), BROKEN)
    api.clock.time += FAR
    await deliver(api, BROKEN)
    expected = {
        "CREATED": 3,
        "ACTIVE": 3,
        "RETRY": 1,
        "ERROR": 2,
        "DELIVERED": 1,
        "FAILED": 1,
        "CANCEL_REQUESTED": 1,
        "CANCELED": 1,
        "CANCELLED": 1,
        "IN_PROGRESS": 6,
    }
    for state, count in expected.items():
        shown = (await api.done("GET", f"/v2/events?state={state}"))["events"]
        assert len(shown) == count, state
        assert state in ("CANCELLED", "IN_PROGRESS") or {entry["state"] for entry in shown} == {state}
    assert (await states(api, delivered))[-1] == "DELIVERED" and (await states(api, failed))[-1] == "FAILED"
