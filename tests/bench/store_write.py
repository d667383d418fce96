"""How fast the store writes on this machine, for docs/adr/0003. By hand: python -m tests.bench.store_write [FOLDER].

`row` and `batch` rows insert 256-byte rows into a bare table, to show what the disk gives. `store` rows go through the
Store port: accept, then record, N messages per call, with one caller or with several at once.
"""

import argparse
import asyncio
import resource
import sqlite3
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.bench.stores import BODY, delayed, opened

from angarium.domain.declarations import Destination
from angarium.domain.messages import Attempt, LeaseGrant, Outcome, Publication, Response, Result
from angarium.store import SqliteStore

SECONDS = 2.0
CALLS = ((1, 1), (1, 64), (10, 1), (10, 8), (100, 1), (100, 2))
URL = "http://receiver.example/hook"


def bare(folder: Path, synchronous: str, batch: int) -> tuple[float, float]:
    """(commits/s, rows/s) of a plain table in WAL mode."""
    path = folder / f"bare-{synchronous}-{batch}.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
    commits, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO t (body) VALUES (?)", [(BODY,)] * batch)
        connection.execute("COMMIT")
        commits += 1
    spent = time.perf_counter() - start
    connection.close()
    return commits / spent, commits * batch / spent


async def deliver(store: SqliteStore, batch: int) -> None:
    """Accept and lease `batch` messages, then record them as delivered."""
    now = datetime.now(UTC)
    grant = LeaseGrant("bench", time.monotonic() + 30, room=batch, lane_room=batch)
    publications = [Publication("bench", Destination(url=URL), now, BODY) for _ in range(batch)]
    _, leased = await store.accept(publications, grant)
    assert len(leased) == batch
    attempt = Attempt(1, URL, now, timedelta(milliseconds=2), Response(200))
    await store.record([Outcome(item, Result.DELIVERED, attempt) for item in leased], now)


async def delivered_per_second(store: SqliteStore, batch: int, callers: int) -> float:
    done, start = 0, time.perf_counter()

    async def call() -> None:
        nonlocal done
        while time.perf_counter() - start < SECONDS:
            await deliver(store, batch)
            done += batch

    await asyncio.gather(*(call() for _ in range(callers)))
    return done / (time.perf_counter() - start)


async def claim_time(store: SqliteStore) -> float:
    """Seconds that a claim takes which finds nothing due."""
    start, claims = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        await store.claim(LeaseGrant("bench", time.monotonic() + 30, 1000, 64), datetime.now(UTC))
        claims += 1
    return (time.perf_counter() - start) / claims


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the database files go; default: a temporary one")
    parser.add_argument("--backlog", type=int, default=0, help="delayed messages to store first, e.g. 1000000")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        for synchronous in ("FULL", "NORMAL", "OFF"):
            for batch in (1, 10, 100):
                commits, rows = bare(folder, synchronous, batch)
                print(f"bare   {synchronous:6} batch {batch:3}: {commits:8,.0f} commits/s {rows:9,.0f} rows/s")
        with opened(folder / "store.db") as store:
            print(f"store  a claim that finds nothing: {asyncio.run(claim_time(store)) * 1e3:.2f} ms")
            if options.backlog:
                rate = asyncio.run(delayed(store, "bench", options.backlog))
                print(f"store  {options.backlog:,} delayed messages first: {rate:,.0f} accepted/s")
                print(f"store  a claim that finds nothing: {asyncio.run(claim_time(store)) * 1e3:.2f} ms")
            for batch, callers in CALLS:
                cpu = time.process_time()
                rate = asyncio.run(delivered_per_second(store, batch, callers))
                each = (time.process_time() - cpu) / (rate * SECONDS) * 1e6
                print(f"store  FULL   {callers:2} × {batch:3}: {rate:8,.0f} messages/s, {each:5.0f} µs CPU each")
        print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most")


if __name__ == "__main__":
    main()
