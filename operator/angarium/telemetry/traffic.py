"""Counts what the delivery plane tells: messages, attempts, runs.

This is on the way of every message, so it keeps plain numbers, takes one lock per batch of notices, and leaves all
formatting to the scrape.
"""

import threading
from collections.abc import Iterator

from prometheus_client.core import Metric

from angarium.domain.figures import Histogram
from angarium.domain.messages import Leased, Outcome, Result
from angarium.domain.notices import (
    Accepted,
    AttemptEnded,
    ClockReset,
    EndpointOrphansFailed,
    MembersMissing,
    Notice,
    PlaceFreed,
    RunFailed,
    RunStarted,
    SlotsSkipped,
)
from angarium.domain.reasons import FailureReason, SkipReason
from angarium.telemetry.families import Labels, counter, counters, histogram, histograms

LAG_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
DURATION_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)

NONE, OTHER = "none", "other"
STATUSES = {2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
REASONS: dict[FailureReason | None, str] = {
    FailureReason.TIMEOUT: "timeout",
    FailureReason.CONNECTION_REFUSED: "refused",
    FailureReason.CONNECTION_ERROR: "connection",
    FailureReason.DNS_ERROR: "dns",
    FailureReason.TLS_ERROR: "tls",
    FailureReason.PROTOCOL_ERROR: "protocol",
    FailureReason.ADDRESS_NOT_ALLOWED: "forbidden_address",
    FailureReason.INVALID_URL: "invalid_request",
    FailureReason.INVALID_HEADER: "invalid_request",
    FailureReason.SECRET_NOT_FOUND: "missing_reference",
    FailureReason.INTERNAL_ERROR: "internal",
    None: OTHER,
}
"""The `answer` of an attempt that got none, by its reason (`Attempt.reason`)."""

ANSWERS = (*STATUSES.values(), *dict.fromkeys(REASONS.values()))
REASONS_TO_SKIP = tuple(reason.lower() for reason in SkipReason)


class Traffic:
    """Implements `domain.notices.Observer`. May be told from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted = 0
        self._scheduled = 0
        self._postponed = 0
        self._delivered = dict.fromkeys(("2xx",), 0)
        self._retried = dict.fromkeys(ANSWERS, 0)
        self._failed = dict.fromkeys(ANSWERS, 0)
        self._duration = Histogram(DURATION_BOUNDS_S)
        self._lag = Histogram(LAG_BOUNDS_S)
        self._paced_lag = Histogram(LAG_BOUNDS_S)
        self._schedule_lag = Histogram(LAG_BOUNDS_S)
        self._runs = {"started": 0, "failed": 0}
        self._skipped = dict.fromkeys(REASONS_TO_SKIP, 0)
        self._members_missing = 0
        self._orphans = 0
        self._places_freed = 0
        self._clock_resets = 0

    def notice(self, notices: list[Notice]) -> None:
        accepted = 0
        with self._lock:
            for notice in notices:
                if isinstance(notice, AttemptEnded):
                    self._ended(notice.outcome)
                elif isinstance(notice, Accepted):
                    accepted += 1
                else:
                    self._rare(notice)
            self._accepted += accepted

    def families(self) -> Iterator[Metric]:
        """As they are now."""
        with self._lock:
            return iter([*self._of_messages(), *self._of_runs()])

    def _ended(self, outcome: Outcome) -> None:
        attempt = outcome.attempt
        if attempt is None:
            self._postponed += 1
            return
        response, result = attempt.response, outcome.result
        if result is Result.DELIVERED:
            self._delivered["2xx"] += 1
        else:
            answer = REASONS.get(attempt.reason, OTHER) if response is None else _class_of(response.status)
            counts = self._retried if result is Result.RETRY else self._failed
            counts[answer] += 1
        self._duration.observe(attempt.duration.total_seconds())
        if attempt.number == 1:
            leased = outcome.leased
            lag_s = (attempt.started_at - leased.message.not_before).total_seconds()
            (self._paced_lag if _paced(leased) else self._lag).observe(lag_s if lag_s > 0 else 0.0)

    def _rare(self, notice: Notice) -> None:
        match notice:
            case RunStarted(message_ids=message_ids, lag_s=lag_s):
                self._scheduled += len(message_ids)
                self._runs["started"] += 1
                self._schedule_lag.observe(max(0.0, lag_s))
            case RunFailed():
                self._runs["failed"] += 1
            case SlotsSkipped(count=count, reason=reason):
                self._skipped[reason.lower()] += count
            case MembersMissing(endpoints=endpoints):
                self._members_missing += len(endpoints)
            case EndpointOrphansFailed(message_ids=message_ids):
                self._orphans += len(message_ids)
            case PlaceFreed():
                self._places_freed += 1
            case ClockReset():
                self._clock_resets += 1

    def _of_messages(self) -> Iterator[Metric]:
        yield counters(
            "messages_accepted",
            "Messages that were stored for delivery, by who asked for them. Callbacks are not among them.",
            ("source",),
            {("api",): self._accepted, ("schedule",): self._scheduled},
        )
        attempts: dict[Labels, float] = {
            **{("delivered", answer): count for answer, count in self._delivered.items()},
            **{("retry", answer): count for answer, count in self._retried.items() if answer != "2xx"},
            **{("failed", answer): count for answer, count in self._failed.items() if answer != "2xx"},
            ("postponed", NONE): self._postponed,
        }
        yield counters(
            "attempts",
            "Attempts that ended and were recorded, by what follows for the message and by the kind of the answer.",
            ("outcome", "answer"),
            attempts,
        )
        yield histogram("attempt_duration_seconds", "How long attempts took, answered or not.", self._duration)
        yield histograms(
            "delivery_lag_seconds",
            "From the time a message was due to the start of its first attempt. "
            "Paced messages are in a queue or under flow control, and wait for others on purpose.",
            ("paced",),
            {("no",): self._lag, ("yes",): self._paced_lag},
        )
        yield counter(
            "topic_members_missing",
            "Messages that were not made because a topic names an Endpoint that does not exist.",
            self._members_missing,
        )
        yield counter(
            "orphans_failed",
            "Messages that became dead letters because their Endpoint was deleted and did not come back.",
            self._orphans,
        )
        yield counter(
            "places_freed",
            "Places in queues that were freed because callbacks held them too long.",
            self._places_freed,
        )

    def _of_runs(self) -> Iterator[Metric]:
        yield counters(
            "schedule_runs",
            "Slots and manual triggers of Schedules that became messages, or failed to.",
            ("result",),
            {(result,): count for result, count in self._runs.items()},
        )
        yield counters(
            "schedule_slots_skipped",
            "Slots that will never run: missed while nothing fired them, or forbidden by the concurrency policy.",
            ("reason",),
            {(reason,): count for reason, count in self._skipped.items()},
        )
        yield histogram(
            "schedule_lag_seconds",
            "From a slot's time to its messages being stored.",
            self._schedule_lag,
        )
        yield counter(
            "schedule_clock_resets",
            "Schedules that started anew because the clock was found far behind what they had seen.",
            self._clock_resets,
        )


def _class_of(status: int) -> str:
    return STATUSES.get(status // 100, OTHER)


def _paced(leased: Leased) -> bool:
    message, endpoint = leased.message, leased.endpoint
    if message.queue is not None or message.flow_control is not None:
        return True
    return endpoint is not None and endpoint.options.flow_control is not None
