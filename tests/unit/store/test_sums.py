"""The tables that sum up others stay exact, whatever happens in whatever order."""

import random
from datetime import timedelta

import pytest
from tests.support.fakes import START, FakeClock
from tests.support.stores import (
    declared,
    delivered,
    endpoint,
    failed,
    firing,
    grant,
    ids,
    postponed,
    publication,
    retry,
    schedule,
    topic,
)

from angarium.domain.declarations import ConcurrencyPolicy, DeliveryOptions, Destination, FlowControl, Kind, Queue
from angarium.domain.flow_control import Pause, Pin, ResetRate, Unpin
from angarium.domain.messages import Leased
from angarium.domain.ports import Limits, Retention
from angarium.store import SqliteStore, open_store

RETENTION = Retention(timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=45))
LIMITS = [None, FlowControl("k", parallelism=2), FlowControl("r", parallelism=1, rate=3)]

RECOUNTS = {
    "usage": (
        "SELECT namespace, waiting, stored_bytes, dead_letters FROM usage",
        """SELECT u.namespace,
            (SELECT count(*) FROM messages AS m WHERE m.namespace = u.namespace AND m.finished_ms IS NULL),
            (SELECT coalesce(sum(length(body)), 0) FROM bodies AS b JOIN messages AS m ON m.seq = b.message
                WHERE m.namespace = u.namespace)
            + (SELECT coalesce(sum(length(response_body)), 0) FROM log AS l WHERE l.namespace = u.namespace)
            + (SELECT coalesce(sum(length(response_body)), 0) FROM dead_letters AS d WHERE d.namespace = u.namespace),
            (SELECT count(*) FROM dead_letters AS d WHERE d.namespace = u.namespace)
        FROM usage AS u""",
    ),
    "lanes": (
        "SELECT lane, coalesce(flow, '-'), due_ms FROM lanes",
        """SELECT lane, coalesce(flow, 'endpoint/' || endpoint, '-'), min(due_ms) FROM messages
        WHERE state IN ('Waiting', 'Retrying') AND queued = 0 GROUP BY lane""",
    ),
    "queues": (
        "SELECT namespace, name, active, lag FROM queues",
        """SELECT * FROM (
            SELECT namespace, queue, sum(holding OR (finished_ms IS NULL AND NOT queued)) AS active,
                sum(finished_ms IS NULL) AS lag
            FROM messages WHERE queue IS NOT NULL GROUP BY namespace, queue
        ) WHERE active > 0 OR lag > 0""",
    ),
    "callbacks that hold places": (
        "SELECT m.id FROM messages AS m WHERE m.holding",
        """SELECT m.id FROM messages AS m WHERE m.holding
            AND EXISTS (SELECT 1 FROM messages AS c WHERE c.source = m.id AND c.finished_ms IS NULL)""",
    ),
    "flow control": (
        "SELECT namespace, key, active FROM flow_controls",
        """SELECT f.namespace, f.key, (
            SELECT count(*) FROM messages AS m WHERE m.namespace = f.namespace AND m.state = 'Delivering'
                AND coalesce(m.flow, 'endpoint/' || m.endpoint) = f.key
        ) FROM flow_controls AS f""",
    ),
    "runs": (
        "SELECT seq, pending FROM runs WHERE reason = ''",
        """SELECT r.seq, (SELECT count(*) FROM messages AS m WHERE m.run = r.seq AND m.finished_ms IS NULL)
        FROM runs AS r WHERE r.reason = ''""",
    ),
    "orphaned rows": (
        "SELECT 0",
        """SELECT (SELECT count(*) FROM bodies WHERE message NOT IN (SELECT seq FROM messages))
            + (SELECT count(*) FROM log WHERE message NOT IN (SELECT seq FROM messages))
            + (SELECT count(*) FROM attempts WHERE message NOT IN (SELECT seq FROM messages))
            + (SELECT count(*) FROM dead_letters WHERE message NOT IN (SELECT seq FROM messages))
            + (SELECT count(*) FROM messages WHERE run IS NOT NULL AND run NOT IN (SELECT seq FROM runs))""",
    ),
}


