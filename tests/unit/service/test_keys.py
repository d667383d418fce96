"""Tokens and signing keys are read once per change of the store, and a namespace never has two pairs."""

import os

from tests.support.fakes import FakeCredentials, Recorder

from angarium.domain.credentials import Credential, SigningKeys, token_hash
from angarium.domain.declarations import Access
from angarium.domain.notices import KeysRotated
from angarium.service.keys import Keys


async def test_a_token_is_found_by_its_hash() -> None:
    store = FakeCredentials()
    shop = Credential("shop", "main", token_hash("agt_a"), Access.READ_WRITE)
    await store.put_credential(shop)
    keys = Keys(store, os.urandom)
    assert await keys.authenticate("agt_a") == shop
    assert await keys.authenticate("agt_b") is None
    assert await keys.authenticate("") is None


async def test_the_store_is_read_again_only_after_a_change() -> None:
    store = FakeCredentials()
    keys = Keys(store, os.urandom)
    for _ in range(3):
        assert await keys.authenticate("agt_a") is None
    assert store.reads == 1
    await store.put_credential(Credential("shop", "main", token_hash("agt_a"), Access.READ_ONLY))
    for _ in range(3):
        assert await keys.authenticate("agt_a") is not None
    assert store.reads == 2
    await store.revoke_credential("shop", "main")
    assert await keys.authenticate("agt_a") is None


async def test_a_change_while_the_store_is_read_is_not_missed() -> None:
    class Racing(FakeCredentials):
        async def credentials(self) -> list[Credential]:  # type: ignore[override]
            found = list(self.held.values())
            if not self.held:
                await self.put_credential(Credential("shop", "main", token_hash("agt_a"), Access.READ_ONLY))
            return found

    keys = Keys(Racing(), os.urandom)
    assert await keys.authenticate("agt_a") is None
    assert await keys.authenticate("agt_a") is not None


async def test_a_namespace_without_keys_gets_a_stored_pair() -> None:
    store = FakeCredentials()
    keys = Keys(store, os.urandom)
    pair = await keys.signing_keys("shop")
    assert pair.current.startswith("sig_") and pair.next.startswith("sig_") and pair.current != pair.next
    assert (
        store.keys["shop"]
        == pair
        == await keys.signing_keys("shop")
        == await Keys(store, os.urandom).signing_keys("shop")
    )
    assert await keys.signing_keys("blog") != pair


async def test_a_pair_stored_by_another_meanwhile_is_the_one_in_force() -> None:
    store = FakeCredentials()
    other = SigningKeys("sig_x", "sig_y", adopted=True)

    class Behind(FakeCredentials):
        async def signing_keys(self) -> dict[str, SigningKeys]:  # type: ignore[override]
            found = dict(store.keys)
            store.keys.setdefault("shop", other)
            self.keys = store.keys
            return found

    assert await Keys(Behind(), os.urandom).signing_keys("shop") == other


async def test_a_rotation_is_in_force_at_once_and_told() -> None:
    store, recorder = FakeCredentials(), Recorder()
    keys = Keys(store, os.urandom, [recorder])
    first = await keys.signing_keys("shop")
    rotated = await keys.rotate("shop")
    assert (rotated.current, await keys.signing_keys("shop")) == (first.next, rotated)
    assert rotated.next not in (first.current, first.next)
    assert recorder.notices == [KeysRotated("shop")]
    assert (await keys.rotate("blog")).current, "a namespace without keys gets some first"


async def test_keys_rotated_in_the_store_are_used_at_once() -> None:
    store = FakeCredentials()
    keys = Keys(store, os.urandom)
    first = await keys.signing_keys("shop")
    await store.put_signing_keys("shop", SigningKeys(first.next, "sig_new"), replace=True)
    assert (await keys.signing_keys("shop")).current == first.next
