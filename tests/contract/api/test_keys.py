"""Signing keys and their rotation (contract 14, 17)."""

from tests.support.api import OTHER_TOKEN, PUBLISH_ONLY_TOKEN, READ_ONLY_TOKEN, Api

from angarium.domain.credentials import SigningKeys
from angarium.domain.notices import KeysRotated

ROTATE = ("POST", "/v2/keys/rotate")


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


async def pair(api: Api) -> tuple[str, str]:
    keys = (await api.request("GET", "/v2/keys")).json
    assert set(keys) == {"current", "next"}
    return keys["current"], keys["next"]


async def test_a_rotation_moves_next_up_and_makes_a_new_one(api: Api) -> None:
    first = await pair(api)
    reply = await api.request(*ROTATE)
    assert reply.status == 200
    assert set(reply.json) == {"current", "next"}
    assert reply.json["current"] == first[1]
    assert reply.json["next"] not in first
    assert (len(reply.json["next"]), reply.json["next"][:4]) == (32, "sig_")
    assert await pair(api) == (reply.json["current"], reply.json["next"])
    assert (await api.request(*ROTATE)).json["current"] == reply.json["next"]


async def test_a_namespace_without_keys_can_rotate(api: Api) -> None:
    reply = await api.request(*ROTATE)
    assert reply.status == 200
    assert await pair(api) == (reply.json["current"], reply.json["next"])


async def test_whoever_keeps_secrets_is_told(api: Api) -> None:
    await api.request(*ROTATE)
    assert KeysRotated("shop") in api.watcher.notices


async def test_adopted_keys_cannot_be_rotated(api: Api) -> None:
    adopted = SigningKeys("sig_a", "sig_b", adopted=True)
    await api.store.put_signing_keys("shop", adopted, replace=True)
    reply = await api.request(*ROTATE)
    assert reply.status == 409
    assert "Secret" in reply.error and "sig_" not in reply.error
    assert await pair(api) == ("sig_a", "sig_b")
    assert not [notice for notice in api.watcher.notices if isinstance(notice, KeysRotated)]


async def test_another_tenant_keeps_its_keys(api: Api) -> None:
    other = bearer(OTHER_TOKEN)
    before = (await api.request("GET", "/v2/keys", other)).json
    mine = await pair(api)
    await api.request(*ROTATE)
    assert (await api.request("GET", "/v2/keys", other)).json == before
    assert (await api.request(*ROTATE, other)).json["current"] == before["next"]
    assert (await pair(api))[0] == mine[1]


async def test_only_a_token_that_may_change_rotates(api: Api) -> None:
    before = await pair(api)
    for token in (READ_ONLY_TOKEN, PUBLISH_ONLY_TOKEN):
        assert (await api.request(*ROTATE, bearer(token))).status == 403
    assert await pair(api) == before
