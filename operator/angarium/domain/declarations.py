"""What people declare, as frozen values: the decoded specs of Endpoint, Topic, Schedule, Queue and Token.

`resources/` makes them from specs, the API makes Topics, Schedules and Queues too; the store keeps them, the delivery
plane reads them. They hold references to Secrets and ConfigMaps, never their values. A field that is None was not
given: code applies the default last.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from angarium.domain.reasons import SpecReason

DEFAULT_HISTORY = 10
"""Runs of a Schedule that its status shows."""


class Kind(StrEnum):
    """The kinds of resource that are declared."""

    ENDPOINT = "Endpoint"
    TOPIC = "Topic"
    SCHEDULE = "Schedule"
    QUEUE = "Queue"
    TOKEN = "Token"


class Origin(StrEnum):
    """Who owns a declared object: a resource (read-only over the API), or whoever made it over the HTTP API."""

    RESOURCE = "Resource"
    API = "Api"


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Names one declared object; the namespace is the tenant."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class KeyRef:
    """A key in a Secret or ConfigMap of the declaring object's own namespace."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Header:
    """One HTTP header: exactly one of `value` and `secret` is set."""

    name: str
    value: str | None = None
    secret: KeyRef | None = None


CONTENT_TYPE = "Content-Type"


def has_content_type(headers: Iterable[Header]) -> bool:
    """Whether one of them says the media type of the body, in any spelling."""
    return any(header.name.lower() == "content-type" for header in headers)


@dataclass(frozen=True, slots=True)
class FlowControl:
    """How fast messages that share `key` may start: `rate` per `period`, `parallelism` at once (contract 23).

    None is unlimited. `key` is empty where it is implied: for an Endpoint it is `endpoint/<name>`.
    """

    key: str = ""
    parallelism: int | None = None
    rate: int | None = None
    period: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """The leaf fields that are inherited: request or Schedule > topic > Endpoint > default.

    `retry_limit` counts retries (attempts = 1 + retries); `retry_delay` is the expression of contract 4.6, verbatim.
    """

    method: str | None = None
    headers: tuple[Header, ...] = ()
    timeout: timedelta | None = None
    retry_limit: int | None = None
    retry_delay: str | None = None
    flow_control: FlowControl | None = None


@dataclass(frozen=True, slots=True)
class Redaction:
    """What views of a message leave out, never its deliveries (contract 24). `names` are in lower case."""

    body: bool = False
    all_headers: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tls:
    """How to speak TLS to an Endpoint: names of Secrets with `ca.crt`, and with `tls.crt` and `tls.key`."""

    ca_secret: str | None = None
    client_certificate_secret: str | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place to deliver to."""

    url: str
    options: DeliveryOptions = DeliveryOptions()
    tls: Tls | None = None
    suspend: bool = False


@dataclass(frozen=True, slots=True)
class TopicMember:
    """A member of a Topic: exactly one of `endpoint` (a name) and `url` is set; over the API it may lack a name."""

    name: str | None
    endpoint: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """A named set of endpoints: a list, and every Endpoint of the namespace whose labels match (None: no selector).

    `headers` are default publish headers, one entry per line, as given over the API (contract 12, PATCH).
    """

    members: tuple[TopicMember, ...] = ()
    match_labels: dict[str, str] | None = None
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class Destination:
    """Where messages go: exactly one of a URL, the name of an Endpoint, the name of a Topic."""

    url: str | None = None
    endpoint: str | None = None
    topic: str | None = None

    def __str__(self) -> str:
        return self.url or (f"endpoint/{self.endpoint}" if self.endpoint else f"topic/{self.topic}")


@dataclass(frozen=True, slots=True)
class Callback:
    """Where what became of a message is reported to, as a message of its own (contract 20): a URL or an Endpoint."""

    destination: Destination
    options: DeliveryOptions = DeliveryOptions()
    labels: tuple[str, ...] = ()
    delay: timedelta | None = None


class MissedRunPolicy(StrEnum):
    """What happens to slots that passed while nothing ran."""

    RUN_LATEST = "RunLatest"
    RUN_ALL = "RunAll"
    SKIP = "Skip"


class ConcurrencyPolicy(StrEnum):
    """What happens to a slot whose predecessor's run is still active."""

    ALLOW = "Allow"
    FORBID = "Forbid"
    REPLACE = "Replace"


