"""Metrics and log lines. Metric names follow the Prometheus conventions; log lines are JSON with an `action` key."""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from angarium.domain.declarations import Kind
from angarium.domain.destinations import without_secrets
from angarium.domain.messages import Outcome, Result
from angarium.domain.notices import (
    Accepted,
    AttemptEnded,
    EndpointOrphansFailed,
    MembersMissing,
    Notice,
    RunFailed,
    RunStarted,
)
from angarium.domain.notices import SlotsSkipped as Skipped
from angarium.domain.views import Backlog

LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)

Figures = Callable[[], Mapping[str, float]]


class Metrics:
    """Implements `domain.notices.Observer`. Gauges are read when somebody scrapes, from the callables handed in."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._accepted = self._counter("messages_accepted", "Messages stored.")
        self._missing = self._counter("topic_members_missing", "Members left out because their Endpoint is missing.")
        self._attempts = self._counter("attempts", "Attempts by outcome (delivered, retry …).", "outcome")
        self._runs = self._counter("schedule_runs", "Runs of Schedules: started, failed.", "result")
        self._skipped = self._counter("schedule_slots_skipped", "Slots that will never run.", "reason")
        self._orphans = self._counter("orphans_failed", "Messages given up because their Endpoint was deleted.")
        self._duration = Histogram(
            "angarium_attempt_duration_seconds", "Length of attempts.", registry=self._registry, buckets=LAG_BUCKETS
        )
        self._lag = Histogram(
            "angarium_schedule_lag_seconds",
            "From a slot's time to its messages being stored.",
            registry=self._registry,
            buckets=LAG_BUCKETS,
        )

        self._waiting = self._gauge("messages_waiting", "Messages that wait for their first or next attempt.")
        self._dead_letters = self._gauge("dead_letters", "Messages in the dead letter queue.")
        self._next_due = self._gauge(
            "next_due_timestamp_seconds", "When the first of the waiting messages is due; 0 if none waits."
        )
        self._declared = self._gauge("declared_objects", "Declared objects by kind.", "kind")

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"angarium_{name}", text, labels, registry=self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"angarium_{name}", text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A figure that is read at each scrape."""
        Gauge(f"angarium_{name}", text, registry=self._registry).set_function(read)

    def counters(self, texts: Mapping[str, str], read: Figures) -> None:
        """Counts that somebody else keeps: `read` gives them by name."""
        self._registry.register(_Read(texts, read))

    def show(self, backlog: Backlog) -> None:
        """What the store holds now."""
        self._waiting.set(backlog.waiting)
        self._dead_letters.set(backlog.dead_letters)
        self._next_due.set(backlog.oldest_due.timestamp() if backlog.oldest_due else 0)
        for kind in Kind:
            self._declared.labels(kind.value).set(backlog.by_kind.get(kind.value, 0))

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)

    def notice(self, notices: list[Notice]) -> None:
        for notice in notices:
            match notice:
                case Accepted():
                    self._accepted.inc()
                case MembersMissing(endpoints=endpoints):
                    self._missing.inc(len(endpoints))
                case AttemptEnded(outcome):
                    self._attempt(outcome)
                case RunStarted(lag_s=lag_s):
                    self._runs.labels("started").inc()
                    self._lag.observe(max(0.0, lag_s))
                case RunFailed():
                    self._runs.labels("failed").inc()
                case Skipped(count=count, reason=reason):
                    self._skipped.labels(reason.lower()).inc(count)
                case EndpointOrphansFailed(message_ids=message_ids):
                    self._orphans.inc(len(message_ids))

    def _attempt(self, outcome: Outcome) -> None:
        self._attempts.labels(outcome.result.value.lower()).inc()
        if outcome.attempt is not None:
            self._duration.observe(outcome.attempt.duration.total_seconds())


class _Read(Collector):
    def __init__(self, texts: Mapping[str, str], read: Figures) -> None:
        self._texts = texts
        self._read = read

    def collect(self) -> Iterable[Metric]:
        figures = self._read()
        for name, text in self._texts.items():
            yield CounterMetricFamily(f"angarium_{name}", text, value=figures.get(name, 0))


class AttemptLog:
    """Implements `domain.notices.Observer`: a log line for what somebody may look for by message id."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("angarium.delivery")

    def notice(self, notices: list[Notice]) -> None:
        if not self._logger.isEnabledFor(logging.INFO):
            return
        for notice in notices:
            if isinstance(notice, AttemptEnded) and notice.outcome.result is not Result.DELIVERED:
                self._line(notice.outcome)

    def _line(self, outcome: Outcome) -> None:
        attempt, message = outcome.attempt, outcome.leased.message
        fields: dict[str, Any] = {
            "action": f"attempt.{outcome.result.value.lower()}",
            "message_id": message.id,
            "namespace": message.namespace,
        }
        if attempt is not None:
            fields |= {"url": without_secrets(attempt.url), "attempt": attempt.number, "error": attempt.error or None}
            fields["status"] = attempt.response.status if attempt.response else None
        self._logger.info("%s of message %s", outcome.result.value, message.id, extra={"fields": fields})


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in getattr(record, "fields", {}).items() if value is not None}
        line.setdefault("action", record.name.rpartition(".")[2])
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up_logging(form: str, level: str) -> None:
    """Log lines go to standard error; Kopf and the HTTP libraries speak only of warnings."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S")
    text.converter = time.gmtime
    handler.setFormatter(JsonLines() if form == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("kopf", "aiohttp", "asyncio", "kubernetes"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # "OS signals are ignored", as intended
