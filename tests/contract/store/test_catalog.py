from dataclasses import replace

import pytest
from tests.support.fakes import START
from tests.support.stores import (
    DAY,
    NS,
    SECOND,
    accepted,
    changed,
    declared,
    delivered,
    endpoint,
    grant,
    leased,
    publication,
    schedule,
    topic,
)

from angarium.domain.credentials import Credential, SigningKeys, token_hash
from angarium.domain.declarations import (
    Access,
    Declared,
    Kind,
    ObjectRef,
    Origin,
    Queue,
    Rejection,
    Schedule,
    Spec,
    Token,
)
from angarium.domain.errors import InvalidInput, OwnedByResource, QuotaReached
from angarium.domain.messages import MessageState
from angarium.domain.ports import Change, Store, Version
from angarium.store import ownership

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
    assert (await store.apply([given], START)).changed == {given.ref}
    assert await store.declared(given.ref) == given
    assert await store.known(given.ref) == Version(given.uid, given.generation, given.fingerprint)
    assert await store.catalog(given.ref.kind) == [given]
    assert await store.catalog(given.ref.kind, "other") == []
    assert await store.declared_many([given.ref], bodies=False) == {given.ref: given}


async def test_large_bodies_are_left_out_when_nobody_asks_for_them(store: Store) -> None:
    body = bytes(range(256)) * 256
    large = schedule(spec=replace(schedule().spec, body=body, labels=("nightly",)))
    await store.apply([large], START)
    assert await store.declared_many([large.ref]) == {large.ref: large}
    without = replace(large, spec=replace(large.spec, body=b""))
    assert await store.declared_many([large.ref], bodies=False) == {large.ref: without}


async def test_apply_returns_only_what_changed(store: Store) -> None:
    first, second = endpoint("a"), endpoint("b")
    await store.apply([first, second], START)
    assert (await store.apply([first, changed(second)], START)).changed == {second.ref}
    assert (await store.apply([replace(first, fingerprint="labels")], START)).changed == {first.ref}
    assert (await store.apply([replace(first, fingerprint="labels")], START)).changed == frozenset()


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
    assert (await store.apply([again], START)).changed == {first.ref}
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


QUEUE = ObjectRef(Kind.QUEUE, NS, "mine")


def to(spec: Spec) -> Change:
    """Make the object anew, or change its spec."""

    def change(before: Declared | None) -> Declared:
        return replace(before, spec=spec) if before else Declared(QUEUE, "", 0, "", START, spec)

    return change


async def test_the_api_makes_changes_and_deletes_an_object(store: Store) -> None:
    made = await store.edit(QUEUE, to(Queue(2)), START)
    assert made is not None and made.origin is Origin.API and made.uid.startswith("api_") and made.generation == 1
    assert await store.declared(QUEUE) == made
    edited = await store.edit(QUEUE, to(Queue(3, suspend=True)), START + SECOND)
    assert edited == replace(made, spec=Queue(3, suspend=True), generation=2, fingerprint="2")
    found = await store.declared(QUEUE)
    assert found == edited and found is not None and found.applied_at == START + SECOND
    assert await store.edit(QUEUE, lambda _: None, START) is None
    assert await store.declared(QUEUE) is None and await store.edit(QUEUE, lambda _: None, START) is None


async def test_an_edit_that_changes_nothing_or_fails_writes_nothing(store: Store) -> None:
    made = await store.edit(QUEUE, to(Queue(2)), START)
    assert await store.edit(QUEUE, lambda before: before, START + SECOND) == made

    def refuse(_: Declared | None) -> Declared:
        raise InvalidInput("parallelism", "no")

    with pytest.raises(InvalidInput):
        await store.edit(QUEUE, refuse, START + SECOND)
    found = await store.declared(QUEUE)
    assert found == made and found is not None and found.applied_at == START


