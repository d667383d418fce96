"""Two tenants at once: no route shows or touches what is another's (contract 2, rule 5)."""

import pytest
from tests.support.api import NAMESPACE, OTHER_TOKEN, TOKEN, Api
from tests.support.routes import KEYS, READS, ROWS, SECRET, Named, Row, furnish, send

from angarium.api.routes import Need, resolve


async def everything(api: Api, named: Named, token: str = TOKEN) -> dict[str, object]:
    """What a tenant sees: the answer of every route that reads."""
    return {str(row): (await send(api, row, named, token)).json for row in (*READS, KEYS)}


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_a_route_shows_and_touches_nothing_of_another_tenant(api: Api, row: Row) -> None:
    named = await furnish(api)
    before = await everything(api, named)
    assert SECRET in str(before)
    reply = await send(api, row, named, OTHER_TOKEN)
    assert reply.status == row.foreign, reply.body
    assert SECRET.encode() not in reply.body
    assert await everything(api, named) == before
    assert SECRET not in str(await everything(api, named, OTHER_TOKEN))


async def test_no_route_is_left_out(api: Api) -> None:
    """Each route is reached by a row, so that a new one cannot be forgotten here."""
    reached = {resolve(api.server.routes, row.method, row.path.partition("?")[0])[0] for row in ROWS}
    assert {(route.method, route.path) for route in api.server.routes} == {
        (route.method, route.path) for route in reached
    }
    assert [route.path for route in api.server.routes if route.need is Need.NOTHING] == ["/openapi.yaml"]


async def test_bulk_routes_of_another_tenant_find_nothing(api: Api) -> None:
    named = await furnish(api)
    for row, answer in (
        (Row("DELETE", "/v2/messages"), {"cancelled": 0}),
        (Row("DELETE", "/v2/messages?messageIds={message}"), {"cancelled": 0}),
        (Row("DELETE", "/v2/dlq"), {"deleted": 0}),
        (Row("DELETE", "/v2/dlq?dlqIds={dlq}"), {"deleted": 0}),
        (Row("POST", "/v2/dlq/retry"), {"responses": []}),
    ):
        assert (await send(api, row, named, OTHER_TOKEN)).json == answer


async def test_two_tenants_have_their_own_things_under_one_name(api: Api) -> None:
    named = await furnish(api)
    before = await everything(api, named)
    other = ("Authorization", f"Bearer {OTHER_TOKEN}")
    limits = (("Upstash-Flow-Control-Key", "the/key"), ("Upstash-Flow-Control-Value", "rate=1"))
    await api.request("POST", "/v2/enqueue/the-queue/https://other.test", other, *limits)
    await api.request("POST", "/v2/flowControl/the/key/pause", other)
    assert (await api.request("GET", "/v2/flowControl/the/key", other)).json["isPaused"] is True
    assert (await api.request("GET", "/v2/queues/the-queue", other)).json["lag"] == 1
    assert await everything(api, named) == before
    own = (await api.request("GET", "/v2/keys")).json
    assert not set(own.values()) & set((await api.request("GET", "/v2/keys", other)).json.values())


async def test_a_deduplication_id_is_a_tenants_own(api: Api) -> None:
    once = ("Upstash-Deduplication-Id", "once")
    published = await api.publish("https://e.test", once)
    other = await api.request("POST", "/v2/publish/https://e.test", once, ("Authorization", f"Bearer {OTHER_TOKEN}"))
    assert other.status == 200
    assert other.json["messageId"] != published["messageId"]
    assert NAMESPACE not in str(other.json)
