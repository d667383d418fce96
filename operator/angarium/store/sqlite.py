"""The Store on one SQLite file: each method hands an operation to the writer or to a reader and awaits it."""

import asyncio
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from angarium.domain.credentials import Credential, SigningKeys
from angarium.domain.declarations import Declared, Kind, ObjectRef, Origin
from angarium.domain.errors import AngariumError, StoreFull, StoreUnusable
from angarium.domain.figures import StoreFigures
from angarium.domain.firing import DueSchedules, Fired, Firing
from angarium.domain.flow_control import FlowChange
from angarium.domain.messages import (
    Acceptance,
    Canceled,
    Claim,
    Leased,
    LeaseGrant,
    Lost,
    Outcome,
    Overrides,
    Publication,
)
from angarium.domain.ports import Applied, Change, Clock, Limits, Retention, Retried, Version
from angarium.domain.views import (
    Backlog,
    DeadLetter,
    EndpointView,
    FlowControlView,
    HistoryFilter,
    Holdings,
    LogEntry,
    MessageView,
    Page,
    QueueView,
    ScheduleView,
    TopicView,
)
from angarium.store import (
    cancellation,
    catalog,
    credentials,
    dead_letters,
    flow_control,
    history,
    housekeeping,
    intake,
    leases,
    ownership,
    progress,
    queues,
    results,
    runs,
    tenants,
)
from angarium.store.checkpoints import Checkpoints
from angarium.store.connection import open_checkpointer, open_reader, open_writer
from angarium.store.intake import Terms
from angarium.store.location import check_location, sizes
from angarium.store.lock import FileLock
from angarium.store.migration import check_schema
from angarium.store.portions import MOST_ROWS, Portion
from angarium.store.readers import Readers
from angarium.store.transaction import Session, Transaction
from angarium.store.wal import check_log
from angarium.store.writer import Writer

T = TypeVar("T")
_READERS = 2
DEDUP_WINDOW = timedelta(minutes=10)


def open_store(
    path: Path | None,
    *,
    limits: Limits,
    new_id: Callable[[datetime], str],
    clock: Clock,
    retention: Retention,
    dedup_window: timedelta = DEDUP_WINDOW,
) -> "SqliteStore":
    """Open the database file, creating it if need be; None: a temporary one that goes when it is closed.

    Raises StoreUnusable if the file cannot be used or another program uses it, StoreUnwritable if it may be later.
    """
    return SqliteStore(path, Terms(limits, new_id, dedup_window), clock, retention)


