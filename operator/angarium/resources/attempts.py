"""How attempts stand in statuses, and what the last of them says about a destination."""

from datetime import timedelta
from typing import Any

from angarium.domain.reasons import ConditionReason, FailureReason, StateReason, status_reason
from angarium.domain.views import AttemptView
from angarium.resources.times import format_time_ms, milliseconds

MAX_ERROR = 256


def clip(text: str, most: int = MAX_ERROR) -> str:
    """At most `most` characters, with an ellipsis where something was cut off."""
    return text if len(text) <= most else text[: most - 1] + "…"


def delivered(attempt: AttemptView) -> bool:
    """Contract 18: any 2xx."""
    return 200 <= attempt.status <= 299


def reason_of(attempt: AttemptView) -> ConditionReason:
    """Delivered, the response's status (`HTTP503`), or why there was no response, which its error begins with."""
    if delivered(attempt):
        return StateReason.DELIVERED
    if attempt.status:
        return status_reason(attempt.status)
    return FailureReason(attempt.error.partition(":")[0])


def error_of(attempt: AttemptView) -> str:
    """What went wrong, at most 256 characters; empty if nothing did."""
    if delivered(attempt):
        return ""
    return clip(attempt.error or (f"HTTP {attempt.status}" if attempt.status else "no response"))


def entry(attempt: AttemptView) -> dict[str, Any]:
    """An item of `recentAttempts`."""
    written = {
        "time": format_time_ms(attempt.time),
        "number": attempt.number,
        "status": attempt.status,
        "durationMilliseconds": milliseconds(attempt.duration),
    }
    error = error_of(attempt)
    return written | {"error": error} if error else written


def last_delivery(attempt: AttemptView, message_id: str) -> dict[str, Any]:
    """An Endpoint's `lastDelivery`: its time is when the attempt ended."""
    ended = attempt.time + max(attempt.duration, timedelta(0))
    written = {
        "time": format_time_ms(ended),
        "messageId": message_id,
        "status": attempt.status,
        "outcome": "Delivered" if delivered(attempt) else "Failed",
        "durationMilliseconds": milliseconds(attempt.duration),
    }
    error = error_of(attempt)
    return written | {"error": error} if error else written
