"""Schedules made over the API (contract 4.11, 11, 15.4, 23.2): their settings, and what they send at their times."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from tests.support.api import OTHER_TOKEN, PUBLISH_ONLY_TOKEN, Api, Clock, attempt, serving
from tests.support.fakes import FakeReferences
from tests.support.waiting import until

from angarium.domain.declarations import Kind
from angarium.domain.messages import Response
from angarium.domain.ports import Store
from angarium.engine.decisions import Decisions
from angarium.engine.scheduler import Scheduler
from angarium.engine.supervisor import Pulse
from angarium.service.objects import Quotas

URL = "https://e.test/in"
MINUTE = timedelta(minutes=1)
EVERY_MINUTE = ("Upstash-Cron", "* * * * *")
ID = ("Upstash-Schedule-Id", "daily")
DAILY = "/v2/schedules/daily"


def ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


async def create(api: Api, *headers: tuple[str, str], to: str = URL, body: bytes = b"") -> str:
    cron = () if any(name.lower() == "upstash-cron" for name, _ in headers) else (EVERY_MINUTE,)
    created = await api.done("POST", f"/v2/schedules/{to}", *cron, *headers, body=body)
    assert set(created) == {"scheduleId"}
    return str(created["scheduleId"])


class Firing(Pulse):
    """The scheduler's loop on the API's store and clock."""

    def __init__(self, api: Api) -> None:
        super().__init__(api.clock.monotonic)
        self.turns = 0
        references = Decisions(FakeReferences())
        self.scheduler = Scheduler(api.store, references, api.dispatch, [api.watcher], api.clock)

    def beat(self) -> None:
        super().beat()
        self.turns += 1

    async def look(self) -> None:
        """Return when the loop has done what there was to do at this time."""
        for _ in range(2):  # when the second turn has begun, the first has ended
            turns = self.turns
            self.scheduler.wake()
            await until(lambda turns=turns: self.turns > turns)  # type: ignore[misc]


@asynccontextmanager
async def running(api: Api) -> AsyncIterator[Firing]:
    firing = Firing(api)
    loop = asyncio.create_task(firing.scheduler.run(firing))
    try:
        yield firing
    finally:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop


async def sent(api: Api) -> list[Any]:
    """What was accepted so far, oldest first."""
    events = (await api.done("GET", "/v2/events?state=CREATED&order=earliestFirst"))["events"]
    return [await api.message(entry["messageId"]) for entry in events]


async def tick(api: Api, firing: Firing, count: int, by: timedelta = MINUTE) -> list[Any]:
    """Let time pass; returns all messages, of which there have to be so many then."""
    api.clock.time += by
    await firing.look()
    messages = await sent(api)
    assert len(messages) == count
    return messages


async def test_a_plain_schedule(api: Api) -> None:
    schedule_id = await create(api)
    assert schedule_id.startswith("scd_")
    shown = {
        "scheduleId": schedule_id,
        "cron": "* * * * *",
        "createdAt": ms(api.clock.time),
        "destination": URL,
        "method": "POST",
        "retries": 3,
        "callerIP": "127.0.0.1",
        "callerIp": "127.0.0.1",
        "isPaused": False,
        "nextScheduleTime": ms(api.clock.time + MINUTE),
    }
    assert await api.done("GET", f"/v2/schedules/{schedule_id}") == shown
    assert await api.done("GET", "/v2/schedules") == [shown]


OPTIONS = [
    ("Upstash-Method", "put", {"method": "PUT"}),
    ("Upstash-Retries", "0", {"retries": 0}),
    ("Upstash-Retry-Delay", "1000 * (1 + retried)", {"retryDelayExpression": "1000 * (1 + retried)"}),
    ("Upstash-Timeout", "1.5s", {"timeout": 1500}),
    ("Upstash-Delay", "1m30s", {"delay": 90}),
    ("Upstash-Label", "a, b", {"label": "a", "labels": ["a", "b"]}),
    ("Upstash-Forward-test-header", "x, y", {"header": {"Test-Header": ["x, y"]}}),
    ("Content-Type", "text/plain", {"header": {"Content-Type": ["text/plain"]}}),
    ("Upstash-Queue-Name", "mail", {"queueName": "mail"}),
    ("Upstash-Callback", "https://c.test", {"callback": "https://c.test"}),
    ("Upstash-Failure-Callback", "https://f.test?a=1", {"failureCallback": "https://f.test?a=1"}),
    ("Upstash-Not-Before", "1", {}),
    ("Upstash-Deduplication-Id", "once", {}),
]


@pytest.mark.parametrize(("name", "value", "view"), OPTIONS)
async def test_options_as_headers(api: Api, name: str, value: str, view: dict[str, object]) -> None:
    shown = await api.done("GET", f"/v2/schedules/{await create(api, (name, value))}")
    assert view.items() <= shown.items()
    assert None not in shown.values()


@pytest.mark.parametrize(("name", "value", "view"), [row for row in OPTIONS if row[0] != "Content-Type"])
async def test_options_as_query_parameters(api: Api, name: str, value: str, view: dict[str, object]) -> None:
    quoted = quote(value)
    created = await api.done("POST", f"/v2/schedules/{URL}?a=1&upstash-cron=*+*+*+*+*&{name.lower()}={quoted}")
    shown = await api.done("GET", f"/v2/schedules/{created['scheduleId']}")
    assert view.items() <= shown.items() and shown["destination"] == f"{URL}?a=1"


async def test_flow_control_callback_headers_and_redaction_are_shown(api: Api) -> None:
    await create(
        api,
        ID,
        ("Upstash-Flow-Control-Key", "k"),
        ("Upstash-Flow-Control-Value", "parallelism=3"),
        ("Upstash-Callback", "https://c.test"),
        ("Upstash-Callback-Forward-X-A", "1"),
        ("Upstash-Failure-Callback", "https://f.test"),
        ("Upstash-Failure-Callback-Forward-X-B", "2"),
        ("Upstash-Redact-Fields", "body, header[X-Secret]"),
        ("Upstash-Forward-X-Secret", "crown"),
        ("Upstash-Forward-X-Open", "open"),
        body=b"jewels",
    )
    reply = await api.request("GET", DAILY)
    shown = reply.json
    assert (shown["flowControlKey"], shown["parallelism"], shown["period"]) == ("k", 3, 1) and "rate" not in shown
    assert (shown["callbackHeader"], shown["failureCallbackHeader"]) == ({"X-A": ["1"]}, {"X-B": ["2"]})
    assert shown["body"].startswith("REDACTED:") and shown["header"]["X-Open"] == ["open"]
    assert b"jewels" not in reply.body and b"crown" not in reply.body


@pytest.mark.parametrize(
    ("body", "view"),
    [(b"", {}), ('{"ü":1}'.encode(), {"body": '{"ü":1}'}), (b"\xff\x00", {"bodyBase64": "/wA="})],
    ids=["empty", "text", "binary"],
)
async def test_the_body(api: Api, body: bytes, view: dict[str, str]) -> None:
    shown = await api.done("GET", f"/v2/schedules/{await create(api, body=body)}")
    assert {name: shown[name] for name in ("body", "bodyBase64") if name in shown} == view


@pytest.mark.parametrize(
    ("cron", "following"),
    [
        ("0 4 * * *", "2026-03-02T04:00Z"),
        ("CRON_TZ=America/New_York 0 4 * * *", "2026-03-02T09:00Z"),
        ("CRON_TZ=Europe/Berlin   */5 14 * * *", "2026-03-01T13:00Z"),
        ("1 1 1 1 1", "2027-01-01T01:01Z"),
        ("* * * * 1", "2026-03-02T00:00Z"),
        ("0 0 * * 7", "2026-03-08T00:00Z"),
        ("0 0 * * SUN", "2026-03-08T00:00Z"),
        ("0 0 * jan-mar mon,wed", "2026-03-02T00:00Z"),
        ("0 0 13 * 5", "2026-03-06T00:00Z"),
        ("15-45/10 12 * * *", "2026-03-01T12:15Z"),
        ("@daily", "2026-03-02T00:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00Z"),
    ],
)
async def test_cron_is_understood_and_shown_as_it_was_written(api: Api, cron: str, following: str) -> None:
    shown = await api.done("GET", f"/v2/schedules/{await create(api, ('Upstash-Cron', f'  {cron} '))}")
    assert shown["cron"] == cron
    if cron != "1 1 1 1 1":
        assert shown["nextScheduleTime"] == ms(datetime.fromisoformat(following))
    else:  # both day fields restricted: either of them will do
        assert datetime.fromtimestamp(shown["nextScheduleTime"] / 1000, UTC) == datetime(2027, 1, 1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "cron",
    [
        "",
        " ",
        "nonsense",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* * * * 8",
        "0 0 31 2 *",
        "@reboot",
        "@every 90s",
        "CRON_TZ=Mars/Olympus 0 4 * * *",
        "CRON_TZ=Europe/Berlin",
        "CRON_TZ= 0 4 * * *",
        "TZ=Europe/Berlin 0 4 * * *",
        "0 4 * * *" + " " * 3000 + "*",
    ],
)
async def test_bad_cron_is_named_and_nothing_is_made(api: Api, cron: str) -> None:
    reply = await api.request("POST", f"/v2/schedules/{URL}", ("Upstash-Cron", cron))
    assert (reply.status, reply.error.partition(": ")[0]) == (400, "Upstash-Cron")
    assert await api.done("GET", "/v2/schedules") == []


@pytest.mark.parametrize(
    ("to", "headers", "status", "field"),
    [
        (URL, (), 400, "Upstash-Cron"),
        (URL, (EVERY_MINUTE, ("Upstash-Schedule-Id", "a b")), 400, "Upstash-Schedule-Id"),
        (URL, (EVERY_MINUTE, ("Upstash-Retries", "many")), 400, "Upstash-Retries"),
        (URL, (EVERY_MINUTE, ("Upstash-Queue-Name", "q"), ("Upstash-Callback", URL), ("Upstash-Callback-Delay", "1s")),
         400, "Upstash-Callback-Delay"),
        ("ftp://e.test", (EVERY_MINUTE,), 400, "destination"),
        ("http://169.254.169.254/", (EVERY_MINUTE,), 400, "destination"),
        ("a%20b", (EVERY_MINUTE,), 400, "destination"),
        ("unknown", (EVERY_MINUTE,), 404, "there is no URL group 'unknown'"),
    ],
)  # fmt: skip
async def test_what_cannot_be_scheduled(
    api: Api, to: str, headers: tuple[tuple[str, str], ...], status: int, field: str
) -> None:
    reply = await api.request("POST", f"/v2/schedules/{to}", *headers)
    assert reply.status == status and reply.error.startswith(field), reply.body
    assert await api.done("GET", "/v2/schedules") == []


async def test_creating_again_replaces_all_settings_of_one_entry(api: Api) -> None:
    created = api.clock.time
    await create(api, ID, ("Upstash-Label", "x"), ("Upstash-Retries", "7"), ("Upstash-Queue-Name", "q"), body=b"first")
    await api.done("PATCH", f"{DAILY}/pause")
    api.clock.time += timedelta(hours=1)
    await create(api, ID, ("Upstash-Cron", "0 4 * * *"), to="https://other.test")
    (shown,) = await api.done("GET", "/v2/schedules")
    assert (shown["cron"], shown["destination"], shown["retries"]) == ("0 4 * * *", "https://other.test", 3)
    assert (shown["createdAt"], shown["isPaused"]) == (ms(created), False)
    assert not {"body", "label", "labels", "queueName"} & set(shown)


@pytest.mark.parametrize("method", ["PATCH", "POST"])
async def test_pause_and_resume(api: Api, method: str) -> None:
    await create(api, ID)
    for action, is_paused in (("pause", True), ("pause", True), ("resume", False), ("resume", False)):
        await api.done(method, f"{DAILY}/{action}")
        shown = await api.done("GET", DAILY)
        assert shown["isPaused"] is is_paused and ("nextScheduleTime" in shown) is not is_paused
    for action in ("pause", "resume"):
        reply = await api.request(method, f"/v2/schedules/unknown/{action}")
        assert reply.status == 404 and "'unknown'" in reply.error


@pytest.mark.parametrize("to", ["https://e.test/daily/pause", "http://e.test/resume", "https://pause"])
async def test_a_url_that_ends_in_an_action_is_a_destination(api: Api, to: str) -> None:
    shown = await api.done("GET", f"/v2/schedules/{await create(api, to=to)}")
    assert shown["destination"] == to


async def test_deleting_is_idempotent_and_leaves_messages(api: Api) -> None:
    await api.done("DELETE", DAILY)
    await create(api, ID, ("Upstash-Delay", "1h"))
    async with running(api) as firing:
        await tick(api, firing, 1)
        await api.done("DELETE", DAILY)
        await api.done("DELETE", DAILY)
        assert (await api.request("GET", DAILY)).status == 404
        (message,) = await tick(api, firing, 1)
    assert await api.done("DELETE", f"/v2/messages/{message['messageId']}") == {"cancelled": 1}


async def test_publish_with_cron_makes_a_schedule(api: Api) -> None:
    created = await api.done("POST", f"/v2/publish/{URL}", EVERY_MINUTE, ID, body=b"x")
    assert created == {"scheduleId": "daily"}
    assert (await api.done("GET", DAILY))["body"] == "x"
    assert await sent(api) == []
    publisher = ("Authorization", f"Bearer {PUBLISH_ONLY_TOKEN}")
    assert (await api.request("POST", f"/v2/publish/{URL}", EVERY_MINUTE, publisher)).status == 403


async def test_what_a_slot_sends_is_as_if_it_were_published_then(api: Api) -> None:
    await create(
        api,
        ID,
        ("Upstash-Method", "PUT"),
        ("Upstash-Retries", "1"),
        ("Upstash-Retry-Delay", "500"),
        ("Upstash-Delay", "90s"),
        ("Upstash-Label", "a,b"),
        ("Upstash-Forward-X", "1"),
        ("Content-Type", "text/plain"),
        ("Upstash-Queue-Name", "mail"),
        ("Upstash-Callback", "https://c.test"),
        ("Upstash-Failure-Callback", "https://f.test"),
        ("Upstash-Flow-Control-Key", "k"),
        ("Upstash-Flow-Control-Value", "rate=5, period=2s"),
        ("Upstash-Redact-Fields", "header[X]"),
        body=b"report",
    )
    async with running(api) as firing:
        (message,) = await tick(api, firing, 1)
    now_ms = ms(api.clock.time)
    redacted = message.pop("header")
    assert redacted["Content-Type"] == ["text/plain"] and redacted["X"][0].startswith("REDACTED:")
    assert message == {
        "messageId": message["messageId"],
        "url": URL,
        "queueName": "mail",
        "scheduleId": "daily",
        "method": "PUT",
        "callback": "https://c.test",
        "failureCallback": "https://f.test",
        "body": "report",
        "maxRetries": 1,
        "retryDelayExpression": "500",
        "notBefore": now_ms + 90_000,
        "createdAt": now_ms,
        "callerIP": "127.0.0.1",
        "callerIp": "127.0.0.1",
        "label": "a",
        "labels": ["a", "b"],
        "flowControlKey": "k",
        "rate": 5,
        "period": 2,
    }


async def test_a_slot_leaves_an_existing_queue_as_it_is_and_makes_a_missing_one(api: Api) -> None:
    await api.done("POST", "/v2/queues", body={"queueName": "known", "parallelism": 7})
    for queue in ("known", "new"):
        await create(api, ("Upstash-Queue-Name", queue))
    async with running(api) as firing:
        await tick(api, firing, 2)
    shown = [(queue["name"], queue["parallelism"], queue["lag"]) for queue in await api.done("GET", "/v2/queues")]
    assert shown == [("known", 7, 1), ("new", 1, 1)]


async def test_states_and_times_of_the_last_slot(api: Api) -> None:
    members = [{"url": "https://a.test"}, {"url": "https://b.test"}]
    await api.done("POST", "/v2/topics/group/endpoints", body={"endpoints": members})
    await create(api, ID, to="group")
    shown = await api.done("GET", DAILY)
    assert shown["destination"] == "group"
    assert not {"lastScheduleTime", "lastScheduleStates", "error"} & set(shown)
    async with running(api) as firing:
        first = [message["messageId"] for message in await tick(api, firing, 2)]
        shown = await api.done("GET", DAILY)
        assert shown["lastScheduleTime"] == ms(api.clock.time)
        assert shown["nextScheduleTime"] == ms(api.clock.time + MINUTE)
        assert shown["lastScheduleStates"] == dict.fromkeys(first, "IN_PROGRESS")
        await attempt(api, Response(500))
        assert (await api.done("GET", DAILY))["lastScheduleStates"] == dict.fromkeys(first, "FAIL")
        second = [one["messageId"] for one in (await tick(api, firing, 4, timedelta(seconds=59)))[2:]]
        assert (await api.done("GET", DAILY))["lastScheduleStates"] == dict.fromkeys(second, "IN_PROGRESS")
        await api.done("DELETE", f"/v2/messages/{second[0]}")
        await attempt(api, Response(200))
        assert (await api.done("GET", DAILY))["lastScheduleStates"] == {second[0]: "FAIL", second[1]: "SUCCESS"}


async def test_a_group_is_expanded_at_each_slot_and_one_that_is_gone_is_told(api: Api) -> None:
    await api.done("POST", "/v2/topics/group/endpoints", body={"endpoints": [{"url": "https://a.test"}]})
    await create(api, ID, to="group")
    async with running(api) as firing:
        await tick(api, firing, 1)
        await api.done("POST", "/v2/topics/group/endpoints", body={"endpoints": [{"url": "https://b.test"}]})
        await tick(api, firing, 3)
        await api.done("DELETE", "/v2/topics/group")
        await tick(api, firing, 3)
        shown = await api.done("GET", DAILY)
        assert "'group'" in shown["error"] and "lastScheduleStates" not in shown
        await api.done("POST", "/v2/topics/group/endpoints", body={"endpoints": [{"url": "https://a.test"}]})
        await tick(api, firing, 4)
    assert "error" not in await api.done("GET", DAILY)


async def test_paused_slots_are_skipped_and_not_made_up_for(api: Api) -> None:
    await create(api, ID)
    async with running(api) as firing:
        await tick(api, firing, 1)
        await api.done("PATCH", f"{DAILY}/pause")
        await tick(api, firing, 1, timedelta(minutes=10))
        await api.done("PATCH", f"{DAILY}/resume")
        await tick(api, firing, 1, timedelta(seconds=30))
        await tick(api, firing, 2, timedelta(seconds=30))


async def test_of_missed_slots_at_most_one_is_sent_at_the_start(api: Api) -> None:
    await create(api, ID)
    api.clock.time += timedelta(hours=2, seconds=30)
    async with running(api) as firing:
        (message,) = await tick(api, firing, 1, timedelta(0))
        assert message["createdAt"] == ms(api.clock.time)
        await tick(api, firing, 2, timedelta(seconds=30))
    assert (await api.done("GET", DAILY))["lastScheduleTime"] == ms(api.clock.time)


async def test_replacing_does_not_fire_a_past_slot_of_the_new_cron(api: Api) -> None:
    await create(api, ID, ("Upstash-Cron", "0 0 * * *"))
    api.clock.time += timedelta(minutes=30)
    await create(api, ID, ("Upstash-Cron", "15 * * * *"))
    async with running(api) as firing:
        await tick(api, firing, 0, timedelta(seconds=30))
        await tick(api, firing, 1, timedelta(minutes=44, seconds=30))


async def test_a_groups_default_headers_are_those_of_its_schedules_too(api: Api) -> None:
    await api.done("POST", "/v2/topics/group/endpoints", body={"endpoints": [{"url": "https://a.test"}]})
    await api.done("PATCH", "/v2/topics/group", body={"headers": {"Upstash-Retries": "9", "Upstash-Method": "PUT"}})
    await create(api, ID, ("Upstash-Method", "PATCH"), to="group")
    shown = await api.done("GET", DAILY)
    assert (shown["retries"], shown["method"]) == (9, "PATCH")


async def test_a_full_tenant_still_changes_what_it_has(store: Store, clock: Clock) -> None:
    async with serving(store, clock, quotas=Quotas({Kind.SCHEDULE: 1})) as api:
        await create(api, ID)
        refused = await api.request("POST", f"/v2/schedules/{URL}", EVERY_MINUTE)
        assert refused.status == 412 and "limit of 1" in refused.error
        await create(api, ID, ("Upstash-Retries", "1"))
        assert [shown["retries"] for shown in await api.done("GET", "/v2/schedules")] == [1]


async def test_others_see_nothing_and_publishers_make_none(api: Api) -> None:
    await create(api, ID)
    other, publisher = (("Authorization", f"Bearer {token}") for token in (OTHER_TOKEN, PUBLISH_ONLY_TOKEN))
    assert await api.done("GET", "/v2/schedules", other) == []
    assert (await api.request("GET", DAILY, other)).status == 404
    await api.done("DELETE", DAILY, other)
    assert (await api.request("PATCH", f"{DAILY}/pause", other)).status == 404
    assert (await api.request("POST", f"/v2/schedules/{URL}", EVERY_MINUTE, publisher)).status == 403
    assert len(await api.done("GET", "/v2/schedules")) == 1
