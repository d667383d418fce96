import asyncio
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.fakes import START, FakeClock
from tests.support.stores import (
    NS,
    SECOND,
    URL,
    accepted,
    changed,
    delivered,
    endpoint,
    failed,
    grant,
    leased,
    postponed,
    publication,
    retry,
    topic,
)

from angarium.domain.declarations import Declared, DeliveryOptions, Endpoint, Header, KeyRef, Rejection
from angarium.domain.errors import LimitExceeded, NotFound
from angarium.domain.messages import Acceptance, LogState, Lost, MessageState
from angarium.domain.ports import Limits, Store
from angarium.domain.views import HistoryFilter

REJECTED = Rejection("InvalidURL", "spec.url: write a URL with http or https")


BODIES = [b"", bytes(range(256)) * 20, b"\0", b"\xff\xfe", "grüße".encode(), b'{"n": 1}', b"\0" * 100_000, b""]


async def states(store: Store, message_id: str) -> list[LogState]:
    """States of the log entries of a message, oldest first."""
    page = await store.log(HistoryFilter(NS, message_ids=[message_id], newest_first=False))
    return [entry.state for entry in page.items]


async def state(store: Store, message_id: str, namespace: str = NS) -> MessageState:
    view = await store.message(namespace, message_id, START)
    assert view is not None
    return view.state


class TestAccept:
    async def test_a_message_comes_back_as_it_was_accepted(self, store: Store) -> None:
        given = publication(
            options=replace(
                publication().options,
                method="PUT",
                headers=(Header("X-A", "1"), Header("X-S", secret=KeyRef("secret", "key"))),
                timeout=timedelta(seconds=7),
                retry_limit=0,
                retry_delay="1000",
            ),
            body=b"\x00\xff",
            labels=("a", "b"),
            caller_ip="10.0.0.1",
            not_before=START + 60 * SECOND,
        )
        (message,) = await accepted(store, given)
        view = await store.message(NS, message.id, START)
        assert view is not None and view.message == message
        assert (view.url, view.state, view.retried) == (URL, MessageState.WAITING, 0)
        assert (view.due_at, view.finished_at) == (START + 60 * SECOND, None)
        (entry,) = (await store.log(HistoryFilter(NS))).items
        assert (entry.state, entry.url, entry.next_delivery) == (LogState.CREATED, URL, START + 60 * SECOND)

    async def test_what_is_due_is_leased_at_once(self, store: Store) -> None:
        answers, got = await store.accept([publication()], grant())
        (answer,) = answers
        assert isinstance(answer, Acceptance)
        (item,) = got
        assert (item.message, item.lane, item.retried) == (answer.messages[0], f"{NS}/billing.test", 0)
        assert await states(store, item.message.id) == [LogState.CREATED, LogState.ACTIVE]
        assert await state(store, item.message.id) is MessageState.DELIVERING
        assert (await store.claim(grant(), START)).leased == ()

    async def test_without_a_grant_all_wait(self, store: Store) -> None:
        _, got = await store.accept([publication()], None)
        assert got == []
        assert len((await store.claim(grant(), START)).leased) == 1

    async def test_room_per_grant_and_lane_and_closed_lanes(self, store: Store) -> None:
        many = [publication() for _ in range(3)] + [publication(f"https://{n}.test/") for n in range(3)]
        closed = frozenset({f"{NS}/0.test"})
        _, got = await store.accept(many, grant(3, lane_room=2, closed_lanes=closed))
        assert [item.lane for item in got] == [f"{NS}/billing.test"] * 2 + [f"{NS}/1.test"]

    @pytest.mark.parametrize("held", [endpoint(suspend=True), endpoint(spec=REJECTED)], ids=["suspended", "rejected"])
    async def test_a_held_endpoint_gets_messages_that_wait(self, store: Store, held: Declared) -> None:
        await store.apply([held], START)
        answers, got = await store.accept([publication(endpoint="billing")], grant())
        assert isinstance(answers[0], Acceptance) and got == []
        claim = await store.claim(grant(), START)
        assert claim.leased == () and claim.next_due is None
        await store.apply([changed(held, spec=Endpoint("https://now.test/"))], START)
        (item,) = (await store.claim(grant(), START)).leased
        assert item.endpoint == Endpoint("https://now.test/")

    async def test_one_that_cannot_be_accepted_hurts_no_other(self, store: Store) -> None:
        answers, got = await store.accept(
            [publication(endpoint="none"), publication(), publication(topic="none")], grant()
        )
        assert [type(answer) for answer in answers] == [NotFound, Acceptance, NotFound]
        assert len(got) == 1

    async def test_a_topic_fans_out_to_what_is_declared_now(self, store: Store) -> None:
        listed, selected = endpoint("a"), endpoint("b", "https://b.test/", labels={"events": "orders"})
        await store.apply([listed, selected, topic("orders", "a", "gone", match={"events": "orders"})], START)
        (answer,), got = await store.accept([publication(topic="orders")], grant())
        assert isinstance(answer, Acceptance)
        assert [(m.endpoint, m.endpoint_name, m.topic) for m in answer.messages] == [
            ("a", "member-a", "orders"),
            ("b", "b", "orders"),
        ]
        assert answer.missing == ("gone",)
        assert [item.lane for item in got] == [f"{NS}/endpoint/a", f"{NS}/endpoint/b"]

    async def test_another_tenants_endpoint_does_not_exist(self, store: Store) -> None:
        await store.apply([endpoint(namespace="other")], START)
        answers, _ = await store.accept([publication(endpoint="billing")], None)
        assert isinstance(answers[0], NotFound)

    @pytest.mark.parametrize("limits", [Limits(waiting=2)])
    async def test_limit_of_waiting_messages(self, store: Store, limits: Limits) -> None:
        answers, got = await store.accept([publication() for _ in range(3)], grant())
        assert isinstance(answers[2], LimitExceeded)
        other, _ = await store.accept([publication(namespace="other")], None)
        assert isinstance(other[0], Acceptance)
        await store.record([delivered(got[0])], START)
        answers, _ = await store.accept([publication() for _ in range(2)], None)
        assert [type(answer) for answer in answers] == [Acceptance, LimitExceeded]

    @pytest.mark.parametrize("limits", [Limits(stored_bytes=10)])
    async def test_limit_of_stored_bytes(self, store: Store, limits: Limits) -> None:
        answers, got = await store.accept([publication(body=b"x" * 6), publication(body=b"x" * 5)], grant())
        assert [type(answer) for answer in answers] == [Acceptance, LimitExceeded]
        await store.record([delivered(got[0])], START)
        answers, _ = await store.accept([publication(body=b"x" * 5)], None)
        assert isinstance(answers[0], LimitExceeded), "a delivered message's body is kept, and counts"


