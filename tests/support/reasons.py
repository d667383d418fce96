"""What makes every reason occur: objects, each with the conditions or the Event that it has to come to.

Specs are written with `http://receiver.test` for the receiver, `http://refused.test` for a port that nobody listens on,
and `@soon` for a time in a second.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.cluster import Object
from tests.support.programs import free_port
from tests.support.stage import Stage, rfc3339

from angarium.domain.declarations import Kind
from angarium.domain.reasons import (
    ConditionReason,
    ConditionType,
    EventReason,
    FailureReason,
    ReferenceReason,
    RunReason,
    SpecReason,
    StateReason,
    status_reason,
)
from angarium.resources.vocabulary import Possible

HERE = "http://receiver.test"
ONCE = {"at": "@soon", "startingDeadlineSeconds": 3600}
NO_RETRY = {"retry": {"limit": 0}}


@dataclass(frozen=True, slots=True)
class Case:
    """An object, and the conditions that it has to come to. `lax`: today's schema refuses it, so the CRDs are older."""

    kind: Kind
    name: str
    spec: Object
    conditions: tuple[Possible, ...] = ()
    lax: bool = False


@dataclass(frozen=True, slots=True)
class EventCase:
    """An object, and the Event that has to be written about it. Without `spec` somebody else declares it."""

    kind: Kind
    name: str
    reason: EventReason | RunReason
    spec: Object = field(default_factory=dict)


def written(stage: Stage, cases: Iterable[Case | EventCase]) -> None:
    """Declare them."""
    refused = f"http://127.0.0.1:{free_port()}"
    for case in cases:
        if case.spec or isinstance(case, Case):
            stage.apply(case.kind, case.name, resolved(stage, case.spec, refused))


def resolved(stage: Stage, spec: Object, refused: str = "") -> Object:
    here = stage.receiver.url("")
    text = json.dumps(spec).replace(HERE, here).replace("https://receiver.test", here.replace("http:", "https:"))
    soon = rfc3339(datetime.now(UTC) + timedelta(seconds=1))
    found: Object = json.loads(text.replace("http://refused.test", refused).replace("@soon", soon))
    return found


def refused(kind: Kind, reason: SpecReason, spec: Object, *, lax: bool = False) -> Case:
    """A spec that breaks a rule, on top of the smallest sound one (None takes a field away)."""
    whole = {name: value for name, value in (_SOUND[kind] | spec).items() if value is not None}
    conditions: tuple[Possible, ...] = (
        (ConditionType.ACCEPTED, "False", reason),
        (ConditionType.READY, "False", reason),
        (ConditionType.RESOLVED_REFS, "Unknown", StateReason.NOT_ACCEPTED),
    )
    return Case(kind, f"refused-{reason.lower()}", whole, conditions, lax)


def ready(kind: Kind, reason: StateReason, spec: Object) -> Case:
    conditions: tuple[Possible, ...] = (
        (ConditionType.ACCEPTED, "True", StateReason.ACCEPTED),
        (ConditionType.RESOLVED_REFS, "True", StateReason.RESOLVED_REFS),
        (ConditionType.READY, "True", reason),
    )
    return Case(kind, f"ready-{reason.lower()}", _SOUND[kind] | spec, conditions)


def unresolved(kind: Kind, reason: ReferenceReason, spec: Object) -> Case:
    return Case(kind, f"missing-{reason.lower()}", _SOUND[kind] | spec, both(reason, "False"))


def untold(kind: Kind, reason: ReferenceReason | StateReason, spec: Object) -> Case:
    return Case(kind, f"untold-{reason.lower()}", _SOUND[kind] | spec, both(reason, "Unknown"))


def both(reason: ReferenceReason | StateReason, status: str) -> tuple[Possible, ...]:
    return (ConditionType.RESOLVED_REFS, status, reason), (ConditionType.READY, status, reason)


