"""Messages and what happens to them: the values that the API, the engine and the store hand each other.

A message is addressed to a URL or to an Endpoint by name. What is frozen at acceptance lies in `Message`; what is
bound late (the Endpoint's URL, headers, TLS, suspension) is read with each lease.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum

from angarium.domain.declarations import (
    Callback,
    DeliveryOptions,
    Destination,
    Endpoint,
    FlowControl,
    Header,
    ObjectRef,
    Redaction,
)
from angarium.domain.reasons import FailureReason

DEFAULT_METHOD = "POST"
DEFAULT_TIMEOUT = timedelta(minutes=15)
MAX_TIMEOUT = timedelta(hours=2)
DEFAULT_RETRY_LIMIT = 3
MAX_RETRY_LIMIT = 100


class MessageState(StrEnum):
    """Where a message is in its life. The last three are terminal."""

    WAITING = "Waiting"
    DELIVERING = "Delivering"
    RETRYING = "Retrying"
    DELIVERED = "Delivered"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def terminal(self) -> bool:
        return self in (MessageState.DELIVERED, MessageState.FAILED, MessageState.CANCELED)


class Trigger(StrEnum):
    """What started a run."""

    SLOT = "Slot"
    MANUAL = "Manual"


@dataclass(frozen=True, slots=True)
class Run:
    """All messages of one slot of a Schedule (or of one manual trigger, whose slot is the instant it was seen)."""

    id: str
    schedule: ObjectRef
    schedule_uid: str
    slot: datetime
    trigger: Trigger = Trigger.SLOT


@dataclass(frozen=True, slots=True)
class Publication:
    """What a publisher or a Schedule asks for, before the destination is resolved to messages.

    `options` holds only what was given with the request (or by the Schedule). `options.headers` are the headers to
    deliver, Content-Type included, one entry per header line. `dedup_key` is what `domain.deduplication` makes.
    `source` is the id of the message that a callback reports on. `default_retries` stand if nobody says how many, and
    `default_content_type` if neither the publisher nor the Endpoint says one.
    """

    namespace: str
    destination: Destination
    created_at: datetime
    body: bytes = b""
    options: DeliveryOptions = DeliveryOptions()
    labels: tuple[str, ...] = ()
    not_before: datetime | None = None
    caller_ip: str | None = None
    run: Run | None = None
    queue: str | None = None
    callback: Callback | None = None
    failure_callback: Callback | None = None
    redaction: Redaction | None = None
    dedup_key: bytes | None = None
    source: str | None = None
    default_retries: int = DEFAULT_RETRY_LIMIT
    default_content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it was accepted. Exactly one of `url` and `endpoint` (a name) is set.

    `schedule` is the name of the Schedule it comes from; `run` is None for a message that was retried from the DLQ.
    `flow_control` has its key. `source` is the id of the message that a callback reports on.
    """

    id: str
    namespace: str
    url: str | None
    endpoint: str | None
    method: str
    headers: tuple[Header, ...]
    body: bytes
    timeout: timedelta
    max_retries: int
    retry_delay: str | None
    created_at: datetime
    not_before: datetime
    labels: tuple[str, ...] = ()
    caller_ip: str | None = None
    topic: str | None = None
    endpoint_name: str | None = None
    run: Run | None = None
    schedule: str | None = None
    queue: str | None = None
    flow_control: FlowControl | None = None
    callback: Callback | None = None
    failure_callback: Callback | None = None
    redaction: Redaction | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A message that was not stored, because `message_id` stands for it. `place`: which member's, from 0."""

    place: int
    message_id: str
    url: str
    endpoint_name: str | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The messages that one publication became, each with the URL it resolves to now (`endpoint:<name>` if none).

    Members in order: those of `duplicates` take their places, `messages` the others.
    """

    messages: tuple[Message, ...]
    urls: tuple[str, ...]
    missing: tuple[str, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a retry from the DLQ changes of the message that it repeats; None, or empty: as it was.

    Headers given replace those of the same name.
    """

    options: DeliveryOptions = DeliveryOptions()
    labels: tuple[str, ...] = ()
    not_before: datetime | None = None
    queue: str | None = None
    callback: Callback | None = None
    failure_callback: Callback | None = None
    redaction: Redaction | None = None


UNBOUNDED_BYTES = 2**62


@dataclass(frozen=True, slots=True)
class LeaseGrant:
    """Room that the dispatcher has kept free: up to `room` messages may be leased to it at once.

    `until` is in seconds of the owner's monotonic clock; messages of `closed_lanes` stay in the store.
    `lane_room` is the most that one lane may take of the grant.

    Their bodies have at most `room_bytes` together; the first one that would not fit ends the grant. `any_size`:
    nothing else is held, so the first body may be of any size. `lane_bytes` is the most that one lane may take; the
    first body of a lane may be larger.
    """

    owner: str
    until: float
    room: int
    lane_room: int
    closed_lanes: frozenset[str] = frozenset()
    room_bytes: int = UNBOUNDED_BYTES
    lane_bytes: int = UNBOUNDED_BYTES
    any_size: bool = False


@dataclass(frozen=True, slots=True)
class Leased:
    """A message handed to the dispatcher: `lease` fences every write of its outcome.

    `lane` is what it shares attempts at once with: its Endpoint, or the URLs of its host. `retried` counts the
    retries already made. `endpoint` is the Endpoint as declared at this instant (None for a URL). `gated`: its flow
    control lets so many be on their way at once, so the end of this one may let another one start.
    """

    message: Message
    retried: int
    lease: int
    lane: str
    endpoint: Endpoint | None = None
    gated: bool = False

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return len(self.message.body)


class Lost(Enum):
    """How a lease was lost: it ran out, so its message is due again or was leased anew; or the message has ended."""

    EXPIRED = "Expired"
    ENDED = "Ended"


@dataclass(frozen=True, slots=True)
class Claim:
    """Messages leased because they are due, and when the next one will be (None: nothing claimable waits).

    `full_lanes` took all that the grant allows one lane. `lacking` is the size in bytes of the body that ended the
    claim because the grant had no room for it (0: none did).
    """

    leased: tuple[Leased, ...]
    next_due: datetime | None
    full_lanes: frozenset[str] = frozenset()
    lacking: int = 0


@dataclass(frozen=True, slots=True)
class Canceled:
    """How many messages were canceled, and the Schedules that some of them were runs of."""

    count: int = 0
    schedules: frozenset[ObjectRef] = frozenset()

    def __add__(self, other: "Canceled") -> "Canceled":
        return Canceled(self.count + other.count, self.schedules | other.schedules)


@dataclass(frozen=True, slots=True)
class Response:
    """What a destination answered. Header lines in order; the body may be cut at the configured size."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request, numbered from 1. Without a response, `error` (`<reason>: <text>`) says why."""

    number: int
    url: str
    started_at: datetime
    duration: timedelta
    response: Response | None = None
    reason: FailureReason | None = None
    error: str = ""


class Result(StrEnum):
    """What an attempt (or the lack of one) means for its message."""

    DELIVERED = "Delivered"
    RETRY = "Retry"
    FAILED = "Failed"
    POSTPONED = "Postponed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one lease. `next_at` is set for RETRY and POSTPONED; POSTPONED has no attempt and costs no retry."""

    leased: Leased
    result: Result
    attempt: Attempt | None = None
    next_at: datetime | None = None


class LogState(StrEnum):
    """States of log entries on the wire (contract 21)."""

    CREATED = "CREATED"
    ACTIVE = "ACTIVE"
    RETRY = "RETRY"
    ERROR = "ERROR"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    CANCELED = "CANCELED"