class TestClaim:
    async def test_oldest_due_first_and_when_the_next_is(self, store: Store) -> None:
        late, soon, later = (publication(not_before=START + n * SECOND) for n in (3, 1, 9))
        messages = await accepted(store, late, soon, later)
        claim = await store.claim(grant(), START)
        assert claim.leased == () and claim.next_due == START + SECOND
        claim = await store.claim(grant(), START + 5 * SECOND)
        assert [item.message for item in claim.leased] == [messages[1], messages[0]]
        assert claim.next_due == START + 9 * SECOND
        assert (await store.claim(grant(), START + 9 * SECOND)).next_due is None

    async def test_nothing_is_due_early_by_a_fraction(self, store: Store) -> None:
        due = START + timedelta(microseconds=1500)
        await accepted(store, publication(not_before=due))
        claim = await store.claim(grant(), START + timedelta(microseconds=1400))
        assert claim.leased == () and claim.next_due is not None and claim.next_due >= due
        assert len((await store.claim(grant(), claim.next_due)).leased) == 1

    async def test_tenants_take_turns(self, store: Store) -> None:
        await accepted(store, *(publication(namespace="big") for _ in range(20)))
        await accepted(store, publication(namespace="small"), publication(namespace="tiny"))
        got = (await store.claim(grant(4), START)).leased
        assert sorted(item.message.namespace for item in got) == ["big", "big", "small", "tiny"]

    async def test_turns_go_on_between_small_claims(self, store: Store) -> None:
        await accepted(store, *(publication(namespace="a") for _ in range(9)))
        await accepted(store, *(publication(namespace="b", created_at=START + SECOND) for _ in range(9)))
        turns = [(await store.claim(grant(1), START + 2 * SECOND)).leased[0].message.namespace for _ in range(6)]
        assert turns in (["a", "b"] * 3, ["b", "a"] * 3)

    async def test_no_lane_takes_more_than_its_room(self, store: Store) -> None:
        await accepted(store, *(publication("https://slow.test/") for _ in range(50)))
        await accepted(store, *(publication(f"https://{n % 3}.test/", created_at=START + SECOND) for n in range(9)))
        got = (await store.claim(grant(8, lane_room=2), START + 2 * SECOND)).leased
        lanes = [item.lane.removeprefix(f"{NS}/") for item in got]
        assert sorted(lanes) == sorted(["slow.test", "0.test", "1.test", "2.test"] * 2)
        closed = frozenset({f"{NS}/slow.test"})
        got = (await store.claim(grant(8, closed_lanes=closed), START + 2 * SECOND)).leased
        assert {item.lane for item in got} == {f"{NS}/{n}.test" for n in range(3)}

    async def test_a_claim_ends_at_the_first_body_that_has_no_room(self, store: Store) -> None:
        sizes = (40, 40, 40, 1)
        sent = await accepted(store, *(publication(f"https://{n}.test/", body=b"x" * n) for n in sizes))
        claim = await store.claim(grant(room_bytes=100), START)
        assert [item.message for item in claim.leased] == sent[:2]
        assert claim.lacking == 40
        claim = await store.claim(grant(room_bytes=41), START)
        assert [item.message for item in claim.leased] == sent[2:]
        assert claim.lacking == 0

    async def test_a_tenant_whose_body_had_no_room_is_first_in_the_next_claim(self, store: Store) -> None:
        await accepted(store, *(publication(namespace=f"{n % 2}", body=b"x") for n in range(8)))
        await accepted(store, *(publication(namespace="large", body=b"x" * 50, created_at=START) for _ in range(2)))
        first = await store.claim(grant(room_bytes=20), START)
        assert first.lacking == 50
        (item,) = (await store.claim(grant(room_bytes=50), START)).leased
        assert item.message.namespace == "large"

    async def test_only_the_first_body_of_a_grant_may_be_of_any_size(self, store: Store) -> None:
        await accepted(store, *(publication(body=b"x" * 500) for _ in range(2)))
        assert (await store.claim(grant(room_bytes=100), START)).leased == ()
        claim = await store.claim(grant(room_bytes=100, any_size=True), START)
        assert (len(claim.leased), claim.lacking) == (1, 500)

    async def test_no_lane_takes_more_bytes_than_its_room_but_its_first_body(self, store: Store) -> None:
        await accepted(store, *(publication("https://slow.test/", body=b"x" * 60) for _ in range(5)))
        await accepted(store, *(publication("https://b.test/", body=b"x" * 20) for _ in range(3)))
        claim = await store.claim(grant(lane_bytes=50), START)
        assert [item.size for item in claim.leased] == [60, 20, 20]
        assert (claim.full_lanes, claim.lacking) == ({f"{NS}/slow.test", f"{NS}/b.test"}, 0)

    async def test_what_is_accepted_is_leased_within_the_bytes_of_the_grant(self, store: Store) -> None:
        given = [publication(f"https://{n}.test/", body=b"x" * size) for n, size in enumerate((60, 60, 1))]
        _, items = await store.accept(given, grant(room_bytes=100))
        assert [item.size for item in items] == [60]
        assert [item.size for item in (await store.claim(grant(), START)).leased] == [60, 1]
        _, items = await store.accept(given, grant(room_bytes=0, any_size=True))
        assert [item.size for item in items] == [60]

    async def test_a_lane_is_a_tenants_own(self, store: Store) -> None:
        await accepted(store, publication(), publication(namespace="other"))
        got = (await store.claim(grant(closed_lanes=frozenset({f"{NS}/billing.test"})), START)).leased
        assert [item.message.namespace for item in got] == ["other"]

    async def test_many_lanes_and_pages_lose_nothing(self, store: Store) -> None:
        sent = await accepted(store, *(publication(f"https://{n % 37}.test/") for n in range(400)))
        got: list[str] = []
        while items := (await store.claim(grant(45, lane_room=7), START)).leased:
            got += [item.message.id for item in items]
        assert sorted(got) == sorted(message.id for message in sent)

    async def test_an_endpoint_is_bound_late(self, store: Store) -> None:
        declared = endpoint(url="https://wrong.test/")
        await store.apply([declared], START)
        (item,) = await leased(store, publication(endpoint="billing"))
        await store.record([retry(item)], START)
        await store.apply([changed(declared, spec=Endpoint("https://right.test/"))], START)
        (again,) = (await store.claim(grant(), START + 10 * SECOND)).leased
        assert again.endpoint == Endpoint("https://right.test/")
        entries = (await store.log(HistoryFilter(NS))).items
        assert (entries[0].state, entries[0].url) == (LogState.ACTIVE, "https://right.test/")

    async def test_a_deleted_endpoint_holds_its_messages_until_it_is_back(self, store: Store) -> None:
        await store.apply([endpoint()], START)
        (message,) = await accepted(store, publication(endpoint="billing"))
        await store.remove([(endpoint().ref, None)], START)
        assert (await store.claim(grant(), START)).leased == ()
        view = await store.message(NS, message.id, START)
        assert view is not None and view.url == "endpoint:billing"
        await store.apply([endpoint(uid="another")], START)
        assert len((await store.claim(grant(), START)).leased) == 1


