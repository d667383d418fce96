"""What the delivery plane needs from the world: store, clock, wire, Secrets. Implemented elsewhere, wired by app."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from angarium.domain.credentials import Credential, SigningKeys
from angarium.domain.declarations import Declared, KeyRef, Kind, ObjectRef, Origin
from angarium.domain.errors import AngariumError
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
    Message,
    Outcome,
    Overrides,
    Publication,
    Response,
)
from angarium.domain.requests import OutgoingRequest
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


class Clock(Protocol):
    """The wall clock (aware, UTC) and the monotonic one (seconds)."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class Sender(Protocol):
    """Signs and sends one request, follows no redirect, and reads at most a configured size of the answer."""

    async def send(self, request: OutgoingRequest) -> Response:
        """Raises SendError when there is no complete response, SenderLost when nobody can tell what became of it."""
        ...

    async def close(self) -> None: ...


class References(Protocol):
    """Reads Secrets and ConfigMaps by name, cached.

    Raises ReferenceMissing (it does not exist) or ReferenceUnavailable (it cannot be told now).
    """

    async def secret(self, namespace: str, ref: KeyRef) -> bytes: ...

    async def config_map(self, namespace: str, ref: KeyRef, *, anew: bool = False) -> bytes:
        """`anew`: as it is now, not as it was read last, unless it cannot be told now."""
        ...


class Dispatch(Protocol):
    """Where leased messages go. `grant` and `offer` belong to the delivery loop; `wake` may be called anywhere."""

    def grant(self, wanted: int, wanted_bytes: int) -> LeaseGrant:
        """Keeps room free for up to `wanted` messages and bytes of their bodies, until `offer` gets this grant."""
        ...

    def offer(self, grant: LeaseGrant, leased: Sequence[Leased]) -> None: ...

    def wake(self) -> None:
        """Something may be claimable that was not before."""
        ...