class SqliteStore:
    """Implements `domain.ports.Store`. May be called from any loop or thread."""

    def __init__(self, path: Path | None, terms: Terms, clock: Clock, retention: Retention) -> None:
        self._terms = terms
        self._clock = clock
        self._retention = retention
        self._turns = leases.Turns()
        self._portions: defaultdict[str, Portion] = defaultdict(lambda: Portion(clock.monotonic))
        self._credentials_version = 0
        self._damage: str | None = None
        self._unwritable = False
        self._temporary = Path(tempfile.mkdtemp(prefix="angarium-")) if path is None else None
        # SQLite follows links too: the lock and the log beside the file have to be the same for every name of it.
        database = (path or Path(self._temporary or "") / "angarium.db").resolve()
        check_location(database)
        with ExitStack() as undo:
            self._lock = FileLock(database)
            undo.callback(self._lock.release)
            check_schema(database, check_log(database))
            connection = open_writer(database, durable=path is not None)
            undo.callback(connection.close)
            readers = []
            for _ in range(_READERS):
                readers.append(open_reader(database))
                undo.callback(readers[-1].close)
            checkpointer = open_checkpointer(database)
            undo.pop_all()
        self._readers = Readers(readers)
        self._connection = connection
        self._writer = Writer(connection, clock)
        self._path = database
        self._checkpoints = Checkpoints(database, checkpointer, self._writer, self._readers)

    # Declared objects

    async def known(self, ref: ObjectRef) -> Version | None:
        return await self._read(partial(catalog.known, ref=ref))

    async def declared(self, ref: ObjectRef) -> Declared | None:
        return await self._read(partial(catalog.declared, ref=ref))

    async def declared_many(self, refs: Sequence[ObjectRef], *, bodies: bool = True) -> Mapping[ObjectRef, Declared]:
        return await self._read(partial(catalog.many, refs=refs, bodies=bodies))

    async def catalog(
        self, kind: Kind, namespace: str | None = None, origin: Origin | None = None
    ) -> Sequence[Declared]:
        return await self._read(partial(catalog.catalog, kind=kind, namespace=namespace, origin=origin))

    async def versions(
        self, kind: Kind, namespace: str | None = None, origin: Origin | None = None
    ) -> Mapping[ObjectRef, Version]:
        return await self._read(partial(catalog.versions, kind=kind, namespace=namespace, origin=origin))

    async def dependents(self, refs: Sequence[ObjectRef]) -> frozenset[ObjectRef]:
        return await self._read(partial(catalog.dependents, refs=refs))

    async def apply(self, declared: Sequence[Declared], now: datetime) -> Applied:
        operation = partial(ownership.apply, objects=declared, now=now)
        return await self._write(operation, self._if_tokens(item.ref for item in declared))

    async def edit(self, ref: ObjectRef, change: Change, now: datetime, most: int | None = None) -> Declared | None:
        if ref.kind is Kind.QUEUE:
            while await self._portion("cancel", partial(ownership.shrink, ref=ref, change=change, now=now)):
                pass
        return await self._write(partial(ownership.edit, ref=ref, change=change, now=now, most=most))

    async def remove(self, refs: Sequence[tuple[ObjectRef, str | None]], now: datetime) -> frozenset[ObjectRef]:
        operation = partial(ownership.remove, refs=refs, now=now)
        return await self._write(operation, self._if_tokens(ref for ref, _ in refs))

    # Tokens and signing keys

    def credentials_version(self) -> int:
        return self._credentials_version

    async def credentials(self) -> Sequence[Credential]:
        return await self._read(credentials.credentials)

    async def put_credential(self, credential: Credential) -> None:
        operation = partial(credentials.put_credential, credential=credential)
        await self._write(operation, self._credentials_changed)

    async def revoke_credential(self, namespace: str, name: str) -> None:
        operation = partial(credentials.revoke_credential, namespace=namespace, name=name)
        await self._write(operation, self._credentials_changed)

    async def signing_keys(self) -> Mapping[str, SigningKeys]:
        return await self._read(credentials.signing_keys)

    async def put_signing_keys(self, namespace: str, keys: SigningKeys, *, replace: bool) -> SigningKeys:
        operation = partial(credentials.put_signing_keys, namespace=namespace, keys=keys, replace=replace)
        return await self._write(operation, self._credentials_changed)

    async def rotate_signing_keys(self, namespace: str, fresh: str) -> SigningKeys:
        operation = partial(credentials.rotate_signing_keys, namespace=namespace, fresh=fresh)
        return await self._write(operation, self._credentials_changed)

    # Messages

    async def accept(
        self, publications: Sequence[Publication], grant: LeaseGrant | None
    ) -> tuple[Sequence[Acceptance | AngariumError], Sequence[Leased]]:
        return await self._write(partial(intake.accept, publications=publications, grant=grant, terms=self._terms))

    async def claim(self, grant: LeaseGrant, now: datetime) -> Claim:
        monotonic = self._clock.monotonic()
        return await self._write(partial(leases.claim, grant=grant, now=now, monotonic=monotonic, turns=self._turns))

    async def record(self, outcomes: Sequence[Outcome], now: datetime) -> Sequence[bool]:
        return await self._write(partial(results.record, outcomes=outcomes, now=now, terms=self._terms))

    async def cancel(self, where: HistoryFilter, limit: int, now: datetime) -> Canceled:
        """Looks for them with a reader: a narrow filter reads much, and the writer has other things to do."""
        canceled = Canceled()
        while canceled.count < limit:
            seqs = await self._read(partial(cancellation.matching, where=where, limit=limit - canceled.count))
            some = Canceled()
            for start in range(0, len(seqs), piece := self._portions["cancel"].rows):
                operation = partial(cancellation.cancel, namespace=where.namespace, now=now)
                some += await self._measured("cancel", partial(operation, seqs=seqs[start : start + piece]), piece)
            canceled += some
            if some.count == len(seqs):
                break  # else some of them ended meanwhile, and others may match
        return canceled

    async def renew(self, leased: Sequence[Leased], until: float) -> Sequence[Leased | Lost]:
        return await self._write(partial(leases.renew, leased=leased, until=until))

    def on_recall(self, tell: Callable[[Sequence[str]], None]) -> None:
        self._writer.recall = tell

    async def release(self, leased: Sequence[Leased]) -> None:
        await self._write(partial(leases.release, leased=leased))

    async def void_leases(self, owner: str) -> int:
        return await self._write(partial(leases.void, owner=owner))

    # Dead letters

    async def delete_dead_letters(self, where: HistoryFilter) -> Page[str]:
        """As `cancel`, looks for them with a reader."""
        found = await self._read(partial(history.letters, where=where))
        return await self._write(partial(dead_letters.delete, where=where, found=found))

    async def retry_dead_letters(
        self, where: HistoryFilter, overrides: Overrides, grant: LeaseGrant | None, now: datetime
    ) -> Retried:
        found = await self._read(partial(history.letters, where=where))
        operation = partial(dead_letters.retry, where=where, found=found, overrides=overrides, terms=self._terms)
        return await self._write(partial(operation, grant=grant, now=now))

    # Flow control

    async def flow_controls(self, namespace: str, search: str, now: datetime) -> Sequence[FlowControlView]:
        return await self._read(partial(flow_control.flow_controls, namespace=namespace, search=search, now=now))

    async def flow_control(self, namespace: str, key: str, now: datetime) -> FlowControlView | None:
        return await self._read(partial(flow_control.flow_control, namespace=namespace, key=key, now=now))

    async def change_flow_control(self, namespace: str, key: str, change: FlowChange, now: datetime) -> None:
        operation = partial(flow_control.change, namespace=namespace, key=key, change=change, now=now)
        await self._write(partial(operation, most=self._terms.limits.fixed_keys))

    async def delivering(self, namespace: str) -> int:
        return await self._read(partial(flow_control.delivering, namespace=namespace))

    # Schedules

    async def due_schedules(self, now: datetime, limit: int) -> DueSchedules:
        return await self._read(partial(runs.due_schedules, now=now, limit=limit))

    async def fire(self, firings: Sequence[Firing], grant: LeaseGrant | None) -> Sequence[Fired]:
        return await self._write(partial(runs.fire, firings=firings, grant=grant, terms=self._terms))

    # Reading

    async def message(self, namespace: str, message_id: str, now: datetime) -> MessageView | None:
        operation = partial(history.message, namespace=namespace, message_id=message_id, now=now)
        return await self._read(partial(operation, retention=self._retention))

    async def log(self, where: HistoryFilter) -> Page[LogEntry]:
        return await self._read(partial(history.log, where=where))

    async def dead_letters(self, where: HistoryFilter) -> Page[DeadLetter]:
        return await self._read(partial(history.dead_letters, where=where))

    async def schedule_views(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, ScheduleView]:
        return await self._read(partial(progress.schedule_views, refs=refs))

    async def last_runs(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, ScheduleView]:
        return await self._read(partial(progress.last_runs, refs=refs))

    async def endpoint_views(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, EndpointView]:
        return await self._read(partial(progress.endpoint_views, refs=refs))

    async def queue_views(self, refs: Sequence[ObjectRef], now: datetime) -> Mapping[ObjectRef, QueueView]:
        return await self._read(partial(progress.queue_views, refs=refs, now=now))

    async def topic_views(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, TopicView]:
        return await self._read(partial(progress.topic_views, refs=refs))

    async def backlog(self) -> Backlog:
        return await self._read(partial(progress.backlog, now=self._clock.now()))

    # Housekeeping

    async def fail_orphans(
        self, deleted_before: datetime, now: datetime, limit: int
    ) -> Mapping[ObjectRef, Sequence[str]]:
        operation = partial(housekeeping.fail_orphans, deleted_before=deleted_before, now=now, terms=self._terms)
        after: tuple[int, int] | None = (0, 0)
        failed: Mapping[ObjectRef, Sequence[str]] = {}
        while after is not None and not failed:
            failed, after = await self._portion("orphans", partial(operation, after=after), limit)
        return failed

    async def free_places(self, ended_before: datetime, now: datetime, limit: int) -> Mapping[ObjectRef, Sequence[str]]:
        return await self._portion("places", partial(queues.free_places, ended_before=ended_before, now=now), limit)

    async def purge(self, retention: Retention, now: datetime, limit: int) -> int:
        return await self._portion("purge", partial(housekeeping.purge, retention=retention, now=now), limit)

    async def give_back(self, limit: int) -> int:
        return await self._write(partial(housekeeping.give_back, limit=limit))

    async def tenants(self) -> Mapping[str, str | None]:
        return await self._read(tenants.known)

    async def holdings(self, namespace: str) -> Holdings:
        return await self._read(partial(tenants.holdings, namespace=namespace))

    async def identify_tenant(self, namespace: str, uid: str) -> None:
        await self._write(partial(tenants.identify, namespace=namespace, uid=uid))

    async def purge_namespace(self, namespace: str, now: datetime) -> None:
        await self._write(partial(tenants.close, namespace=namespace), self._credentials_changed)
        await self._clear_tables(namespace)
        after = 0
        some, portion = partial(tenants.some_messages, namespace=namespace), self._portions["messages"]
        while seqs := await self._read(partial(some, after=after, limit=portion.rows)):
            operation = partial(tenants.clear_messages, namespace=namespace, messages=seqs)
            await self._measured("messages", operation, len(seqs))
            after = seqs[-1]
        await self._clear_tables(namespace)  # what was in flight may have ended meanwhile, and told of it
        await self._write(partial(tenants.clear_rest, namespace=namespace))

    async def _clear_tables(self, namespace: str) -> None:
        for table in tenants.PIECEMEAL:
            while await self._portion(table, partial(tenants.clear_some, namespace=namespace, table=table)):
                pass

    # Life

    def beat(self) -> float:
        return self._writer.beat()

    def figures(self) -> StoreFigures:
        return StoreFigures(self._writer.figures, self._writer.waiting(), *sizes(self._path))

    async def check(self) -> None:
        """Damage that was met anywhere counts for good: what is asked most may lie in sound pages."""
        if self._damage is not None:
            raise StoreUnusable(self._damage)
        if self._unwritable:
            await self._write(housekeeping.touch)
            self._unwritable = False

    async def close(self) -> None:
        """Finish what is under way and let go of the file. May be called twice."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._checkpoints.close()
        if self._writer.close():
            self._readers.close()
            self._connection.close()
            self._lock.release()
            if self._temporary is not None:
                shutil.rmtree(self._temporary, ignore_errors=True)

    def _if_tokens(self, refs: Iterable[ObjectRef]) -> Callable[[], None] | None:
        """Who authenticates reads all credentials again after a change: only Tokens are worth that."""
        return self._credentials_changed if any(ref.kind is Kind.TOKEN for ref in refs) else None

    def _credentials_changed(self) -> None:
        self._credentials_version += 1

    async def _portion(self, work: str, operation: Callable[..., T], limit: int = MOST_ROWS) -> T:
        """`operation(tx, limit=…)` for as many rows as this kind of work may take on at once."""
        rows = min(limit, self._portions[work].rows)
        return await self._measured(work, partial(operation, limit=rows), rows)

    async def _measured(self, work: str, operation: Callable[[Transaction], T], rows: int) -> T:
        return await self._write(partial(self._portions[work].carry_out, operation=operation, rows=rows))

    async def _read(self, operation: Callable[[Session], T]) -> T:
        return await self._noting_trouble(self._readers.submit(operation))

    async def _write(self, operation: Callable[[Transaction], T], committed: Callable[[], None] | None = None) -> T:
        return await self._noting_trouble(self._writer.submit(operation, committed))

    async def _noting_trouble(self, future: Future[T]) -> T:
        try:
            return await asyncio.wrap_future(future)
        except StoreUnusable as error:
            self._damage = str(error)
            raise
        except StoreFull:
            self._unwritable = True
            raise
