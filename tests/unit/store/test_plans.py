"""Every statement is valid, and none that runs often reads a table from end to end."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.fakes import START, FakeClock
from tests.support.stores import SECOND, accepted, delivered, failed, grant, ids, publication, retry

from angarium.domain.ports import Limits, Retention
from angarium.store import cancellation, history, open_store
from angarium.store.connection import open_writer
from angarium.store.intake import SQL as MESSAGES
from angarium.store.statements import file_names, load

# These answer with a whole table, or run on a small one; `some_messages` and `holdings` say themselves why they may.
_MAY_SCAN = {"all", "versions", "all_keys", "tenants", "kinds", "oldest_due", "some_messages", "holdings"}
_SMALL = {"sqlite_sequence", "usage", "u", "ended", "asked"}

# Parts of statements.
_FRAGMENTS = {("history", "conditions"), ("cancellation", "matching"), ("cancellation", "url")}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    connection = open_writer(Path(tmp_path_factory.mktemp("plans")) / "a.db", durable=False)
    yield connection
    connection.close()


def statements() -> list[tuple[str, str]]:
    found = []
    for file in file_names():
        for name, sql in load(file).items():
            if (file, name) in _FRAGMENTS:
                continue
            if "$matching" in sql:
                sql = cancellation.completed(name)
            if "$conditions" in sql:
                columns = history._DEAD_LETTERS if name.startswith("dead") else history._LOG
                sql = history._completed(name, "DESC", "<", **columns)
            found.append((f"{file}.{name}", sql))
    return found


def plan(connection: sqlite3.Connection, sql: str) -> list[str]:
    bare = re.sub(r"--.*|'[^']*'", "", sql)
    named = dict.fromkeys(re.findall(r":(\w+)", bare))
    parameters: dict[str, None] | list[None] = named or [None] * bare.count("?")
    return [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]


@pytest.mark.parametrize(("name", "sql"), statements(), ids=[name for name, _ in statements()])
def test_no_statement_scans_a_large_table(connection: sqlite3.Connection, name: str, sql: str) -> None:
    steps = plan(connection, sql)
    scans = [step for step in steps if step.startswith("SCAN") and "VIRTUAL TABLE" not in step]
    scanned = {step.split()[1] for step in scans if "messages_leased" not in step} - _SMALL
    # A scan of messages_leased reads only what is in flight. "(subquery" and CONSTANT are no tables.
    scanned = {table for table in scanned if not table.startswith("(") and table != "CONSTANT"}
    assert not scanned or name.split(".")[1] in _MAY_SCAN, steps


def test_a_claim_reads_waiting_messages_in_order(connection: sqlite3.Connection) -> None:
    steps = plan(connection, MESSAGES["due_of_lane"])
    assert any("INDEX messages_waiting (lane=? AND due_ms" in step for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps


def test_a_claim_finds_lanes_in_order(connection: sqlite3.Connection) -> None:
    steps = plan(connection, MESSAGES["due_lanes"])
    assert "lanes_due (due_ms<?)" in steps[0], steps
    assert not any("TEMP B-TREE" in step for step in steps), steps


async def test_a_claim_reads_no_more_of_a_backlog_than_the_lane_may_take() -> None:
    store = open_store(None, limits=Limits(), new_id=ids(), clock=FakeClock(), retention=Retention())
    await accepted(store, *(publication(f"https://old.test/{n}") for n in range(2000)))
    later = publication("https://new.test/", created_at=START + SECOND)
    await accepted(store, later)
    read: list[str] = []
    store._connection.set_trace_callback(read.append)
    claim = await store.claim(grant(50, lane_room=10), START + SECOND)
    store._connection.set_trace_callback(None)
    assert Counter(one.lane for one in claim.leased) == {"shop/old.test": 10, "shop/new.test": 1}
    assert 0 < len(_pages(read)) <= 4
    await store.close()


async def test_a_claim_looks_into_no_more_lanes_than_it_may_take_messages() -> None:
    store = open_store(None, limits=Limits(), new_id=ids(), clock=FakeClock(), retention=Retention())
    await store.accept([publication(f"https://{n}.test/") for n in range(100, 0, -1)], None)
    read: list[str] = []
    store._connection.set_trace_callback(read.append)
    claim = await store.claim(grant(10), START)
    store._connection.set_trace_callback(None)
    assert [one.message.url for one in claim.leased] == [f"https://{n}.test/" for n in range(100, 90, -1)]
    assert 0 < len(_pages(read)) <= 20
    await store.close()


def _pages(read: list[str]) -> list[str]:
    """Pages of a lane's backlog that were read."""
    return [sql for sql in read if "AND (m.due_ms, m.seq) >" in sql]


