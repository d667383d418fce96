"""What `make bench` makes of what it measures; the measuring itself is no test."""

import subprocess
import sys
import time
from collections.abc import Sequence

import pytest
from tests.bench.arrivals import taken
from tests.bench.figures import as_json, markdown_table, percentile, text_table
from tests.bench.load import BODY, MARK, SCRIPT, figures_in
from tests.bench.scenarios import flow_control
from tests.bench.sink import requests_in
from tests.bench.targets import AIM_REACHED, NOT_REACHED, OTHERS, REACHED, ROWS, Row
from tests.bench.waiting import BenchError, wait_for
from tests.support import processes
from tests.support.cluster import ROOT
from tests.support.processes import Memory, Peak
from tests.support.windows import most_in_a_window

STATUS = (
    "HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\nActive connections: 66 \nserver accepts handled requests\n 67 67 40961 \n"
)
FIGURES = (
    '{"requests": 1234, "seconds": 2.01, "p50_ms": 9.5, "p99_ms": 20.25, '
    '"connect": 0, "read": 0, "write": 0, "status": %d, "timeout": 0}'
)
MORE = Row("more", "rate", "/s", must=5000, aim=8000, others=("1", "2", "3"))
LESS = Row("less", "latency", "ms", must=8, aim=5, less=True, digits=1)


@pytest.mark.parametrize(
    "values, percent, expected",
    [
        (range(1, 101), 50, 50),
        (range(1, 101), 99, 99),
        (range(1, 101), 100, 100),
        (range(1, 1001), 99, 990),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([3.0, 1.0, 2.0], 99, 3.0),
        ([7.0], 1, 7.0),
    ],
)
def test_a_percentile_is_a_measured_value(values: Sequence[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@pytest.mark.parametrize(
    "row, value, verdict",
    [
        (MORE, 4999.9, NOT_REACHED),
        (MORE, 5000, REACHED),
        (MORE, 7999.9, REACHED),
        (MORE, 8000, AIM_REACHED),
        (LESS, 8.1, NOT_REACHED),
        (LESS, 8, REACHED),
        (LESS, 5, AIM_REACHED),
        (Row("must only", "", "", must=90), 1000, REACHED),
        (Row("none", "", ""), 0, ""),
    ],
)
def test_a_verdict_knows_which_way_is_better(row: Row, value: float, verdict: str) -> None:
    assert row.verdict(value) == verdict


def test_a_limit_that_must_never_be_passed_is_judged_by_the_worst_round() -> None:
    never = Row("never", "", "", must=100, less=True, always=True)
    assert (never.figure([100, 140, 100]), MORE.figure([1, 9, 2]), LESS.figure([1, 9, 2])) == (140, 2, 2)


def test_rows_are_told_apart_and_every_target_is_within_its_aim() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert len(row.others) in (0, len(OTHERS))
        if row.aim is not None:
            assert row.must is not None
            assert (row.aim < row.must) == row.less


def test_what_wrk_prints_is_read() -> None:
    output = f"Running 2s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n{MARK}{FIGURES % 0}\n"
    load = figures_in(output, began=5.0)
    assert (load.began, load.accepted, load.seconds, load.p50_ms, load.p99_ms) == (5.0, 1234, 2.01, 9.5, 20.25)


def test_a_refused_publish_ends_the_measurement() -> None:
    with pytest.raises(BenchError, match=r"'status': 7.* of 1234 requests"):
        figures_in(MARK + FIGURES % 7)
    with pytest.raises(BenchError, match="no figures: unable to connect"):
        figures_in("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_the_script_prints_what_is_read() -> None:
    assert f"'{MARK}{{" in SCRIPT.read_text()
    assert len(BODY) == 256


def test_the_sink_counts_requests_not_connections() -> None:
    assert requests_in(STATUS) == 40961


def test_requests_are_taken_apart_wherever_the_network_cuts_them() -> None:
    first = b"POST /a HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\n\r\nhello"
    second = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    for cut in range(len(first)):
        assert taken(first[:cut]) is None
    assert taken(first + second[:9]) == ("/a", b"hello", second[:9])
    assert taken(second) == ("/b", b"", b"")


def test_a_window_begins_with_the_first_start_after_the_one_before() -> None:
    assert most_in_a_window([0.0, 0.5, 1.0, 1.1, 1.2, 1.5, 1.99, 2.0], 1.0) == 5
    assert most_in_a_window([3.0, 0.9, 0.0, 1.8], 1.0) == 2


def test_the_first_window_of_a_flow_control_key_is_no_part_of_the_rate() -> None:
    times = [float(window) for window in range(3) for _ in range(len(flow_control.KEYS) * flow_control.RATE)]
    arrivals = [flow_control.Arrival(at, flow_control.KEYS[0], b"") for at in times]
    assert flow_control.sustained_rate(arrivals) == len(flow_control.KEYS) * flow_control.RATE


def test_the_tables_show_medians_rounds_and_verdicts() -> None:
    figures = {"sustained.rate": [5100.0, 4900.0, 8200.0], "latency.p99": [9.0]}
    text = text_table(figures).splitlines()
    assert len(text) == 3
    for part in ("publish → delivered, sustained", "5,100 /s", "5,100 4,900 8,200", "≥ 5,000", "≥ 8,000", REACHED):
        assert part in text[1]
    assert text[2].endswith(NOT_REACHED)
    heading, rule, first, second = (line.split(" | ") for line in markdown_table(figures).splitlines())
    assert len(heading) == len(rule) == len(first) == len(second)
    assert "1,664–2,182" in first
    assert as_json(figures)[0]["rounds"] == [5100.0, 4900.0, 8200.0]
    assert [one["verdict"] for one in as_json(figures)] == [REACHED, NOT_REACHED]


def test_the_cost_of_a_program_includes_what_it_started() -> None:
    burn = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    script = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])\n"
        "child = subprocess.Popen([sys.executable, '-c', 'print(1, flush=True); input()'], stdin=subprocess.PIPE)\n"
        "input()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"1\n", "the child is there"
        main, child = processes.tree(program.pid)
        assert main.pid == program.pid and child.exists
        assert processes.cpu_s(program.pid) >= 0.3 - 0.02, "a child that has ended counts too"
        both, alone = processes.memory(program.pid), processes.kib_of(program.pid, "smaps_rollup", "Rss")[0] / 1024
        assert both.rss > alone > 0
        assert 0 < both.pss <= both.rss
        with Peak(program.pid) as peak:
            pass
        assert peak.memory.rss >= alone
        program.communicate(b"\n")
    assert processes.memory(program.pid) == Memory()


def test_it_says_in_one_line_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench"],
        cwd=ROOT,
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "apt-get install wrk" in line


def test_an_unknown_scenario_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "sustaned"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "sustaned" in done.stderr.splitlines()[-1]
    assert "sustained, latency" in done.stderr.splitlines()[-1]


def test_waiting_for_what_never_comes_ends_in_words() -> None:
    began = time.monotonic()
    with pytest.raises(BenchError, match=r"messages did not arrive within 0.02 s"):
        wait_for(lambda: False, 0.02, "messages did not arrive")
    assert time.monotonic() - began >= 0.02