class TestLeases:
    async def test_an_expired_lease_of_our_own_is_claimed_again(self, store: Store, clock: FakeClock) -> None:
        (item,) = await leased(store, publication())
        clock.advance(31 * SECOND)
        (again,) = (await store.claim(grant(until=2000.0), clock.now())).leased
        assert again.message == item.message and again.lease != item.lease and again.retried == item.retried
        assert await store.record([delivered(item)], START) == [False]
        assert await store.record([delivered(again)], START) == [True]

    async def test_a_retry_that_is_given_back_is_still_a_retry(self, store: Store) -> None:
        (item,) = await leased(store, publication())
        await store.record([retry(item)], START)
        (again,) = (await store.claim(grant(), START + 10 * SECOND)).leased
        assert await state(store, item.message.id) is MessageState.DELIVERING
        await store.release([again])
        assert await state(store, item.message.id) is MessageState.RETRYING

    async def test_another_owners_lease_is_left_alone_until_it_is_void(self, store: Store, clock: FakeClock) -> None:
        (item,) = await leased(store, publication())
        clock.advance(31 * SECOND)
        assert (await store.claim(grant(owner="next", until=2000.0), clock.now())).leased == ()
        assert await store.void_leases("next") == 1
        assert await store.void_leases("next") == 0
        (again,) = (await store.claim(grant(owner="next", until=2000.0), clock.now())).leased
        assert again.message == item.message
        assert await store.void_leases("next") == 0

    async def test_renewing_keeps_a_lease(self, store: Store, clock: FakeClock) -> None:
        (item,) = await leased(store, publication())
        clock.advance(20 * SECOND)
        lost, unknown = replace(item, lease=item.lease + 7), replace(item, message=replace(item.message, id="msg_none"))
        renewed = await store.renew([lost, unknown, item], clock.monotonic() + 30)
        assert renewed == [Lost.EXPIRED, Lost.ENDED, item]
        clock.advance(20 * SECOND)
        assert (await store.claim(grant(until=2000.0), clock.now())).leased == ()

    async def test_renewing_tells_a_lease_that_ran_out_from_a_message_that_has_ended(
        self, store: Store, clock: FakeClock
    ) -> None:
        given_back, again, ended = await leased(store, publication(), publication(), publication())
        await store.record([delivered(ended)], START)
        clock.advance(31 * SECOND)
        (anew,) = (await store.claim(grant(room=1, until=2000.0), clock.now())).leased
        assert anew.message == given_back.message
        renewed = await store.renew([given_back, again, ended, anew], 2000.0)
        assert renewed == [Lost.EXPIRED, Lost.EXPIRED, Lost.ENDED, anew]

    async def test_renewing_tells_the_endpoint_as_it_is_now(self, store: Store, clock: FakeClock) -> None:
        await store.apply([endpoint()], START)
        items = await leased(store, publication(endpoint="billing"), publication())
        edited = changed(endpoint(), spec=Endpoint("https://billing.test/new"))
        await store.apply([edited], START)
        assert await store.renew(items, clock.monotonic() + 30) == [replace(items[0], endpoint=edited.spec), items[1]]
        for gone in (changed(edited, spec=REJECTED), None):
            await store.apply([gone], START) if gone else await store.remove([(edited.ref, None)], START)
            assert await store.renew(items, clock.monotonic() + 30) == [replace(items[0], endpoint=None), items[1]]

    async def test_release_gives_back_without_a_trace(self, store: Store) -> None:
        (item,) = await leased(store, publication())
        await store.release([item])
        assert await state(store, item.message.id) is MessageState.WAITING
        assert await states(store, item.message.id) == [LogState.CREATED]
        assert await store.record([delivered(item)], START) == [False]
        (again,) = (await store.claim(grant(), START)).leased
        assert again.retried == 0