class Actor:
    """Does one random thing after the other, as the API, the engine, the operator and the janitor would."""

    def __init__(self, store: SqliteStore, clock: FakeClock, chance: random.Random) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._flying: list[Leased] = []

    async def act(self) -> None:
        self._clock.advance(timedelta(seconds=self._chance.randrange(4)))
        action = self._chance.choice(
            [self.publish, self.publish, self.claim, self.record, self.record, self.release, self.declare, self.fire]
            + [self.delete, self.clean, self.call_back, self.regulate, self.restart]
        )
        await action()

    async def publish(self) -> None:
        now, chance = self._clock.now(), self._chance
        delay = timedelta(seconds=chance.choice([0, 0, 5]))
        targets = [{"url": f"https://{chance.randrange(3)}.test/"}, {"endpoint": "billing"}, {"topic": "orders"}]
        many = [
            publication(
                **chance.choice(targets),
                namespace=chance.choice(["shop", "other"]),
                created_at=now,
                not_before=now + delay,
                body=b"x" * chance.randrange(9),
                queue=chance.choice([None, None, "mine", "theirs"]),
                options=DeliveryOptions(flow_control=chance.choice(LIMITS)),
                dedup_key=chance.choice([None, None, bytes([chance.randrange(9)])]),
            )
            for _ in range(chance.randrange(5))
        ]
        _, leased = await self._store.accept(many, grant(3, until=self._clock.monotonic() + 30))
        self._flying += leased

    async def claim(self) -> None:
        mine = grant(5, lane_room=2, until=self._clock.monotonic() + 30)
        self._flying += (await self._store.claim(mine, self._clock.now())).leased

    async def record(self) -> None:
        some = [item for item in self._flying if self._chance.random() < 0.6]
        kinds = [delivered, failed, retry, postponed]
        await self._store.record([self._chance.choice(kinds)(item) for item in some], self._clock.now())

    async def call_back(self) -> None:
        """Somebody reports on what is on its way."""
        now = self._clock.now()
        sources = [item.message for item in self._flying[-2:]]
        many = [publication(namespace=one.namespace, created_at=now, source=one.id) for one in sources]
        await self._store.accept(many, None)

    async def regulate(self) -> None:
        """Somebody changes flow control or a queue over the API, and places held for long become free."""
        chance, now = self._chance, self._clock.now()
        changes = [Pause(chance.random() < 0.5), Pin(chance.randrange(1, 3)), Unpin(True, True), ResetRate()]
        key = chance.choice(["k", "r", "endpoint/billing"])
        await self._store.change_flow_control("shop", key, chance.choice(changes), now)
        mine = declared(Kind.QUEUE, "mine", Queue(chance.randrange(1, 4), chance.random() < 0.3), fingerprint=str(now))
        await self._store.apply([mine], now)
        await self._store.free_places(now - timedelta(seconds=20), now, 1)

    async def restart(self) -> None:
        """The process died: its leases end."""
        if self._chance.random() < 0.2:
            await self._store.void_leases("the next process")

    async def let_go(self) -> None:
        """Nothing is held back any more."""
        now = self._clock.now()
        for key in ("k", "r", "endpoint/billing"):
            for change in (Pause(False), Unpin(True, True)):
                await self._store.change_flow_control("shop", key, change, now)
        await self._store.apply([declared(Kind.QUEUE, "mine", Queue(2), fingerprint="end")], now)
        await self._store.apply([endpoint(fingerprint="end")], now)

    async def drain(self) -> None:
        """Deliver what there is, sleeping as long as the store says that there is nothing."""
        await self._store.void_leases("nobody")
        for _ in range(2000):
            now = self._clock.now()
            claim = await self._store.claim(grant(1000, lane_room=1000, until=self._clock.monotonic() + 30), now)
            await self._store.record([delivered(item) for item in claim.leased], now)
            if not claim.leased and claim.next_due is None:
                return
            if not claim.leased and claim.next_due:
                self._clock.advance(claim.next_due - now)

    async def release(self) -> None:
        await self._store.release(self._flying[-2:])

    async def declare(self) -> None:
        policy = self._chance.choice(list(ConcurrencyPolicy))
        destination = self._chance.choice([Destination(topic="orders"), Destination(endpoint="billing")])
        mark = str(self._chance.random())
        objects = [
            endpoint(suspend=self._chance.random() < 0.3, fingerprint=mark),
            topic("orders", "billing", "gone", match={}, fingerprint=mark),
            schedule(policy=policy, destination=destination, fingerprint=mark),
        ]
        await self._store.apply(self._chance.sample(objects, 2), self._clock.now())

    async def fire(self) -> None:
        now = self._clock.now()
        for due in (await self._store.due_schedules(now, 10)).schedules:
            slots = [due.state.considered_until + timedelta(seconds=n) for n in (1, 2)]
            decision = firing(due, *slots, now=now, wake_at=now)
            (fired,) = await self._store.fire([decision], grant(2, until=self._clock.monotonic() + 30))
            self._flying += fired.leased

    async def delete(self) -> None:
        ref = self._chance.choice([endpoint(), schedule(), topic()]).ref
        await self._store.remove([(ref, None)], self._clock.now())

    async def clean(self) -> None:
        now = self._clock.now()
        await self._store.fail_orphans(now - timedelta(seconds=5), now, 3)
        await self._store.purge(RETENTION, now, 7)


def check(store: SqliteStore) -> None:
    for name, (sums, recount) in RECOUNTS.items():
        expected = sorted(map(tuple, store._connection.execute(recount)))
        assert sorted(map(tuple, store._connection.execute(sums))) == expected, name


@pytest.mark.parametrize("seed", range(12))
async def test_sums_are_what_a_recount_gives(seed: int) -> None:
    clock = FakeClock(START)
    store = open_store(None, limits=Limits(waiting=60), new_id=ids(), clock=clock, retention=RETENTION)
    actor = Actor(store, clock, random.Random(seed))
    await actor.declare()
    for _ in range(150):
        await actor.act()
    check(store)
    await actor.let_go()
    await actor.drain()
    check(store)
    stuck = "SELECT id, state, queue, flow, endpoint, queued, due_ms FROM messages WHERE finished_ms IS NULL"
    assert [tuple(row) for row in store._connection.execute(stuck)] == []
    clock.advance(timedelta(hours=1))
    while await store.purge(RETENTION, clock.now(), 1000):
        pass
    check(store)
    (left,) = store._connection.execute("SELECT count(*) FROM log").fetchone()
    assert left == 0
    await store.close()
