"""Log lines are JSON that a program can filter by action and message, and hold no secrets."""

import ast
import json
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.fakes import START, leased
from tests.support.stores import attempt

from angarium import domain
from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.messages import Outcome, Response, Result
from angarium.domain.notices import AttemptEnded
from angarium.telemetry.logs import FOREIGN_ACTION, AttemptLog, JsonLines

SOURCES = Path(domain.__file__).parents[1]
OPERATIONS = Path(__file__).parents[3] / "docs/operations.md"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
ACTION = re.compile(r"[a-z]+\.[a-z]+")
ONE = leased()


def written(name: str = "angarium.engine", **extra: Any) -> dict[str, Any]:
    record = logging.getLogger(name).makeRecord(name, logging.INFO, "", 0, "it is so", (), None, extra=extra)
    line: dict[str, Any] = json.loads(JsonLines().format(record))
    return line


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "angarium.delivery")
    return caplog


def test_a_failed_attempt_is_a_line_without_headers_bodies_and_passwords(lines: pytest.LogCaptureFixture) -> None:
    response = Response(500, (("X-Secret", "hunter2"),), b"hunter2")
    failed = replace(attempt(1, 500, url="https://me:hunter2@a.test/in?key=hunter2"), response=response)
    told = Outcome(ONE, Result.RETRY, failed, START)
    AttemptLog().notice([AttemptEnded(told), AttemptEnded(Outcome(ONE, Result.DELIVERED, attempt(1, 200)))])
    (record,) = lines.records
    text = JsonLines().format(record)
    line = json.loads(text)
    assert (line["action"], line["outcome"]) == ("attempt.end", "retry")
    assert (line["message_id"], line["namespace"]) == ("msg_1", "shop")
    assert (line["status"], line["attempt"], line["url"]) == (500, 1, "https://a.test/in?...")
    assert "hunter2" not in text


def test_a_line_about_a_message_has_its_id_and_namespace() -> None:
    line = written(action="lease.lose", about=ONE.message)
    assert (line["action"], line["message_id"], line["namespace"]) == ("lease.lose", "msg_1", "shop")
    assert "object" not in line


def test_a_line_about_an_object_names_it() -> None:
    line = written(action="schedule.fire", about=ObjectRef(Kind.SCHEDULE, "shop", "report"))
    assert (line["namespace"], "message_id" in line) == ("shop", False)
    assert "report" in line["object"]


def test_a_library_has_one_action_for_all_it_says_and_no_fields() -> None:
    line = written("aiohttp.server", password="hunter2")
    assert line.keys() == written("aiohttp.server").keys()
    assert "hunter2" not in line.values()
    assert written("aiohttp.server")["action"] == FOREIGN_ACTION


def test_an_exception_is_part_of_its_line() -> None:
    try:
        raise ValueError("no such thing")
    except ValueError:
        record = logging.LogRecord("angarium.kube", logging.ERROR, "", 0, "it failed", (), sys.exc_info())
    line = json.loads(JsonLines().format(record))
    assert line["level"] == "error"
    assert "no such thing" in line["exception"]


@dataclass(frozen=True, slots=True)
class Line:
    """A call that logs, as it stands in the sources."""

    where: str
    call: ast.Call

    @property
    def extra(self) -> dict[str, ast.expr]:
        given = [keyword.value for keyword in self.call.keywords if keyword.arg == "extra"]
        if not given or not isinstance(given[0], ast.Dict):
            return {}
        pairs = zip(given[0].keys, given[0].values, strict=True)
        return {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}

    @property
    def action(self) -> str:
        given = self.extra.get("action")
        return str(given.value) if isinstance(given, ast.Constant) else ""


def calls_of(file: Path) -> Iterator[Line]:
    """Calls of whatever was made by logging.getLogger in this file, and of `logging` itself."""
    tree = ast.parse(file.read_text())
    loggers = {"logging"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and "getLogger(" in ast.unparse(node.value):
            loggers |= {ast.unparse(target) for target in node.targets}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and ast.unparse(node.func.value) in loggers
        ):
            yield Line(f"{file.relative_to(SOURCES)}:{node.lineno}", node)


LINES = [line for file in sorted(SOURCES.rglob("*.py")) for line in calls_of(file)]


def test_the_sources_were_found() -> None:
    assert len(LINES) > 30
    assert {"app.py", "kube", "engine", "api", "telemetry"} <= {
        Path(line.where).parts[0].split(":")[0] for line in LINES
    }


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.where)
def test_every_line_has_an_action_and_names_the_message_it_is_about(line: Line) -> None:
    assert ACTION.fullmatch(line.action), f'{line.where} needs extra={{"action": "noun.verb"}}, a literal'
    names_a_message = any(ast.unparse(argument).endswith(("message.id", "message_id")) for argument in line.call.args)
    assert not names_a_message or "about" in line.extra, f'{line.where} needs "about": the message'
    names_an_object = any(ast.unparse(argument).endswith("ref") for argument in line.call.args)
    assert not names_an_object or "about" in line.extra, f'{line.where} needs "about": the object'


def documented() -> list[str]:
    """The first column of the table of actions."""
    section = OPERATIONS.read_text().split("## Log lines", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", section, re.MULTILINE)


def test_the_table_of_actions_is_complete_and_has_nothing_else() -> None:
    rows = documented()
    assert len(rows) == len(set(rows))
    assert set(rows) == {line.action for line in LINES} | {FOREIGN_ACTION}
