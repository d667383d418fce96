"""`make run`, as a newcomer uses it: deliveries, a retry, a dead letter, Ctrl-C, and the data found again."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.cluster import ROOT, wait_for
from tests.support.programs import Program, free_port

# The Schedules of the quickstart fire every 5 to 20 s, and what fails takes some retries more.
WITHIN_S = 60.0


class Quickstart:
    """One `make run` after another, on the same data."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.starts = 0
        self.log = folder / "make-run.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANGARIUM_", "MAKE"))}
        environment |= {"ANGARIUM_DATABASE": str(folder / "data" / "angarium.db")}
        command = ["make", "--no-print-directory", "-C", ROOT, "run", f"PORT={self.port}"]
        self.program = Program(command, self.log, environment)

    def start(self) -> None:
        """Returns when it says that it runs, as often as it was started."""
        self.starts += 1
        self.program.start()
        said = r"running at"
        wait_for(lambda: len(self.printed(said)) == self.starts, within=WITHIN_S, describe="Angarium says that it runs")

    def printed(self, pattern: str) -> list[str]:
        """What `make run` has printed that matches; the whole output stands in the failure, if it ended."""
        text = self.log.read_text()
        assert self.program.running, text
        return re.findall(pattern, text)

    def get(self, path: str) -> Any:
        token = self.printed(r"QSTASH_TOKEN=(\S+)")[0]
        answer = httpx.get(f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {token}"})
        return answer.raise_for_status().json()

    def dead_letters(self) -> list[dict[str, Any]]:
        return list(self.get("/v2/dlq")["messages"])

    def ctrl_c(self) -> None:
        """SIGINT to the whole group, as a terminal sends it. make itself ends by the signal, after its children."""
        os.killpg(self.program.pid, signal.SIGINT)
        assert self.program.wait() in (0, -signal.SIGINT, 2)
        assert "Traceback" not in self.log.read_text()


@pytest.fixture
def quickstart(tmp_path: Path) -> Iterator[Quickstart]:
    quickstart = Quickstart(tmp_path)
    yield quickstart
    if quickstart.program.running:
        quickstart.program.stop(grace_s=20)


def appears(read: Callable[[], Any], describe: str) -> Any:
    return wait_for(read, within=WITHIN_S, describe=describe)


def test_what_a_newcomer_sees(quickstart: Quickstart) -> None:
    quickstart.start()
    for name in ("QSTASH_URL", "QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY"):
        assert quickstart.printed(rf"export {name}=\S+")

    (sample,) = quickstart.printed(r"(curl [^\n]*\\\n[^\n]*/v2/publish/\S+)")
    published = subprocess.run(shlex.split(sample.replace("\\\n", " ")), capture_output=True, text=True, check=True)
    assert "messageId" in published.stdout

    appears(lambda: quickstart.printed(r"endpoint/ok +200"), "a Schedule's delivery is printed")
    appears(lambda: quickstart.printed(r"endpoint/flaky +200 +attempt 3 "), "the third attempt succeeds")
    dead = appears(quickstart.dead_letters, "a dead letter")
    assert dead[0]["responseStatus"] == 500
    quickstart.ctrl_c()

    quickstart.start()
    assert dead[0]["dlqId"] in [letter["dlqId"] for letter in quickstart.dead_letters()]