class TestRecord:
    async def test_delivered(self, store: Store) -> None:
        (item,) = await leased(store, publication())
        assert await store.record([delivered(item)], START + SECOND) == [True]
        view = await store.message(NS, item.message.id, START)
        assert view is not None
        assert (view.state, view.finished_at, view.due_at) == (MessageState.DELIVERED, START + SECOND, None)
        assert view.message.body == b"{}"
        assert await states(store, item.message.id) == [LogState.CREATED, LogState.ACTIVE, LogState.DELIVERED]
        assert (await store.dead_letters(HistoryFilter(NS))).items == ()

    async def test_retry(self, store: Store) -> None:
        (item,) = await leased(store, publication())
        await store.record([retry(item, 10 * SECOND)], START + SECOND)
        view = await store.message(NS, item.message.id, START)
        assert view is not None
        assert (view.state, view.retried, view.due_at) == (MessageState.RETRYING, 1, START + 10 * SECOND)
        page = await store.log(HistoryFilter(NS))
        again, error = page.items[:2]
        assert (again.state, again.next_delivery) == (LogState.RETRY, START + 10 * SECOND)
        assert (error.state, error.time) == (LogState.ERROR, START + SECOND)
        assert error.response is not None and (error.response.status, error.response.body) == (500, b"answer")
        (next_one,) = (await store.claim(grant(), START + 10 * SECOND)).leased
        assert next_one.retried == 1

    async def test_failed(self, store: Store) -> None:
        (item,) = await leased(store, publication())
        await store.record([failed(item, None)], START + SECOND)
        assert await states(store, item.message.id) == [
            LogState.CREATED,
            LogState.ACTIVE,
            LogState.ERROR,
            LogState.FAILED,
        ]
        last, error = (await store.log(HistoryFilter(NS))).items[:2]
        assert last.error == error.error == "Timeout: no answer within 30s"
        (letter,) = (await store.dead_letters(HistoryFilter(NS))).items
        assert (letter.message, letter.url, letter.created_at) == (item.message, URL, START + SECOND)
        assert letter.error == "Timeout: no answer within 30s" and letter.response is None
        assert letter.id.startswith(f"{round((START + SECOND).timestamp() * 1000)}-")

    async def test_postponed_costs_nothing_and_leaves_no_trace(self, store: Store) -> None:
        (item,) = await leased(store, publication())
        await store.record([postponed(item)], START)
        assert await states(store, item.message.id) == [LogState.CREATED]
        view = await store.message(NS, item.message.id, START)
        assert view is not None
        assert (view.state, view.retried, view.due_at) == (MessageState.WAITING, 0, START + 15 * SECOND)
        assert (await store.claim(grant(), START + 14 * SECOND)).leased == ()
        (again,) = (await store.claim(grant(), START + 15 * SECOND)).leased
        await store.record([retry(again, 20 * SECOND)], START)
        (third,) = (await store.claim(grant(), START + 20 * SECOND)).leased
        await store.record([postponed(third)], START)
        assert await state(store, item.message.id) is MessageState.RETRYING

    async def test_the_outcome_of_a_lost_lease_writes_nothing(self, store: Store) -> None:
        (item,) = await leased(store, publication())
        await store.release([item])
        (again,) = (await store.claim(grant(), START)).leased
        before = await states(store, item.message.id)
        assert await store.record([failed(item)], START) == [False]
        assert await states(store, item.message.id) == before
        assert (await store.dead_letters(HistoryFilter(NS))).items == ()
        given = [failed(item), delivered(again), failed(again)]
        assert await store.record(given, START) == [False, True, False]
        assert await store.record([failed(again)], START) == [False]
        assert await state(store, item.message.id) is MessageState.DELIVERED

    async def test_many_at_once_each_by_its_own(self, store: Store) -> None:
        items = await leased(store, *(publication() for _ in range(200)))
        kinds = [delivered, retry, failed, postponed]
        outcomes = [kinds[n % 4](item) for n, item in enumerate(items)]
        assert await store.record(outcomes, START) == [True] * 200
        backlog = await store.backlog()
        assert (backlog.waiting, backlog.delivering, backlog.dead_letters) == (100, 0, 50)
        assert backlog.oldest_due == START + 10 * SECOND


