"""What publishers were refused is counted by status; whatever else is answered with an error is not."""

import json
from typing import Any

import pytest
from tests.support.api import GRACE, READ_ONLY_TOKEN, TOKEN, Api, Clock, serving

from angarium.domain.ports import Limits, Retention, Store
from angarium.store import open_store

URL = "https://e.test/in"
BEARER = "Authorization", f"Bearer {TOKEN}"


def counted(api: Api) -> dict[int, int]:
    return {status: count for status, count in api.server.refusals.counts.items() if count}


async def batch(api: Api, *elements: Any) -> int:
    return (await api.request("POST", "/v2/batch", body=json.dumps(elements).encode())).status


@pytest.mark.parametrize(
    ("target", "header", "status"),
    [
        (f"/v2/publish/{URL}", ("Upstash-Delay", "soon"), 400),
        (f"/v2/publish/{URL}", ("Authorization", "Bearer nobody"), 401),
        (f"/v2/enqueue/orders/{URL}", ("Authorization", f"Bearer {READ_ONLY_TOKEN}"), 403),
        ("/v2/publish/no-such-topic", BEARER, 404),
        (f"/v2/publish/{URL}", ("Upstash-Delay", "9999d"), 412),
        (f"http://api.test/v2/publish/{URL}", ("Upstash-Delay", "soon"), 400),
    ],
)
async def test_a_refused_publish_is_counted_by_its_status(
    api: Api, target: str, header: tuple[str, str], status: int
) -> None:
    assert (await api.request("POST", target, header)).status == status
    assert counted(api) == {status: 1}


async def test_what_is_stored_or_is_no_publish_is_not_counted(api: Api) -> None:
    await api.publish(URL)
    for method, target in (("GET", "/v2/messages/none"), ("GET", "/nothing"), ("GET", "/v2/publications")):
        assert (await api.request(method, target)).status == 404
    assert counted(api) == {}


async def test_elements_of_a_batch_are_counted_one_by_one(api: Api) -> None:
    bad = {"destination": URL, "headers": {"Upstash-Delay": "soon"}}
    assert await batch(api, {"destination": URL}, bad, bad, {"destination": "no-such-topic"}) == 200
    assert counted(api) == {400: 2, 404: 1}


async def test_a_batch_that_is_refused_as_a_whole_counts_once(api: Api) -> None:
    assert await batch(api, 1, 2, 3) == 400
    assert counted(api) == {400: 1}


async def test_a_tenants_limit_and_the_end_of_the_program_are_counted(clock: Clock) -> None:
    store: Store = open_store(
        None, limits=Limits(waiting=0), new_id=lambda at: "msg_1", clock=clock, retention=Retention()
    )
    async with serving(store, clock) as api, api.connect() as wire:
        assert (await api.request("POST", f"/v2/publish/{URL}")).status == 429
        await api.server.drain(GRACE)
        assert (await wire.request("POST", f"/v2/publish/{URL}")).status == 503
        assert counted(api) == {429: 1, 503: 1}
    await store.close()
