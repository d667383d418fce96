"""What the parts tell about themselves when somebody scrapes, with names and texts. App and the plane hand them in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import Metric

from angarium.domain.declarations import Kind
from angarium.domain.figures import StoreFigures, Turn
from angarium.domain.views import Backlog
from angarium.telemetry.families import counter, counters, gauge, gauges, histogram


@dataclass(frozen=True, slots=True)
class Load:
    """What the dispatcher holds, and the most it may."""

    messages: int
    messages_limit: int
    bytes: int
    bytes_limit: int


def build_family(version: str) -> Iterator[Metric]:
    yield gauges("build_info", "The version that runs; the value is always 1.", ("version",), {(version,): 1})


def backlog_families(backlog: Backlog, now: datetime) -> Iterator[Metric]:
    """What the store holds, of all namespaces."""
    yield gauge(
        "messages_waiting",
        "Messages that wait for their first or next attempt, due or not.",
        backlog.waiting,
    )
    yield gauge(
        "messages_delivering",
        "Messages that are leased for an attempt, as the store has it.",
        backlog.delivering,
    )
    yield gauge("dead_letters", "Messages in the dead letter queue.", backlog.dead_letters)
    yield gauge(
        "next_due_timestamp_seconds",
        "When the first of the waiting messages is due; 0 if none waits. Those behind others in a queue do not count.",
        backlog.oldest_due.timestamp() if backlog.oldest_due else 0,
    )
    since = backlog.oldest_claimable
    yield gauge(
        "oldest_due_age_seconds",
        "How long the oldest message has been due that nothing holds back; 0 if there is none. "
        "Suspended or missing Endpoints, flow control and places in queues hold back.",
        max(0.0, (now - since).total_seconds()) if since else 0,
    )
    yield gauges(
        "declared_objects",
        "Objects that resources, manifests or the API have made, by kind.",
        ("kind",),
        {(kind.value,): backlog.by_kind.get(kind.value, 0) for kind in Kind},
    )


def load_families(load: Load) -> Iterator[Metric]:
    yield gauge(
        "messages_in_flight",
        "Messages in memory: being attempted, waiting for their lane, or being recorded.",
        load.messages,
    )
    yield gauge("messages_in_flight_limit", "The most messages in memory (--in-flight).", load.messages_limit)
    yield gauge("in_flight_bytes", "Bytes of the bodies of the messages in memory.", load.bytes)
    yield gauge("in_flight_limit_bytes", "The most bytes of bodies in memory (--in-flight-bytes).", load.bytes_limit)


def refusal_family(refused: Mapping[int, int]) -> Iterator[Metric]:
    yield counters(
        "publishes_refused",
        "Publishes that were answered with an error, by its status. Each element of a batch counts.",
        ("status",),
        {(str(status),): count for status, count in refused.items()},
    )


def store_families(figures: StoreFigures) -> Iterator[Metric]:
    writer = figures.writer
    yield histogram(
        "store_turn_seconds",
        "How long one transaction of the writer took, from its first operation until all of it was on disk.",
        writer.turn,
    )
    yield histogram(
        "store_commit_seconds",
        "How long the commit at the end of a transaction took: that is the disk.",
        writer.commit,
    )
    yield histogram(
        "store_commit_operations",
        "How many operations one transaction had.",
        writer.operations,
    )
    yield counter(
        "store_failures",
        "Transactions of which the database could not do all, so that some or all of it is not stored.",
        writer.failures,
    )
    yield gauge("store_operations_waiting", "Operations that wait for the writer.", figures.waiting)
    yield gauge("store_file_bytes", "Size of the database file.", figures.file)
    yield gauge("store_wal_bytes", "Size of the write-ahead log beside the database file.", figures.wal)
    yield gauge("store_free_bytes", "Room left on the volume of the database file.", figures.free)


def loop_families(turns: Mapping[str, Turn]) -> Iterator[Metric]:
    yield gauges(
        "loop_age_seconds",
        "How long ago each supervised loop last turned; for the store, how long its present transaction has lasted.",
        ("loop",),
        {(name,): turn.age_s for name, turn in turns.items()},
    )
    yield gauges(
        "loop_limit_seconds",
        "How long each loop may take for a turn: beyond that, /livez is red.",
        ("loop",),
        {(name,): turn.limit_s for name, turn in turns.items()},
    )


def operator_families(up: bool, figures: Mapping[str, int]) -> Iterator[Metric]:
    yield gauge("operator_up", "Whether declarations get through: 1 or 0.", float(up))
    for name, text in {
        "resyncs": "Complete lists of all objects that were compared with the store.",
        "status_writes": "Statuses that were sent to the API server.",
        "reconcile_errors": "Objects that could not be brought into the store, counted at each try.",
    }.items():
        yield counter(name, text, figures.get(name, 0))
