"""What is acknowledged is on disk, whatever happens to the process or the disk."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.fakes import START, FakeClock
from tests.support.stores import NS, delivered, grant, ids, leased, publication

from angarium.domain.errors import StoreError, StoreFull, StoreUnusable
from angarium.domain.messages import LogState
from angarium.domain.ports import Limits, Retention
from angarium.domain.views import HistoryFilter
from angarium.store import SqliteStore, open_store
from angarium.store.connection import open_writer
from angarium.store.transaction import Transaction
from angarium.store.writer import Writer

ACCEPT_FOR_EVER = """
import asyncio, sys
from itertools import count
from pathlib import Path
from angarium.domain.ports import Limits, Retention
from angarium.store import open_store
from tests.support.fakes import FakeClock
from tests.support.stores import publication

async def main():
    first = int(sys.argv[2])
    numbers = count(first)
    store = open_store(Path(sys.argv[1]), limits=Limits(), new_id=lambda _: f"msg_{next(numbers)}",
                       clock=FakeClock(), retention=Retention())
    async def publish():
        while True:
            answers, _ = await store.accept([publication(), publication()], None)
            for answer in answers:
                print(answer.messages[0].id, flush=True)
    await asyncio.gather(*(publish() for _ in range(8)))

asyncio.run(main())
"""

FAIL_FOR_EVER = """
import asyncio, sys
from itertools import count
from pathlib import Path
from angarium.domain.declarations import Callback, Destination
from angarium.domain.ports import Limits, Retention
from angarium.store import open_store
from tests.support.fakes import START, FakeClock
from tests.support.stores import failed, leased, publication

async def main():
    numbers = count(int(sys.argv[2]))
    store = open_store(Path(sys.argv[1]), limits=Limits(), new_id=lambda _: f"msg_{next(numbers)}",
                       clock=FakeClock(), retention=Retention())
    callbacks = [Callback(Destination(url=f"https://{name}.test/")) for name in ("told", "warned")]
    async def fail():
        while True:
            given = publication(callback=callbacks[0], failure_callback=callbacks[1])
            items = await leased(store, given, given)
            await store.record([failed(item) for item in items], START)
            for item in items:
                print(item.message.id, flush=True)
    await asyncio.gather(*(fail() for _ in range(8)))