async def test_the_api_does_not_change_what_a_resource_declares(store: Store) -> None:
    owned = declared(Kind.QUEUE, "mine", Queue(4))
    await store.apply([owned], START)
    for change in (to(Queue(2)), lambda before: before, lambda _: None):
        with pytest.raises(OwnedByResource, match="'mine'"):
            await store.edit(QUEUE, change, START)
    assert await store.declared(QUEUE) == owned


async def test_a_new_object_above_the_quota_is_refused_and_a_known_one_changed(store: Store) -> None:
    await store.apply([declared(Kind.QUEUE, "declared", Queue())], START)
    await store.edit(QUEUE, to(Queue(2)), START, most=1)
    with pytest.raises(QuotaReached, match="limit of 1 Queue"):
        await store.edit(replace(QUEUE, name="other"), to(Queue()), START, most=1)
    assert await store.edit(replace(QUEUE, name="other"), lambda _: None, START, most=1) is None
    edited = await store.edit(QUEUE, to(Queue(3)), START, most=1)
    assert edited is not None and edited.spec == Queue(3)
    assert await store.edit(replace(QUEUE, namespace="bank"), to(Queue()), START, most=1) is not None


async def test_what_one_tenant_makes_has_to_fit_into_memory(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "MOST_BYTES", 10_000)
    spec = schedule().spec
    assert isinstance(spec, Schedule)

    async def make(name: str, size: int, namespace: str = NS) -> None:
        ref, large = ObjectRef(Kind.SCHEDULE, namespace, name), replace(spec, body=b"x" * size)

        def change(before: Declared | None) -> Declared:
            return replace(before or Declared(ref, "", 0, "", START, large), spec=large)

        await store.edit(ref, change, START)

    await make("a", 6_000)
    for name in ("b", "a"):
        with pytest.raises(QuotaReached, match="Schedules"):
            await make(name, 9_000)
    assert [len(one.spec.body) for one in await store.catalog(Kind.SCHEDULE, NS)] == [6_000]
    await make("a", 5_000)
    await make("a", 6_000, "bank")


async def test_a_resource_takes_over_what_the_api_made(store: Store) -> None:
    await store.edit(QUEUE, to(Queue(2, suspend=True)), START)
    owned = declared(Kind.QUEUE, "mine", Queue(4))
    applied = await store.apply([owned], START)
    assert applied.changed == applied.taken_over == {QUEUE}
    assert await store.declared(QUEUE) == owned
    assert (await store.apply([changed(owned)], START)).taken_over == frozenset()
    assert await store.remove([(QUEUE, None)], START) == {QUEUE}
    assert await store.declared(QUEUE) is None


async def test_resources_do_not_remove_what_the_api_made(store: Store) -> None:
    made = await store.edit(QUEUE, to(Queue(2)), START)
    assert made is not None
    assert await store.remove([(QUEUE, None), (QUEUE, made.uid)], START) == frozenset()
    assert await store.declared(QUEUE) == made


async def test_the_catalog_by_owner(store: Store) -> None:
    made = await store.edit(QUEUE, to(Queue(2)), START)
    owned = declared(Kind.QUEUE, "owned", Queue(4))
    await store.apply([owned], START)
    assert await store.catalog(Kind.QUEUE, NS) == [made, owned]
    assert await store.catalog(Kind.QUEUE, NS, Origin.API) == [made]
    assert await store.catalog(Kind.QUEUE, None, Origin.RESOURCE) == [owned]
    for namespace, origin, found in ((NS, None, [made, owned]), (NS, Origin.API, [made]), ("other", None, [])):
        versions = {one.ref: Version(one.uid, one.generation, one.fingerprint) for one in found}
        assert await store.versions(Kind.QUEUE, namespace, origin) == versions


