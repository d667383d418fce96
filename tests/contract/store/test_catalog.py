from dataclasses import replace

import pytest
from tests.support.fakes import START
from tests.support.stores import NS, changed, declared, endpoint, schedule, topic

from angarium.domain.credentials import Credential, SigningKeys, token_hash
from angarium.domain.declarations import Access, Kind, ObjectRef, Rejection, Token
from angarium.domain.errors import InvalidInput
from angarium.domain.ports import Store, Version

REJECTED = Rejection("InvalidCron", "spec.cron: 'x' is not a cron expression")


@pytest.mark.parametrize(
    "given",
    [
        endpoint(labels={"events": "orders", "example.com/tier": "1"}),
        topic("orders", "billing", match={"events": "orders"}),
        schedule(run_now="first", last_slot=START),
        declared(Kind.TOKEN, "shop", Token("shop-qstash", Access.READ_ONLY)),
        schedule(spec=REJECTED),
    ],
    ids=lambda given: f"{given.ref.kind}-{type(given.spec).__name__}",
)
async def test_what_was_applied_comes_back_the_same(store: Store, given) -> None:
    assert await store.apply([given], START) == {given.ref}
    assert await store.declared(given.ref) == given
    assert await store.known(given.ref) == Version(given.uid, given.generation, given.fingerprint)
    assert await store.catalog(given.ref.kind) == [given]
    assert await store.catalog(given.ref.kind, "other") == []


async def test_apply_returns_only_what_changed(store: Store) -> None:
    first, second = endpoint("a"), endpoint("b")
    await store.apply([first, second], START)
    assert await store.apply([first, changed(second)], START) == {second.ref}
    assert await store.apply([replace(first, fingerprint="labels")], START) == {first.ref}
    assert await store.apply([replace(first, fingerprint="labels")], START) == frozenset()


async def test_remove_minds_the_uid(store: Store) -> None:
    first, second, third = endpoint("a"), endpoint("b"), topic("c")
    await store.apply([first, second, third], START)
    gone = await store.remove([(first.ref, "another"), (second.ref, second.uid), (third.ref, None)], START)
    assert gone == {second.ref, third.ref}
    assert await store.remove([(second.ref, None)], START) == frozenset()
    assert [found.ref for found in await store.catalog(Kind.ENDPOINT)] == [first.ref]
    assert await store.known(second.ref) is None and await store.declared(second.ref) is None


async def test_an_endpoint_comes_back_under_its_name(store: Store) -> None:
    first = endpoint("a")
    await store.apply([first], START)
    await store.remove([(first.ref, first.uid)], START)
    again = replace(first, uid="another")
    assert await store.apply([again], START) == {first.ref}
    assert await store.declared(first.ref) == again


async def test_dependents(store: Store) -> None:
    listing, selecting = topic("listing", "a"), topic("selecting", match={"x": "y"})
    elsewhere = topic("selecting", match={}, namespace="other")
    direct = schedule("direct", destination=replace(schedule().spec.destination, url=None, endpoint="a"))
    through = schedule("through", destination=replace(schedule().spec.destination, url=None, topic="listing"))
    await store.apply([listing, selecting, elsewhere, direct, through], START)
    a, b = ObjectRef(Kind.ENDPOINT, NS, "a"), ObjectRef(Kind.ENDPOINT, NS, "b")
    assert await store.dependents([a]) == {listing.ref, selecting.ref, direct.ref}
    assert await store.dependents([b]) == {selecting.ref}
    assert await store.dependents([listing.ref]) == {through.ref}
    await store.apply([changed(listing, spec=REJECTED)], START)
    await store.remove([(direct.ref, None)], START)
    assert await store.dependents([a]) == {selecting.ref}


def credential(name: str, text: str, access: Access = Access.READ_WRITE) -> Credential:
    return Credential(NS, name, token_hash(text), access)


async def test_credentials(store: Store) -> None:
    before = store.credentials_version()
    await store.put_credential(credential("a", "one"))
    assert store.credentials_version() != before
    await store.put_credential(credential("a", "two", Access.PUBLISH_ONLY))
    assert await store.credentials() == [credential("a", "two", Access.PUBLISH_ONLY)]
    version = store.credentials_version()
    with pytest.raises(InvalidInput):
        await store.put_credential(credential("b", "two"))
    assert store.credentials_version() == version
    await store.revoke_credential(NS, "a")
    assert await store.credentials() == [] and store.credentials_version() != version


async def test_a_token_takes_its_credential_along(store: Store) -> None:
    token = declared(Kind.TOKEN, "a", Token("a-qstash"))
    await store.apply([token], START)
    await store.put_credential(credential("a", "one"))
    version = store.credentials_version()
    await store.remove([(token.ref, token.uid)], START)
    assert await store.credentials() == [] and store.credentials_version() != version


async def test_the_first_signing_keys_stay_unless_replaced(store: Store) -> None:
    first, second = SigningKeys("sig_1", "sig_2"), SigningKeys("sig_3", "sig_4", adopted=True)
    assert await store.put_signing_keys(NS, first, replace=False) == first
    assert await store.put_signing_keys(NS, second, replace=False) == first
    assert await store.put_signing_keys(NS, second, replace=True) == second
    assert await store.signing_keys() == {NS: second}
