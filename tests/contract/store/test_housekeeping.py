from datetime import datetime

import pytest
from tests.support.fakes import START
from tests.support.stores import (
    DAY,
    NS,
    SECOND,
    accepted,
    delivered,
    endpoint,
    failed,
    firing,
    grant,
    leased,
    publication,
    retry,
    schedule,
)

from angarium.domain.credentials import Credential, SigningKeys, token_hash
from angarium.domain.declarations import Access, Callback, DeliveryOptions, Destination, FlowControl, Kind, ObjectRef
from angarium.domain.errors import LimitExceeded
from angarium.domain.flow_control import Pause, Pin
from angarium.domain.messages import Acceptance, LogState, MessageState, Publication
from angarium.domain.ports import Limits, Retention, Store
from angarium.domain.views import HistoryFilter

RETENTION = Retention()
BILLING = ObjectRef(Kind.ENDPOINT, NS, "billing")


async def purge(store: Store, now: datetime, limit: int = 100, retention: Retention = RETENTION) -> int:
    """Call as the janitor does, until nothing more goes. Returns how many calls it took."""
    for call in range(1, 1000):
        if not await store.purge(retention, now, limit):
            return call
    raise AssertionError("purge never ends")


class TestOrphans:
    async def test_messages_of_a_deleted_endpoint_fail_after_the_grace(self, store: Store) -> None:
        await store.apply([endpoint()], START)
        messages = await accepted(store, *(publication(endpoint="billing") for _ in range(3)))
        await store.remove([(BILLING, None)], START + SECOND)
        assert await store.fail_orphans(START + SECOND, START + 9 * SECOND, 10) == {}
        failed_now = await store.fail_orphans(START + 2 * SECOND, START + 9 * SECOND, 2)
        assert failed_now == {BILLING: [message.id for message in messages[:2]]}
        assert await store.fail_orphans(START + 2 * SECOND, START + 9 * SECOND, 2) == {BILLING: [messages[2].id]}
        assert await store.fail_orphans(START + 2 * SECOND, START + 9 * SECOND, 2) == {}
        letters = (await store.dead_letters(HistoryFilter(NS))).items
        assert len(letters) == 3
        assert all(letter.error.startswith("EndpointDeleted: ") and letter.response is None for letter in letters)
        entry = (await store.log(HistoryFilter(NS))).items[0]
        assert (entry.state, entry.url) == (LogState.FAILED, "endpoint:billing")
        assert entry.error.startswith("EndpointDeleted: ")
        backlog = await store.backlog()
        assert (backlog.waiting, backlog.dead_letters, backlog.oldest_due) == (0, 3, None)

    async def test_an_endpoint_that_came_back_keeps_its_messages(self, store: Store) -> None:
        await store.apply([endpoint()], START)
        await accepted(store, publication(endpoint="billing"))
        await store.remove([(BILLING, None)], START)
        await store.apply([endpoint(uid="another")], START + SECOND)
        assert await store.fail_orphans(START + DAY, START + DAY, 10) == {}
        assert len((await store.claim(grant(), START + DAY)).leased) == 1

    async def test_what_is_in_flight_ends_first(self, store: Store) -> None:
        await store.apply([endpoint()], START)
        (item,) = await leased(store, publication(endpoint="billing"))
        await store.remove([(BILLING, None)], START)
        assert await store.fail_orphans(START + SECOND, START + SECOND, 10) == {}
        await store.record([retry(item)], START)
        assert await store.fail_orphans(START + SECOND, START + SECOND, 10) == {BILLING: [item.message.id]}

    async def test_those_under_a_key_of_their_own_and_those_in_queues_too(self, store: Store) -> None:
        await store.apply([endpoint(), endpoint("billing-2")], START)
        flow = DeliveryOptions(flow_control=FlowControl("slow", rate=1))
        sent = await accepted(
            store,
            publication(endpoint="billing", options=flow),
            publication(endpoint="billing", queue="work"),
            publication(endpoint="billing", queue="work"),
            publication(endpoint="billing", queue="work", not_before=START + DAY),
        )
        await accepted(store, publication(endpoint="billing-2"), publication("https://q.test/", queue="work"))
        await store.remove([(BILLING, None)], START)
        gone = await store.fail_orphans(START + SECOND, START + SECOND, 10)
        assert {ref: set(ids) for ref, ids in gone.items()} == {BILLING: {message.id for message in sent}}
        claimed = (await store.claim(grant(), START + SECOND)).leased
        assert len(claimed) == 2, "the queue goes on"


