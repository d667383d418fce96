"""`angarium run` as tests start it: a process of its own, its own database, a ServiceAccount's token, free ports."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from tests.support.programs import Program, free_port

ANGARIUM = Path(sys.executable).with_name("angarium")
START_S = 30.0
UNUSABLE = 2

PLAIN: dict[str, Any] = {"verify": False, "trust_env": False}
"""For plain HTTP: a client that may need no certificates costs 1 ms instead of 28, and a start asks many times."""

# What makes waiting bearable in tests; a test that is about one of them gives its own.
QUICK = {"resync": "20s", "allow-address": "127.0.0.1/32", "orphan-grace": "5s", "drain": "5s"}


class Angarium:
    """One instance, which may be stopped, killed and started again on the same database and ports.

    `launch`: what runs the command, if it is not the program itself.
    """

    def __init__(self, folder: Path, *, command: str = "run", kubeconfig: Path | None = None,
                 settings: Mapping[str, str] | None = None, paths: tuple[str, ...] = (),
                 launch: Sequence[str | Path] = (ANGARIUM,)) -> None:  # fmt: skip
        self.folder = folder
        self.database = folder / "angarium.db"
        self.port, self.health_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.health_url = f"http://127.0.0.1:{self.health_port}"
        own = {
            "database": str(self.database),
            "host": "127.0.0.1",
            "port": str(self.port),
            "health-host": "127.0.0.1",
            "health-port": str(self.health_port),
        }
        if command == "run":
            own |= QUICK | {"kubeconfig": str(kubeconfig), "public-url": self.url}
        flags = [f"--{name}={value}" for name, value in (own | dict(settings or {})).items()]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANGARIUM_")}
        self.program = Program([*launch, command, *flags, *paths], folder / "angarium.log", environment)

    def start(self, *, ready: bool = True) -> None:
        """Start it; with `ready`, wait until /readyz answers 200, else until the API listens."""
        self.program.start()
        self.wait_until(self.is_ready if ready else self.listens, "ready" if ready else "listening")

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return self.program.stop(grace_s=20)

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.program.kill()

    def is_ready(self) -> bool:
        return self.health("/readyz")[0] == 200

    def listens(self) -> bool:
        status, text = self.health("/readyz")
        return status != 0 and "does not listen" not in text

    def health(self, path: str) -> tuple[int, str]:
        """Status and text of a health path; status 0 when nobody answers."""
        try:
            answer = httpx.get(self.health_url + path, timeout=5, **PLAIN)
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.text

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels; 0 if it is not there."""
        lines = self.health("/metrics")[1].splitlines()
        values = [line.rsplit(" ", 1)[1] for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(float(value) for value in values)

    def client(self, token: str) -> httpx.Client:
        """A client of the HTTP API with this token."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=10, **PLAIN)

    def log_lines(self) -> list[dict[str, Any]]:
        """The JSON lines that it has logged."""
        lines = self.program.log.read_text().splitlines() if self.program.log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def wait_until(self, condition: Any, describe: str, within_s: float = START_S) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            if not self.program.running or time.monotonic() > deadline:
                log = self.program.log.read_text() if self.program.log.exists() else ""
                health = self.health("/readyz")[1] if self.program.running else "the process has ended"
                raise AssertionError(f"angarium is not {describe}: {health}\n{log[-4000:]}")
            time.sleep(0.05)

    def __enter__(self) -> "Angarium":
        return self

    def __exit__(self, *_: object) -> None:
        if self.program.running:
            self.stop()


def run(*args: str, launch: Sequence[str | Path] = (ANGARIUM,), **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; `launch` as for an Angarium."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ANGARIUM_")}
    return subprocess.run(
        [*launch, *args], env=clean | environment, capture_output=True, text=True, timeout=60, check=False
    )


def refuses(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """It ended with one clear line that has all these words."""
    assert done.returncode == UNUSABLE, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("angarium: ")
    for word in words:
        assert word in line