def attempted(reason: ConditionReason, spec: Object, status: str = "False") -> Case:
    """An Endpoint that gets a message: its path is the reason, unless it has a URL."""
    where = {"url": f"{HERE}/{reason.lower()}"} | NO_RETRY
    return Case(Kind.ENDPOINT, f"sent-{reason.lower()}", where | spec, ((ConditionType.REACHABLE, status, reason),))


def secret_header(secret: str) -> Object:
    return {"headers": [{"name": "X-Token", "valueFrom": {"secretKeyRef": {"name": secret, "key": "token"}}}]}


def config_body(name: str) -> Object:
    return {"body": {"configMapKeyRef": {"name": name, "key": "body"}}}


_SOUND: dict[Kind, dict[str, Any]] = {
    Kind.ENDPOINT: {"url": f"{HERE}/sound"},
    Kind.TOPIC: {"endpoints": [{"name": "sound", "url": f"{HERE}/sound"}]},
    Kind.SCHEDULE: {"every": "365d", "destination": {"url": f"{HERE}/sound"}},
    Kind.QUEUE: {},
    Kind.TOKEN: {},
}
_BAD_PORT = "http://billing.test:99999/"

SOUND = [
    ready(Kind.ENDPOINT, StateReason.READY, {}),
    ready(Kind.ENDPOINT, StateReason.SUSPENDED, {"suspend": True}),
    ready(Kind.TOPIC, StateReason.READY, {}),
    ready(Kind.SCHEDULE, StateReason.READY, {}),
    ready(Kind.SCHEDULE, StateReason.SUSPENDED, {"suspend": True}),
    Case(
        Kind.SCHEDULE, "over", {"at": "2020-01-01T00:00:00Z", "destination": {"url": f"{HERE}/over"}},
        ((ConditionType.READY, "True", StateReason.COMPLETED),),
    ),
    ready(Kind.QUEUE, StateReason.READY, {}),
    ready(Kind.QUEUE, StateReason.SUSPENDED, {"suspend": True}),
    ready(Kind.TOKEN, StateReason.READY, {}),
    Case(Kind.ENDPOINT, "unused", {"url": f"{HERE}/unused"},
         ((ConditionType.REACHABLE, "Unknown", StateReason.NO_DELIVERIES),)),
]  # fmt: skip


def _refused_as_sent(kind: Kind, url: Object) -> list[Case]:
    """What Endpoint and Schedule share."""
    return [
        refused(kind, SpecReason.INVALID_URL, url),
        refused(kind, SpecReason.INVALID_METHOD, {"method": "PURGE"}, lax=True),
        refused(kind, SpecReason.INVALID_HEADER, {"headers": [{"name": "Host", "value": "x"}]}, lax=True),
        refused(kind, SpecReason.INVALID_DURATION, {"timeout": "3h"}),
        refused(kind, SpecReason.INVALID_RETRY_LIMIT, {"retry": {"limit": 101}}, lax=True),
        refused(kind, SpecReason.INVALID_RETRY_DELAY, {"retry": {"delay": "pow(2"}}),
        refused(kind, SpecReason.INVALID_FLOW_CONTROL, {"flowControl": {"rate": 1, "period": "8d"}}),
        refused(kind, SpecReason.INVALID_PARALLELISM, {"flowControl": {"parallelism": 0}}, lax=True),
    ]