async def test_queues_flow_control_and_deduplication_cost_nothing_where_they_are_not_used() -> None:
    store = open_store(None, limits=Limits(), new_id=ids(), clock=FakeClock(), retention=Retention())
    read: list[str] = []
    store._connection.set_trace_callback(read.append)
    _, leased = await store.accept([publication(f"https://{n}.test/") for n in range(9)], grant(5))
    await store.record([delivered(leased[0]), failed(leased[1]), retry(leased[2])], START)
    await store.release(leased[3:])
    store._connection.set_trace_callback(None)
    tables = re.compile(r"\b(queues|flow_controls|deduplication|declared)\b")
    assert read and not [sql for sql in read if tables.search(sql)]
    await store.close()


def test_orphans_in_queues_are_found_without_reading_who_else_waits(connection: sqlite3.Connection) -> None:
    steps = plan(connection, load("housekeeping")["orphans"])
    assert any("INDEX messages_queued_to (namespace=? AND endpoint=?)" in step for step in steps), steps


def test_the_next_due_time_is_the_first_of_an_index(connection: sqlite3.Connection) -> None:
    steps = plan(connection, MESSAGES["next_due"])
    assert steps[0].startswith("SEARCH l USING") and "lanes_due (due_ms>?)" in steps[0], steps
    assert not any("TEMP B-TREE" in step for step in steps), steps


@pytest.mark.parametrize("name", ["log_of_messages", "dead_letters_of_messages"])
def test_history_of_messages_is_found_by_message(connection: sqlite3.Connection, name: str) -> None:
    columns = history._LOG if name.startswith("log") else history._DEAD_LETTERS
    statement = history._completed(name, "DESC", "<", **columns)
    for sql in (statement, history._sizes(statement)):
        (step,) = (step for step in plan(connection, sql) if step.startswith("SEARCH l"))
        assert step.endswith("(message=?)"), step


@pytest.mark.parametrize(("name", "index"), [("log", "log_time"), ("dead_letters", "dead_letters_time")])
@pytest.mark.parametrize("order", [("DESC", "<"), ("ASC", ">")], ids=str)
def test_a_page_of_history_is_read_in_order(
    connection: sqlite3.Connection, name: str, index: str, order: tuple[str, str]
) -> None:
    columns = history._LOG if name == "log" else history._DEAD_LETTERS
    steps = plan(connection, history._completed(name, *order, **columns))
    assert steps[0].startswith(f"SEARCH l USING INDEX {index} (namespace=? AND"), steps
    assert not any("TEMP B-TREE" in step or "MATERIALIZE" in step for step in steps), steps


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("housekeeping.tombstones", "declared_deleted (deleted_ms>? AND deleted_ms<?)"),
        ("housekeeping.old_log", "log_time (namespace=? AND time_ms<?)"),
        ("housekeeping.old_dead_letters", "dead_letters_time (namespace=? AND created_ms<?)"),
        ("housekeeping.aged", "messages_aging (aging_ms<?)"),
        ("housekeeping.left_runs", "runs_left (listed=?)"),
        ("housekeeping.messages_of_runs", "messages_run (run=?)"),
        ("deduplication.purge", "deduplication_expires (expires_ms<?)"),
        ("flow_control.longest_unused", "flow_controls_used (used_ms<?)"),
        ("queues.held_too_long", "messages_holding (finished_ms<?)"),
        ("remains.spare_messages", "messages_source (source=?)"),
        ("tenant.some_log", "log_time (namespace=?)"),
        ("tenant.some_dead_letters", "dead_letters_time (namespace=?)"),
        ("tenant.some_runs", "runs_namespace (namespace=?)"),
    ],
)
def test_housekeeping_finds_what_goes_by_an_index_and_sorts_nothing(
    connection: sqlite3.Connection, statement: str, index: str
) -> None:
    file, name = statement.split(".")
    steps = plan(connection, load(file)[name])
    assert any(f"INDEX {index}" in step for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps
