"""Queue: messages that go one after the other."""

from datetime import datetime
from typing import Any

from angarium.domain.declarations import Declared, Queue
from angarium.domain.reasons import StateReason
from angarium.domain.views import QueueView
from angarium.resources import conditions
from angarium.resources.conditions import Previous, Problem
from angarium.resources.fields import Fields
from angarium.resources.times import format_time_ms

MAX_PARALLELISM = 1000

_SUSPENDED = (StateReason.SUSPENDED, "Suspended by spec.suspend: messages wait, and those already on their way go on.")


def decode(spec: Fields) -> Queue:
    """Raises InvalidInput for what breaks a rule."""
    parallelism = spec.integer("parallelism", 1, MAX_PARALLELISM)
    return Queue(parallelism=1 if parallelism is None else parallelism, suspend=spec.flag("suspend"))


def status(
    declared: Declared, view: QueueView, problems: tuple[Problem, ...], previous: Previous, now: datetime
) -> dict[str, Any]:
    """The whole status. It tells what the queue waits for and since when, and counts nothing: that is a metric."""
    suspended = isinstance(declared.spec, Queue) and declared.spec.suspend
    when_ready = _SUSPENDED if suspended else conditions.READY
    wanted = conditions.judge(declared.spec, declared.generation, problems, previous, when_ready)
    written: dict[str, Any] = {
        "observedGeneration": declared.generation,
        "conditions": conditions.merge(previous, wanted, declared.generation, now),
    }
    if view.waiting_since:
        written["oldestWaitingSince"] = format_time_ms(view.waiting_since)
    if view.blocked_by:
        written["blockedBy"] = {
            "messageId": view.blocked_by.message_id,
            "since": format_time_ms(view.blocked_by.since),
            "reason": view.blocked_by.reason.value,
        }
    return written