async def test_a_schedule_of_the_api_counts_from_its_creation_and_not_while_it_was_paused(store: Store) -> None:
    ref, spec = ObjectRef(Kind.SCHEDULE, NS, "report"), schedule().spec
    assert isinstance(spec, Schedule)
    made = Declared(ref, "", 0, "", START, spec)

    def paused(suspend: bool) -> Change:
        return lambda before: replace(before or made, spec=replace(spec, suspend=suspend))

    async def considered() -> list[object]:
        due = await store.due_schedules(START + DAY, 10)
        return [(one.declared.ref, one.state.considered_until) for one in due.schedules]

    await store.edit(ref, paused(False), START + SECOND)
    assert await considered() == [(ref, START + SECOND)]
    await store.edit(ref, paused(True), START + 2 * SECOND)
    assert await considered() == []
    await store.edit(ref, paused(False), START + 3 * SECOND)
    assert await considered() == [(ref, START + 3 * SECOND)]
    await store.edit(ref, lambda _: None, START)
    assert await considered() == []


async def test_a_queue_resource_that_goes_leaves_its_messages_a_queue_of_the_api(store: Store) -> None:
    owned = declared(Kind.QUEUE, "mine", Queue(4, suspend=True))
    await store.apply([owned], START)
    (message,) = await accepted(store, publication(queue="mine"))
    assert await store.remove([(QUEUE, owned.uid)], START) == {QUEUE}
    kept = await store.declared(QUEUE)
    assert kept is not None and (kept.origin, kept.spec) == (Origin.API, Queue(4, suspend=True))
    assert kept.created_at == owned.created_at and kept.uid.startswith("api_")
    assert (await store.queue_views([QUEUE], START))[QUEUE].lag == 1
    view = await store.message(NS, message.id, START)
    assert view is not None and view.state is MessageState.WAITING
    assert (await store.apply([owned], START)).taken_over == {QUEUE}


async def test_a_rejected_queue_that_goes_leaves_its_messages_one_of_parallelism_1(store: Store) -> None:
    owned = declared(Kind.QUEUE, "mine", Queue(4))
    await store.apply([owned], START)
    await accepted(store, publication(queue="mine"))
    await store.apply([changed(owned, spec=REJECTED)], START)
    await store.remove([(QUEUE, owned.uid)], START)
    kept = await store.declared(QUEUE)
    assert kept is not None and kept.spec == Queue()


async def test_a_queue_without_messages_goes_with_its_resource(store: Store) -> None:
    owned = declared(Kind.QUEUE, "mine", Queue(4))
    await store.apply([owned], START)
    (leased_message,) = await leased(store, publication(queue="mine"))
    assert all(await store.record([delivered(leased_message)], START))
    assert await store.remove([(QUEUE, owned.uid)], START) == {QUEUE}
    assert await store.declared(QUEUE) is None


async def test_deleting_a_queue_over_the_api_cancels_what_has_not_ended(store: Store) -> None:
    await store.edit(QUEUE, to(Queue()), START)
    (first,) = await leased(store, publication(queue="mine"))
    (second,) = await accepted(store, publication(queue="mine"))
    (other,) = await accepted(store, publication(queue="other"))
    await store.edit(QUEUE, lambda _: None, START + SECOND)
    views = [await store.message(NS, one.id, START + SECOND) for one in (first.message, second, other)]
    assert [view.state for view in views if view] == [MessageState.CANCELED] * 2 + [MessageState.WAITING]
    assert await store.record([delivered(first)], START + SECOND) == [False]


async def test_changed_settings_of_a_queue_start_what_waits(store: Store) -> None:
    await store.edit(QUEUE, to(Queue(suspend=True)), START)
    messages = [one.id for _ in range(3) for one in await accepted(store, publication(queue="mine"))]

    async def started() -> list[str]:
        return [one.message.id for one in (await store.claim(grant(), START + SECOND)).leased]

    assert await started() == []
    await store.edit(QUEUE, to(Queue()), START)
    assert await started() == messages[:1]
    await store.edit(QUEUE, to(Queue(3)), START)
    assert await started() == messages[1:]
