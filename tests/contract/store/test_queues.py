"""Queues: who takes a place, in which order, and when it becomes free (contract 22)."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from tests.support.fakes import START, FakeClock
from tests.support.stores import (
    NS,
    SECOND,
    accepted,
    changed,
    declared,
    delivered,
    endpoint,
    failed,
    grant,
    postponed,
    publication,
    retry,
    topic,
)

from angarium.domain.declarations import Declared, Endpoint, Kind, ObjectRef, Origin, Queue, Rejection
from angarium.domain.messages import Leased, Message, Publication
from angarium.domain.ports import Store

MINE = ObjectRef(Kind.QUEUE, NS, "mine")


def queue(parallelism: int = 1, *, suspend: bool = False, **given: object) -> Declared:
    return declared(Kind.QUEUE, "mine", Queue(parallelism, suspend), **given)


def queued(n: int = 0, **given: object) -> Publication:
    return publication(f"https://{n}.test/", **{"queue": "mine"} | given)  # type: ignore[arg-type]


async def put(store: Store, *publications: Publication) -> list[str]:
    """Enqueue without leasing. Ids in order."""
    return [message.id for message in await accepted(store, *publications)]


async def claimed(store: Store, after: timedelta = timedelta(0)) -> list[Leased]:
    return list((await store.claim(grant(), START + after)).leased)


def ids_of(leased: Sequence[Leased]) -> list[str]:
    return [item.message.id for item in leased]


class TestPlaces:
    async def test_one_after_the_other_in_order_of_acceptance(self, store: Store) -> None:
        ids = await put(store, *(queued(n % 3) for n in range(5)))
        started = []
        while items := await claimed(store):
            started += ids_of(items)
            assert len(items) == 1
            await store.record([delivered(items[0])], START)
        assert started == ids

    async def test_the_first_goes_out_at_once_and_the_next_does_not(self, store: Store) -> None:
        _, items = await store.accept([queued(0), queued(1)], grant())
        assert len(items) == 1
        assert await claimed(store) == []
        _, more = await store.accept([queued(2)], grant())
        assert more == []

    async def test_a_place_is_kept_through_retries_and_their_waits(self, store: Store) -> None:
        first, second = await put(store, queued(0), queued(1))
        (item,) = await claimed(store)
        await store.record([retry(item)], START)
        claim = await store.claim(grant(), START + 9 * SECOND)
        assert (claim.leased, claim.next_due) == ((), START + 10 * SECOND)
        (item,) = await claimed(store, 10 * SECOND)
        assert item.message.id == first
        await store.record([failed(item)], START + 10 * SECOND)
        assert ids_of(await claimed(store, 10 * SECOND)) == [second]

    @pytest.mark.parametrize("end", [postponed, None], ids=["postponed", "released"])
    async def test_a_place_is_kept_when_a_lease_ends_without_an_attempt(self, store: Store, end: object) -> None:
        first, _ = await put(store, queued(0), queued(1))
        (item,) = await claimed(store)
        if callable(end):
            await store.record([end(item)], START)
        else:
            await store.release([item])
        assert ids_of(await claimed(store, 15 * SECOND)) == [first]

    async def test_a_place_is_kept_over_a_restart(self, store: Store) -> None:
        first, _ = await put(store, queued(0), queued(1))
        await claimed(store)
        assert await store.void_leases("the next process") == 1
        assert ids_of(await claimed(store)) == [first]

    async def test_as_many_places_as_the_queue_has(self, store: Store) -> None:
        await store.apply([queue(3)], START)
        ids = await put(store, *(queued(n) for n in range(7)))
        first = await claimed(store)
        assert ids_of(first) == ids[:3]
        await store.record([delivered(first[1])], START)
        assert ids_of(await claimed(store)) == ids[3:4]

    async def test_with_several_places_nobody_is_overtaken_by_a_new_message(self, store: Store) -> None:
        await store.apply([queue(2)], START)
        (first,) = await put(store, queued(0))
        _, items = await store.accept([queued(1)], grant())
        assert items == []
        assert ids_of(await claimed(store))[0] == first

    async def test_other_queues_tenants_and_messages_are_not_held_back(self, store: Store) -> None:
        await store.accept([queued(0)], grant())
        _, items = await store.accept(
            [queued(1), queued(1, queue="theirs"), queued(1, namespace="other"), publication()], grant()
        )
        assert [item.message.queue for item in items] == ["theirs", "mine", None]

    async def test_a_group_takes_a_place_per_member_in_order(self, store: Store) -> None:
        await store.apply([endpoint("a"), endpoint("b"), topic("orders", "b", "a")], START)
        await accepted(store, publication(topic="orders", queue="mine"), queued(0))
        order = []
        for _ in range(3):
            (item,) = await claimed(store)
            order.append(item.message.endpoint)
            await store.record([delivered(item)], START)
        assert order == ["b", "a", None]

    async def test_a_suspended_endpoint_keeps_its_place_and_the_queue_waits(self, store: Store) -> None:
        billing = endpoint(suspend=True)
        await store.apply([billing], START)
        first, second = await put(store, publication(endpoint="billing", queue="mine"), queued(1))
        assert await claimed(store) == []
        assert isinstance(billing.spec, Endpoint)
        await store.apply([changed(billing, spec=Endpoint(billing.spec.url))], START)
        (item,) = await claimed(store)
        assert item.message.id == first
        await store.record([delivered(item)], START)
        assert ids_of(await claimed(store)) == [second]


class TestDelay:
    async def test_a_delayed_message_joins_when_its_delay_is_over(self, store: Store) -> None:
        late, now = await put(store, queued(0, not_before=START + 5 * SECOND), queued(1))
        (item,) = await claimed(store)
        assert item.message.id == now
        await store.record([delivered(item)], START)
        claim = await store.claim(grant(), START)
        assert (claim.leased, claim.next_due) == ((), START + 5 * SECOND)
        assert ids_of(await claimed(store, 5 * SECOND)) == [late]

    async def test_who_joined_before_goes_first(self, store: Store) -> None:
        (busy,) = await put(store, queued(0))
        (item,) = await claimed(store)
        late, six = await put(store, queued(0, not_before=START + 5 * SECOND), queued(1, created_at=START + 6 * SECOND))
        (four,) = await put(store, queued(2, created_at=START + 6 * SECOND))
        order = []
        while True:
            await store.record([delivered(item)], START + 7 * SECOND)
            items = await claimed(store, 7 * SECOND)
            if not items:
                break
            (item,) = items
            order.append(item.message.id)
        assert busy not in order
        assert order == [late, six, four]

    async def test_a_new_message_does_not_overtake_one_whose_delay_has_just_ended(self, store: Store) -> None:
        (late,) = await put(store, queued(0, not_before=START + 5 * SECOND))
        _, items = await store.accept([queued(1, created_at=START + 5 * SECOND)], grant())
        assert items == []
        assert ids_of(await claimed(store, 5 * SECOND)) == [late]

    async def test_a_clock_set_back_neither_stops_a_queue_nor_changes_its_order(self, store: Store) -> None:
        (first,) = await put(store, queued(0))
        (item,) = await claimed(store)
        (second,) = await put(store, queued(1))
        (third,) = await put(store, queued(2, created_at=START - 60 * SECOND))
        order = []
        for _ in range(2):
            await store.record([delivered(item)], START - 60 * SECOND)
            (item,) = await claimed(store, -60 * SECOND)
            order.append(item.message.id)
        assert order == [second, third]
        assert first not in order


class TestSettings:
    async def test_a_missing_queue_is_made_with_one_place(self, store: Store) -> None:
        await put(store, queued(0), queued(1))
        made = await store.declared(MINE)
        assert made is not None
        assert (made.spec, made.origin) == (Queue(1), Origin.API)

    async def test_a_message_does_not_change_a_queue(self, store: Store) -> None:
        await store.apply([queue(3)], START)
        await put(store, queued(0))
        made = await store.declared(MINE)
        assert made is not None
        assert (made.spec, made.origin) == (Queue(3), Origin.RESOURCE)

    async def test_a_suspended_queue_takes_messages_and_starts_none(self, store: Store) -> None:
        await store.apply([queue(2, suspend=True)], START)
        ids = await put(store, queued(0), queued(1), queued(2))
        assert (await store.accept([queued(3)], grant()))[1] == []
        assert await claimed(store) == []
        await store.apply([queue(2, fingerprint="2")], START)
        assert ids_of(await claimed(store)) == ids[:2]

    async def test_a_suspended_queue_lets_attempts_finish(self, store: Store) -> None:
        await put(store, queued(0), queued(1))
        (item,) = await claimed(store)
        await store.apply([queue(suspend=True)], START)
        assert await store.record([delivered(item)], START) == [True]
        assert await claimed(store) == []

    async def test_more_and_fewer_places_count_at_once(self, store: Store) -> None:
        ids = await put(store, *(queued(n) for n in range(6)))
        items = await claimed(store)
        await store.apply([queue(3)], START)
        items += await claimed(store)
        assert ids_of(items) == ids[:3]
        await store.apply([queue(1, fingerprint="2")], START)
        await store.record([delivered(item) for item in items[:2]], START)
        assert await claimed(store) == []
        await store.record([delivered(items[2])], START)
        assert ids_of(await claimed(store)) == ids[3:4]

    async def test_a_rejected_queue_waits(self, store: Store) -> None:
        await store.apply(
            [declared(Kind.QUEUE, "mine", Rejection("InvalidSpec", "spec.parallelism: 1 to 1000"))], START
        )
        ids = await put(store, queued(0))
        assert await claimed(store) == []
        await store.apply([queue(fingerprint="2")], START)
        assert ids_of(await claimed(store)) == ids


class TestCallbacks:
    """A message whose callbacks are on their way keeps its place."""

    async def test_the_queue_waits_for_the_last_callback(self, store: Store) -> None:
        first, second = await put(store, queued(0), queued(1))
        (item,) = await claimed(store)
        await put(store, *[publication(source=first)] * 2)
        await store.record([delivered(item)], START)
        callbacks = await claimed(store)
        assert {each.message.source for each in callbacks} == {first}
        await store.record([delivered(callbacks[0]), retry(callbacks[1])], START)
        assert await claimed(store) == []
        (callback,) = await claimed(store, 10 * SECOND)
        await store.record([failed(callback)], START + 10 * SECOND)
        assert ids_of(await claimed(store, 10 * SECOND)) == [second]

    async def test_a_callback_of_another_tenant_with_this_source_holds_nothing(self, store: Store) -> None:
        first, second = await put(store, queued(0), queued(1))
        (item,) = await claimed(store)
        await put(store, publication(source=first, namespace="other"))
        await store.record([delivered(item)], START)
        assert second in ids_of(await claimed(store))

    async def test_a_place_held_too_long_is_freed(self, store: Store) -> None:
        first, second = await put(store, queued(0), queued(1))
        (item,) = await claimed(store)
        await put(store, publication(source=first))
        await store.record([delivered(item)], START)
        (callback,) = await claimed(store)
        assert await store.free_places(START, START, 10) == {}
        freed = await store.free_places(START + SECOND, START + SECOND, 10)
        assert freed == {MINE: [first]}
        (following,) = await claimed(store)
        assert following.message.id == second
        await store.record([delivered(callback)], START)
        assert await claimed(store) == []
        await store.record([delivered(following)], START)
        assert await store.free_places(START + SECOND, START + SECOND, 10) == {}


@dataclass
class Line:
    """What happened in one queue, to compare with what its order promises."""

    store: Store
    clock: FakeClock
    chance: random.Random
    parallelism: int
    joins: list[tuple[float, int, str]] = field(default_factory=list)
    flying: dict[str, Leased] = field(default_factory=dict)
    callbacks: dict[str, Leased] = field(default_factory=dict)
    waited_for: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    held: set[str] = field(default_factory=set)
    started: list[str] = field(default_factory=list)
    reached: int = 0

    async def act(self, *, publish: bool) -> None:
        choices = [self.claim, self.claim, self.finish, self.finish, self.finish]
        await self.chance.choice([*choices, self.put] if publish else choices)()
        if self.chance.random() < 0.5:
            self.clock.advance(timedelta(seconds=self.chance.randrange(3)))

    async def put(self) -> None:
        now = self.clock.now()
        for _ in range(self.chance.randrange(1, 4)):
            delay = self.chance.choice([0, 0, 0, 4])
            given = queued(self.chance.randrange(3), created_at=now, not_before=now + delay * SECOND)
            answers, leased = await self.store.accept([given], self.chance.choice([None, grant(until=1e9)]))
            message: Message = answers[0].messages[0]  # type: ignore[union-attr]
            self.joins.append((message.not_before.timestamp(), len(self.joins), message.id))
            self.began(leased)

    async def claim(self) -> None:
        self.began((await self.store.claim(grant(until=1e9), self.clock.now())).leased)

    def began(self, leased: Sequence[Leased]) -> None:
        for item in leased:
            if item.message.source:
                self.callbacks[item.message.id] = item
                continue
            self.flying[item.message.id] = item
            if item.message.id not in self.held:
                self.started.append(item.message.id)
                self.held.add(item.message.id)
        assert len(self.held) <= self.parallelism
        self.reached = max(self.reached, len(self.held))

    async def finish(self) -> None:
        now = self.clock.now()
        for callback in list(self.callbacks.values()):
            if self.chance.random() < 0.5:
                self.returned(callback.message.source or "")
                del self.callbacks[callback.message.id]
                await self.store.record([delivered(callback)], now)
        for item in list(self.flying.values()):
            if self.chance.random() < 0.4:
                continue
            del self.flying[item.message.id]
            await self.end(item)

    async def end(self, item: Leased) -> None:
        now, source = self.clock.now(), item.message.id
        match self.chance.choice(["deliver", "fail", "retry", "release", "call back"]):
            case "retry":
                await self.store.record([retry(item, now + 2 * SECOND - START)], now)
                return
            case "release":
                await self.store.release([item])
                return
            case "call back":
                self.waited_for[source] += 1
                await put(self.store, publication(source=source, created_at=now))
                await self.store.record([delivered(item)], now)
            case end:
                await self.store.record([delivered(item) if end == "deliver" else failed(item)], now)
        if not self.waited_for[source]:
            self.held.remove(source)

    def returned(self, source: str) -> None:
        self.waited_for[source] -= 1
        if not self.waited_for[source]:
            self.held.discard(source)

    async def drain(self) -> None:
        for _ in range(20_000):
            if len(self.started) == len(self.joins) and not self.held and not self.callbacks:
                return
            await self.act(publish=False)
        raise AssertionError(f"the queue stands still: {self.held} hold its places")


@pytest.mark.parametrize("seed", range(8))
async def test_the_order_is_exact_whatever_happens_to_the_messages(store: Store, clock: FakeClock, seed: int) -> None:
    parallelism = 1 + seed % 3
    await store.apply([queue(parallelism)], START)
    line = Line(store, clock, random.Random(seed), parallelism)
    for _ in range(80):
        await line.act(publish=True)
    await line.drain()
    assert line.started == [message_id for *_, message_id in sorted(line.joins)]
    assert line.reached == parallelism
