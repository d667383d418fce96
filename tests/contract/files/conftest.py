"""Dev mode's declaration plane over a real store, with manifests in a folder of the test."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.fakes import FakeClock, Recorder
from tests.support.stores import ids

from angarium.domain.declarations import Kind
from angarium.domain.ports import Limits, Retention, Store
from angarium.files import folder
from angarium.files.folder import ManifestFiles
from angarium.files.homes import Homes
from angarium.files.references import FileReferences
from angarium.service.catalog import Catalog
from angarium.store import open_store

ANSWER_S = 10


@dataclass
class Terminal:
    """Keeps the lines that a person would read."""

    lines: list[str] = field(default_factory=list)
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    def announce(self, line: str) -> None:
        self.lines.append(line)
        self.grown.set()

    async def until(self, words: str) -> str:
        """The first line from now on that holds these words; what was there before it is gone."""
        async with asyncio.timeout(ANSWER_S):
            while True:
                while self.lines:
                    line = self.lines.pop(0)
                    if words in line:
                        return line
                self.grown.clear()
                await self.grown.wait()


@dataclass
class Manifests:
    """A folder of manifests, with all that reads it."""

    path: Path
    store: Store
    clock: FakeClock
    references: FileReferences
    recorder: Recorder
    terminal: Terminal

    def write(self, name: str, *documents: str) -> Path:
        file = self.path / name
        file.write_text("---\n".join(documents))
        return file

    def files(self, *paths: Path) -> ManifestFiles:
        """As after a start of the program."""
        return ManifestFiles(
            paths or [self.path],
            catalog=Catalog(self.store, [self.recorder], [], self.clock),
            store=self.store,
            references=self.references,
            homes=Homes(),
            clock=self.clock,
            announce=self.terminal.announce,
        )

    async def names(self) -> set[str]:
        return {str(declared.ref) for kind in Kind for declared in await self.store.catalog(kind)}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(clock: FakeClock) -> AsyncIterator[Store]:
    opened = open_store(None, limits=Limits(), new_id=ids(), clock=clock, retention=Retention())
    yield opened
    await opened.close()


@pytest.fixture
async def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
async def manifests(
    tmp_path: Path, store: Store, clock: FakeClock, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> Manifests:
    monkeypatch.setattr(folder, "POLL_S", 0.01)
    path = tmp_path / "manifests"
    path.mkdir()
    return Manifests(path, store, clock, FileReferences(), Recorder(), terminal)