class TestPurge:
    async def test_what_ended_goes_step_by_step(self, store: Store) -> None:
        one, other = await leased(store, publication(), publication())
        await store.record([delivered(one), failed(other)], START)
        await purge(store, START + 3 * DAY)
        assert await store.message(NS, one.message.id, START) is not None
        await purge(store, START + 3 * DAY + SECOND)
        entries = (await store.log(HistoryFilter(NS, states=[LogState.CREATED], newest_first=False))).items
        assert [entry.message.body for entry in entries] == [b"", b"{}"], "a dead letter keeps its body"
        assert len((await store.dead_letters(HistoryFilter(NS))).items) == 1
        await purge(store, START + 7 * DAY + SECOND)
        assert (await store.log(HistoryFilter(NS))).items == ()
        assert (await store.dead_letters(HistoryFilter(NS))).items == ()
        assert await store.message(NS, one.message.id, START) is None
        assert (await store.backlog()).dead_letters == 0

    async def test_in_any_order_of_retentions(self, store: Store) -> None:
        retention = Retention(messages=9 * DAY, log=DAY, dead_letters=2 * DAY)
        one, other = await leased(store, publication(), publication())
        await store.record([delivered(one), failed(other)], START)
        for days in (1, 2):
            await purge(store, START + days * DAY + SECOND, retention=retention)
            assert await store.message(NS, other.message.id, START) is not None
        await purge(store, START + 9 * DAY + SECOND, retention=retention)
        assert await store.message(NS, one.message.id, START) is None
        assert await store.message(NS, other.message.id, START) is None

    async def test_what_is_on_its_way_stays(self, store: Store) -> None:
        (message,) = await accepted(store, publication(not_before=START + 90 * DAY))
        await purge(store, START + 30 * DAY)
        view = await store.message(NS, message.id, START)
        assert view is not None and view.message == message and view.state is MessageState.WAITING

    async def test_small_batches(self, store: Store) -> None:
        items = await leased(store, *(publication() for _ in range(30)))
        await store.record([delivered(item) for item in items], START)
        assert await purge(store, START + 30 * DAY, limit=10) > 9
        assert (await store.log(HistoryFilter(NS))).items == ()

    async def test_what_holds_a_place_stays_until_it_gives_it_back(self, store: Store) -> None:
        told = Callback(Destination(url="https://told.test/"))
        (item,) = await leased(store, publication(queue="work", callback=told))
        await store.record([delivered(item)], START)
        (behind,) = await accepted(store, publication(queue="work"))
        quick = Retention(DAY, DAY, DAY)
        await purge(store, START + 3 * DAY, retention=quick)
        assert await store.message(NS, item.message.id, START) is not None
        (callback,) = (await store.claim(grant(), START)).leased
        await store.record([delivered(callback)], START)
        (following,) = (await store.claim(grant(), START)).leased
        assert following.message.id == behind.id
        await purge(store, START + 3 * DAY, retention=quick)
        assert await store.message(NS, callback.message.id, START) is None
        assert await store.message(NS, item.message.id, START) is None, "it goes with the last that needed it"

    async def test_a_place_held_too_long_is_freed(self, store: Store) -> None:
        told = Callback(Destination(url="https://told.test/"))
        (item,) = await leased(store, publication(queue="work", callback=told))
        await store.record([delivered(item)], START)
        (behind,) = await accepted(store, publication(queue="work"))
        assert await store.free_places(START, START + DAY, 10) == {}
        assert await store.free_places(START + SECOND, START + DAY, 10) == {
            ObjectRef(Kind.QUEUE, NS, "work"): [item.message.id]
        }
        assert await store.free_places(START + SECOND, START + DAY, 10) == {}
        claimed = (await store.claim(grant(), START + DAY)).leased
        assert {each.message.id for each in claimed if each.message.source is None} == {behind.id}

    async def test_a_deduplication_key_goes_when_its_window_is_over(self, store: Store) -> None:
        once = publication(dedup_key=b"k" * 32)
        await store.accept([once], None)
        await purge(store, START + 599 * SECOND)
        (answer,), _ = await store.accept([once], None)
        assert isinstance(answer, Acceptance) and answer.duplicates
        assert await store.purge(RETENTION, START + 600 * SECOND, 100) == 1
        assert await store.purge(RETENTION, START + 600 * SECOND, 100) == 0

    async def test_a_flow_control_key_that_nothing_needs_goes(self, store: Store) -> None:
        async def keys() -> list[str]:
            return [view.key for view in await store.flow_controls(NS, "", START)]

        def under(key: str, **given: object) -> Publication:
            options = DeliveryOptions(flow_control=FlowControl(key, parallelism=1))
            return publication(options=options, **given)

        (item,) = await leased(store, under("used"))
        await accepted(store, under("waiting", not_before=START + 30 * DAY))
        await store.change_flow_control(NS, "paused", Pause(True), START)
        await store.change_flow_control(NS, "pinned", Pin(parallelism=2), START)
        await purge(store, START + DAY)
        assert await keys() == ["paused", "pinned", "used", "waiting"]
        await store.record([delivered(item)], START + DAY)
        await purge(store, START + DAY + 59 * 60 * SECOND)
        assert "used" in await keys()
        await purge(store, START + DAY + 61 * 60 * SECOND)
        assert await keys() == ["paused", "pinned", "waiting"]

    @pytest.mark.parametrize("limits", [Limits(stored_bytes=4)])
    async def test_bytes_are_given_back(self, store: Store, limits: Limits) -> None:
        (item,) = await leased(store, publication(body=b"1234"))
        await store.record([delivered(item)], START)
        answers, _ = await store.accept([publication(body=b"1")], None)
        assert isinstance(answers[0], LimitExceeded)
        await purge(store, START + 3 * DAY + SECOND)
        answers, _ = await store.accept([publication(body=b"1234")], None)
        assert isinstance(answers[0], Acceptance)

    @pytest.mark.parametrize("limits", [Limits(stored_bytes=19)])
    async def test_bytes_of_kept_responses_count_until_they_go(self, store: Store, limits: Limits) -> None:
        (item,) = await leased(store, publication(body=b"12345678"))
        await store.record([failed(item)], START)  # "answer" is kept in the log, and with the dead letter
        answers, _ = await store.accept([publication(body=b"")], None)
        assert isinstance(answers[0], LimitExceeded)
        await purge(store, START + 30 * DAY)
        answers, _ = await store.accept([publication(body=b"1" * 19)], None)
        assert isinstance(answers[0], Acceptance)

    async def test_the_newest_runs_keep_their_messages(self, store: Store) -> None:
        declared = schedule(history_limit=50)
        await store.apply([declared], START)
        sent = []
        for n in range(52):
            (due,) = (await store.due_schedules(START + DAY, 10)).schedules
            (fired,) = await store.fire([firing(due, START + n * SECOND)], grant())
            sent += fired.leased
            await store.record([delivered(fired.leased[0])], START + n * SECOND)
        await purge(store, START + 30 * DAY)
        view = (await store.schedule_views([declared.ref]))[declared.ref]
        assert len(view.runs) == 50 and all(len(run.members) == 1 for run in view.runs)
        assert view.runs[-1].members[0].message_id == sent[2].message.id
        assert len(view.runs[0].members[0].recent_attempts) == 1
        found = [await store.message(NS, item.message.id, START) for item in sent]
        assert [view is not None for view in found] == [False] * 2 + [True] * 50
        assert found[2] is not None and found[2].message.body == b""
        await store.remove([(declared.ref, None)], START + 30 * DAY)
        await purge(store, START + 30 * DAY)
        assert await store.message(NS, sent[-1].message.id, START) is None

    async def test_a_run_leaving_the_list_releases_messages_already_past_retention(self, store: Store) -> None:
        declared = schedule(history_limit=50)
        await store.apply([declared], START)
        first = ""
        for n in range(51):
            (due,) = (await store.due_schedules(START + DAY, 10)).schedules
            (fired,) = await store.fire([firing(due, START + n * SECOND)], grant())
            await store.record([delivered(fired.leased[0])], START)
            first = first or fired.leased[0].message.id
            if n == 49:
                await purge(store, START + 30 * DAY)
                assert await store.message(NS, first, START) is not None
        await purge(store, START + 30 * DAY)
        assert await store.message(NS, first, START) is None


