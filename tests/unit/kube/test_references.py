"""Secrets and ConfigMaps by name: how often they are read, and what an API server that is away changes."""

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.support.fakes import FakeClock

from angarium.domain.declarations import KeyRef
from angarium.domain.errors import ReferenceMissing, ReferenceUnavailable
from angarium.kube.client import KubeError, Manifest
from angarium.kube.references import KubeReferences

KEY = KeyRef("auth", "header")
PATH = "/api/v1/namespaces/shop/secrets/auth"


class FakeApi:
    """The `get` of a KubeClient over objects by path; `away` is what it raises instead."""

    def __init__(self) -> None:
        self.objects: dict[str, Manifest] = {}
        self.away: KubeError | None = None
        self.reads: Counter[str] = Counter()

    def secret(self, **values: bytes) -> None:
        self.objects[PATH] = {"data": {name: base64.b64encode(value).decode() for name, value in values.items()}}

    async def get(self, path: str) -> Manifest:
        self.reads[path] += 1
        await asyncio.sleep(0)
        if self.away is not None:
            raise self.away
        if path not in self.objects:
            raise KubeError(404, "not found")
        return self.objects[path]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def references(clock: FakeClock, api: FakeApi) -> AsyncIterator[KubeReferences]:
    references = KubeReferences(clock)
    references.connect(asyncio.get_running_loop(), api)  # type: ignore[arg-type]
    yield references
    references.disconnect()


async def test_a_value_serves_for_a_minute(references: KubeReferences, api: FakeApi, clock: FakeClock) -> None:
    api.secret(header=b"one")
    assert await references.secret("shop", KEY) == b"one"
    api.secret(header=b"two")
    clock.advance(timedelta(seconds=59))
    assert await references.secret("shop", KEY) == b"one"
    clock.advance(timedelta(seconds=1))
    assert await references.secret("shop", KEY) == b"two"
    assert api.reads[PATH] == 2


async def test_who_asks_at_once_shares_one_read(references: KubeReferences, api: FakeApi) -> None:
    api.secret(header=b"one", other=b"two")
    asked = [references.secret("shop", KEY), references.secret("shop", KeyRef("auth", "other"))] * 10
    assert set(await asyncio.gather(*asked)) == {b"one", b"two"}
    assert api.reads[PATH] == 1


async def test_what_is_missing_is_looked_for_again_after_15_seconds(
    references: KubeReferences, api: FakeApi, clock: FakeClock
) -> None:
    with pytest.raises(ReferenceMissing, match="'auth' does not exist") as missing:
        await references.secret("shop", KEY)
    assert missing.value.reason == "SecretNotFound"
    api.secret(other=b"two")
    clock.advance(timedelta(seconds=14))
    with pytest.raises(ReferenceMissing, match="does not exist"):
        await references.secret("shop", KEY)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(ReferenceMissing, match="has no key 'header'"):
        await references.secret("shop", KEY)
    api.secret(header=b"one")
    clock.advance(timedelta(seconds=15))
    assert await references.secret("shop", KEY) == b"one"
    assert api.reads[PATH] == 3


@pytest.mark.parametrize("status", [0, 429, 500, 503, 403])
async def test_while_nothing_can_be_told_the_last_value_serves_for_an_hour(
    references: KubeReferences, api: FakeApi, clock: FakeClock, status: int
) -> None:
    api.secret(header=b"one")
    await references.secret("shop", KEY)
    api.away = KubeError(status, "not now")
    clock.advance(timedelta(minutes=59))
    assert await references.secret("shop", KEY) == b"one"
    clock.advance(timedelta(seconds=59, milliseconds=999))
    assert await references.secret("shop", KEY) == b"one"
    clock.advance(timedelta(milliseconds=1))
    with pytest.raises(ReferenceUnavailable, match="not now") as unavailable:
        await references.secret("shop", KEY)
    assert unavailable.value.forbidden == (status == 403)
    api.away = None
    assert await references.secret("shop", KEY) == b"one", "at once when it can be told again"