asyncio.run(main())
"""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = _open(tmp_path / "a.db")
    yield opened
    await opened.close()


def _open(path: Path) -> SqliteStore:
    return open_store(path, limits=Limits(), new_id=ids(), clock=FakeClock(), retention=Retention())


def _acknowledged_until_killed(path: Path, kills: int, program: str = ACCEPT_FOR_EVER) -> set[str]:
    """Ids that processes printed as stored before each was killed in the middle of its commits."""
    acknowledged = set[str]()
    for kill in range(kills):
        command = [sys.executable, "-c", program, str(path), str(kill * 1_000_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(100 + 37 * kill)]
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read()
            assert child.wait() == -signal.SIGKILL
        lines += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        acknowledged |= {line.strip() for line in lines}
    return acknowledged


async def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    acknowledged = _acknowledged_until_killed(path, 5)
    store = _open(path)
    stored: list[str] = []
    while items := (await store.claim(grant(1000, lane_room=1000), START)).leased:
        stored += [item.message.id for item in items]
    assert acknowledged and acknowledged <= set(stored)
    assert len(stored) == len(set(stored)), "each is claimed once"
    backlog = await store.backlog()
    assert (backlog.waiting, backlog.delivering) == (0, len(stored))
    page = await store.log(HistoryFilter(NS, states=[LogState.CREATED], count=100_000))
    assert {entry.message.id for entry in page.items} == set(stored), "messages and log entries come together"
    await store.close()


async def test_a_killed_process_leaves_no_failure_without_its_callbacks_and_no_callback_without_its_failure(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.db"
    acknowledged = _acknowledged_until_killed(path, 3, FAIL_FOR_EVER)
    store = _open(path)
    connection = store._connection
    failures = {row["id"] for row in connection.execute("SELECT id FROM messages WHERE state = 'Failed'")}
    told = Counter(row["source"] for row in connection.execute("SELECT source FROM messages WHERE source NOT NULL"))
    letters = connection.execute("SELECT m.id FROM dead_letters AS l JOIN messages AS m ON m.seq = l.message")
    assert acknowledged and acknowledged <= failures == {row["id"] for row in letters} == told.keys()
    assert set(told.values()) == {2}
    await store.close()


async def test_a_full_disk_stores_nothing_half_and_heals(tmp_path: Path, store: SqliteStore) -> None:
    (item,) = await leased(store, publication())
    connection = store._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    large = publication(body=b"x" * 100_000)
    with pytest.raises(StoreFull, match="free disk space"):
        await store.accept([publication(), large], None)
    assert len((await store.log(HistoryFilter(NS, states=[LogState.CREATED]))).items) == 1
    assert (await store.backlog()).waiting == 0
    connection.execute("PRAGMA max_page_count = 1000000")
    await store.accept([large], None)
    assert await store.record([delivered(item)], START) == [True]


async def test_a_read_only_database_is_full(store: SqliteStore) -> None:
    store._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreFull, match="read"):
        await store.accept([publication()], None)
    store._connection.execute("PRAGMA query_only = 0")
    await store.accept([publication()], None)


async def test_a_locked_database_is_an_error_and_passes(store: SqliteStore, tmp_path: Path) -> None:
    store._connection.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        await store.accept([publication()], None)
    other.execute("ROLLBACK")
    other.close()
    await store.accept([publication()], None)


class TestWriter:
    @pytest.fixture
    def writer(self, tmp_path: Path) -> Iterator[Writer]:
        connection = open_writer(tmp_path / "writer.db", durable=True)
        connection.execute("CREATE TABLE t (x INTEGER UNIQUE)")
        writer = Writer(connection, FakeClock())
        yield writer
        writer.close()
        connection.close()

    @staticmethod
    def insert(value: int, twice: bool = False) -> Callable[[Transaction], int]:
        def operation(tx: Transaction) -> int:
            tx.run("INSERT INTO t VALUES (?)", value)
            if twice:
                tx.run("INSERT INTO t VALUES (?)", value)
            return value

        return operation

    @staticmethod
    def values(tx: Transaction) -> list[int]:
        return [row["x"] for row in tx.rows("SELECT x FROM t ORDER BY x")]

    @pytest.mark.parametrize("failing", [0, 1, 3], ids="fails-{}".format)
    def test_what_waits_goes_into_one_commit_and_what_fails_is_undone_alone(self, writer: Writer, failing: int) -> None:
        commits: list[str] = []
        gate, entered = threading.Event(), threading.Event()

        def block(_: Transaction) -> None:
            entered.set()
            gate.wait(10)

        first = writer.submit(block)
        assert entered.wait(10)
        writer._connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        futures = [writer.submit(self.insert(n, twice=n == failing)) for n in range(6)]
        futures[5].cancel()
        gate.set()
        first.result(10)
        with pytest.raises(StoreError, match="UNIQUE"):
            futures.pop(failing).result(10)
        others = [n for n in range(5) if n != failing]
        assert [future.result(10) for future in futures[:4]] == others
        assert len(commits) == 2, "one for the first turn, one for all that waited"
        writer._connection.set_trace_callback(None)
        assert writer.submit(self.values).result(10) == others

    def test_a_lost_transaction_fails_everyone_in_it(self, writer: Writer) -> None:
        gate, entered = threading.Event(), threading.Event()

        def block(_: Transaction) -> None:
            entered.set()
            gate.wait(10)

        def lose(tx: Transaction) -> None:
            tx.connection.execute("ROLLBACK")
            tx.run("INSERT INTO nothing VALUES (1)")

        writer.submit(block)
        assert entered.wait(10)
        futures = [writer.submit(self.insert(1)), writer.submit(lose), writer.submit(self.insert(2))]
        gate.set()
        for future in futures:
            with pytest.raises(StoreError):
                future.result(10)
        assert writer.submit(self.values).result(10) == []

    def test_beat_tells_how_long_a_turn_lasts(self, tmp_path: Path) -> None:
        clock = FakeClock()
        connection = open_writer(tmp_path / "beat.db", durable=False)
        writer = Writer(connection, clock)
        gate, entered = threading.Event(), threading.Event()

        def block(_: Transaction) -> None:
            entered.set()
            gate.wait(10)

        assert writer.beat() == 0
        future = writer.submit(block)
        assert entered.wait(10)
        clock.advance(timedelta(seconds=42))
        assert writer.beat() == 42
        gate.set()
        future.result(10)
        writer.close()
        assert writer.beat() == 0
        connection.close()


def test_no_driver_error_escapes_a_read(tmp_path: Path) -> None:
    store = _open(tmp_path / "a.db")
    store._connection.execute("DROP TABLE endpoint_stats")
    with pytest.raises(StoreError):
        asyncio.run(store.endpoint_views([]))
    asyncio.run(store.close())


async def test_a_write_that_failed_counts_until_one_succeeds(store: SqliteStore) -> None:
    await store.check()
    store._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreFull):
        await store.accept([publication()], None)
    for _ in range(2):
        with pytest.raises(StoreFull, match="make the volume writable"):
            await store.check()
    store._connection.execute("PRAGMA query_only = 0")
    await store.check()


async def test_damage_that_was_met_counts_for_good(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = _open(path)
    await store.accept([publication(body=b"a body to be found " * 10)], None)
    await store.close()
    content = bytearray(path.read_bytes())
    page = content.index(b"a body to be found") // 4096 * 4096
    content[page : page + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    store = _open(path)
    await store.check()
    with pytest.raises(StoreUnusable, match="damaged.* backup"):
        await store.claim(grant(1, lane_room=1), START)
    for _ in range(2):
        with pytest.raises(StoreUnusable, match="damaged.* backup"):
            await store.check()
    await store.close()
