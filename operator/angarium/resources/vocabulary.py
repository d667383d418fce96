"""Which reasons the conditions of each kind may have: for docs/troubleshooting.md, and for the tests that make them all
occur. A new reason of a kind needs its place here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from angarium.domain.declarations import Kind
from angarium.domain.reasons import (
    ConditionReason,
    ConditionType,
    FailureReason,
    ReferenceReason,
    SpecReason,
    StateReason,
)

Possible = tuple[ConditionType, str, ConditionReason]
"""Type, status and reason of a condition."""

UNREACHABLE = tuple(reason for reason in FailureReason if reason is not FailureReason.ENDPOINT_DELETED)
"""Reasons of `Reachable=False`, beside the statuses of responses (`HTTP503`): no attempt is made once it is deleted."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What may be wrong with an object of one kind.

    `refused`: Accepted=False. `unresolved`: ResolvedRefs=False. `untold`: ResolvedRefs=Unknown of an accepted spec.
    `ready`: Ready=True. Ready repeats what the first of the other two says that is not True.
    """

    refused: tuple[SpecReason, ...]
    unresolved: tuple[ReferenceReason, ...] = ()
    untold: tuple[ReferenceReason | StateReason, ...] = ()
    ready: tuple[StateReason, ...] = (StateReason.READY,)


_SENT = (
    SpecReason.INVALID_URL,
    SpecReason.INVALID_METHOD,
    SpecReason.INVALID_HEADER,
    SpecReason.INVALID_DURATION,
    SpecReason.INVALID_RETRY_LIMIT,
    SpecReason.INVALID_RETRY_DELAY,
    SpecReason.INVALID_FLOW_CONTROL,
    SpecReason.INVALID_PARALLELISM,
)

VOCABULARIES: Mapping[Kind, Vocabulary] = {
    Kind.ENDPOINT: Vocabulary(
        refused=(*_SENT, SpecReason.INVALID_SPEC),
        unresolved=(ReferenceReason.SECRET_NOT_FOUND, ReferenceReason.REFERENCE_FORBIDDEN),
        untold=(ReferenceReason.REFERENCE_UNAVAILABLE,),
        ready=(StateReason.READY, StateReason.SUSPENDED),
    ),
    Kind.TOPIC: Vocabulary(
        refused=(SpecReason.INVALID_URL, SpecReason.INVALID_SPEC),
        unresolved=(ReferenceReason.ENDPOINT_NOT_FOUND,),
    ),
    Kind.SCHEDULE: Vocabulary(
        refused=(
            *_SENT,
            SpecReason.INVALID_CRON,
            SpecReason.INVALID_TIME_ZONE,
            SpecReason.INVALID_INTERVAL,
            SpecReason.INVALID_TIME,
            SpecReason.INVALID_JITTER,
            SpecReason.INVALID_BODY,
            SpecReason.INVALID_CONTENT_TYPE,
            SpecReason.INVALID_LABEL,
            SpecReason.INVALID_CALLBACK,
            SpecReason.INVALID_REDACTION,
            SpecReason.INVALID_SPEC,
        ),
        unresolved=(
            ReferenceReason.ENDPOINT_NOT_FOUND,
            ReferenceReason.TOPIC_NOT_FOUND,
            ReferenceReason.TOPIC_NOT_ACCEPTED,
            ReferenceReason.QUEUE_NOT_FOUND,
            ReferenceReason.QUEUE_NOT_ACCEPTED,
            ReferenceReason.SECRET_NOT_FOUND,
            ReferenceReason.CONFIG_MAP_NOT_FOUND,
            ReferenceReason.REFERENCE_FORBIDDEN,
        ),
        untold=(ReferenceReason.REFERENCE_UNAVAILABLE,),
        ready=(StateReason.READY, StateReason.SUSPENDED, StateReason.COMPLETED),
    ),
    Kind.QUEUE: Vocabulary(
        refused=(SpecReason.INVALID_PARALLELISM, SpecReason.INVALID_SPEC),
        ready=(StateReason.READY, StateReason.SUSPENDED),
    ),
    Kind.TOKEN: Vocabulary(
        refused=(SpecReason.INVALID_SPEC,),
        unresolved=(
            ReferenceReason.SECRET_CONFLICT,
            ReferenceReason.SECRET_UNREADABLE,
            ReferenceReason.SECRET_NOT_WRITTEN,
            ReferenceReason.KEY_MISMATCH,
            ReferenceReason.TOKEN_IN_USE,
        ),
        untold=(StateReason.PENDING,),
    ),
}


def possible(kind: Kind) -> frozenset[Possible]:
    """Every condition that an object of the kind may have, but for `Reachable` with a response's status.

    `Pending` stands there before the operator has looked: the CRD's default.
    """
    of_kind = VOCABULARIES[kind]
    judged = {
        (ConditionType.READY, "Unknown", StateReason.PENDING),
        (ConditionType.ACCEPTED, "True", StateReason.ACCEPTED),
        (ConditionType.RESOLVED_REFS, "True", StateReason.RESOLVED_REFS),
        (ConditionType.RESOLVED_REFS, "Unknown", StateReason.NOT_ACCEPTED),
        *_each(ConditionType.ACCEPTED, "False", of_kind.refused),
        *_each(ConditionType.RESOLVED_REFS, "False", of_kind.unresolved),
        *_each(ConditionType.RESOLVED_REFS, "Unknown", of_kind.untold),
        *_each(ConditionType.READY, "True", of_kind.ready),
        *_each(ConditionType.READY, "False", (*of_kind.refused, *of_kind.unresolved)),
        *_each(ConditionType.READY, "Unknown", of_kind.untold),
    }
    return frozenset(judged | (_reachable() if kind is Kind.ENDPOINT else set()))


def _reachable() -> set[Possible]:
    return {
        (ConditionType.REACHABLE, "Unknown", StateReason.NO_DELIVERIES),
        (ConditionType.REACHABLE, "True", StateReason.DELIVERED),
        *_each(ConditionType.REACHABLE, "False", UNREACHABLE),
    }


def _each(type_: ConditionType, status: str, reasons: Iterable[ConditionReason]) -> set[Possible]:
    return {(type_, status, reason) for reason in reasons}
