"""What has ended ages out, and the database file stops growing: days of traffic on a clock that runs fast."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.soak import TABLES, Rounds, Traffic, waits
from tests.support.stores import DAY, NS

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.ports import Retention
from angarium.store.connection import WAL_LIMIT_BYTES

RETENTION = Retention()  # 3 days of messages, 7 of log and dead letters
HALF_A_DAY = DAY / 2
LARGEST = 2**20
PAUSE_S = 0.050


async def test_what_has_ended_ages_out_until_nothing_is_left(tmp_path: Path) -> None:
    traffic = Traffic(tmp_path, RETENTION)
    await traffic.declare()
    rounds = Rounds(traffic.store, RETENTION, traffic.clock, pause=timedelta(0))
    rows, sizes = [], []
    for _ in range(40):
        await traffic.period(100, HALF_A_DAY)
        await rounds.go()
        rows.append(await traffic.rows())
        sizes.append(traffic.file_size())
    for table in TABLES:
        level = max(each[table] for each in rows[16:28])
        assert max(each[table] for each in rows[28:]) <= level * 1.05 + 2, (table, [each[table] for each in rows])
    assert max(sizes[28:]) <= 1.1 * max(sizes[16:28])
    assert rows[-1]["messages"] > 1000 and rows[-1]["dead_letters"] > 100, "it is kept as long as it is promised"
    await _forget_everything(traffic, rounds)
    await traffic.store.close()
    assert traffic.file_size() < 20 * 2**20


async def _forget_everything(traffic: Traffic, rounds: Rounds) -> None:
    await traffic.store.remove([(ObjectRef(Kind.SCHEDULE, NS, traffic.schedule.ref.name), None)], traffic.clock.now())
    for _ in range(3):
        traffic.clock.advance(8 * DAY)
        await rounds.go()
    left = {table: number for table, number in (await traffic.rows()).items() if number}
    assert not left


@pytest.mark.thorough
async def test_the_file_levels_off_and_nobody_waits_for_the_janitor(tmp_path: Path) -> None:
    """A fortnight, 5,000 messages a day with bodies up to 1 MiB."""
    traffic = Traffic(tmp_path, RETENTION, (0, 120, 256, 900, 3_000, 256, 9_000, 40_000, 256, 200_000))
    await traffic.declare()
    rounds = Rounds(traffic.store, RETENTION, traffic.clock, pause=timedelta(milliseconds=1))
    sizes, logs = [], []
    for _ in range(28):
        await traffic.period(2_500, HALF_A_DAY)
        await rounds.go()
        sizes.append(traffic.file_size())
        logs.append(traffic.file_size("-wal"))
    steady = sorted(sizes[16:])[len(sizes[16:]) // 2]
    assert max(sizes) <= 1.3 * steady, sizes
    assert max(logs) <= 3 * WAL_LIMIT_BYTES, logs
    assert _slow(rounds.took) == 0, sorted(rounds.took)[-5:]
    await _forget_everything(traffic, rounds)
    await traffic.store.close()
    assert traffic.file_size() < steady / 4


@pytest.mark.thorough
@pytest.mark.parametrize(("messages", "sizes"), [(200_000, (256,)), (1_500, (LARGEST,))], ids=["many", "large"])
async def test_a_backlog_of_what_aged_out_is_removed_without_a_pause(
    tmp_path: Path, messages: int, sizes: tuple[int, ...]
) -> None:
    traffic = Traffic(tmp_path, RETENTION, sizes)
    await traffic.declare()
    for _ in range(messages // 500):
        await traffic.period(500, timedelta(minutes=1))
    full = traffic.file_size()
    traffic.clock.advance(30 * DAY)
    rounds = Rounds(traffic.store, RETENTION, traffic.clock, pause=timedelta(milliseconds=10))
    with waits(traffic.store) as found:
        await rounds.go()
    assert (await traffic.rows())["log"] == 0
    assert _slow(found) == 0, sorted(found)[-5:]
    assert traffic.file_size() < full / 2
    await traffic.store.close()


@pytest.mark.thorough
async def test_a_tenant_is_removed_and_its_messages_are_canceled_without_a_pause(tmp_path: Path) -> None:
    traffic = Traffic(tmp_path, RETENTION)
    await traffic.declare()
    for _ in range(40):
        await traffic.period(500, timedelta(minutes=1))
    with waits(traffic.store) as found:
        await traffic.store.purge_namespace(NS, traffic.clock.now())
    assert _slow(found) == 0, sorted(found)[-5:]
    assert not any((await traffic.rows()).values())
    await traffic.store.close()


def _slow(seconds: list[float]) -> int:
    """How many were pauses. Two, or one in a thousand, may be the disk's or the machine's doing."""
    slow = sum(each > PAUSE_S for each in seconds)
    return 0 if slow <= max(2, len(seconds) // 1000) else slow
