"""The declaration plane of dev mode: manifest files instead of an API server, read again whenever they change.

What cannot be read or is not sound changes nothing: its objects stay as they were, and a problem says why.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from angarium.domain.declarations import Declared, Kind, ObjectRef, Origin, Rejection
from angarium.domain.errors import StoreError
from angarium.domain.ports import Clock
from angarium.files.declarations import declare, refusal
from angarium.files.documents import Finding, Stamp, stamps
from angarium.files.homes import Homes
from angarium.files.inventory import Inventory, take_inventory, title
from angarium.files.references import FileReferences, Source, Values
from angarium.files.validation import Validator
from angarium.service.catalog import Catalog
from angarium.service.statuses import Statuses, StatusStore

POLL_S = 0.5

_REMOVED = " removed"

# What is referred to comes before what refers to it, and goes after it.
_ORDER = (Kind.ENDPOINT, Kind.TOPIC, Kind.QUEUE, Kind.SCHEDULE, Kind.TOKEN)

Change = tuple[Path | None, str]
"""A file, and what became of one of its objects."""


class ManifestFiles:
    """Belongs to one loop. `load` once, then `run`. `announce` gets one line at a time, for a person."""

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        catalog: Catalog,
        store: StatusStore,
        references: FileReferences,
        homes: Homes,
        clock: Clock,
        announce: Callable[[str], None],
    ) -> None:
        """Raises SettingsError if what judges manifests is not installed."""
        self._paths = tuple(paths)
        self._catalog = catalog
        self._store = store
        self._references = references
        self._statuses = Statuses(store, references, clock)
        self._clock = clock
        self._announce = announce
        self._validator = Validator()
        self._read: dict[Path, Stamp] | None = None
        self._homes = homes
        self._sources: dict[Source, tuple[Path, Values]] = {}
        self._noted: set[str] = set()

    async def load(self) -> list[str]:
        """Make the store equal to the files; returns the problems, as `file:line: field: message`.

        What changed is announced. Raises StoreError; then the next `load` does what is left.
        """
        read = await asyncio.to_thread(stamps, self._paths)
        inventory = await asyncio.to_thread(take_inventory, self._paths, self._validator)
        if self._read is None:
            stored = [one for kind in Kind for one in await self._store.catalog(kind, origin=Origin.RESOURCE)]
            self._homes.of = {declared.ref: None for declared in stored}
        changes = self._take_sources(inventory)
        changes += await self._take_objects(inventory)
        inventory.findings += await self._unresolved(inventory)
        self._tell(changes, read, inventory)
        self._read = read
        return [str(finding) for finding in inventory.findings]

    async def run(self) -> None:
        """Until cancelled. A change is taken over when the files have rested for one poll: half-saved files are not.

        A store in trouble is told once, and tried again at each poll.
        """
        unsettled: dict[Path, Stamp] | None = None
        trouble = ""
        while True:
            await asyncio.sleep(POLL_S)
            found = await asyncio.to_thread(stamps, self._paths)
            if found == self._read or found != unsettled:
                unsettled = found
                continue
            before, trouble = trouble, ""
            try:
                problems = await self.load()
            except StoreError as error:
                trouble = f"the manifests are taken over later, that is tried again: {error}"
                problems = [trouble] if trouble != before else []
            for problem in problems:
                self._announce(problem)

    def _take_sources(self, inventory: Inventory) -> list[Change]:
        before = self._sources
        kept = {name: held for name, held in before.items() if self._is_kept(name, held[0], inventory)}
        self._sources = kept | inventory.sources
        self._references.replace((name, values) for name, (_, values) in self._sources.items())
        changes: list[Change] = []
        for name, (file, values) in self._sources.items():
            if name not in before:
                changes.append((file, f"{title(name)} added"))
            elif before[name][1] != values:
                changes.append((file, f"{title(name)} changed"))
        gone = [(before[name][0], f"{title(name)}{_REMOVED}") for name in before.keys() - self._sources.keys()]
        return changes + gone

    async def _take_objects(self, inventory: Inventory) -> list[Change]:
        stored = await self._store.declared_many(list(inventory.objects))
        declared = self._declared(inventory, stored)
        changed = await self._catalog.apply(sorted(declared, key=lambda one: _ORDER.index(one.ref.kind)))
        kept = {ref: home for ref, home in self._homes.of.items() if self._is_kept(ref, home, inventory)}
        removed: frozenset[ObjectRef] = frozenset()
        for kind in reversed(_ORDER):
            listed = [one for one in declared if one.ref.kind is kind]
            removed |= (await self._catalog.replace(kind, None, listed, kept)).removed
        homes: dict[ObjectRef, Path | None] = {ref: document.file for ref, document in inventory.objects.items()}
        gone = [(self._homes.of.get(ref), f"{ref}{_REMOVED}") for ref in sorted(removed)]
        self._homes.of = kept | homes
        return [(homes[ref], f"{ref} {'changed' if ref in stored else 'added'}") for ref in sorted(changed)] + gone

    def _declared(self, inventory: Inventory, stored: Mapping[ObjectRef, Declared]) -> list[Declared]:
        """As in a cluster, a spec that breaks a rule which no schema can see is stored as rejected, and told."""
        now = self._clock.now()
        declared = []
        for ref, document in inventory.objects.items():
            one = declare(document.manifest, stored.get(ref), now)
            if isinstance(one.spec, Rejection):
                inventory.findings.append(refusal(document, one.spec))
            declared.append(one)
        return declared

    async def _unresolved(self, inventory: Inventory) -> list[Finding]:
        """What sound objects refer to and nobody declares: told here, because dev mode has no status to show it."""
        statuses = await self._statuses.desired(list(inventory.objects))
        return [
            document.finding("", f"{ref}: {problem.message}")
            for ref, document in inventory.objects.items()
            if ref in statuses
            for problem in statuses[ref].problems
        ]

    def _is_kept(self, name: ObjectRef | Source, home: Path | None, inventory: Inventory) -> bool:
        """Whether an object may be declared still, though it was not found sound.

        Nobody knows where an object came from that an earlier start left (`home` is None): any doubtful file may be it.
        """
        if name in inventory.broken:
            return True
        if home is None:
            return bool(inventory.doubtful)
        return not inventory.doubtful.isdisjoint((home, *home.parents))

    def _tell(self, changes: Sequence[Change], read: dict[Path, Stamp], inventory: Inventory) -> None:
        """One line per file. At the start only what is gone is news."""
        if self._read is None:
            gone = [text for _, text in changes if text.endswith(_REMOVED)]
            if gone:
                self._announce(f"no longer in the files: {', '.join(gone)}")
        else:
            told = set()
            for file, group in groupby(sorted(changes, key=_file_of), key=_file_of):
                told.add(file)
                self._announce(f"reloaded {file}: {', '.join(text for _, text in group)}")
            touched = {str(file) for file, stamp in read.items() if stamp != self._read.get(file)}
            for file in sorted(touched - told - {str(finding.file) for finding in inventory.findings}):
                self._announce(f"reloaded {file}: no change")
        for note in inventory.notes:
            about = note.message if note.line else str(note)  # a kind is told once, wherever it stands
            if about not in self._noted:
                self._noted.add(about)
                self._announce(str(note))


def _file_of(change: Change) -> str:
    return str(change[0] or "the files")
