"""Flow-control keys over HTTP (contract 13, 15.7, 23.1): seen, paused, pinned and reset."""

from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from tests.support.api import PARALLELISM, Api, Reply, attempt

from angarium.domain.messages import LeaseGrant, Response

FRESH = {
    "flowControlKey": "k",
    "waitListSize": 0,
    "parallelismMax": 0,
    "parallelismCount": 0,
    "rateMax": 0,
    "rateCount": 0,
    "ratePeriod": 1,
    "ratePeriodStart": 0,
    "isPaused": False,
    "isPinnedParallelism": False,
    "isPinnedRate": False,
}


async def publish(api: Api, key: str = "k", value: str = "parallelism=2, rate=5, period=1m") -> Any:
    limits = (("Upstash-Flow-Control-Key", key), ("Upstash-Flow-Control-Value", value))
    return await api.publish("https://e.test", *limits)


async def key(api: Api, name: str = "k") -> dict[str, Any]:
    reply = await api.request("GET", f"/v2/flowControl/{name}")
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json
    return found


async def do(api: Api, action: str, name: str = "k") -> Reply:
    return await api.request("POST", f"/v2/flowControl/{name}/{action}")


async def lease(api: Api) -> int:
    claim = await api.store.claim(LeaseGrant("test", until=1e12, room=100, lane_room=100), api.clock.now())
    return len(claim.leased)


async def test_a_key_exists_from_the_first_message_on(api: Api) -> None:
    assert (await api.request("GET", "/v2/flowControl/k")).status == 404
    message = await publish(api)
    assert await key(api) == {
        **FRESH,
        "waitListSize": 1,
        "parallelismMax": 2,
        "rateMax": 5,
        "ratePeriod": 60,
    }
    shown = await api.message(message["messageId"])
    assert {name: shown[name] for name in ("flowControlKey", "parallelism", "rate", "period")} == {
        "flowControlKey": "k",
        "parallelism": 2,
        "rate": 5,
        "period": 60,
    }


async def test_what_is_not_limited_is_not_on_the_message(api: Api) -> None:
    shown = await api.message((await publish(api, value="parallelism=3"))["messageId"])
    assert (shown["parallelism"], shown["period"], "rate" in shown) == (3, 1, False)
    plain = await api.message((await api.publish("https://e.test"))["messageId"])
    assert not {"flowControlKey", "parallelism", "rate", "period"} & set(plain)


async def test_counts_follow_what_is_on_its_way(api: Api) -> None:
    for _ in range(4):
        await publish(api)
    start = int(api.clock.now().timestamp())
    assert await lease(api) == 2
    seen = await key(api)
    assert (seen["parallelismCount"], seen["rateCount"], seen["waitListSize"]) == (2, 2, 2)
    assert (seen["ratePeriod"], seen["ratePeriodStart"]) == (60, start)
    assert (await api.request("GET", "/v2/globalParallelism")).json == {
        "parallelismMax": PARALLELISM,
        "parallelismCount": 2,
    }


async def test_the_list_and_its_search(api: Api) -> None:
    assert (await api.request("GET", "/v2/flowControl")).json == []
    for name in ("billing-eu", "billing-us", "mail"):
        await publish(api, name)
    listed = (await api.request("GET", "/v2/flowControl")).json
    assert [one["flowControlKey"] for one in listed] == ["billing-eu", "billing-us", "mail"]
    for search, names in (("ing-", ["billing-eu", "billing-us"]), ("mail", ["mail"]), ("%25", []), ("Mail", [])):
        found = (await api.request("GET", f"/v2/flowControl?search={search}")).json
        assert [one["flowControlKey"] for one in found] == names
    assert listed[2] == await key(api, "mail")


async def test_pause_and_resume(api: Api) -> None:
    await publish(api)
    for _ in range(2):
        assert (await do(api, "pause")).status == 200
        assert (await key(api))["isPaused"] is True
    assert await lease(api) == 0
    await publish(api)
    before = api.dispatch.wakes
    for _ in range(2):
        assert (await do(api, "resume")).status == 200
        assert (await key(api))["isPaused"] is False
    assert api.dispatch.wakes > before, "what waits may start at once"
    assert await lease(api) == 2


async def test_an_unknown_key_can_be_paused_or_pinned(api: Api) -> None:
    assert (await do(api, "pause", "new")).status == 200
    assert await key(api, "new") == {**FRESH, "flowControlKey": "new", "isPaused": True}
    assert (await do(api, "pin?parallelism=1", "newer")).status == 200
    assert (await key(api, "newer"))["isPinnedParallelism"] is True


@pytest.mark.parametrize(
    "raw", ["a%20b", "a/b", "a%2Fb/pin", "endpoint/billing", "schedule/daily", "%C3%BC%3F", "pause"]
)
async def test_a_key_is_all_before_the_action_decoded_once(api: Api, raw: str) -> None:
    assert (await do(api, "pause", raw)).status == 200
    (only,) = (await api.request("GET", "/v2/flowControl")).json
    assert only["flowControlKey"] == unquote(raw)
    assert await key(api, raw) == only
    assert (await do(api, "resume", raw)).status == 200


