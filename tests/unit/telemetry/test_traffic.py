"""What the delivery plane tells becomes counts, whoever tells it."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.exposition import Exposition
from tests.support.fakes import START, leased
from tests.support.stores import SECOND, attempt

from angarium.domain.declarations import DeliveryOptions, Endpoint, FlowControl, Kind, ObjectRef
from angarium.domain.messages import Leased, Outcome, Result, Run, Trigger
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
from angarium.domain.reasons import FailureReason
from angarium.telemetry import Metrics
from angarium.telemetry.traffic import REASONS, STATUSES

SCHEDULE = ObjectRef(Kind.SCHEDULE, "shop", "report")
RUN = Run("run_1", SCHEDULE, "uid", START, Trigger.SLOT)
ONE = leased()
LIMITED = Endpoint("https://billing.test/", DeliveryOptions(flow_control=FlowControl(rate=1)))


def ended(result: Result, status: int | None = 500, held: Leased = ONE, reason: str = "Timeout") -> AttemptEnded:
    made = attempt(held.retried + 1, status)
    return AttemptEnded(Outcome(held, result, made if status else replace(made, reason=reason)))


def told(*notices: Notice) -> Exposition:
    metrics = Metrics()
    metrics.notice(list(notices))
    return Exposition(metrics.text().decode())


@pytest.mark.parametrize(
    "notice, name, labels, value",
    [
        (Accepted(ONE.message, "https://e.test/"), "angarium_messages_accepted_total", {"source": "api"}, 1),
        (RunStarted(RUN, ("a", "b"), 0.25), "angarium_messages_accepted_total", {"source": "schedule"}, 2),
        (MembersMissing("shop", "orders", ("audit", "billing")), "angarium_topic_members_missing_total", {}, 2),
        (ended(Result.FAILED), "angarium_attempt_duration_seconds_count", {}, 1),
        (ended(Result.FAILED), "angarium_attempt_duration_seconds_sum", {}, 0.012),
        (ended(Result.FAILED), "angarium_attempt_duration_seconds_bucket", {"le": "0.01"}, 0),
        (ended(Result.FAILED), "angarium_attempt_duration_seconds_bucket", {"le": "0.025"}, 1),
        (ended(Result.FAILED), "angarium_attempt_duration_seconds_bucket", {"le": "+Inf"}, 1),
        (RunStarted(RUN, ("msg_1",), 0.25), "angarium_schedule_lag_seconds_sum", {}, 0.25),
        (RunStarted(RUN, ("msg_1",), -1.0), "angarium_schedule_lag_seconds_sum", {}, 0),
        (RunStarted(RUN, ("msg_1",), 0.25), "angarium_schedule_runs_total", {"result": "started"}, 1),
        (RunFailed(RUN, "RefNotFound", "gone"), "angarium_schedule_runs_total", {"result": "failed"}, 1),
        (SlotsSkipped(SCHEDULE, 3, "Missed"), "angarium_schedule_slots_skipped_total", {"reason": "missed"}, 3),
        (SlotsSkipped(SCHEDULE, 3, "Forbidden"), "angarium_schedule_slots_skipped_total", {"reason": "forbidden"}, 3),
        (EndpointOrphansFailed(SCHEDULE, ("a", "b")), "angarium_orphans_failed_total", {}, 2),
        (PlaceFreed(SCHEDULE, "msg_1"), "angarium_places_freed_total", {}, 1),
        (ClockReset(SCHEDULE, START), "angarium_schedule_clock_resets_total", {}, 1),
    ],
)
def test_what_happens_is_counted(notice: Notice, name: str, labels: dict[str, str], value: float) -> None:
    assert told(notice).value(name, **labels) == value
    assert told().value(name, **labels) == 0, "it is there from the start, so that the first one is an increase"


@pytest.mark.parametrize(
    "notice, outcome, answer",
    [
        (ended(Result.DELIVERED, 204), "delivered", "2xx"),
        (ended(Result.RETRY, 302), "retry", "3xx"),
        (ended(Result.RETRY, 429), "retry", "4xx"),
        (ended(Result.FAILED, 489), "failed", "4xx"),
        (ended(Result.FAILED, 503), "failed", "5xx"),
        (ended(Result.FAILED, 799), "failed", "other"),
        (ended(Result.RETRY, None), "retry", "timeout"),
        (ended(Result.FAILED, None, reason="DnsError"), "failed", "dns"),
        (ended(Result.FAILED, None, reason=FailureReason.NO_RESPONSE), "failed", "other"),
        (AttemptEnded(Outcome(ONE, Result.POSTPONED, next_at=START)), "postponed", "none"),
    ],
)
def test_attempts_are_counted_by_what_follows_and_what_was_answered(
    notice: AttemptEnded, outcome: str, answer: str
) -> None:
    counts = {
        (one.labels["outcome"], one.labels["answer"]): one.value
        for one in told(notice).samples
        if one.name == "angarium_attempts_total"
    }
    assert {labels for labels, count in counts.items() if count} == {(outcome, answer)}
    assert len(counts) <= 4 * (len(STATUSES) + len(REASONS)), "there is no end of what a destination may answer"


def test_every_reason_of_an_attempt_has_a_kind_of_answer() -> None:
    """A message whose Endpoint is gone was given up without an attempt, and the engine never lacks a reason."""
    assert set(REASONS) == {None, *FailureReason} - {FailureReason.ENDPOINT_DELETED, FailureReason.NO_RESPONSE}


@pytest.mark.parametrize(
    "held, paced",
    [
        (ONE, "no"),
        (leased(queue="orders"), "yes"),
        (leased(flow_control=FlowControl("user-1", rate=1)), "yes"),
        (leased(endpoint=LIMITED), "yes"),
    ],
)
def test_the_lag_is_of_the_first_attempt_and_says_whether_waiting_was_wished(held: Leased, paced: str) -> None:
    late = replace(held, message=replace(held.message, not_before=START - 2 * SECOND))
    seen = told(ended(Result.RETRY, held=late), ended(Result.DELIVERED, 200, held=replace(late, retried=1)))
    other = {"yes": "no", "no": "yes"}[paced]
    assert seen.value("angarium_delivery_lag_seconds_sum", paced=paced) == 2
    assert seen.value("angarium_delivery_lag_seconds_count", paced=paced) == 1
    assert seen.value("angarium_delivery_lag_seconds_count", paced=other) == 0


def test_a_message_that_starts_before_its_time_is_not_late() -> None:
    early = replace(ONE, message=replace(ONE.message, not_before=START + timedelta(microseconds=400)))
    assert told(ended(Result.DELIVERED, 200, held=early)).value("angarium_delivery_lag_seconds_sum", paced="no") == 0


def test_nothing_is_lost_when_several_threads_tell_at_once() -> None:
    metrics = Metrics()
    notices: list[Notice] = [Accepted(ONE.message, ""), ended(Result.DELIVERED, 200), RunFailed(RUN, "", "")] * 20
    start = threading.Barrier(4)

    def tell() -> None:
        start.wait()
        for _ in range(200):
            metrics.notice(notices)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = Exposition(metrics.text().decode())
    everything = 4 * 200 * 20
    assert seen.value("angarium_messages_accepted_total", source="api") == everything
    assert seen.value("angarium_attempts_total", outcome="delivered", answer="2xx") == everything
    assert seen.value("angarium_attempt_duration_seconds_count") == everything
    assert seen.value("angarium_schedule_runs_total", result="failed") == everything
