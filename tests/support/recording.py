"""A pytest plugin: every request that operators make in a run of cluster tests is held against the Roles at its end.

Each process reads the audit log of its own control plane; the one that reports judges all of them. See requests_made.
"""

import json
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support import rights
from tests.support.controlplane import ControlPlane
from tests.support.requests_made import NO_TEST, Asked, findings, read, used

from angarium.kube.preflight import Right

NAME = "rights"
MARK = "rights_taken"
SUITE = Path(__file__).parents[1] / "cluster"
KINDS = ("Role", "ClusterRole")
NOT_THOROUGH = ("", "not thorough")


class Recording:
    """`take` is given each control plane before it ends."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.windows: list[tuple[float, str, str]] = []
        self.asked: Counter[Asked] = Counter()
        self.files: set[str] = set()
        self.planes = 0
        self._said: list[str] = []

    def take(self, control_plane: ControlPlane) -> None:
        shipped = {kind: str(rights.role(kind)["metadata"]["name"]) for kind in KINDS}
        self.planes += 1
        for entry in control_plane.audit_entries():
            one = read(entry, shipped, *self.test_at(entry["requestReceivedTimestamp"]))
            if one is not None:
                self.asked[one] += 1

    def test_at(self, instant: str) -> tuple[str, str]:
        """The test that ran then, and why it may be refused."""
        at = time_of(instant)
        index = bisect_right(self.windows, at, key=lambda window: window[0])
        return self.windows[index - 1][1:] if index else (NO_TEST, "")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        mark = item.get_closest_marker(MARK)
        self.windows.append((time.time(), item.nodeid, str(mark.args[0]) if mark else ""))
        return (yield)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Also what is deselected afterwards: a file may hold thorough tests alone."""
        self.files.add(str(item.path))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        handed = getattr(node, "workeroutput", {}).get(NAME)
        if handed is not None:
            self.planes += handed["planes"]
            self.asked.update(decoded(handed["asked"]))
            self.files.update(handed["files"])

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[NAME] = {
                "planes": self.planes, "asked": encoded(self.asked), "files": sorted(self.files),
            }  # fmt: skip
        elif self.planes:
            self._judge(session)

    def _judge(self, session: pytest.Session) -> None:
        granted = {kind: frozenset(rights.rights_of(rights.role(kind)["rules"])) for kind in KINDS}
        whole = not session.testsfailed and not session.shouldstop and self.is_whole()
        found = findings(self.asked, granted, whole=whole)
        spent = {kind: f"{len(used(self.asked, kind))} of {len(granted[kind])} rights of the {kind}" for kind in KINDS}
        judged = (
            "a whole run: what was not used is judged too" if whole else "not a whole run: judged is what was asked"
        )
        self._said = [f"{self.asked.total()} requests used {' and '.join(spent.values())} ({judged})", *found]
        if found and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def is_whole(self) -> bool:
        """Every file of the suite, and all of it that is not thorough."""
        option = self._config.option
        narrowed = option.keyword or option.deselect or getattr(option, "lf", False)
        if narrowed or option.markexpr not in NOT_THOROUGH or any("::" in arg for arg in self._config.args):
            return False
        return self.files >= {str(file) for file in SUITE.glob("test_*.py")}

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._said:
            first, *found = self._said
            terminalreporter.section("rights", red=bool(found), green=not found)
            terminalreporter.write_line(first)
            for line in found:
                terminalreporter.write_line(f"RIGHTS {line}", red=True)


def time_of(instant: str) -> float:
    """Seconds since the epoch of a time as the audit log writes it."""
    return datetime.fromisoformat(instant).timestamp()


def encoded(asked: Counter[Asked]) -> list[str]:
    """As one process hands it to another."""
    return [json.dumps([asdict(one), times]) for one, times in asked.items()]


def decoded(lines: Iterable[str]) -> Counter[Asked]:
    found: Counter[Asked] = Counter()
    for fields, times in map(json.loads, lines):
        found[Asked(**fields | {"right": Right(**fields["right"])})] += times
    return found
