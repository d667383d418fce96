"""Programs that a test starts: their log, their end, and their end when the test run itself is killed.

A watcher process ends what is left: the kernel's parent-death signal would also fire when the thread that started
a program ends, and an asyncio executor's threads end with every test.
"""

import atexit
import os
import random
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import IO

WATCHER = """
import os, signal, sys
running = set()
for line in sys.stdin:
    (running.add if line[0] == "+" else running.discard)(int(line[1:]))
for pid in running:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""

ROOT = Path(__file__).parents[2]
BELOW_EPHEMERAL = range(20000, 32000)
MOST_RUNS = 8
_HANDED_OUT: deque[int] = deque(maxlen=500)


def free_port() -> int:
    """A loopback port nobody listens on, and none that the kernel hands out to outgoing connections: a server that a
    test stops for a while finds it free again. Test runs side by side have ports of their own for the same reason."""
    ours = BELOW_EPHEMERAL[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % MOST_RUNS :: MOST_RUNS]
    for port in random.sample(ours, 200):
        if port in _HANDED_OUT:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _HANDED_OUT.append(port)
            return port
    raise RuntimeError(f"no free loopback port among 200 between {BELOW_EPHEMERAL.start} and {BELOW_EPHEMERAL.stop}")


def python_module(module: ModuleType, *arguments: str | Path) -> tuple[str | Path, ...]:
    """How to run a module of the tests as a program, from wherever that is started."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return ("env", f"PYTHONPATH={path}", sys.executable, "-m", module.__name__, *arguments)


class Program:
    """One program in a process group of its own (Ctrl-C reaches the tests, not it), its output appended to `log`.

    `launch`: what runs it, if it is not run as it is.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        launch: Sequence[str | Path] = (),
    ) -> None:
        self.argv = [str(part) for part in argv]
        self.launch = [str(part) for part in launch]
        self.log = log
        self.env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def started(self) -> bool:
        """Whether it was ever started; it may have ended."""
        return self._process is not None

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def name(self) -> str:
        return Path(self.argv[0]).name

    def start(self) -> None:
        if self.running:
            raise RuntimeError(f"{self.name} is running already")
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*self.launch, *self.argv],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self.env, start_new_session=True,
            )  # fmt: skip
        tell_watcher(f"+{self._process.pid}")

    def stop(self, grace_s: float = 5.0) -> int:
        """SIGTERM, after `grace_s` SIGKILL; returns the exit code once the process is really gone."""
        process = self._started()
        self.resume()
        self.send(signal.SIGTERM)
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
        return self.wait()

    def kill(self) -> int:
        self.send(signal.SIGKILL)
        return self.wait()

    def wait(self, timeout_s: float = 30.0) -> int:
        process = self._started()
        code = process.wait(timeout_s)
        tell_watcher(f"-{process.pid}")
        return code

    def pause(self) -> None:
        """The process stays, with its connections open, and answers nothing. Returns when every thread stands."""
        self.send(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        if self.running:
            self._started().send_signal(number)

    def resident_mib(self) -> float:
        """Resident memory now, in MiB (Linux only)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def last_words(self, lines: int = 20) -> str:
        if not self.log.exists():
            return f"{self.name} has no log yet"
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"{self.name}, the end of {self.log}:", *text])

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process


@cache
def watcher_input() -> IO[bytes]:
    """The pipe into the watcher. The kernel closes it when this process ends, however it ends."""
    watcher = subprocess.Popen([sys.executable, "-ISc", WATCHER], stdin=subprocess.PIPE, start_new_session=True)
    assert watcher.stdin is not None
    atexit.register(watcher.wait, 10)
    atexit.register(watcher.stdin.close)
    return watcher.stdin


def tell_watcher(line: str) -> None:
    watcher_input().write(f"{line}\n".encode())
    watcher_input().flush()
