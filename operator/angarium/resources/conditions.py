"""Conditions as in the Kubernetes API conventions: Accepted, ResolvedRefs, and Ready, which is both.

Delivery results never change these three. Which reasons each of them may have, by kind, is told by `vocabulary`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from angarium.domain.declarations import Rejection, Spec
from angarium.domain.reasons import ConditionReason, ConditionType, ReferenceReason, StateReason
from angarium.resources.attempts import clip
from angarium.resources.times import format_time

MAX_MESSAGE = 1024

Previous = Sequence[Mapping[str, Any]]
"""The conditions that stand in the object's status now, as the API server gave them."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A reference that does not resolve. `retry`: that cannot be told just now, so nothing is judged by it."""

    reason: ReferenceReason | StateReason
    message: str
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """What should stand there, but for times. `status` is True, False or Unknown, as text."""

    type: ConditionType
    status: str
    reason: ConditionReason
    message: str


READY = (StateReason.READY, "The spec is accepted and all that it refers to exists.")


def judge(
    spec: Spec | Rejection,
    generation: int,
    problems: Sequence[Problem],
    previous: Previous,
    when_ready: tuple[StateReason, str] = READY,
) -> list[Condition]:
    """Ready, Accepted and ResolvedRefs. `when_ready`: reason and message of Ready when both of the others hold."""
    accepted = _accepted(spec)
    resolved = _resolved(problems, previous, generation) if accepted.status == "True" else _NOT_LOOKED_UP
    return [_ready(accepted, resolved, when_ready), accepted, resolved]


def merge(previous: Previous, wanted: Iterable[Condition], generation: int, now: datetime) -> list[dict[str, Any]]:
    """The conditions to write, in the order wanted: `lastTransitionTime` moves only when `status` flips."""
    standing = {str(condition.get("type")): condition for condition in previous if isinstance(condition, Mapping)}
    return [
        {
            "type": condition.type,
            "status": condition.status,
            "observedGeneration": generation,
            "reason": condition.reason,
            "message": clip(condition.message, MAX_MESSAGE),
            "lastTransitionTime": _transition(standing.get(condition.type, {}), condition, now),
        }
        for condition in wanted
    ]


_RESOLUTIONS: Mapping[str, ReferenceReason | StateReason] = {
    reason.value: reason for reason in (*ReferenceReason, *StateReason)
}
_NOT_LOOKED_UP = Condition(
    ConditionType.RESOLVED_REFS,
    "Unknown",
    StateReason.NOT_ACCEPTED,
    "References are looked up once the spec is accepted.",
)


def _accepted(spec: Spec | Rejection) -> Condition:
    if isinstance(spec, Rejection):
        return Condition(ConditionType.ACCEPTED, "False", spec.reason, spec.message)
    return Condition(ConditionType.ACCEPTED, "True", StateReason.ACCEPTED, "The spec is sound.")


def _resolved(problems: Sequence[Problem], previous: Previous, generation: int) -> Condition:
    missing = [problem for problem in problems if not problem.retry]
    if missing:
        messages = _listed([problem.message for problem in missing])
        return Condition(ConditionType.RESOLVED_REFS, "False", missing[0].reason, messages)
    if problems:
        return _held(previous, generation) or Condition(
            ConditionType.RESOLVED_REFS, "Unknown", problems[0].reason, problems[0].message
        )
    return Condition(ConditionType.RESOLVED_REFS, "True", StateReason.RESOLVED_REFS, "All references exist.")


def _held(previous: Previous, generation: int) -> Condition | None:
    """What was judged of this very spec before, while nothing better can be said."""
    for condition in previous:
        if isinstance(condition, Mapping) and condition.get("type") == ConditionType.RESOLVED_REFS:
            if condition.get("observedGeneration") != generation:
                return None
            reason = _RESOLUTIONS.get(str(condition.get("reason")))
            status, message = str(condition.get("status", "")), str(condition.get("message", ""))
            return Condition(ConditionType.RESOLVED_REFS, status, reason, message) if reason else None
    return None


def _ready(accepted: Condition, resolved: Condition, when_ready: tuple[StateReason, str]) -> Condition:
    for condition in (accepted, resolved):
        if condition.status != "True":
            return Condition(ConditionType.READY, condition.status, condition.reason, condition.message)
    return Condition(ConditionType.READY, "True", *when_ready)


def _transition(standing: Mapping[str, Any], condition: Condition, now: datetime) -> str:
    since = standing.get("lastTransitionTime")
    if standing.get("status") == condition.status and isinstance(since, str) and since:
        return since
    return format_time(now)


def _listed(messages: list[str]) -> str:
    """All messages in one, or as many as have room and how many more there are."""
    text = "; ".join(messages)
    shown = len(messages)
    while len(text) > MAX_MESSAGE and shown > 1:
        shown -= 1
        text = "; ".join(messages[:shown]) + f"; and {len(messages) - shown} more"
    return text