async def test_a_pin_wins_over_what_messages_say(api: Api) -> None:
    await publish(api)
    assert (await do(api, "pin?parallelism=7")).status == 200
    seen = await key(api)
    assert (seen["parallelismMax"], seen["rateMax"], seen["ratePeriod"]) == (7, 5, 60)
    assert (seen["isPinnedParallelism"], seen["isPinnedRate"]) == (True, False)
    assert (await do(api, "pin?rate=9&period=3600")).status == 200
    shown = await api.message((await publish(api, value="parallelism=1, rate=1"))["messageId"])
    assert (shown["parallelism"], shown["rate"]) == (1, 1), "still echoed"
    seen = await key(api)
    assert (seen["parallelismMax"], seen["rateMax"], seen["ratePeriod"]) == (7, 9, 3600)
    assert (seen["isPinnedParallelism"], seen["isPinnedRate"]) == (True, True)


async def test_a_pinned_rate_without_a_period_keeps_the_period(api: Api) -> None:
    await publish(api)
    await do(api, "pin?rate=3")
    assert (await key(api))["ratePeriod"] == 60
    await do(api, "pin?rate=3", "new")
    assert (await key(api, "new"))["ratePeriod"] == 1


async def test_pinning_begins_a_new_window(api: Api) -> None:
    await publish(api)
    assert await lease(api) == 1
    api.clock.time += timedelta(seconds=5)
    await do(api, "pin?rate=3&period=60")
    seen = await key(api)
    assert (seen["rateCount"], seen["ratePeriodStart"]) == (0, int(api.clock.now().timestamp()))


async def test_unpinning_takes_only_what_is_named(api: Api) -> None:
    await do(api, "pin?parallelism=7&rate=9&period=60")
    assert (await do(api, "unpin?parallelism=True&rate=false")).status == 200
    seen = await key(api)
    assert (seen["isPinnedParallelism"], seen["isPinnedRate"], seen["parallelismMax"]) == (False, True, 7)
    assert (await do(api, "unpin")).status == 200
    assert (await key(api))["isPinnedRate"] is True
    assert (await do(api, "unpin?rate=true")).status == 200
    await publish(api, value="parallelism=2, rate=5, period=1m")
    seen = await key(api)
    assert (seen["parallelismMax"], seen["rateMax"], seen["ratePeriod"]) == (2, 5, 60)


@pytest.mark.parametrize("paused", [False, True])
async def test_the_rate_is_reset(api: Api, paused: bool) -> None:
    await publish(api)
    await attempt(api, Response(200))
    assert (await key(api))["rateCount"] == 1
    if paused:
        await do(api, "pause")
    assert (await do(api, "resetRate")).status == 200
    seen = await key(api)
    assert (seen["rateCount"], seen["ratePeriodStart"]) == (0, int(api.clock.now().timestamp()))
    await publish(api)
    assert await lease(api) == (0 if paused else 1)
    assert (await key(api))["rateCount"] == (0 if paused else 1)


async def test_the_older_reset_unpins_and_resets(api: Api) -> None:
    await do(api, "pin?parallelism=7&rate=9&period=60")
    await publish(api)
    await attempt(api, Response(200))
    assert (await key(api))["rateCount"] == 1
    assert (await do(api, "reset")).status == 200
    seen = await key(api)
    assert (seen["isPinnedParallelism"], seen["isPinnedRate"], seen["rateCount"]) == (False, False, 0)


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ("pin", "parallelism"),
        ("pin?", "parallelism"),
        ("pin?period=5", "period"),
        ("pin?parallelism=1&period=5", "period"),
        ("pin?parallelism=0", "parallelism"),
        ("pin?parallelism=-1", "parallelism"),
        ("pin?parallelism=1.5", "parallelism"),
        ("pin?parallelism=", "parallelism"),
        ("pin?rate=x", "rate"),
        ("pin?rate=" + "9" * 40, "rate"),
        ("pin?rate=1&period=0", "period"),
        ("pin?rate=1&period=1.5", "period"),
        ("pin?rate=1&period=604801", "period"),
        ("pin?rate=1&period=soon", "period"),
        ("unpin?parallelism=maybe", "parallelism"),
        ("unpin?rate=", "rate"),
    ],
)
async def test_bad_values_are_named_and_change_nothing(api: Api, action: str, field: str) -> None:
    await publish(api)
    before = await key(api)
    reply = await do(api, action)
    assert (reply.status, reply.error.partition(":")[0]) == (400, field)
    assert await key(api) == before


@pytest.mark.parametrize("raw", ["%FF", "a" * 513])
async def test_a_key_that_none_could_have_is_refused(api: Api, raw: str) -> None:
    for reply in (await api.request("GET", f"/v2/flowControl/{raw}"), await do(api, "pause", raw)):
        assert (reply.status, reply.error.partition(":")[0]) == (400, "flowControlKey")
    assert (await api.request("GET", "/v2/flowControl")).json == []


async def test_an_unknown_action_is_no_route(api: Api) -> None:
    assert (await do(api, "stop")).status == 405
    assert (await api.request("POST", "/v2/flowControl/pause")).status == 405
    assert (await api.request("GET", "/v2/flowControl")).json == []
