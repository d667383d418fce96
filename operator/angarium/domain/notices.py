"""What the delivery plane tells whoever watches: metrics, status, the dev console. Told only after it is stored.

A notice may be lost by a crash: what must not be lost is read from the store.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from angarium.domain.declarations import ObjectRef
from angarium.domain.messages import Message, Outcome, Run
from angarium.domain.reasons import RunReason, SkipReason


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message was stored."""

    message: Message
    url: str


@dataclass(frozen=True, slots=True)
class MembersMissing:
    """A publication to a Topic left out these Endpoints, which its list names and which do not exist."""

    namespace: str
    topic: str
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A lease ended, with or without an attempt, and that was recorded."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A Schedule fired; `lag_s` is how late, in seconds. `queue` is the one that its messages go into, if any."""

    run: Run
    message_ids: tuple[str, ...]
    lag_s: float
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class RunFailed:
    """A slot was consumed without any message, e.g. because its destination does not exist (`RefNotFound`)."""

    run: Run
    reason: RunReason
    error: str


@dataclass(frozen=True, slots=True)
class SlotsSkipped:
    """Slots that will never run."""

    schedule: ObjectRef
    count: int
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class ClockReset:
    """The clock was found far behind a Schedule's last considered slot, and it starts anew from now."""

    schedule: ObjectRef
    considered_until: datetime


@dataclass(frozen=True, slots=True)
class EndpointOrphansFailed:
    """Messages of a deleted Endpoint were given up (`EndpointDeleted`)."""

    endpoint: ObjectRef
    message_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunsCanceled:
    """Messages of these Schedules' runs were canceled over the API."""

    schedules: frozenset[ObjectRef]


@dataclass(frozen=True, slots=True)
class CatalogChanged:
    """These objects were declared, changed or removed, or something that they refer to was."""

    refs: frozenset[ObjectRef]


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A resource was declared under the name of an object that had been made over the API, and replaced it."""

    ref: ObjectRef


@dataclass(frozen=True, slots=True)
class PlaceFreed:
    """A Queue's place was held too long by the callbacks of a message that has ended, so the queue moves on."""

    queue: ObjectRef
    message_id: str


@dataclass(frozen=True, slots=True)
class KeysRotated:
    """The signing keys of a namespace were changed over the API: its Secrets have to follow."""

    namespace: str


Notice = (
    Accepted
    | MembersMissing
    | AttemptEnded
    | RunStarted
    | RunFailed
    | SlotsSkipped
    | ClockReset
    | EndpointOrphansFailed
    | RunsCanceled
    | CatalogChanged
    | TakenOver
    | PlaceFreed
    | KeysRotated
)


class Observer(Protocol):
    """Is told what happened. Called from any thread; returns at once and never raises."""

    def notice(self, notices: list[Notice]) -> None: ...