@dataclass(frozen=True, slots=True)
class Timing:
    """When a Schedule fires: exactly one of `cron`, `every`, `at`; `cron_seed` is what an `H` in cron is hashed on.

    `anchor` is where `every` counts from: startTime, else the object's creation.
    """

    cron: str | None = None
    cron_seed: str = ""
    time_zone: str = "UTC"
    every: timedelta | None = None
    at: datetime | None = None
    anchor: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    jitter: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When, what, where. The body is bytes already, or a ConfigMap key that is read when a slot fires.

    `content_type_is_default`: it follows from the form of the body, so what an Endpoint says comes before it.
    `delay` is that of each message, from its slot's firing. `cron_text` is the cron expression as it was given over
    the API, prefix included; `caller_ip` who made the Schedule there.
    """

    timing: Timing
    destination: Destination
    options: DeliveryOptions = DeliveryOptions()
    body: bytes = b""
    body_from: KeyRef | None = None
    content_type: str | None = None
    content_type_is_default: bool = False
    labels: tuple[str, ...] = ()
    suspend: bool = False
    starting_deadline: timedelta | None = None
    missed_run_policy: MissedRunPolicy = MissedRunPolicy.RUN_LATEST
    concurrency_policy: ConcurrencyPolicy = ConcurrencyPolicy.ALLOW
    history_limit: int = DEFAULT_HISTORY
    queue: str | None = None
    callback: Callback | None = None
    failure_callback: Callback | None = None
    redaction: Redaction | None = None
    delay: timedelta | None = None
    cron_text: str | None = None
    caller_ip: str | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """FIFO: at most `parallelism` of its messages are on their way at once (contract 22)."""

    parallelism: int = 1
    suspend: bool = False


class Access(StrEnum):
    """What a token may do over the HTTP API."""

    READ_WRITE = "ReadWrite"
    READ_ONLY = "ReadOnly"
    PUBLISH_ONLY = "PublishOnly"


@dataclass(frozen=True, slots=True)
class Token:
    """Access to the HTTP API for one namespace, handed out in the Secret `secret_name`."""

    secret_name: str
    access: Access = Access.READ_WRITE


Spec = Endpoint | Topic | Schedule | Queue | Token


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a spec cannot be accepted: the reason and message of its `Accepted` condition."""

    reason: SpecReason
    message: str


@dataclass(frozen=True, slots=True)
class Declared:
    """One object as it was last seen: its spec decoded, or why that failed.

    `fingerprint` changes when generation, labels or our annotations change. `run_now` is the text of the annotation
    `angarium.dev/run-now`. `last_slot` is what status.lastSlotTime said, for an object that the store does not know.
    `applied_at`: when the store last took a change of it.
    """

    ref: ObjectRef
    uid: str
    generation: int
    fingerprint: str
    created_at: datetime
    spec: Spec | Rejection
    labels: dict[str, str] = field(default_factory=dict)
    run_now: str | None = None
    last_slot: datetime | None = None
    origin: Origin = Origin.RESOURCE
    applied_at: datetime | None = field(default=None, compare=False)

    def references(self) -> frozenset[ObjectRef]:
        """The declared objects that this one names (a selector names none)."""
        return frozenset(ObjectRef(kind, self.ref.namespace, name) for kind, name in _named(self.spec))


def _named(spec: Spec | Rejection) -> list[tuple[Kind, str]]:
    if isinstance(spec, Topic):
        return [(Kind.ENDPOINT, member.endpoint) for member in spec.members if member.endpoint]
    if not isinstance(spec, Schedule):
        return []
    callbacks = [callback.destination for callback in (spec.callback, spec.failure_callback) if callback]
    named = [one for destination in (spec.destination, *callbacks) for one in _addressed(destination)]
    return [*named, (Kind.QUEUE, spec.queue)] if spec.queue else named


def _addressed(destination: Destination) -> list[tuple[Kind, str]]:
    if destination.endpoint:
        return [(Kind.ENDPOINT, destination.endpoint)]
    return [(Kind.TOPIC, destination.topic)] if destination.topic else []