async def test_tenants_do_not_see_each_other(store: Store) -> None:
    (item,) = await leased(store, publication())
    await store.record([failed(item)], START)
    assert await store.message("other", item.message.id, START) is None
    other = HistoryFilter("other", message_ids=[item.message.id])
    assert (await store.log(other)).items == () and (await store.dead_letters(other)).items == ()
    letter = (await store.dead_letters(HistoryFilter(NS))).items[0]
    assert (await store.dead_letters(HistoryFilter("other", dlq_ids=[letter.id]))).items == ()


async def test_two_threads_and_two_loops_at_once(store: Store) -> None:
    failures: list[BaseException] = []

    async def work(namespace: str) -> None:
        for _ in range(30):
            answers, got = await store.accept([publication(namespace=namespace)] * 3, grant())
            assert all(isinstance(answer, Acceptance) for answer in answers)
            assert await store.record([delivered(item) for item in got], START) == [True] * 3

    def run(namespace: str) -> None:
        try:
            asyncio.run(work(namespace))
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    await asyncio.gather(work("c"), work("d"))
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert failures == []
    for name in "abcd":
        page = await store.log(HistoryFilter(name, states=[LogState.DELIVERED], count=1000))
        assert len(page.items) == 90


async def test_a_failing_operation_does_not_hurt_the_others(store: Store) -> None:
    broken = replace(publication(), created_at="not a time")
    results = await asyncio.gather(
        store.accept([publication()], None),
        store.accept([publication(), broken], None),
        store.accept([publication()], None),
        return_exceptions=True,
    )
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    assert len((await store.claim(grant(), START)).leased) == 2


async def test_a_cancelled_caller_does_not_stop_the_writer(store: Store) -> None:
    calls = [asyncio.ensure_future(store.accept([publication()], None)) for _ in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert not any(isinstance(result, BaseException) for result in results[1::2])
    assert len((await store.claim(grant(), START)).leased) >= 10
    assert store.beat() < 5


async def test_what_is_claimed_is_what_was_accepted_to_the_byte(store: Store) -> None:
    headers = (Header("X-Quote", '"\\ é \t"'), Header("Content-Type", "text/plain"))
    options = DeliveryOptions(headers=headers, retry_delay="pow(2, retried)")
    given = [
        publication(body=body, options=options, labels=(f"l{n}", "é"), caller_ip="::1") for n, body in enumerate(BODIES)
    ]
    messages = await accepted(store, *given)
    claim = await store.claim(grant(room=100), START)
    assert [one.message for one in claim.leased] == list(messages)
    assert [one.message.body for one in claim.leased] == BODIES
