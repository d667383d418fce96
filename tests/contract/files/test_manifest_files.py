import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.contract.files.conftest import Manifests
from tests.support.fakes import START
from tests.support.stores import declared

from angarium.domain.declarations import (
    Declared,
    Endpoint,
    KeyRef,
    Kind,
    ObjectRef,
    Origin,
    Queue,
    Rejection,
    Schedule,
)
from angarium.domain.errors import ReferenceMissing, StoreFull
from angarium.domain.notices import CatalogChanged, TakenOver
from angarium.files.folder import ManifestFiles

VERSION = "apiVersion: angarium.dev/v1alpha1\n"
OK = ObjectRef(Kind.ENDPOINT, "default", "ok")
TICK = ObjectRef(Kind.SCHEDULE, "default", "tick")
LINE = ObjectRef(Kind.QUEUE, "default", "line")


def endpoint(name: str = "ok", url: str = "http://a.test/", metadata: str = "") -> str:
    return f"{VERSION}kind: Endpoint\nmetadata: {{name: {name}, {metadata}}}\nspec: {{url: '{url}'}}\n"


def schedule(name: str = "tick", spec: str = "every: 5s", to: str = "ok") -> str:
    destination = f"destination: {{endpointRef: {{name: {to}}}}}"
    return f"{VERSION}kind: Schedule\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n  {destination}\n"


def secret(value: str = "one", name: str = "auth") -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{header: {value}}}\n"