REFUSED = [
    *_refused_as_sent(Kind.ENDPOINT, {"url": _BAD_PORT}),
    refused(Kind.ENDPOINT, SpecReason.INVALID_SPEC, {"suspend": "yes"}, lax=True),
    refused(Kind.TOPIC, SpecReason.INVALID_URL, {"endpoints": [{"name": "a", "url": _BAD_PORT}]}),
    refused(Kind.TOPIC, SpecReason.INVALID_SPEC, {"endpoints": "all"}, lax=True),
    *_refused_as_sent(Kind.SCHEDULE, {"destination": {"url": _BAD_PORT}}),
    refused(Kind.SCHEDULE, SpecReason.INVALID_CRON, {"every": None, "cron": "61 * * * *"}),
    refused(Kind.SCHEDULE, SpecReason.INVALID_TIME_ZONE, {"every": None, "cron": "@daily", "timeZone": "Mars/Olympus"}),
    refused(Kind.SCHEDULE, SpecReason.INVALID_INTERVAL, {"every": "366d"}),
    refused(Kind.SCHEDULE, SpecReason.INVALID_TIME, {"every": None, "at": "tomorrow"}, lax=True),
    refused(Kind.SCHEDULE, SpecReason.INVALID_JITTER, {"every": "10s", "jitter": "6s"}),
    refused(Kind.SCHEDULE, SpecReason.INVALID_BODY, {"body": {"base64": "%"}}, lax=True),
    refused(Kind.SCHEDULE, SpecReason.INVALID_CONTENT_TYPE, {"contentType": " "}, lax=True),
    refused(Kind.SCHEDULE, SpecReason.INVALID_LABEL, {"labels": [""]}, lax=True),
    refused(Kind.SCHEDULE, SpecReason.INVALID_CALLBACK, {"callback": {}}, lax=True),
    refused(Kind.SCHEDULE, SpecReason.INVALID_REDACTION, {"redact": {"headers": ["a b"]}}, lax=True),
    refused(Kind.SCHEDULE, SpecReason.INVALID_SPEC, {"historyLimit": 51}, lax=True),
    refused(Kind.QUEUE, SpecReason.INVALID_PARALLELISM, {"parallelism": 0}, lax=True),
    refused(Kind.QUEUE, SpecReason.INVALID_SPEC, {"suspend": "yes"}, lax=True),
    refused(Kind.TOKEN, SpecReason.INVALID_SPEC, {"access": "All"}, lax=True),
]

ABSENT = {"name": "absent"}
UNRESOLVED = [
    unresolved(Kind.ENDPOINT, ReferenceReason.SECRET_NOT_FOUND, secret_header("absent")),
    unresolved(Kind.TOPIC, ReferenceReason.ENDPOINT_NOT_FOUND, {"endpoints": [{"name": "a", "endpointRef": ABSENT}]}),
    unresolved(Kind.SCHEDULE, ReferenceReason.ENDPOINT_NOT_FOUND, {"destination": {"endpointRef": ABSENT}}),
    unresolved(Kind.SCHEDULE, ReferenceReason.TOPIC_NOT_FOUND, {"destination": {"topicRef": ABSENT}}),
    unresolved(
        Kind.SCHEDULE, ReferenceReason.TOPIC_NOT_ACCEPTED,
        {"destination": {"topicRef": {"name": f"refused-{SpecReason.INVALID_SPEC.lower()}"}}},
    ),
    unresolved(Kind.SCHEDULE, ReferenceReason.QUEUE_NOT_FOUND, {"queueRef": ABSENT}),
    unresolved(
        Kind.SCHEDULE, ReferenceReason.QUEUE_NOT_ACCEPTED,
        {"queueRef": {"name": f"refused-{SpecReason.INVALID_SPEC.lower()}"}},
    ),
    unresolved(Kind.SCHEDULE, ReferenceReason.SECRET_NOT_FOUND, secret_header("absent")),
    unresolved(Kind.SCHEDULE, ReferenceReason.CONFIG_MAP_NOT_FOUND, config_body("absent")),
]  # fmt: skip

ADOPTING = [
    unresolved(Kind.TOKEN, ReferenceReason.SECRET_CONFLICT, {"secretName": "foreign"}),
    unresolved(Kind.TOKEN, ReferenceReason.KEY_MISMATCH, {"secretName": "other-keys"}),
    unresolved(Kind.TOKEN, ReferenceReason.TOKEN_IN_USE, {"secretName": "copied"}),
]
"""Declared when there are keys in force."""

