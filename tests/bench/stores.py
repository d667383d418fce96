"""The store without the program around it: opened as the program does, and filled with messages that wait.

Run: python -m tests.bench.stores DATABASE NAMESPACE COUNT, to fill a database in a process of its own.
"""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.fakes import WallClock

from angarium.domain.declarations import Destination
from angarium.domain.messages import Publication
from angarium.domain.ports import Limits, Retention
from angarium.store import SqliteStore, open_store

BODY = b"x" * 256
BATCH = 500
HOSTS = 100
DELAY = timedelta(days=30)


@contextmanager
def opened(database: Path) -> Iterator[SqliteStore]:
    """Without limits, and with ids that cost nothing."""
    numbers, start = itertools.count(), f"msg_{os.getpid():08}"
    store = open_store(
        database,
        limits=Limits(waiting=10**9, stored_bytes=10**12),
        new_id=lambda _: f"{start}{next(numbers):018}",
        clock=WallClock(),
        retention=Retention(),
    )
    try:
        yield store
    finally:
        asyncio.run(store.close())


async def delayed(store: SqliteStore, namespace: str, count: int) -> float:
    """Accept messages that are due in a month, for a hundred hosts. Returns how many went in per second."""
    now = datetime.now(UTC)
    start = time.perf_counter()
    for first in range(0, count, BATCH):
        many = [
            Publication(
                namespace, Destination(url=f"http://host{n % HOSTS}.example/"), now, BODY, not_before=now + DELAY
            )
            for n in range(first, min(first + BATCH, count))
        ]
        await store.accept(many, None)
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    with opened(Path(sys.argv[1])) as filled:
        print(f"{asyncio.run(delayed(filled, sys.argv[2], int(sys.argv[3]))):.0f} messages/s")
