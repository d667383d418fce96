"""examples/nextjs-long-run as its reader runs it: installed by its lock file, built by Next.js, served by Node."""

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support import node
from tests.support.angarium import Angarium
from tests.support.cluster import ROOT, wait_for
from tests.support.dockerfile import read_dockerfile
from tests.support.programs import Program, free_port
from tests.support.sdk import dev_server
from tools.cache import cached

from angarium.files.users import USERS

EXAMPLE = ROOT / "examples" / "nextjs-long-run"
SOURCES = ("app", "lib", "next.config.js")
STANDALONE = "standalone"
BUILD_S = 240.0
MONTHS = 12


def built() -> Path:
    """What the Dockerfile's first stage makes: the standalone server."""

    def fill(folder: Path) -> None:
        shutil.copytree(node.installed(EXAMPLE), folder, dirs_exist_ok=True, symlinks=True)
        for name in SOURCES:
            source = EXAMPLE / name
            shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder)
        node.npm("run", "build", folder=folder, timeout_s=BUILD_S)
        for made in [*folder.iterdir(), *(folder / ".next").iterdir()]:
            if made.name not in (".next", STANDALONE):
                shutil.rmtree(made) if made.is_dir() else made.unlink()

    files = sorted(
        file for name in SOURCES for file in [EXAMPLE / name, *(EXAMPLE / name).rglob("*")] if file.is_file()
    )
    parts = [part for file in files for part in (str(file.relative_to(EXAMPLE)).encode(), file.read_bytes())]
    return cached(f"{EXAMPLE.name}-build", [*node.lock_of(EXAMPLE), *parts], fill) / ".next" / STANDALONE


class Web:
    """The example's server, which may be ended and started again on the same port and data."""

    def __init__(self, folder: Path, angarium: Angarium, step_ms: int) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.data = folder / "data"
        user = USERS[0]
        environment = node.environment(
            APP_URL=self.url,
            HOSTNAME="127.0.0.1",
            PORT=str(port),
            DATA_DIR=str(self.data),
            STEP_MS=str(step_ms),
            QSTASH_URL=angarium.url,
            QSTASH_TOKEN=user.token,
            QSTASH_CURRENT_SIGNING_KEY=user.keys.current,
            QSTASH_NEXT_SIGNING_KEY=user.keys.next,
        )
        program, file = read_dockerfile(EXAMPLE).command
        assert program == "node"
        self.program = Program([node.node(), built() / file], folder / "next.log", environment)

    def start(self) -> None:
        self.program.start()
        wait_for(self.answers, within=30, describe=f"the app answers\n{self.program.last_words()}")

    def answers(self) -> bool:
        try:
            return httpx.get(self.url).status_code == 200
        except httpx.TransportError:
            assert self.program.running, self.program.last_words(60)
            return False

    def begin(self, year: int) -> str:
        """Start a report; its id."""
        answer = httpx.post(f"{self.url}/api/reports", json={"year": year})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def report(self, name: str) -> dict[str, Any]:
        report: dict[str, Any] = httpx.get(f"{self.url}/api/reports/{name}").raise_for_status().json()
        return report

    def await_report(self, name: str, status: str, within: float = 30) -> dict[str, Any]:
        return wait_for(
            lambda: self.report(name),
            lambda found: found["status"] == status,
            within=within,
            describe=f"it is {status}",
        )


@pytest.fixture(scope="module")
def angarium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Angarium]:
    with dev_server(tmp_path_factory.mktemp("angarium")) as angarium:
        yield angarium


@pytest.fixture
def web(angarium: Angarium, tmp_path: Path) -> Iterator[Web]:
    web = Web(tmp_path, angarium, step_ms=50)
    web.start()
    yield web
    if web.program.running:
        web.program.stop()


def log_of(angarium: Angarium, label: str) -> list[dict[str, Any]]:
    """The log of a report's messages, oldest first."""
    with angarium.client(USERS[0].token) as client:
        answer = client.get("/v2/events", params={"label": label, "count": 1000, "order": "earliestFirst"})
        return list(answer.raise_for_status().json()["events"])


def test_a_report_runs_in_steps_to_its_end(web: Web, angarium: Angarium) -> None:
    name = web.begin(2026)
    report = web.await_report(name, "done")
    assert (report["done"], report["sum"]) == (MONTHS, 2026 * sum(range(1, MONTHS + 1)))
    wait_for(
        lambda: [entry["state"] for entry in log_of(angarium, name)],
        lambda states: states.count("DELIVERED") == MONTHS,
        describe="every step is delivered",
    )
    states = [entry["state"] for entry in log_of(angarium, name)]
    assert (states.count("CREATED"), states.count("RETRY")) == (MONTHS, 0)


def test_a_step_without_angariums_signature_is_refused(web: Web) -> None:
    step = {"id": "00000000-0000-4000-8000-000000000000", "month": 1}
    assert httpx.post(f"{web.url}/api/steps", json=step).status_code == 403
    forged = httpx.post(f"{web.url}/api/steps", json=step, headers={"Upstash-Signature": "a.b.c"})
    assert forged.status_code == 403
    assert httpx.post(f"{web.url}/api/failures", json={}).status_code == 403


def test_the_app_ends_in_the_middle_of_a_report(web: Web) -> None:
    name = web.begin(2026)
    wait_for(lambda: web.report(name), lambda found: found["done"] >= 2, describe="some steps are done")
    web.program.kill()
    web.start()
    assert web.await_report(name, "done")["sum"] == 2026 * sum(range(1, MONTHS + 1))


def test_a_step_that_is_given_up_fails_the_report(web: Web, angarium: Angarium) -> None:
    """A report whose next step goes where Next.js answers 404, with no retries and the example's failure callback."""
    name = str(uuid.uuid4())
    web.data.mkdir(exist_ok=True)
    running = {"id": name, "year": 2026, "status": "running", "done": 0, "sum": 0}
    (web.data / f"{name}.json").write_text(json.dumps(running))
    headers = {"Upstash-Retries": "0", "Upstash-Failure-Callback": f"{web.url}/api/failures"}
    with angarium.client(USERS[0].token) as client:
        step = {"id": name, "month": 1}
        sent = client.post(f"/v2/publish/{web.url}/api/missing", headers=headers, json=step).raise_for_status()
        report = web.await_report(name, "failed")
        (letter,) = client.get("/v2/dlq", params={"messageId": sent.json()["messageId"]}).json()["messages"]
    assert (letter["dlqId"], letter["responseStatus"]) == (report["dlqId"], 404)