async def test_purging_a_tenant_leaves_the_others(store: Store) -> None:
    for namespace in (NS, "other"):
        await store.apply([endpoint(namespace=namespace), schedule(namespace=namespace, uid=namespace)], START)
        await store.put_credential(Credential(namespace, "a", token_hash(namespace), Access.READ_WRITE))
        await store.put_signing_keys(namespace, SigningKeys("sig_1", "sig_2"), replace=False)
        (item,) = await leased(store, publication(namespace=namespace))
        await store.record([failed(item)], START)
        await accepted(store, *(publication(namespace=namespace, endpoint="billing") for _ in range(3)))
        flow = DeliveryOptions(flow_control=FlowControl("slow", rate=1))
        await accepted(
            store,
            publication(namespace=namespace, queue="work", options=flow, dedup_key=b"k" * 32, not_before=START + DAY),
        )
    (flying,) = (await store.claim(grant(1), START)).leased
    version = store.credentials_version()
    await store.purge_namespace(NS, START)
    assert store.credentials_version() != version
    assert [credential.namespace for credential in await store.credentials()] == ["other"]
    assert list(await store.signing_keys()) == ["other"]
    assert [declared.ref.namespace for declared in await store.catalog(Kind.ENDPOINT)] == ["other"]
    assert [due.declared.ref.namespace for due in (await store.due_schedules(START, 9)).schedules] == ["other"]
    assert (await store.log(HistoryFilter(NS))).items == () == (await store.dead_letters(HistoryFilter(NS))).items
    assert await store.record([delivered(flying)], START) == [flying.message.namespace == "other"]
    backlog = await store.backlog()
    assert (backlog.dead_letters, backlog.waiting + backlog.delivering) == (
        1,
        4 - (flying.message.namespace == "other"),
    )
    assert len((await store.log(HistoryFilter("other", states=[LogState.CREATED]))).items) == 5
    assert [declared.ref.namespace for declared in await store.catalog(Kind.QUEUE)] == ["other"]
    for namespace, keys in ((NS, []), ("other", ["slow"])):
        assert [view.key for view in await store.flow_controls(namespace, "", START)] == keys
        (answer,), _ = await store.accept([publication(namespace=namespace, dedup_key=b"k" * 32)], None)
        assert isinstance(answer, Acceptance) and bool(answer.duplicates) == (namespace == "other")


async def test_tenants_are_told_with_the_namespace_they_were_identified_by(store: Store) -> None:
    await store.apply([endpoint("billing")], START)
    await store.put_signing_keys("other", SigningKeys("sig_a", "sig_b"), replace=False)
    assert await store.tenants() == {NS: None, "other": None}
    await store.identify_tenant(NS, "uid-1")
    await store.identify_tenant(NS, "uid-2")
    assert await store.tenants() == {NS: "uid-2", "other": None}
    await store.purge_namespace(NS, START)
    assert await store.tenants() == {"other": None}
    await store.apply([endpoint("billing")], START)
    assert await store.tenants() == {NS: None, "other": None}
