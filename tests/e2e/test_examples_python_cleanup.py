"""examples/python-cleanup as its reader runs it: uvicorn, the packages of its own lock file, and `angarium dev`."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from qstash import QStash
from qstash.schedule import ScheduleState
from tests.support.angarium import Angarium
from tests.support.cluster import ROOT, wait_for
from tests.support.dockerfile import read_dockerfile
from tests.support.programs import Program, free_port
from tests.support.sdk import dev_server
from tools.cache import cached

from angarium.files.users import USERS

EXAMPLE = ROOT / "examples" / "python-cleanup"
SCHEDULE = "session-cleanup"
EVERY_MINUTE = "* * * * *"
INSTALL_S = 240
FIRES_WITHIN_S = 75.0


def installed() -> Path:
    """Python with exactly what the example's lock file names."""

    def fill(folder: Path) -> None:
        command(sys.executable, "-m", "venv", folder)
        quiet = ("--quiet", "--disable-pip-version-check", "--require-hashes")
        command(folder / "bin" / "python", "-m", "pip", "install", *quiet, "-r", EXAMPLE / "requirements.txt")

    return cached(EXAMPLE.name, [(EXAMPLE / "requirements.txt").read_bytes(), sys.version.encode()], fill)


def command(*argv: str | Path) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    assert done.returncode == 0, done.stderr


class Web:
    """The example's app, which may be ended and started again on the same port and database."""

    def __init__(self, folder: Path, angarium: Angarium, cron: str | None = None) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        user = USERS[0]
        environment = {
            "APP_URL": self.url,
            "DATABASE": str(folder / f"{port}.db"),
            "QSTASH_URL": angarium.url,
            "QSTASH_TOKEN": user.token,
            "QSTASH_CURRENT_SIGNING_KEY": user.keys.current,
            "QSTASH_NEXT_SIGNING_KEY": user.keys.next,
        }
        if cron:
            environment["CLEANUP_CRON"] = cron
        here = ("--app-dir", EXAMPLE, "--host", "127.0.0.1", "--port", str(port))
        argv = [installed() / "bin" / "python", "-m", *read_dockerfile(EXAMPLE).command, *here]
        self.program = Program(argv, folder / f"{port}.log", environment)

    def start(self) -> None:
        self.program.start()
        wait_for(self.answers, within=30, describe=f"the app answers\n{self.program.last_words()}")

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/sessions").status_code == 200
        except httpx.TransportError:
            assert self.program.running, self.program.last_words(60)
            return False

    def sessions(self) -> list[str]:
        return list(httpx.get(f"{self.url}/sessions").raise_for_status().json())

    def add(self, name: str, days_ago: int) -> None:
        httpx.put(f"{self.url}/sessions/{name}", params={"days_ago": days_ago}).raise_for_status()

    def await_sessions(self, *names: str, within: float = 15) -> None:
        wait_for(self.sessions, lambda found: found == list(names), within=within, describe=f"sessions {names}")


@pytest.fixture(scope="module")
def angarium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Angarium]:
    with dev_server(tmp_path_factory.mktemp("angarium")) as angarium:
        yield angarium


@pytest.fixture
def web(angarium: Angarium, tmp_path: Path) -> Iterator[Web]:
    yield from running(Web(tmp_path, angarium))


@pytest.fixture
def web_of_every_minute(angarium: Angarium, tmp_path: Path) -> Iterator[Web]:
    yield from running(Web(tmp_path, angarium, EVERY_MINUTE))


def running(web: Web) -> Iterator[Web]:
    web.start()
    yield web
    web.program.stop()


@pytest.fixture
def client(angarium: Angarium) -> Iterator[QStash]:
    client = QStash(USERS[0].token, base_url=angarium.url)
    yield client
    client.http._client.close()  # the SDK offers no way to close its connections


def test_every_start_sets_the_same_schedule(web: Web, client: QStash) -> None:
    (before,) = client.schedule.list()
    assert (before.schedule_id, before.cron) == (SCHEDULE, "CRON_TZ=Europe/Berlin 30 3 * * *")
    assert (before.destination, before.retries) == (f"{web.url}/cleanup", 5)
    web.program.stop()
    web.start()
    (after,) = client.schedule.list()
    assert (after.schedule_id, after.created_at) == (SCHEDULE, before.created_at)


def test_a_clean_up_deletes_what_is_old(web: Web, client: QStash) -> None:
    web.add("fresh", 1)
    web.add("old", 40)
    client.message.publish(url=f"{web.url}/cleanup")
    web.await_sessions("fresh")


def test_without_a_signature_nothing_is_deleted(web: Web) -> None:
    web.add("old", 40)
    assert httpx.post(f"{web.url}/cleanup").status_code == 403
    forged = httpx.post(f"{web.url}/cleanup", headers={"Upstash-Signature": "a.b.c"})
    assert forged.status_code == 403
    assert web.sessions() == ["old"]


def test_the_schedule_cleans_up(web_of_every_minute: Web, client: QStash) -> None:
    """The one that waits for the clock: a schedule's resolution is a minute."""
    web = web_of_every_minute
    web.add("fresh", 1)
    web.add("old", 40)
    web.await_sessions("fresh", within=FIRES_WITHIN_S)
    wait_for(
        lambda: client.schedule.get(SCHEDULE).last_schedule_states or {},
        lambda states: set(states.values()) == {ScheduleState.SUCCESS},
        describe="the run is a success",
    )
