"""Figures of all parts in one exposition."""

import subprocess
import sys
from datetime import timedelta

import pytest
from tests.support.exposition import Exposition
from tests.support.fakes import START
from tests.support.stores import SECOND

from angarium.domain.figures import Histogram, StoreFigures, Turn, WriterFigures
from angarium.domain.views import Backlog
from angarium.telemetry import Metrics, processes, sources


def shown(metrics: Metrics) -> Exposition:
    return Exposition(metrics.text().decode())


def test_a_value_equal_to_a_bound_belongs_to_it() -> None:
    histogram = Histogram((1, 10))
    for value in (0.5, 1, 1.5, 10, 11):
        histogram.observe(value)
    assert (histogram.counts, histogram.total) == ([2, 2, 1], 24)


def test_what_the_store_holds_is_shown() -> None:
    metrics = Metrics()
    metrics.show(
        Backlog(waiting=3, delivering=1, dead_letters=2, oldest_due=START, by_kind={"Endpoint": 4}), START + SECOND
    )
    seen = shown(metrics)
    assert seen.value("angarium_messages_waiting") == 3
    assert seen.value("angarium_messages_delivering") == 1
    assert seen.value("angarium_dead_letters") == 2
    assert seen.value("angarium_next_due_timestamp_seconds") == START.timestamp()
    assert seen.value("angarium_oldest_due_age_seconds") == 0, "it is due, and held back"
    assert seen.value("angarium_declared_objects", kind="Endpoint") == 4
    assert seen.value("angarium_declared_objects", kind="Topic") == 0
    metrics.show(Backlog(), START)
    assert shown(metrics).value("angarium_next_due_timestamp_seconds") == 0


@pytest.mark.parametrize(("since", "age_s"), [(START - 90 * SECOND, 90), (START + timedelta(hours=1), 0), (None, 0)])
def test_the_age_of_the_oldest_due_message_is_never_negative(since: object, age_s: float) -> None:
    metrics = Metrics()
    metrics.show(Backlog(oldest_claimable=since), START)  # type: ignore[arg-type]
    assert shown(metrics).value("angarium_oldest_due_age_seconds") == age_s


def test_figures_of_others_are_read_at_each_scrape() -> None:
    metrics, turns, refused = Metrics(), {"scheduler": Turn(2, 60)}, {429: 1}
    metrics.watch(lambda: turns)
    metrics.watch(lambda: {"store": Turn(0.5, 60)})
    metrics.add(lambda: sources.refusal_family(refused))
    assert shown(metrics).value("angarium_loop_age_seconds", loop="scheduler") == 2
    turns["scheduler"], refused[429] = Turn(3, 60), 2
    seen = shown(metrics)
    assert seen.value("angarium_loop_age_seconds", loop="scheduler") == 3
    assert seen.value("angarium_loop_limit_seconds", loop="store") == 60
    assert seen.value("angarium_publishes_refused_total", status="429") == 2


def test_the_writers_work_is_shown() -> None:
    writer = WriterFigures()
    writer.turn.observe(0.004)
    writer.commit.observe(0.002)
    writer.operations.observe(7)
    writer.failures = 1
    metrics = Metrics()
    metrics.add(lambda: sources.store_families(StoreFigures(writer, waiting=5, file=4096, wal=8192, free=2**30)))
    seen = shown(metrics)
    assert seen.value("angarium_store_turn_seconds_bucket", le="0.005") == 1
    assert seen.value("angarium_store_commit_seconds_sum") == 0.002
    assert seen.value("angarium_store_commit_operations_bucket", le="5.0") == 0
    assert seen.value("angarium_store_commit_operations_bucket", le="10.0") == 1
    assert seen.value("angarium_store_failures_total") == 1
    assert seen.value("angarium_store_operations_waiting") == 5
    sizes = [seen.value(f"angarium_store_{what}_bytes") for what in ("file", "wal", "free")]
    assert sizes == [4096, 8192, 2**30]


def test_the_process_itself_is_shown() -> None:
    names = {sample.name for sample in shown(Metrics()).samples}
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "python_info"} <= names


def test_child_processes_are_counted_with_their_memory_while_they_live() -> None:
    assert shown(Metrics()).value("angarium_child_processes") == len(processes.children())
    before = shown(Metrics())
    code = "import sys; block = bytearray(32 * 2**20); print('up', flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    during = shown(Metrics())
    assert child.pid in processes.children()
    assert during.value("angarium_child_processes") == before.value("angarium_child_processes") + 1
    name = "angarium_child_processes_resident_memory_bytes"
    assert during.value(name) - before.value(name) > 32 * 2**20
    child.communicate()
    assert child.pid not in processes.children()
    name = "angarium_child_processes_cpu_seconds_total"
    assert shown(Metrics()).value(name) >= during.value(name) >= before.value(name), "who has ended still counts"


def test_no_metric_is_told_twice_and_every_text_is_a_sentence() -> None:
    metrics = Metrics()
    metrics.show(Backlog(), START)
    metrics.add(lambda: sources.build_family("1.2.3"))
    metrics.add(lambda: sources.operator_families(True, {"resyncs": 1}))
    text = metrics.text().decode()
    typed = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(typed) == len(set(typed))
    seen = Exposition(text)
    assert seen.value("angarium_build_info", version="1.2.3") == 1
    for family in seen.families.values():
        if family.name.startswith("angarium_"):
            assert family.text[0].isupper() and family.text.endswith("."), family
