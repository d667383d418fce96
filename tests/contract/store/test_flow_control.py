"""Flow control: who may start, in which order, and what people change of it (contract 13, 23.1)."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from tests.support.fakes import START, FakeClock
from tests.support.stores import (
    NS,
    SECOND,
    accepted,
    changed,
    delivered,
    endpoint,
    failed,
    grant,
    postponed,
    publication,
    retry,
)

from angarium.domain.declarations import Declared, DeliveryOptions, Endpoint, FlowControl
from angarium.domain.errors import QuotaReached
from angarium.domain.flow_control import CLOCK_SKEW, FlowChange, Pause, Pin, ResetRate, Unpin
from angarium.domain.messages import Acceptance, Leased, Publication
from angarium.domain.ports import Limits, Retention, Store
from angarium.domain.views import FlowControlView

MINUTE = timedelta(minutes=1)
ONE = FlowControl("k", parallelism=1)
TWO_A_MINUTE = FlowControl("k", rate=2, period=MINUTE)


def limited(limits: FlowControl | None, n: int = 0, **given: object) -> Publication:
    options = DeliveryOptions(flow_control=limits)
    return publication(f"https://{n}.test/", **{"options": options} | given)  # type: ignore[arg-type]


def billing(limits: FlowControl | None = None, *, suspend: bool = False, mark: str = "1") -> Declared:
    spec = Endpoint("https://billing.test/in", DeliveryOptions(flow_control=limits), suspend=suspend)
    return endpoint(spec=spec, fingerprint=mark)


async def put(store: Store, *publications: Publication) -> list[str]:
    return [message.id for message in await accepted(store, *publications)]


async def claimed(store: Store, after: timedelta = timedelta(0)) -> list[Leased]:
    return list((await store.claim(grant(), START + after)).leased)


def ids_of(leased: Sequence[Leased]) -> list[str]:
    return [item.message.id for item in leased]


async def view(store: Store, key: str = "k", after: timedelta = timedelta(0)) -> FlowControlView:
    found = await store.flow_control(NS, key, START + after)
    assert found is not None
    return found


async def change(store: Store, *changes: FlowChange, key: str = "k", after: timedelta = timedelta(0)) -> None:
    for each in changes:
        await store.change_flow_control(NS, key, each, START + after)


class TestParallelism:
    async def test_as_many_are_on_their_way_as_the_key_lets_and_the_oldest_goes_first(self, store: Store) -> None:
        ids = await put(store, *(limited(FlowControl("k", parallelism=2), n) for n in range(5)))
        items = await claimed(store)
        assert ids_of(items) == ids[:2]
        shown = await view(store)
        assert (shown.active, shown.parallelism, shown.waiting, shown.rate) == (2, 2, 3, None)
        await store.record([delivered(items[0])], START)
        assert ids_of(await claimed(store)) == ids[2:3]

    async def test_acceptance_starts_no_more_than_that(self, store: Store) -> None:
        _, items = await store.accept([limited(ONE), limited(ONE, 1)], grant())
        assert len(items) == 1
        assert (await store.accept([limited(ONE)], grant()))[1] == []
        assert (await store.accept([limited(None)], grant()))[1] != []

    @pytest.mark.parametrize("end", [delivered, failed, retry, postponed])
    async def test_the_end_of_a_lease_lets_the_next_one_start(self, store: Store, end: object) -> None:
        _, second = await put(store, limited(ONE), limited(ONE, 1))
        (item,) = await claimed(store)
        assert item.gated and callable(end)
        await store.record([end(item)], START)
        assert ids_of(await claimed(store)) == [second]

    async def test_what_is_released_or_lost_is_on_its_way_no_more(self, store: Store, clock: FakeClock) -> None:
        await put(store, limited(ONE))
        (item,) = await claimed(store)
        await store.release([item])
        assert (await view(store)).active == 0
        await claimed(store)
        clock.advance(MINUTE)
        (item,) = (await store.claim(grant(until=2000.0), START)).leased
        assert (await view(store)).active == 1
        assert await store.void_leases("the next process") == 1
        assert (await view(store)).active == 0

    async def test_a_key_is_shared_by_destinations_and_not_by_tenants(self, store: Store) -> None:
        first, _ = await put(store, limited(ONE, 0), limited(ONE, 1))
        (other,) = await put(store, limited(ONE, namespace="other"))
        assert sorted(ids_of(await claimed(store))) == sorted([first, other])
        assert (await view(store)).waiting == 1


class TestRate:
    async def test_a_window_has_as_many_starts_as_its_rate_and_then_the_next_begins(self, store: Store) -> None:
        ids = await put(store, *(limited(TWO_A_MINUTE, n) for n in range(5)))
        claim = await store.claim(grant(), START)
        assert ids_of(claim.leased) == ids[:2]
        assert claim.next_due == START + MINUTE
        await store.record([delivered(item) for item in claim.leased], START)
        assert await claimed(store, MINUTE - timedelta(milliseconds=1)) == []
        claim = await store.claim(grant(), START + MINUTE)
        assert (ids_of(claim.leased), claim.next_due) == (ids[2:4], START + 2 * MINUTE)
        shown = await view(store, after=MINUTE)
        assert (shown.started, shown.period_start, shown.waiting) == (2, START + MINUTE, 1)

    async def test_a_retry_counts_again_and_its_wait_holds_nothing(self, store: Store) -> None:
        await put(store, limited(FlowControl("k", parallelism=1, rate=2, period=MINUTE)))
        (item,) = await claimed(store)
        await store.record([retry(item)], START)
        assert (await view(store)).active == 0
        (item,) = await claimed(store, 10 * SECOND)
        await store.record([retry(item, 20 * SECOND)], START + 10 * SECOND)
        claim = await store.claim(grant(), START + 20 * SECOND)
        assert (claim.leased, claim.next_due) == ((), START + MINUTE)

    async def test_a_new_message_does_not_overtake_those_who_wait(self, store: Store) -> None:
        ids = await put(store, *(limited(TWO_A_MINUTE, n) for n in range(3)))
        await claimed(store)
        _, items = await store.accept([limited(TWO_A_MINUTE, created_at=START + MINUTE)], grant())
        assert items == []
        assert ids_of(await claimed(store, MINUTE))[0] == ids[2]

    async def test_a_clock_set_back_does_not_stop_a_key(self, store: Store) -> None:
        week = FlowControl("k", rate=1, period=timedelta(days=7))
        (item,) = (await store.accept([limited(week)], grant()))[1]
        await store.record([delivered(item)], START)
        past = timedelta(days=-30)
        (second,) = await put(store, limited(week, created_at=START + past))
        assert ids_of(await claimed(store, past)) == [second]
        (third,) = await put(store, limited(week, created_at=START + past))
        claim = await store.claim(grant(), START + past + CLOCK_SKEW)
        assert (claim.leased, claim.next_due) == ((), START + past + timedelta(days=7))
        assert third not in ids_of(claim.leased)


class TestPeople:
    async def test_a_paused_key_starts_nothing_and_keeps_its_count(self, store: Store) -> None:
        await put(store, limited(TWO_A_MINUTE))
        await claimed(store)
        await change(store, Pause(True))
        (waiting,) = await put(store, limited(TWO_A_MINUTE))
        assert (await store.accept([limited(TWO_A_MINUTE)], grant()))[1] == []
        claim = await store.claim(grant(), START + 2 * MINUTE)
        assert (claim.leased, claim.next_due) == ((), None)
        shown = await view(store)
        assert (shown.paused, shown.started, shown.active, shown.waiting) == (True, 1, 1, 2)
        await change(store, Pause(False))
        assert ids_of(await claimed(store)) == [waiting]

    async def test_an_unknown_key_can_be_paused_ahead(self, store: Store) -> None:
        await change(store, Pause(True))
        assert (await store.accept([limited(ONE)], grant()))[1] == []

    async def test_a_pin_counts_whatever_messages_say(self, store: Store) -> None:
        await put(store, limited(ONE))
        await change(store, Pin(parallelism=2))
        await put(store, limited(FlowControl("k", parallelism=9, rate=5)), limited(ONE, 1))
        assert len(await claimed(store)) == 2
        shown = await view(store)
        assert (shown.parallelism, shown.pinned_parallelism, shown.rate, shown.pinned_rate) == (2, True, None, False)

    async def test_unpinned_numbers_stay_until_a_message_brings_others(self, store: Store) -> None:
        await put(store, limited(ONE))
        await change(store, Pin(parallelism=7), Unpin(parallelism=True))
        assert (await view(store)).parallelism == 7
        await put(store, limited(FlowControl("k", rate=3)))
        shown = await view(store)
        assert (shown.parallelism, shown.rate, shown.pinned_parallelism) == (None, 3, False)

    async def test_a_reset_lets_start_again_and_a_pause_stays(self, store: Store) -> None:
        ids = await put(store, *(limited(TWO_A_MINUTE, n) for n in range(4)))
        await claimed(store)
        await change(store, ResetRate(), after=SECOND)
        shown = await view(store, after=SECOND)
        assert (shown.started, shown.period_start) == (0, START + SECOND)
        assert ids_of(await claimed(store, SECOND)) == ids[2:]
        await change(store, Pause(True), ResetRate(), after=2 * SECOND)
        assert await claimed(store, 2 * SECOND) == []
        assert (await view(store, after=2 * SECOND)).started == 0

    async def test_a_lower_limit_stops_nobody_on_the_way(self, store: Store) -> None:
        await put(store, *(limited(FlowControl("k", parallelism=3), n) for n in range(4)))
        items = await claimed(store)
        await put(store, limited(ONE))
        await store.record([delivered(item) for item in items[:2]], START)
        assert await claimed(store) == []
        assert await store.record([delivered(items[2])], START) == [True]
        assert len(await claimed(store)) == 1

    async def test_keys_are_found_by_a_part_of_their_name_within_the_tenant(self, store: Store) -> None:
        await put(store, *(limited(FlowControl(key, 1)) for key in ("b-x", "a-x", "c%")))
        await put(store, limited(FlowControl("z-x", 1), namespace="other"))
        assert [each.key for each in await store.flow_controls(NS, "-x", START)] == ["a-x", "b-x"]
        assert [each.key for each in await store.flow_controls(NS, "", START)] == ["a-x", "b-x", "c%"]
        assert [each.key for each in await store.flow_controls(NS, "%", START)] == ["c%"]
        assert await store.flow_control(NS, "z-x", START) is None

    async def test_what_is_on_its_way_is_counted_per_tenant(self, store: Store) -> None:
        await store.accept([limited(None), limited(ONE), limited(None, namespace="other")], grant())
        assert (await store.delivering(NS), await store.delivering("nobody")) == (2, 0)


class TestEndpoints:
    """The key `endpoint/<name>`."""

    async def test_declared_limits_hold_what_waits_already_and_count_what_is_on_its_way(self, store: Store) -> None:
        await store.apply([billing()], START)
        ids = await put(store, *[publication(endpoint="billing")] * 4)
        first = (await store.claim(grant(2), START)).leased
        assert ids_of(first) == ids[:2]
        await store.apply([billing(FlowControl(parallelism=2), mark="2")], START)
        assert await claimed(store) == []
        assert (await view(store, "endpoint/billing")).active == 2
        await store.record([delivered(first[0])], START)
        assert ids_of(await claimed(store)) == ids[2:3]

    async def test_limits_that_are_declared_no_more_hold_nothing(self, store: Store) -> None:
        await store.apply([billing(FlowControl(parallelism=1))], START)
        await put(store, *[publication(endpoint="billing")] * 3)
        assert len(await claimed(store)) == 1
        await store.apply([billing(mark="2")], START)
        assert len(await claimed(store)) == 2

    async def test_messages_do_not_change_the_endpoints_limits(self, store: Store) -> None:
        await store.apply([billing(FlowControl(parallelism=5))], START)
        await put(store, publication(endpoint="billing"))
        await store.apply([billing(FlowControl(parallelism=7), mark="2")], START)
        await store.accept([publication(endpoint="billing")], grant())
        assert (await view(store, "endpoint/billing")).parallelism == 7

    async def test_a_key_of_ones_own_replaces_the_endpoints(self, store: Store) -> None:
        await store.apply([billing(FlowControl(parallelism=1))], START)
        own = publication(endpoint="billing", options=DeliveryOptions(flow_control=FlowControl("k", 5)))
        _, items = await store.accept([publication(endpoint="billing"), own, own], grant())
        assert len(items) == 3
        assert {item.lane for item in items} == {f"{NS}/endpoint/billing"}

    async def test_an_endpoint_without_limits_can_be_paused(self, store: Store) -> None:
        await store.apply([billing()], START)
        ids = await put(store, publication(endpoint="billing"))
        await change(store, Pause(True), key="endpoint/billing")
        assert await claimed(store) == []
        assert (await view(store, "endpoint/billing")).waiting == 1
        await change(store, Pause(False), key="endpoint/billing")
        assert ids_of(await claimed(store)) == ids

    async def test_a_suspended_endpoint_holds_back_nobody_else_of_its_key(self, store: Store) -> None:
        await store.apply([billing(suspend=True)], START)
        options = DeliveryOptions(flow_control=ONE)
        held, free = await put(store, publication(endpoint="billing", options=options), limited(ONE))
        (item,) = await claimed(store)
        assert item.message.id == free
        await store.apply([changed(billing(mark="2"))], START)
        await store.record([delivered(item)], START)
        assert ids_of(await claimed(store)) == [held]


class TestLifetime:
    async def test_a_key_is_known_while_a_message_uses_it_and_forgotten_after(self, store: Store) -> None:
        await put(store, limited(TWO_A_MINUTE), limited(TWO_A_MINUTE, queue="mine", not_before=START + MINUTE))
        (item,) = await claimed(store)
        await store.record([delivered(item)], START)
        late = START + timedelta(days=1)
        await purge_all(store, late)
        await view(store)
        (item,) = (await store.claim(grant(), late)).leased
        await store.record([delivered(item)], late)
        await purge_all(store, late + timedelta(days=1))
        assert await store.flow_control(NS, "k", late) is None

    @pytest.mark.parametrize("fixed", [Pause(True), Pin(parallelism=3), Pin(rate=3)], ids=str)
    async def test_a_key_that_somebody_fixed_stays(self, store: Store, fixed: FlowChange) -> None:
        await change(store, fixed)
        await purge_all(store, START + timedelta(days=30))
        await view(store)

    @pytest.mark.parametrize("limits", [Limits(fixed_keys=2)], ids=["two"])
    @pytest.mark.parametrize("fixed", [Pause(True), Pin(parallelism=3), Pin(rate=3)], ids=str)
    async def test_a_tenant_may_fix_so_many_keys_and_no_more(
        self, store: Store, limits: Limits, fixed: FlowChange
    ) -> None:
        for key in "ab":
            await change(store, Pause(True), key=key)
        with pytest.raises(QuotaReached, match=r"limit of 2 paused or pinned flow-control keys; resume or unpin one"):
            await change(store, fixed, key="c")
        assert await store.flow_control(NS, "c", START) is None
        await store.change_flow_control("other", "c", fixed, START)
        await change(store, fixed, key="a")
        await change(store, Pause(False), ResetRate(), key="c")
        await change(store, Pause(False), key="b")
        await change(store, Unpin(True, True), key="a")
        await change(store, fixed, key="c")

    async def test_what_is_kept_keeps_nobody_behind_it(self, store: Store) -> None:
        for n in range(5):
            await change(store, Pause(True), key=f"fixed-{n}")
        await change(store, Pause(False), key="idle", after=MINUTE)
        late = START + timedelta(days=1)
        assert [await store.purge(Retention(), late, 2) for _ in range(4)] == [2, 2, 2, 0]
        assert [one.key for one in await store.flow_controls(NS, "", late)] == [f"fixed-{n}" for n in range(5)]

    async def test_a_key_whose_window_is_not_over_stays(self, store: Store) -> None:
        (item,) = (await store.accept([limited(FlowControl("k", rate=1, period=timedelta(days=7)))], grant()))[1]
        await store.record([delivered(item)], START)
        await purge_all(store, START + timedelta(days=6))
        assert (await view(store)).started == 1

    async def test_an_endpoints_key_stays_as_long_as_the_endpoint(self, store: Store) -> None:
        await store.apply([billing(FlowControl(rate=1))], START)
        await purge_all(store, START + timedelta(days=30))
        assert (await view(store, "endpoint/billing")).rate == 1


async def purge_all(store: Store, now: datetime) -> None:
    while await store.purge(Retention(), now, 100):
        pass


class Traffic:
    """Messages of one key to three hosts, with retries; checks at every step what the limits promise."""

    def __init__(self, store: Store, clock: FakeClock, chance: random.Random) -> None:
        self.store, self.clock, self.chance = store, clock, chance
        self.parallelism, self.rate = chance.randrange(1, 5), chance.randrange(1, 6)
        self.period = chance.choice([1, 3, 10]) * SECOND
        self.limits = FlowControl("k", self.parallelism, self.rate, self.period)
        self.sent: list[str] = []
        self.starts: list[tuple[datetime, str]] = []
        self.flying: list[Leased] = []
        self.ended = 0

    async def publish(self) -> None:
        now = self.clock.now()
        hosts = [self.chance.randrange(3) for _ in range(self.chance.randrange(4))]
        given = [limited(self.limits, host, created_at=now) for host in hosts]
        answers, leased = await self.store.accept(given, self.chance.choice([None, grant(until=1e9)]))
        self.sent += [answer.messages[0].id for answer in answers if isinstance(answer, Acceptance)]
        self.began(leased)

    async def claim(self) -> None:
        room = self.chance.choice([1, 9])
        claim = await self.store.claim(grant(room, until=1e9), self.clock.now())
        self.began(claim.leased)
        shown = await self.store.flow_control(NS, "k", self.clock.now())
        if shown and shown.waiting and len(claim.leased) < room:
            assert shown.active == self.parallelism or shown.started == self.rate, "somebody waits for nothing"
            assert self.flying or claim.next_due is not None, "nobody will ever look again"

    def began(self, leased: Sequence[Leased]) -> None:
        self.flying += leased
        self.starts += [(self.clock.now(), item.message.id) for item in leased]
        assert len(self.flying) <= self.parallelism

    async def finish(self) -> None:
        for item in [item for item in self.flying if self.chance.random() < 0.5]:
            self.flying.remove(item)
            again = self.chance.random() < 0.2
            now = self.clock.now()
            outcome = retry(item, now + 2 * SECOND - START) if again else delivered(item)
            assert await self.store.record([outcome], now) == [True]
            self.ended += not again

    def windows(self) -> list[int]:
        """How many started in each window: it begins with the first start after the one before it."""
        counts: list[int] = []
        begin = None
        for at, _ in self.starts:
            if begin is None or at >= begin + self.period:
                begin = at
                counts.append(0)
            counts[-1] += 1
        return counts


@pytest.mark.parametrize("seed", range(10))
async def test_limits_hold_at_every_instant_and_nobody_waits_for_nothing(
    store: Store, clock: FakeClock, seed: int
) -> None:
    chance = random.Random(seed)
    traffic = Traffic(store, clock, chance)
    for step in range(10_000):
        if step < 150 and chance.random() < 0.4:
            await traffic.publish()
        await traffic.claim()
        await traffic.finish()
        if step >= 150 and traffic.ended == len(traffic.sent):
            break
        clock.advance(timedelta(milliseconds=chance.choice([0, 1, 300, 999, 1000])))
    assert traffic.ended == len(traffic.sent)
    assert list(dict.fromkeys(message_id for _, message_id in traffic.starts)) == traffic.sent
    assert max(traffic.windows()) <= traffic.rate