class Alarm(Protocol):
    """A loop that can be told, from any thread, that there may be something to do."""

    def wake(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Version:
    """What the store last saw of an object, to tell at once whether an event brings anything new."""

    uid: str
    generation: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one tenant may hold: messages not yet terminal, and bytes of bodies and of stored responses.

    `queues`: with as many made over the API, none is made for a message any more. `fixed_keys`: flow-control keys that
    people paused or pinned.
    """

    waiting: int = 1_000_000
    stored_bytes: int = 10 * 2**30
    queues: int = 1_000
    fixed_keys: int = 10_000


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what has ended is kept."""

    messages: timedelta = timedelta(days=3)
    log: timedelta = timedelta(days=7)
    dead_letters: timedelta = timedelta(days=7)


class Applied(NamedTuple):
    """What an apply found new or different; `taken_over` are those that were the API's before."""

    changed: frozenset[ObjectRef] = frozenset()
    taken_over: frozenset[ObjectRef] = frozenset()


Change = Callable[[Declared | None], Declared | None]
"""What an edit makes of an object."""


class CatalogStore(Protocol):
    """Declared objects."""

    async def known(self, ref: ObjectRef) -> Version | None: ...

    async def declared(self, ref: ObjectRef) -> Declared | None: ...

    async def declared_many(self, refs: Sequence[ObjectRef], *, bodies: bool = True) -> Mapping[ObjectRef, Declared]:
        """Those of these objects that exist, in one read. Without `bodies`, large ones of Schedules are left out."""
        ...

    async def catalog(
        self, kind: Kind, namespace: str | None = None, origin: Origin | None = None
    ) -> Sequence[Declared]:
        """By namespace and name; `origin` None: whoever made them."""
        ...

    async def versions(
        self, kind: Kind, namespace: str | None = None, origin: Origin | None = None
    ) -> Mapping[ObjectRef, Version]:
        """As `catalog`, but only what tells whether an object is another one: specs may be large."""
        ...

    async def dependents(self, refs: Sequence[ObjectRef]) -> frozenset[ObjectRef]:
        """Objects that name one of these, and Topics with a selector in the namespaces of Endpoints among them."""
        ...

    async def apply(self, declared: Sequence[Declared], now: datetime) -> Applied:
        """Insert or update what resources declare; one transaction. Says which were new or changed.

        A new uid under a known name replaces the object (a new Endpoint revives the messages of the deleted one).
        An object that was made over the API is taken over: settings replaced, messages of a Queue kept.
        """
        ...

    async def edit(self, ref: ObjectRef, change: Change, now: datetime, most: int | None = None) -> Declared | None:
        """Make, change or remove one object on behalf of the API, in one transaction; returns it as it is then.

        `change` gets the object as it is (None: there is none) and returns what it is to be (None: to be gone; the
        very same object: nothing happens). It is a pure function and what it raises undoes the edit. Uid, generation,
        fingerprint and origin are set here. Raises OwnedByResource if a resource declares the object, QuotaReached if
        a new one would be one more than `most` of its kind, or if all of them became too large to be listed. Removing a
        Queue cancels its messages that have not ended.
        """
        ...

    async def remove(self, refs: Sequence[tuple[ObjectRef, str | None]], now: datetime) -> frozenset[ObjectRef]:
        """Remove objects, each only if its uid is still this one (None: whatever it is). Returns those removed.

        Objects made over the API stay. Messages stay; those of an Endpoint wait. A Token's credential goes in the same
        transaction. A Queue with messages that have not ended stays with its settings, owned by the API from then on.
        """
        ...


class CredentialStore(Protocol):
    """Tokens and signing keys."""

    def credentials_version(self) -> int:
        """Changes whenever a token or a signing key does: cheap enough to ask on every request."""
        ...

    async def credentials(self) -> Sequence[Credential]: ...

    async def put_credential(self, credential: Credential) -> None:
        """Insert or replace by (namespace, name). Raises InvalidInput if another Token has the same hash."""
        ...

    async def revoke_credential(self, namespace: str, name: str) -> None: ...

    async def signing_keys(self) -> Mapping[str, SigningKeys]:
        """By namespace."""
        ...

    async def put_signing_keys(self, namespace: str, keys: SigningKeys, *, replace: bool) -> SigningKeys:
        """Store a pair; without `replace` an existing one stays. Returns the pair that is in force then.

        Whether the pair in force counts as adopted follows whoever last put the same pair.
        """
        ...

    async def rotate_signing_keys(self, namespace: str, fresh: str) -> SigningKeys:
        """`next` becomes `current`, `fresh` the new `next`, in one transaction. Returns the pair then in force.

        Raises NotFound if the namespace has none yet, Conflict if the pair comes from an adopted Secret.
        """
        ...


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of dead letters: the new messages in the order of the letters, with the URL each resolves to.

    `matched` counts the letters looked at; `cursor` is the position after them if more match.
    """

    messages: tuple[Message, ...]
    urls: tuple[str, ...]
    leased: tuple[Leased, ...]
    matched: int
    cursor: str | None


class MessageStore(Protocol):
    """Messages on their way. Every method is one transaction over many rows."""

    async def accept(
        self, publications: Sequence[Publication], grant: LeaseGrant | None
    ) -> tuple[Sequence[Acceptance | AngariumError], Sequence[Leased]]:
        """Store each publication's messages with their first log entries, or say why not.

        Why not: NotFound, LimitExceeded, QuotaReached (one queue too many). Duplicates are left out, and a queue that
        does not exist is made. What is due and not held back (by a queue, flow control, a suspended Endpoint) is leased
        at once, within the grant; the leased messages come back second.
        """
        ...

    async def cancel(self, where: HistoryFilter, limit: int, now: datetime) -> Canceled:
        """Cancel up to `limit` messages that have not ended, in flight or not.

        Of the filter count: ids (which win), urls, hosts, paths, topics, schedules, queues, flow keys, labels, caller
        ips, and times of acceptance.
        """
        ...

    async def claim(self, grant: LeaseGrant, now: datetime) -> Claim:
        """Lease due messages: tenants take turns, oldest due first, at most `lane_room` and `lane_bytes` per lane.

        The first message whose body has no room ends the claim, so that smaller ones never keep it waiting. Bodies
        that are not taken are not read.
        """
        ...

    async def record(self, outcomes: Sequence[Outcome], now: datetime) -> Sequence[bool]:
        """Write outcomes with attempts, log entries, dead letters and callbacks; False: the lease was lost, nothing
        written. A place in a queue, or under flow control, that becomes free is given on in the same transaction."""
        ...

    async def renew(self, leased: Sequence[Leased], until: float) -> Sequence[Leased | Lost]:
        """Hold leases until then. Each comes back with its Endpoint as it is now (None if gone), or how it was lost."""
        ...

    def on_recall(self, tell: Callable[[Sequence[str]], None]) -> None:
        """From now on, `tell` the ids of leased messages that ended without an outcome: canceled, or purged.

        It is called in a thread of the store, after the commit and before anybody hears of what was committed with it
        or after it: so whoever holds a message knows of its end before anything that the end made way for is leased.
        """
        ...

    async def release(self, leased: Sequence[Leased]) -> None:
        """Give messages back unattempted: due at once, `retried` unchanged."""
        ...

    async def void_leases(self, owner: str) -> int:
        """At start: every lease of another owner ends now. Returns how many."""
        ...


class DeadLetterStore(Protocol):
    """Dead letters, taken out of the queue of the dead."""

    async def delete_dead_letters(self, where: HistoryFilter) -> Page[str]:
        """Delete at most a page of them. Returns their ids, and the position after them if more match."""
        ...

    async def retry_dead_letters(
        self, where: HistoryFilter, overrides: Overrides, grant: LeaseGrant | None, now: datetime
    ) -> Retried:
        """Accept the messages of at most a page of dead letters anew (contract 9.5), and remove the letters.

        A letter whose message can have no successor now, because its Endpoint is gone, stays and is not counted.
        Raises LimitExceeded, and QuotaReached (one queue too many).
        """
        ...


class FlowControlStore(Protocol):
    """Flow-control keys of a namespace (contract 13)."""

    async def flow_controls(self, namespace: str, search: str, now: datetime) -> Sequence[FlowControlView]:
        """Those whose key contains this text, by key."""
        ...

    async def flow_control(self, namespace: str, key: str, now: datetime) -> FlowControlView | None: ...

    async def change_flow_control(self, namespace: str, key: str, change: FlowChange, now: datetime) -> None:
        """Pause, resume, pin, unpin, or reset the rate; an unknown key comes to be. Raises QuotaReached."""
        ...

    async def delivering(self, namespace: str) -> int:
        """Messages of the namespace that are leased now."""
        ...


class ScheduleStore(Protocol):
    """Schedules and their runs."""

    async def due_schedules(self, now: datetime, limit: int) -> DueSchedules:
        """Those whose wake time has come, and those found to stand too far ahead of the clock (`CLOCK_TOLERANCE`)."""
        ...

    async def fire(self, firings: Sequence[Firing], grant: LeaseGrant | None) -> Sequence[Fired]:
        """Carry out decisions, each all or nothing: runs, messages, new state. A slot is stored at most once, ever."""
        ...


class HistoryStore(Protocol):
    """Reading what was and is."""

    async def message(self, namespace: str, message_id: str, now: datetime) -> MessageView | None:
        """None if unknown, of another tenant, or ended longer ago than the retention."""
        ...

    async def log(self, where: HistoryFilter) -> Page[LogEntry]:
        """A page of large bodies ends early, with a cursor: reading back must not cost any amount of memory."""
        ...

    async def dead_letters(self, where: HistoryFilter) -> Page[DeadLetter]: ...

    async def schedule_views(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, ScheduleView]:
        """What statuses tell, with no more runs than a status may show."""
        ...

    async def last_runs(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, ScheduleView]:
        """As `schedule_views`, with the newest run only and without attempts: cheap for thousands of Schedules."""
        ...

    async def endpoint_views(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, EndpointView]: ...

    async def queue_views(self, refs: Sequence[ObjectRef], now: datetime) -> Mapping[ObjectRef, QueueView]: ...

    async def topic_views(self, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, TopicView]: ...

    async def backlog(self) -> Backlog: ...


class HousekeepingStore(Protocol):
    """What keeps the store small. Small batches: call again while they return something.

    `limit` is the most that a batch takes on; it takes on less where rows are large or the disk is slow.
    """

    async def fail_orphans(
        self, deleted_before: datetime, now: datetime, limit: int
    ) -> Mapping[ObjectRef, Sequence[str]]:
        """Fail messages (`EndpointDeleted`, dead letters) of Endpoints deleted before this; message ids by Endpoint."""
        ...

    async def free_places(self, ended_before: datetime, now: datetime, limit: int) -> Mapping[ObjectRef, Sequence[str]]:
        """Free places that callbacks hold for messages which ended before this; ids of those messages by Queue."""
        ...

    async def purge(self, retention: Retention, now: datetime, limit: int) -> int:
        """Remove what is older than the retention, at most about `limit` rows. Returns how many went, 0: none is left.

        The newest runs that a Schedule's status may show stay, with their messages but not the bodies.
        """
        ...

    async def give_back(self, limit: int) -> int:
        """Give disk space that has become free back, as far as it is much: at most so many pages. Returns how many."""
        ...

    async def tenants(self) -> Mapping[str, str | None]:
        """Namespaces that hold anything, each with the uid it was identified by (None: not yet)."""
        ...

    async def holdings(self, namespace: str) -> Holdings:
        """How much a tenant has; nothing of one that is unknown."""
        ...

    async def identify_tenant(self, namespace: str, uid: str) -> None:
        """Which namespace of this name the tenant is: one with another uid is another tenant."""
        ...

    async def purge_namespace(self, namespace: str, now: datetime) -> None:
        """Remove a tenant: tokens, keys, objects, messages, log, dead letters."""
        ...


class Store(
    CatalogStore,
    CredentialStore,
    MessageStore,
    DeadLetterStore,
    FlowControlStore,
    ScheduleStore,
    HistoryStore,
    HousekeepingStore,
    Protocol,
):
    """The only meeting point of the two planes. May be called from any loop or thread."""

    def beat(self) -> float:
        """How many seconds ago the writer last turned, 0 while it is idle: the liveness of the store."""
        ...

    async def check(self) -> None:
        """Raises StoreUnusable once damage was met, StoreFull from a write that failed until one succeeds."""
        ...

    def figures(self) -> StoreFigures:
        """Of its own work, for metrics. May ask the file system."""
        ...

    async def close(self) -> None: ...
