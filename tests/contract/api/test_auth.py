"""Who may do what (contract 2, 3.2, 25)."""

from urllib.parse import quote

import pytest
from tests.support.api import PUBLISH_ONLY_TOKEN, READ_ONLY_TOKEN, TOKEN, Api
from tests.support.routes import CHANGES, PUBLIC, PUBLISHES, READS, Named, furnish, send
from tests.support.routes import KEYS as KEYS_ROW

PUBLISH = ("POST", "/v2/publish/https://e.test")
LOOKS = [("GET", path) for path in ("/v2/messages/msg_1", "/v2/events", "/v2/logs", "/v2/dlq")]
KEYS = ("GET", "/v2/keys")
NOBODY = ("Authorization", "Basic YTpi")


@pytest.mark.parametrize(("method", "target"), [PUBLISH, *LOOKS, KEYS])
@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", TOKEN, f"Bearer {TOKEN} x", "Bearer \udcff"],
)
async def test_without_a_valid_token_nothing_is_answered(
    api: Api, method: str, target: str, authorization: str
) -> None:
    reply = await api.request(method, target, ("Authorization", authorization))
    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert "token" in reply.error
    assert "wrong" not in reply.error


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_case_insensitive(api: Api, scheme: str) -> None:
    assert (await api.request("GET", "/v2/logs", ("Authorization", f"{scheme} {TOKEN}"))).status == 200


@pytest.mark.parametrize("text", [TOKEN, quote(TOKEN, safe="")])
async def test_a_token_in_the_query_is_split_at_its_first_equals_sign(api: Api, text: str) -> None:
    assert (await api.request("GET", f"/v2/logs?qstash_token={text}", NOBODY)).status == 200
    reply = await api.request("POST", f"/v2/publish/https://e.test/?a=1&qstash_token={text}", NOBODY)
    assert reply.json["url"] == "https://e.test/?a=1"


async def test_a_plus_in_a_query_token_is_a_plus(api: Api) -> None:
    target = "/v2/publish/https://e.test?qstash_token="
    assert (await api.request("POST", target + PUBLISH_ONLY_TOKEN, NOBODY)).status == 200
    assert (await api.request("POST", target + quote(PUBLISH_ONLY_TOKEN, safe=""), NOBODY)).status == 200


async def test_the_query_token_wins_over_the_header(api: Api) -> None:
    assert (await api.request("GET", "/v2/logs?qstash_token=wrong")).status == 401
    own = ("Authorization", "Bearer of-the-webhook-sender")
    assert (await api.request("GET", f"/v2/logs?qstash_token={TOKEN}", own)).status == 200


async def test_a_read_only_token_reads_everything_but_the_keys(api: Api) -> None:
    named = await furnish(api)
    for row in READS:
        assert (await send(api, row, named, READ_ONLY_TOKEN)).status == 200
    for row in (KEYS_ROW, *PUBLISHES, *CHANGES):
        reply = await send(api, row, named, READ_ONLY_TOKEN)
        assert reply.status == 403, row
        assert "ReadOnly: it may read, not " in reply.error
    assert (await send(api, READS[0], named, TOKEN)).status == 200


async def test_a_publish_only_token_publishes_and_nothing_else(api: Api) -> None:
    named = await furnish(api)
    for row in PUBLISHES:
        assert (await send(api, row, named, PUBLISH_ONLY_TOKEN)).status == 200, row
    for row in (KEYS_ROW, *READS, *CHANGES):
        reply = await send(api, row, named, PUBLISH_ONLY_TOKEN)
        assert reply.status == 403, row
        assert "PublishOnly: it may publish messages, not " in reply.error
    assert (await send(api, READS[0], named, TOKEN)).status == 200


async def test_every_route_but_the_public_one_wants_a_token(api: Api) -> None:
    named = Named("msg_1", "1-0")
    for row in (KEYS_ROW, *READS, *PUBLISHES, *CHANGES):
        assert (await send(api, row, named, "wrong")).status == 401, row
    assert (await send(api, PUBLIC, named, "wrong")).status == 200


async def test_who_may_not_is_told_before_the_body_is_looked_at(api: Api) -> None:
    token = ("Authorization", f"Bearer {READ_ONLY_TOKEN}")
    assert (await api.request("DELETE", "/v2/messages", token, body=b"{")).status == 403


async def test_the_keys_are_a_stable_pair(api: Api) -> None:
    keys = (await api.request(*KEYS)).json
    assert set(keys) == {"current", "next"}
    assert all(key.startswith("sig_") and len(key) == 32 for key in keys.values())
    assert (await api.request(*KEYS)).json == keys
