"""The file shrinks again after much was removed, and stays as it is while a fair share of it is in use."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.fakes import START, FakeClock
from tests.support.stores import DAY, accepted, delivered, grant, ids, publication

from angarium.domain.ports import Limits, Retention
from angarium.store import SqliteStore, housekeeping, open_store

MIB = 2**20


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    monkeypatch.setattr(housekeeping, "_PAGES_KEPT", 16)
    path = tmp_path / "a.db"
    opened = open_store(path, limits=Limits(), new_id=ids(), clock=FakeClock(), retention=Retention())
    yield opened
    await opened.close()


async def pages(store: SqliteStore, pragma: str) -> int:
    rows = await store._read(lambda session: session.rows(f"PRAGMA {pragma}"))
    return int(rows[0][0])


async def all_given_back(store: SqliteStore, limit: int = 50) -> int:
    given = 0
    while count := await store.give_back(limit):
        assert count <= limit
        given += count
    return given


async def test_a_file_that_grew_in_an_incident_shrinks_again(store: SqliteStore, tmp_path: Path) -> None:
    await accepted(store, *(publication(body=bytes([n]) * 5000) for n in range(50)))
    _, leased = await store.accept([publication(body=bytes(MIB)) for _ in range(8)], grant())
    await store.record([delivered(item) for item in leased], START)
    before = await pages(store, "page_count")
    while await store.purge(Retention(), START + 30 * DAY, 100):
        pass
    assert await pages(store, "page_count") == before
    given = await all_given_back(store)
    assert given > 8 * MIB // 4096 * 0.9
    assert await pages(store, "page_count") < before / 4
    claimed = (await store.claim(grant(100), START)).leased
    assert sorted(one.message.body for one in claimed) == [bytes([n]) * 5000 for n in range(50)]
    await store.close()
    assert (tmp_path / "a.db").stat().st_size < MIB


async def test_what_is_free_now_and_then_stays(store: SqliteStore) -> None:
    await accepted(store, *(publication(body=bytes(MIB)) for _ in range(8)))
    _, leased = await store.accept([publication(body=bytes(MIB))], grant())
    await store.record([delivered(item) for item in leased], START)
    while await store.purge(Retention(), START + 30 * DAY, 100):
        pass
    free = await pages(store, "freelist_count")
    assert free >= MIB // 4096
    assert await all_given_back(store) == 0
    assert await pages(store, "freelist_count") == free