UNWRITTEN = unresolved(Kind.TOKEN, ReferenceReason.SECRET_NOT_WRITTEN, {})
UNREADABLE = unresolved(Kind.TOKEN, ReferenceReason.SECRET_UNREADABLE, {})
FORBIDDEN = [
    unresolved(Kind.ENDPOINT, ReferenceReason.REFERENCE_FORBIDDEN, secret_header("never-allowed")),
    unresolved(Kind.SCHEDULE, ReferenceReason.REFERENCE_FORBIDDEN, secret_header("never-allowed")),
]
UNTOLD = [
    untold(Kind.ENDPOINT, ReferenceReason.REFERENCE_UNAVAILABLE, secret_header("never-read")),
    untold(Kind.SCHEDULE, ReferenceReason.REFERENCE_UNAVAILABLE, secret_header("never-read")),
    untold(Kind.TOKEN, StateReason.PENDING, {}),
]

KILLED = attempted(FailureReason.INTERNAL_ERROR, {})
ATTEMPTED = [
    attempted(StateReason.DELIVERED, {}, "True"),
    attempted(status_reason(503), {}),
    attempted(FailureReason.TIMEOUT, {"timeout": "1s"}),
    attempted(FailureReason.CONNECTION_REFUSED, {"url": "http://refused.test/"}),
    attempted(FailureReason.CONNECTION_ERROR, {}),
    attempted(FailureReason.DNS_ERROR, {"url": "http://nobody.invalid/"}),
    attempted(FailureReason.TLS_ERROR, {"url": "https://receiver.test/"}),
    attempted(FailureReason.PROTOCOL_ERROR, {}),
    attempted(FailureReason.ADDRESS_NOT_ALLOWED, {"url": "http://169.254.169.254/"}),
    attempted(FailureReason.INVALID_HEADER, secret_header("torn")),
    attempted(FailureReason.SECRET_NOT_FOUND, secret_header("absent")),
    KILLED,
]

_NEVER = {"destination": {"url": f"{HERE}/never"}}
EVENTS = [
    EventCase(Kind.SCHEDULE, "gives-up", EventReason.DELIVERY_FAILED, ONCE | _NEVER | NO_RETRY),
    EventCase(Kind.ENDPOINT, f"sent-{FailureReason.TIMEOUT.lower()}", EventReason.DELIVERY_FAILED),
    EventCase(
        Kind.SCHEDULE, "missed", EventReason.SLOTS_MISSED,
        {"every": "1s", "startingDeadlineSeconds": 3600, "missedRunPolicy": "Skip", "destination": {"url": HERE}},
    ),
    EventCase(
        Kind.SCHEDULE, "forbids", EventReason.SLOTS_FORBIDDEN,
        {"every": "1s", "concurrencyPolicy": "Forbid", "destination": {"url": f"{HERE}/slow"}},
    ),
    EventCase(Kind.SCHEDULE, "ahead", EventReason.CLOCK_RESET, {"every": "1h", "destination": {"url": HERE}}),
    EventCase(Kind.QUEUE, "waits", EventReason.PLACE_FREED, {"parallelism": 1}),
    EventCase(Kind.SCHEDULE, "no-topic", RunReason.REF_NOT_FOUND, ONCE | {"destination": {"topicRef": ABSENT}}),
    EventCase(Kind.SCHEDULE, "large", RunReason.BODY_TOO_LARGE, ONCE | config_body("large") | _NEVER),
]  # fmt: skip
TAKEN_OVER = [
    EventCase(Kind.TOPIC, "taken", EventReason.TAKEN_OVER, _SOUND[Kind.TOPIC]),
    EventCase(Kind.SCHEDULE, "taken", EventReason.TAKEN_OVER, _SOUND[Kind.SCHEDULE]),
    EventCase(Kind.QUEUE, "taken", EventReason.TAKEN_OVER, {"parallelism": 2}),
]
"""Declared when the API has made objects of these names."""
CROWDED = EventCase(Kind.SCHEDULE, "crowded", RunReason.LIMIT_EXCEEDED, ONCE | _NEVER)
"""Declared when nothing more fits."""

CASES = [*SOUND, *REFUSED, *UNRESOLVED, *ADOPTING, UNWRITTEN, UNREADABLE, *FORBIDDEN, *UNTOLD, *ATTEMPTED]
EVENT_CASES = [*EVENTS, *TAKEN_OVER, CROWDED]
