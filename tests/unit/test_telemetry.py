"""Metrics and log lines, made of what the delivery plane tells."""

import json
import logging
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.fakes import START
from tests.support.stores import attempt, publication

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.fanout import expand
from angarium.domain.messages import Leased, Outcome, Response, Result, Run, Trigger
from angarium.domain.notices import (
    Accepted,
    AttemptEnded,
    EndpointOrphansFailed,
    MembersMissing,
    Notice,
    RunFailed,
    RunStarted,
    SlotsSkipped,
)
from angarium.domain.views import Backlog
from angarium.telemetry import AttemptLog, JsonLines, Metrics

SCHEDULE = ObjectRef(Kind.SCHEDULE, "shop", "report")
RUN = Run("run_1", SCHEDULE, "uid", START, Trigger.SLOT)
(MESSAGE,) = expand(publication(), None, lambda _: "msg_1").messages  # type: ignore[arg-type]


def ended(result: Result, status: int | None = 500) -> AttemptEnded:
    return AttemptEnded(Outcome(Leased(MESSAGE, 0, 1, "lane"), result, attempt(1, status)))


def figures(metrics: Metrics) -> dict[str, float]:
    """Samples by name and label values."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
        if "bucket" not in sample.name
    }


@pytest.mark.parametrize(
    "notice, sample, value",
    [
        (Accepted(MESSAGE, "https://e.test/"), "angarium_messages_accepted_total", 1),
        (MembersMissing("shop", "orders", ("audit", "billing")), "angarium_topic_members_missing_total", 2),
        (ended(Result.DELIVERED, 200), "angarium_attempts_total delivered", 1),
        (ended(Result.FAILED), "angarium_attempts_total failed", 1),
        (ended(Result.FAILED), "angarium_attempt_duration_seconds_count", 1),
        (RunStarted(RUN, ("msg_1",), 0.25), "angarium_schedule_lag_seconds_sum", 0.25),
        (RunFailed(RUN, "RefNotFound", "gone"), "angarium_schedule_runs_total failed", 1),
        (SlotsSkipped(SCHEDULE, 3, "Missed"), "angarium_schedule_slots_skipped_total missed", 3),
        (EndpointOrphansFailed(SCHEDULE, ("a", "b")), "angarium_orphans_failed_total", 2),
    ],
)
def test_what_happens_is_counted(notice: Notice, sample: str, value: float) -> None:
    metrics = Metrics()
    metrics.notice([notice])
    assert figures(metrics)[sample] == value


def test_what_the_store_holds_is_shown() -> None:
    metrics = Metrics()
    metrics.show(Backlog(waiting=3, dead_letters=2, oldest_due=START, by_kind={"Endpoint": 4}))
    shown = figures(metrics)
    assert (shown["angarium_messages_waiting"], shown["angarium_dead_letters"]) == (3, 2)
    assert shown["angarium_next_due_timestamp_seconds"] == START.timestamp()
    assert (shown["angarium_declared_objects Endpoint"], shown["angarium_declared_objects Topic"]) == (4, 0)
    metrics.show(Backlog())
    assert figures(metrics)["angarium_next_due_timestamp_seconds"] == 0


def test_figures_of_others_are_read_at_each_scrape() -> None:
    metrics, held = Metrics(), {"resyncs": 1.0}
    metrics.gauge("up", "Up.", lambda: held["resyncs"])
    metrics.counters({"resyncs": "Lists."}, lambda: held)
    held["resyncs"] = 2.0
    assert figures(metrics)["angarium_up"] == 2
    assert figures(metrics)["angarium_resyncs_total"] == 2


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "angarium.delivery")
    return caplog


def test_a_failed_attempt_is_a_line_without_headers_bodies_and_passwords(lines: pytest.LogCaptureFixture) -> None:
    response = Response(500, (("X-Secret", "hunter2"),), b"hunter2")
    failed = replace(attempt(1, 500, url="https://me:hunter2@a.test/in?key=hunter2"), response=response)
    told = Outcome(Leased(MESSAGE, 0, 1, "lane"), Result.RETRY, failed, START)
    AttemptLog().notice([AttemptEnded(told), ended(Result.DELIVERED, 200)])
    (record,) = lines.records
    text = JsonLines().format(record)
    line = json.loads(text)
    assert (line["action"], line["message_id"], line["namespace"]) == ("attempt.retry", "msg_1", MESSAGE.namespace)
    assert (line["status"], line["attempt"], line["url"]) == (500, 1, "https://a.test/in?...")
    assert "hunter2" not in text


def test_an_exception_is_part_of_its_line() -> None:
    try:
        raise ValueError("no such thing")
    except ValueError:
        record = logging.LogRecord("angarium.kube", logging.ERROR, "", 0, "it failed", (), sys.exc_info())
    line = json.loads(JsonLines().format(record))
    assert (line["level"], line["action"]) == ("error", "kube")
    assert "no such thing" in line["exception"]


def test_a_negative_lag_counts_as_none() -> None:
    metrics = Metrics()
    metrics.notice([RunStarted(RUN, ("msg_1",), -timedelta(seconds=1).total_seconds())])
    assert figures(metrics)["angarium_schedule_lag_seconds_sum"] == 0
