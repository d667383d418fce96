"""The runs in a Schedule's status: fan-out summed up, failing members first, and never more than fits."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from angarium.domain.messages import MessageState
from angarium.domain.runs import run_state
from angarium.domain.views import (
    FAILING_FIRST,
    SHOWN_ATTEMPTS,
    SHOWN_MEMBERS,
    AttemptView,
    MemberView,
    RunView,
)
from angarium.resources import attempts
from angarium.resources.times import format_slot, format_time_ms

MAX_STATUS_BYTES = 32 * 1024
MAX_REASON = 64

_ESCAPED = re.compile("[<>&\u2028\u2029]")


def state_of(run: RunView) -> MessageState:
    return run_state(_counts(run))


def with_recent(status: dict[str, Any], runs: Sequence[RunView]) -> dict[str, Any]:
    """The status with as many of the newest runs as fit in 32 KiB; the newest of all is thinned out if it must be."""
    room = MAX_STATUS_BYTES - _size(status) - len(',"recentRuns":[]')
    recent: list[dict[str, Any]] = []
    for run in runs:
        written = _entry(run, SHOWN_ATTEMPTS)
        for shown in range(SHOWN_ATTEMPTS - 1, -1, -1):
            if recent or _size(written) <= room:
                break
            written = _entry(run, shown)
        room -= _size(written) + len(",")
        if room < -len(","):
            break
        recent.append(written)
    return status | {"recentRuns": recent} if recent else status


def _entry(run: RunView, most_attempts: int) -> dict[str, Any]:
    counts = _counts(run)
    state = run_state(counts)
    members = sorted(run.members, key=lambda member: FAILING_FIRST.index(member.state))[:SHOWN_MEMBERS]
    written: dict[str, Any] = {
        "slot": format_slot(run.run.slot),
        "trigger": run.run.trigger.value,
        "state": state.value,
        **_why(run, state, members),
    }
    if counts:
        written["deliveries"] = _sums(counts)
    if members:
        written["messageIds"] = [member.message_id for member in members]
        written["members"] = [_member(member, most_attempts) for member in members]
    return written


def _counts(run: RunView) -> Mapping[MessageState, int]:
    counts = run.counts or Counter(member.state for member in run.members)
    return {state: count for state, count in counts.items() if count}


def _sums(counts: Mapping[MessageState, int]) -> dict[str, int]:
    return {
        "total": sum(counts.values()),
        "delivered": counts.get(MessageState.DELIVERED, 0),
        "failed": counts.get(MessageState.FAILED, 0),
        "canceled": counts.get(MessageState.CANCELED, 0),
    }


def _why(run: RunView, state: MessageState, members: Sequence[MemberView]) -> dict[str, str]:
    """Why a run failed: because it could not start, or what the last attempt of its first failed message got."""
    reason, error = run.reason, run.error
    if not reason and state is MessageState.FAILED and members and members[0].recent_attempts:
        last = _in_order(members[0])[-1]
        if not attempts.delivered(last):
            reason, error = attempts.reason_of(last), attempts.error_of(last)
    why = {"reason": reason[:MAX_REASON], "message": attempts.clip(error)}
    return {name: text for name, text in why.items() if text}


def _member(member: MemberView, most_attempts: int) -> dict[str, Any]:
    written: dict[str, Any] = {"name": member.name} if member.name else {}
    written |= {
        "messageId": member.message_id,
        "state": member.state.value,
        "attempts": member.attempts,
        "attemptsAllowed": max(1, member.attempts_allowed),
    }
    if member.next_attempt_at and not member.state.terminal:
        written["nextAttemptTime"] = format_time_ms(member.next_attempt_at)
    recent = _in_order(member)[-most_attempts:] if most_attempts else []
    if recent:
        written["recentAttempts"] = [attempts.entry(attempt) for attempt in recent]
    return written


def _in_order(member: MemberView) -> list[AttemptView]:
    return sorted(member.recent_attempts, key=lambda attempt: attempt.number)


def _size(value: Mapping[str, Any]) -> int:
    """Bytes of the value as the API server writes it: compact JSON in UTF-8, with <, > and & as \\u003c and so on."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return len(_ESCAPED.sub("\\\\u1234", text).encode())
