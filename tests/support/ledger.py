"""What a database says of runs, read with SQL of the tests' own: the product's code is not asked what it did.

A database whose program was killed is read from a copy: whoever opens it tidies it, and the program has to find it as
the kill has left it.
"""

import shutil
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"
TERMINAL = ("Delivered", "Failed", "Canceled")
RUNS = (
    "SELECT seq, id, schedule, schedule_uid AS uid, number, slot_ms, trigger, run_now, reason FROM runs ORDER BY number"
)
MESSAGES = """
SELECT id, run, state, schedule, endpoint_name, retried, source,
    (SELECT coalesce(max(number), 0) FROM attempts WHERE message = messages.seq) AS attempts
FROM messages ORDER BY seq"""
SCHEDULES = "SELECT * FROM schedules"
DECLARED = "SELECT kind, name, uid, generation FROM declared WHERE deleted_ms IS NULL"
ENDPOINTS = "SELECT name, uid, failures, message_id, number, status FROM endpoint_stats"


@dataclass(frozen=True, slots=True)
class Message:
    """`member` is the name in a Topic, `source` the message that a callback reports on."""

    id: str
    state: str
    member: str
    attempts: int
    source: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """`asked` is the value of run-now that it obeys, `made` when it was decided on."""

    schedule: str
    uid: str
    slot: datetime
    asked: str | None
    trigger: str
    reason: str
    made: datetime
    messages: tuple[Message, ...]

    @property
    def key(self) -> tuple[str, str]:
        """What there is one run of: a slot of an object, or a value of run-now."""
        return self.uid, f"asked for by {self.asked}" if self.trigger == "Manual" else self.slot.isoformat()

    @property
    def active(self) -> bool:
        return any(message.state not in TERMINAL for message in self.messages)

    @property
    def state(self) -> str:
        """By the rule of the Schedule resource."""
        states = {message.state for message in self.messages}
        for state in ("Retrying", "Delivering", "Waiting", "Failed"):
            if state in states:
                return state
        if not states:
            return "Failed"
        return "Delivered" if "Delivered" in states else "Canceled"


@dataclass(frozen=True, slots=True)
class Ledger:
    """One reading. `schedules` and `endpoints` are rows by name, `declared` (uid, generation) by kind and name."""

    runs: tuple[Run, ...]
    messages: Mapping[str, Message]
    schedules: Mapping[str, sqlite3.Row]
    endpoints: Mapping[str, sqlite3.Row]
    declared: Mapping[tuple[str, str], tuple[str, int]]

    def of(self, name: str, uid: str | None = None) -> list[Run]:
        """The runs of a Schedule (of this object), oldest first."""
        return [run for run in self.runs if run.schedule == name and uid in (None, run.uid)]

    def under_way(self) -> list[Message]:
        return [message for message in self.messages.values() if message.state not in TERMINAL]

    def faults(self) -> Iterator[str]:
        """What may not be, at no instant: two runs of one slot, or two messages of one run to one member."""
        for key, count in Counter(run.key for run in self.runs).items():
            if count > 1:
                yield f"{key} has {count} runs"
        for run in self.runs:
            members = Counter(message.member for message in run.messages)
            if members and max(members.values()) > 1:
                yield f"{run.key} of {run.schedule} has several messages to one member: {members}"


def read(database: Path) -> Ledger:
    """Of a database that a program may have open."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        return _reading(connection)


def read_left(database: Path) -> Ledger:
    """Of a database that nobody has open, as it was left; raises AssertionError if it is damaged."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            file = database.with_name(database.name + suffix)
            if file.exists():
                shutil.copy(file, folder)
        with closing(sqlite3.connect(Path(folder) / database.name, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute("PRAGMA quick_check").fetchone()[0]
            assert found == "ok", f"the database is damaged: {found}"
            return _reading(connection)


def _reading(connection: sqlite3.Connection) -> Ledger:
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'runs'").fetchone():
        return Ledger((), {}, {}, {}, {})  # killed before it had made its tables
    messages, of_run = {}, defaultdict(list)
    for row in connection.execute(MESSAGES):
        message = Message(row["id"], row["state"], row["endpoint_name"] or "", row["attempts"], row["source"])
        messages[message.id] = message
        if row["run"] is not None and message.source is None:
            of_run[row["run"]].append(message)
    runs = tuple(_run(row, of_run[row["seq"]]) for row in connection.execute(RUNS))
    schedules = {row["name"]: row for row in connection.execute(SCHEDULES)}
    endpoints = {row["name"]: row for row in connection.execute(ENDPOINTS)}
    declared = {(row["kind"], row["name"]): (row["uid"], row["generation"]) for row in connection.execute(DECLARED)}
    return Ledger(runs, messages, schedules, endpoints, declared)


def _run(row: sqlite3.Row, messages: list[Message]) -> Run:
    return Run(
        row["schedule"], row["uid"], instant(row["slot_ms"]), row["run_now"], row["trigger"], row["reason"],
        made_at(row["id"]), tuple(messages),
    )  # fmt: skip


def instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


def made_at(identifier: str) -> datetime:
    """The time that an id begins with."""
    ms = 0
    for character in identifier.partition("_")[2][:10]:
        ms = ms * 32 + BASE32.index(character)
    return instant(ms)
