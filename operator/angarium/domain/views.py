"""What readers get to see: messages with progress, log entries, dead letters, runs. Made by the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from angarium.domain.declarations import Kind
from angarium.domain.messages import LogState, Message, MessageState, Response, Run
from angarium.domain.reasons import BlockReason

T = TypeVar("T")

SHOWN_MEMBERS = 10
"""Messages of a run that are told of one by one, failing ones first; the others are counted."""
SHOWN_ATTEMPTS = 5
"""Of each of them, the newest."""
FAILING_FIRST = (
    MessageState.FAILED,
    MessageState.RETRYING,
    MessageState.DELIVERING,
    MessageState.WAITING,
    MessageState.CANCELED,
    MessageState.DELIVERED,
)


@dataclass(frozen=True, slots=True)
class Holdings:
    """How much a tenant has: `credentials` are good tokens, `unfinished` messages are to be delivered."""

    objects: Mapping[Kind, int]
    credentials: int
    signing_keys: int
    unfinished: int
    finished: int
    dead_letters: int
    log: int


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message with its progress. `url` is what it resolves to now, `endpoint:<name>` if it does not."""

    message: Message
    url: str
    state: MessageState
    retried: int
    due_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One step of a message's life. `url` is that step's URL; `response` and `error` stand on ERROR entries only."""

    id: int
    time: datetime
    state: LogState
    url: str
    message: Message
    error: str = ""
    next_delivery: datetime | None = None
    response: Response | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message given up, with what the last attempt got."""

    id: str
    created_at: datetime
    message: Message
    url: str
    error: str
    response: Response | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items and, if there are more, the position after them (contract 5)."""

    items: tuple[T, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Conditions of contract 6; values of one field are OR-ed, fields AND-ed; empty means no condition.

    Times are inclusive. `cursor` is what an earlier page returned.
    """

    namespace: str
    message_ids: Sequence[str] = ()
    dlq_ids: Sequence[str] = ()
    urls: Sequence[str] = ()
    topics: Sequence[str] = ()
    schedules: Sequence[str] = ()
    queues: Sequence[str] = ()
    flow_keys: Sequence[str] = ()
    labels: Sequence[str] = ()
    caller_ips: Sequence[str] = ()
    hosts: Sequence[str] = ()
    paths: Sequence[str] = ()
    states: Sequence[LogState] = ()
    response_statuses: Sequence[int] = ()
    since: datetime | None = None
    until: datetime | None = None
    newest_first: bool = True
    count: int = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt as status shows it: when it began, and `status` 0 if there was no HTTP response.

    `error` begins with its CamelCase word and a colon where there was none: `Timeout: no answer in 30s`.
    """

    number: int
    time: datetime
    duration: timedelta
    status: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class MemberView:
    """One message of a run. `name` is the Topic member's name, empty for a single destination."""

    name: str
    message_id: str
    state: MessageState
    attempts: int
    attempts_allowed: int
    next_attempt_at: datetime | None
    finished_at: datetime | None
    recent_attempts: tuple[AttemptView, ...] = ()


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with its messages; a run that could not start has none, and `reason` and `error` say why.

    `counts` counts all its messages by state; without it, `members` are all there are.
    """

    run: Run
    members: tuple[MemberView, ...] = ()
    reason: str = ""
    error: str = ""
    counts: Mapping[MessageState, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """What the store knows of a Schedule: newest run first.

    There is one, if it ever ran, whatever its history limit is: what became of it is always told.
    """

    next_slot: datetime | None
    last_slot: datetime | None
    last_success: datetime | None
    last_failure: datetime | None
    skipped: int
    completed: bool
    runs: tuple[RunView, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointView:
    """What the last deliveries to an Endpoint gave. `consecutive_failures`: failed attempts since the last 2xx."""

    last_attempt: AttemptView | None = None
    last_message_id: str = ""
    consecutive_failures: int = 0


@dataclass(frozen=True, slots=True)
class TopicView:
    """Who is a member now: (member name, Endpoint name or URL), and the Endpoints named that do not exist."""

    members: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """What a queue waits for: this message, since then."""

    message_id: str
    since: datetime
    reason: BlockReason


@dataclass(frozen=True, slots=True)
class QueueView:
    """What the store knows of a Queue. `lag`: its messages that are not terminal; `waiting_since`: of the oldest one
    that has not started (None: none waits).
    """

    lag: int = 0
    waiting_since: datetime | None = None
    blocked_by: Block | None = None


@dataclass(frozen=True, slots=True)
class FlowControlView:
    """A flow-control key as it stands (contract 15.7). None is unlimited. `waiting`: due messages that may not start.

    `started` counts the starts in the window of length `period` that began at `period_start` (None: none has begun).
    """

    key: str
    waiting: int
    parallelism: int | None
    active: int
    rate: int | None
    started: int
    period: timedelta
    period_start: datetime | None
    paused: bool
    pinned_parallelism: bool
    pinned_rate: bool


@dataclass(frozen=True, slots=True)
class TokenView:
    """The Secret of a Token: `adopted` if it was there first and is only read."""

    adopted: bool
    rotated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """The store's load over all tenants, for metrics.

    `oldest_due`: of all that wait for nothing but their time; `oldest_claimable`: of those due that nothing holds back.
    """

    waiting: int = 0
    delivering: int = 0
    dead_letters: int = 0
    oldest_due: datetime | None = None
    oldest_claimable: datetime | None = None
    by_kind: dict[str, int] = field(default_factory=dict)
