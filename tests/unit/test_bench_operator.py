"""What `make bench-operator` makes of what it measures; the measuring itself is no test."""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.bench.arrivals import taken
from tests.bench.figures import as_json, markdown_table, text_table
from tests.bench.operator import churn
from tests.bench.operator.cluster import objects
from tests.bench.operator.instance import ResyncNote
from tests.bench.operator.pace import Answer, Publisher
from tests.bench.operator.program import VARIANTS, changed
from tests.bench.operator.scenarios.churn import latency_ms
from tests.bench.operator.scenarios.resync import LISTED, LOOK_S, parted
from tests.bench.operator.targets import ROWS
from tests.bench.result import Result
from tests.bench.rig import Notes
from tests.bench.targets import NOT_REACHED, OTHERS, REACHED
from tests.bench.waiting import BenchError
from tests.support.cluster import ROOT

from angarium.kube import watch

STALL_S = 0.3


def test_rows_are_told_apart_and_every_target_is_within_its_aim() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS)
    assert all(row.aim is None for row in ROWS)


def test_the_tables_are_those_of_these_rows_and_compare_with_nobody() -> None:
    figures = {"start.ready": [3.0, 16.0, 2.0], "start.written": [76.0], "sustained.rate": [1.0]}
    lines = markdown_table(figures, ROWS).splitlines()
    assert len(lines) == len(text_table(figures, ROWS).splitlines()) + 1 == 4
    assert not any(other in lines[0] for other in OTHERS)
    assert [line.count(" | ") for line in lines] == [lines[0].count(" | ")] * 4
    assert [one["verdict"] for one in as_json(figures, ROWS)] == [REACHED, NOT_REACHED]


def test_the_cluster_has_what_the_targets_are_for() -> None:
    documents = list(objects(5000))
    assert Counter(one["kind"] for one in documents) == {"Schedule": 5000, "Endpoint": 500, "Topic": 100}
    assert len({(one["kind"], one["metadata"]["name"]) for one in documents}) == len(documents)
    assert len(churn.documents()) == churn.OBJECTS


def test_every_variant_differs_from_the_settings_as_shipped() -> None:
    for changes in VARIANTS.values():
        shipped, settings = watch._settings(), changed(watch._settings, changes)
        for name, value in changes.items():
            area, _, field = name.partition(".")
            assert getattr(getattr(settings, area), field) == value != getattr(getattr(shipped, area), field)


def test_a_publish_is_counted_to_the_part_in_which_it_was_due() -> None:
    resyncs = [ResyncNote(10.0, 11.0, 0.5), ResyncNote(20.0, 21.0, 0.5)]
    answers = [Answer(due, due) for due in (9.9, 10.0, 10.5, 11.5, 11.0 + LOOK_S + 0.1, 20.5, 30.0)]
    during, after, between = parted(answers, resyncs)
    assert (during, after, between) == ([10.0, 10.5, 20.5], [11.5], [9.9, 11.0 + LOOK_S + 0.1, 30.0])


def test_the_size_of_lists_is_read_of_our_kinds_alone() -> None:
    lines = [
        'apiserver_response_sizes_sum{group="angarium.dev",resource="schedules",scope="cluster",verb="LIST"} 1.5e+06',
        'apiserver_response_sizes_sum{group="angarium.dev",resource="topics",scope="cluster",verb="LIST"} 3',
        'apiserver_response_sizes_sum{group="angarium.dev",resource="topics",scope="resource",verb="GET"} 5',
        'apiserver_response_sizes_sum{group="",resource="secrets",scope="cluster",verb="LIST"} 7',
    ]
    assert sum(map(float, LISTED.findall("\n".join(lines)))) == 1_500_003


def test_how_long_a_request_took_is_read_from_the_audit_log() -> None:
    entry = {
        "requestReceivedTimestamp": "2026-03-01T12:00:00.500000Z",
        "stageTimestamp": "2026-03-01T12:00:00.512500Z",
    }
    assert latency_ms(entry) == 12.5


class Answering(asyncio.Protocol):
    """Answers each request; the first one of all late."""

    late = True

    def __init__(self, head: bytes) -> None:
        self._answer = head + b"\r\nContent-Length: 2\r\n\r\n{}"
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (split := taken(self._buffer)) is not None:
            _, _, self._buffer = split
            delay_s, Answering.late = STALL_S if Answering.late else 0.0, False
            asyncio.get_running_loop().call_later(delay_s, self._transport.write, self._answer)


@asynccontextmanager
async def answering(head: bytes) -> AsyncIterator[int]:
    Answering.late = True
    server = await asyncio.get_running_loop().create_server(lambda: Answering(head), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_the_rate_is_kept_and_the_delay_counts_from_when_a_publish_was_due() -> None:
    async with answering(b"HTTP/1.1 201 Created") as port:
        began = time.monotonic()
        answers = await Publisher("/v2/publish/x", [], rate=200, seconds=1.0).run(port)
    assert len(answers) == 200
    assert sorted(answer.due - began for answer in answers)[-1] >= 0.99
    assert max(answer.delay_ms for answer in answers) >= STALL_S * 1e3


async def test_a_refused_publish_ends_the_measurement() -> None:
    async with answering(b"HTTP/1.1 503 Service Unavailable") as port:
        with pytest.raises(BenchError, match="503"):
            await Publisher("/v2/publish/x", [], rate=200, seconds=1.0).run(port)


def test_a_scenario_that_fails_does_not_take_the_figures_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes, result = Notes(tmp_path, ROWS), Result("make bench-operator", ROWS, {}, {})

    def lost(_: Notes) -> None:
        raise BenchError("a message was lost")

    def broken(_: Notes) -> None:
        raise ValueError("no such thing")

    scenarios = {"lost": lost, "broken": broken, "idle": lambda notes: notes.add("idle.writes", 0)}
    result.run(scenarios, notes)
    assert result.tell(notes.figures, tmp_path / "build" / "result.json", markdown=True) == 1
    told = json.loads((tmp_path / "build" / "result.json").read_text())
    assert told["failed"] == ["lost: a message was lost", "broken: ValueError('no such thing')"]
    assert [figure["key"] for figure in told["figures"]] == ["idle.writes"]
    assert "make bench-operator: lost: a message was lost" in capsys.readouterr().err


def test_an_unknown_scenario_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.operator", "strat"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "strat" in done.stderr.splitlines()[-1]
    assert "start, idle" in done.stderr.splitlines()[-1]