@asynccontextmanager
async def running(files: ManifestFiles) -> AsyncIterator[None]:
    task = asyncio.create_task(files.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_everything_sound_is_in_the_store(manifests: Manifests) -> None:
    manifests.write("a.yaml", endpoint(), schedule(), secret())
    manifests.write("b.yaml", endpoint("ok", metadata="namespace: shop"))
    assert await manifests.files().load() == []
    assert await manifests.names() == {"Endpoint default/ok", "Endpoint shop/ok", "Schedule default/tick"}
    stored = await manifests.store.declared(TICK)
    assert stored is not None
    assert isinstance(stored.spec, Schedule)
    assert stored.spec.timing.every == timedelta(seconds=5)
    assert await manifests.references.secret("default", KeyRef("auth", "header")) == b"one"
    told = set().union(*(notice.refs for notice in manifests.recorder.notices if isinstance(notice, CatalogChanged)))
    assert {OK, TICK} <= told


async def test_what_is_referred_to_and_missing_is_told_until_it_is_there(manifests: Manifests) -> None:
    members = "endpoints: [{name: a, endpointRef: {name: audit}}]"
    topic = f"{VERSION}kind: Topic\nmetadata: {{name: orders}}\nspec: {{{members}}}\n"
    headers = "headers: [{name: X-Key, valueFrom: {secretKeyRef: {name: auth, key: header}}}]"
    file = manifests.write("a.yaml", schedule(spec=f"every: 5s\n  {headers}"), topic)
    files = manifests.files()
    assert await files.load() == [
        f"{file}:1: Schedule default/tick: Endpoint 'ok' does not exist",
        f"{file}:1: Schedule default/tick: Secret 'auth' is in none of the files for namespace 'default'",
        f"{file}:9: Topic default/orders: Endpoint 'audit' does not exist",
    ]
    assert await manifests.names() == {"Schedule default/tick", "Topic default/orders"}
    manifests.write("b.yaml", endpoint(), endpoint("audit"))
    assert [line.partition(": ")[2] for line in await files.load()] == [
        "Schedule default/tick: Secret 'auth' is in none of the files for namespace 'default'"
    ]
    manifests.write("c.yaml", secret())
    assert await files.load() == []


async def test_a_second_start_changes_nothing(manifests: Manifests) -> None:
    manifests.write("a.yaml", endpoint(), schedule())
    await manifests.files().load()
    before = await manifests.store.declared_many([OK, TICK])
    manifests.recorder.notices.clear()
    manifests.clock.advance(timedelta(hours=1))
    assert await manifests.files().load() == []
    assert await manifests.store.declared_many([OK, TICK]) == before
    assert manifests.recorder.notices == []
    assert manifests.terminal.lines == []


async def test_what_went_between_two_starts_is_deleted_and_told(manifests: Manifests) -> None:
    manifests.write("a.yaml", endpoint())
    gone = manifests.write("b.yaml", schedule())
    await manifests.files().load()
    gone.unlink()
    await manifests.files().load()
    assert await manifests.names() == {"Endpoint default/ok"}
    assert manifests.terminal.lines == ["no longer in the files: Schedule default/tick removed"]


async def test_changes_are_taken_over_and_told_in_one_line(manifests: Manifests) -> None:
    file = manifests.write("a.yaml", endpoint(), schedule(), secret())
    files = manifests.files()
    await files.load()
    async with running(files):
        manifests.write("a.yaml", endpoint(url="http://b.test/"), endpoint("new"), secret("two"))
        line = await manifests.terminal.until("reloaded")
    assert line == (
        f"reloaded {file}: Secret default/auth changed, Endpoint default/new added, Endpoint default/ok changed, "
        "Schedule default/tick removed"
    )
    stored = await manifests.store.declared(OK)
    assert stored is not None
    assert (stored.spec, stored.generation) == (Endpoint("http://b.test/"), 2)
    assert await manifests.references.secret("default", KeyRef("auth", "header")) == b"two"


async def test_a_removed_file_is_a_removed_declaration(manifests: Manifests) -> None:
    manifests.write("a.yaml", endpoint())
    gone = manifests.write("b.yaml", schedule(), secret())
    files = manifests.files()
    await files.load()
    async with running(files):
        gone.unlink()
        assert await manifests.terminal.until("reloaded") == (
            f"reloaded {gone}: Secret default/auth removed, Schedule default/tick removed"
        )
    assert await manifests.names() == {"Endpoint default/ok"}
    with pytest.raises(ReferenceMissing):
        await manifests.references.secret("default", KeyRef("auth", "header"))


async def test_a_touched_file_is_no_change(manifests: Manifests) -> None:
    file = manifests.write("a.yaml", endpoint())
    files = manifests.files()
    await files.load()
    async with running(files):
        os.utime(file, ns=(1, 1))
        assert await manifests.terminal.until("reloaded") == f"reloaded {file}: no change"


async def test_a_file_that_breaks_keeps_its_objects(manifests: Manifests) -> None:
    file = manifests.write("a.yaml", endpoint(), schedule(), secret())
    manifests.write("b.yaml", endpoint("other"))
    files = manifests.files()
    await files.load()
    before = await manifests.names()
    async with running(files):
        manifests.write("a.yaml", "kind: [\n")
        await manifests.terminal.until(f"{file}:2: ")
        assert await manifests.names() == before
        assert await manifests.references.secret("default", KeyRef("auth", "header")) == b"one"
        manifests.write("a.yaml", endpoint())
        await manifests.terminal.until("reloaded")
    assert await manifests.names() == {"Endpoint default/ok", "Endpoint default/other"}


async def test_an_object_that_breaks_stays_and_the_rest_of_its_file_changes(manifests: Manifests) -> None:
    manifests.write("a.yaml", endpoint(), schedule(), secret())
    files = manifests.files()
    await files.load()
    file = manifests.write(
        "a.yaml", endpoint(url="ftp://a.test/"), schedule(spec="every: 7s"), secret("5"), endpoint("new")
    )
    assert await files.load() == [
        f"{file}:4: spec.url: must start with http:// or https:// and a host, for example https://billing.shop.svc/hooks",
        f"{file}:16: stringData.header: is 5; write a text (in quotes)",
    ]
    stored = await manifests.store.declared_many([OK, TICK])
    assert stored[OK].spec == Endpoint("http://a.test/")
    spec = stored[TICK].spec
    assert isinstance(spec, Schedule)
    assert spec.timing.every == timedelta(seconds=7)
    assert "Endpoint default/new" in await manifests.names()
    assert await manifests.references.secret("default", KeyRef("auth", "header")) == b"one"


async def test_a_document_without_a_name_might_be_any_of_its_file(manifests: Manifests) -> None:
    manifests.write("a.yaml", endpoint(), schedule())
    manifests.write("b.yaml", endpoint("other"))
    files = manifests.files()
    await files.load()
    (manifests.path / "b.yaml").unlink()
    file = manifests.write("a.yaml", endpoint().replace("name: ok, ", ""))
    assert await files.load() == [f"{file}:3: metadata.name: is missing"]
    assert await manifests.names() == {"Endpoint default/ok", "Schedule default/tick"}


@pytest.mark.parametrize("broken", ["kind: [\n", "kind: Endpoint\n"])
async def test_a_file_that_is_broken_at_the_start_costs_nothing(manifests: Manifests, broken: str) -> None:
    """Nobody knows what it declared before: nothing at all is removed until it can be read."""
    manifests.write("a.yaml", endpoint(), schedule())
    manifests.write("b.yaml", endpoint("other"))
    await manifests.files().load()
    (manifests.path / "b.yaml").unlink()
    manifests.write("a.yaml", broken)
    files = manifests.files()
    for _ in range(2):
        assert len(await files.load()) == 1
        assert await manifests.names() == {"Endpoint default/ok", "Endpoint default/other", "Schedule default/tick"}
    manifests.write("a.yaml", endpoint())
    await files.load()
    assert await manifests.names() == {"Endpoint default/ok"}


@pytest.mark.parametrize("whole_folder", [True, False])
async def test_a_path_that_vanishes_keeps_its_objects(manifests: Manifests, whole_folder: bool) -> None:
    file = manifests.write("a.yaml", endpoint())
    path = manifests.path if whole_folder else file
    files = manifests.files(path)
    await files.load()
    path.rename(manifests.path.parent / "elsewhere")
    assert await files.load() == [f"{path}: cannot be read: No such file or directory"]
    assert await manifests.names() == {"Endpoint default/ok"}


async def test_one_object_twice(manifests: Manifests) -> None:
    first = manifests.write("a.yaml", endpoint())
    second = manifests.write("b.yaml", endpoint(url="http://b.test/"))
    problems = await manifests.files().load()
    assert problems == [f"{second}:3: metadata.name: Endpoint default/ok stands in {first}:1 already; remove one"]
    stored = await manifests.store.declared(OK)
    assert stored is not None
    assert stored.spec == Endpoint("http://a.test/")


async def test_what_no_schema_can_see_is_rejected_as_in_a_cluster(manifests: Manifests) -> None:
    file = manifests.write("a.yaml", endpoint(), schedule(spec="cron: '0 0 31 2 *'"))
    (problem,) = await manifests.files().load()
    assert problem.startswith(f"{file}:10: spec.cron: ")
    stored = await manifests.store.declared(TICK)
    assert stored is not None
    assert isinstance(stored.spec, Rejection)


async def test_run_now(manifests: Manifests) -> None:
    manifests.write("a.yaml", schedule())
    files = manifests.files()
    await files.load()
    manifests.write("a.yaml", schedule().replace("tick}", "tick, annotations: {angarium.dev/run-now: '1'}}"))
    await files.load()
    stored = await manifests.store.declared(TICK)
    assert stored is not None
    assert (stored.run_now, stored.generation) == ("1", 1)


async def test_kinds_that_are_not_ours_are_named_once(manifests: Manifests) -> None:
    manifests.write("a.yaml", endpoint(), "apiVersion: v1\nkind: Service\n")
    files = manifests.files()
    assert await files.load() == []
    manifests.write("a.yaml", endpoint(), "# moved\napiVersion: v1\nkind: Service\n")
    assert await files.load() == []
    assert len([line for line in manifests.terminal.lines if "Service (v1) is ignored" in line]) == 1


async def test_a_store_in_trouble_is_told_once_and_asked_again(
    manifests: Manifests, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = manifests.files()
    await files.load()
    apply, calls = manifests.store.apply, 0

    async def full(declared: Sequence[Declared], now: datetime) -> frozenset[ObjectRef]:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise StoreFull("the disk is full")
        return await apply(declared, now)

    monkeypatch.setattr(manifests.store, "apply", full)
    async with running(files):
        manifests.write("a.yaml", endpoint())
        assert "tried again: the disk is full" in await manifests.terminal.until("later")
        assert "Endpoint default/ok added" in await manifests.terminal.until("")
    assert await manifests.names() == {"Endpoint default/ok"}


def queue(spec: str = "{parallelism: 2}") -> str:
    return f"{VERSION}kind: Queue\nmetadata: {{name: line}}\nspec: {spec}\n"


async def test_queues_are_kinds_like_the_others(manifests: Manifests) -> None:
    file = manifests.write("a.yaml", queue())
    files = manifests.files()
    assert await files.load() == []
    stored = await manifests.store.declared(LINE)
    assert stored is not None and stored.spec == Queue(2)
    async with running(files):
        manifests.write("a.yaml", queue("{suspend: true}"))
        assert await manifests.terminal.until("reloaded") == f"reloaded {file}: {LINE} changed"
        stored = await manifests.store.declared(LINE)
        assert stored is not None and stored.spec == Queue(1, suspend=True)
        file.unlink()
        assert await manifests.terminal.until("reloaded") == f"reloaded {file}: {LINE} removed"
    assert await manifests.names() == set()


async def test_a_queue_that_no_file_declares_is_told_and_so_is_what_callbacks_lack(manifests: Manifests) -> None:
    more = "queueRef: {name: line}\n  failureCallback: {endpointRef: {name: pager}}"
    manifests.write("a.yaml", endpoint(), schedule(spec=f"every: 5s\n  {more}"))
    told = "\n".join(await manifests.files().load())
    assert "Queue 'line' does not exist" in told
    assert "Endpoint 'pager' does not exist" in told
    manifests.write("b.yaml", queue(), endpoint("pager"))
    assert await manifests.files().load() == []


async def test_what_was_made_over_the_api_stays_and_is_taken_over_by_a_file(manifests: Manifests) -> None:
    made = replace(declared(Kind.QUEUE, "line", Queue(5), namespace="default", uid="api_1"), origin=Origin.API)
    await manifests.store.edit(LINE, lambda _: made, START)
    manifests.write("a.yaml", endpoint())
    files = manifests.files()
    await files.load()
    assert await manifests.names() == {str(LINE), "Endpoint default/ok"}
    assert manifests.terminal.lines == []
    async with running(files):
        file = manifests.write("b.yaml", queue())
        await manifests.terminal.until("reloaded")
        stored = await manifests.store.declared(LINE)
        assert stored is not None and (stored.spec, stored.origin) == (Queue(2), Origin.RESOURCE)
        assert TakenOver(LINE) in manifests.recorder.notices
        file.unlink()
        await manifests.terminal.until("reloaded")
    assert await manifests.names() == {"Endpoint default/ok"}
