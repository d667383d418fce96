"""Tenants that are not watched are named, and left alone."""

import logging

import pytest
from tests.support.fakes import FakeClock

from angarium.kube.tenants import Tenants


class Held:
    """Some tenants; anything else that is asked of this store is an error."""

    def __init__(self, *namespaces: str) -> None:
        self.namespaces = set(namespaces)

    async def tenants(self) -> dict[str, str | None]:
        return dict.fromkeys(sorted(self.namespaces))


async def test_what_is_not_watched_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    store = Held("shop", "bank", "club")
    tenants = Tenants(None, store, FakeClock(), lambda _: None)  # type: ignore[arg-type]
    caplog.set_level(logging.WARNING)

    async def named() -> list[str]:
        caplog.clear()
        await tenants.name_unwatched(["shop", "new"])
        return [record.getMessage().split()[1] for record in caplog.records]

    assert await named() == ["bank", "club"]
    assert "--namespaces" in caplog.text
    assert await named() == []
    store.namespaces.add("pub")
    assert await named() == ["pub"]