async def test_while_nothing_can_be_told_a_key_that_was_not_there_is_not_called_missing(
    references: KubeReferences, api: FakeApi, clock: FakeClock
) -> None:
    """It may have come since, so no message is to lose a retry over it."""
    api.secret(header=b"one")
    await references.secret("shop", KEY)
    api.away = KubeError(503, "not now")
    clock.advance(timedelta(minutes=2))
    with pytest.raises(ReferenceUnavailable):
        await references.secret("shop", KeyRef("auth", "other"))
    assert await references.secret("shop", KEY) == b"one"


async def test_a_secret_that_is_deleted_serves_until_its_minute_is_over(
    references: KubeReferences, api: FakeApi, clock: FakeClock
) -> None:
    api.secret(header=b"one")
    await references.secret("shop", KEY)
    api.objects.clear()
    clock.advance(timedelta(seconds=59, milliseconds=999))
    assert await references.secret("shop", KEY) == b"one"
    clock.advance(timedelta(milliseconds=1))
    with pytest.raises(ReferenceMissing):
        await references.secret("shop", KEY)
    api.away = KubeError(0, "connection refused")
    clock.advance(timedelta(seconds=15))
    with pytest.raises(ReferenceUnavailable):
        await references.secret("shop", KEY)


async def test_what_was_missing_before_an_outage_is_not_called_missing_in_it(
    references: KubeReferences, api: FakeApi, clock: FakeClock
) -> None:
    with pytest.raises(ReferenceMissing):
        await references.secret("shop", KEY)
    api.away = KubeError(0, "connection refused")
    clock.advance(timedelta(seconds=15))
    with pytest.raises(ReferenceUnavailable):
        await references.secret("shop", KEY)


async def test_without_an_operator_nothing_can_be_told(clock: FakeClock) -> None:
    with pytest.raises(ReferenceUnavailable, match="not connected"):
        await KubeReferences(clock).secret("shop", KEY)


async def test_an_operator_that_ends_during_a_read_does_not_end_who_asked(clock: FakeClock) -> None:
    asked = asyncio.Event()

    class Hanging(FakeApi):
        async def get(self, path: str) -> Manifest:
            asked.set()
            return await asyncio.get_running_loop().create_future()

    references, api = KubeReferences(clock), Hanging()
    references.connect(asyncio.get_running_loop(), api)  # type: ignore[arg-type]
    before = asyncio.all_tasks()
    asking = asyncio.create_task(references.secret("shop", KEY))
    await asked.wait()
    for task in asyncio.all_tasks() - before - {asking}:
        task.cancel()
    with pytest.raises(ReferenceUnavailable, match="not connected"):
        await asking


async def test_who_asked_can_be_ended(references: KubeReferences, api: FakeApi) -> None:
    asking = asyncio.create_task(references.secret("shop", KEY))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_secret_that_nobody_asks_for_leaves_the_memory(
    references: KubeReferences, api: FakeApi, clock: FakeClock
) -> None:
    api.secret(header=b"one")
    await references.secret("shop", KEY)
    clock.advance(timedelta(hours=1))
    with pytest.raises(ReferenceMissing):
        await references.secret("shop", KeyRef("other", "key"))
    assert [name for _, _, name in references._cache] == ["other"]


async def test_a_config_map_has_text_and_bytes(references: KubeReferences, api: FakeApi) -> None:
    binary = base64.b64encode(b"\x00\xff").decode()
    api.objects["/api/v1/namespaces/shop/configmaps/bodies"] = {"data": {"text": "ä"}, "binaryData": {"raw": binary}}
    assert await references.config_map("shop", KeyRef("bodies", "text")) == "ä".encode()
    assert await references.config_map("shop", KeyRef("bodies", "raw")) == b"\x00\xff"
    with pytest.raises(ReferenceMissing, match="ConfigMap 'bodies' has no key 'more'"):
        await references.config_map("shop", KeyRef("bodies", "more"))


async def test_a_namespace_is_forgotten(references: KubeReferences, api: FakeApi) -> None:
    api.secret(header=b"one")
    await references.secret("shop", KEY)
    references.forget_namespace("shop")
    await references.secret("shop", KEY)
    assert api.reads[PATH] == 2
