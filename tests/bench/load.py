"""wrk, the load generator: keep-alive connections that each publish the next message when the last is answered."""

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.tools import WRK
from tests.bench.waiting import BenchError

SCRIPT = Path(__file__).with_name("load.lua")
MARK = "FIGURES "
CONNECTIONS = 64
BODY = b'{"padding": "' + b"x" * 241 + b'"}'


@dataclass(frozen=True, slots=True)
class Load:
    """What was published. `began`: monotonic time; `accepted`: messages that have to arrive.

    Only wrk's load has how many `seconds` it lasted, and how long answers took.
    """

    began: float
    accepted: int
    seconds: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0


def publish(port: int, target: str, seconds: float, headers: Mapping[str, str], connections: int = CONNECTIONS) -> Load:
    """Load for so long. Raises BenchError unless everything was answered with 2xx."""
    given = [part for pair in headers.items() for part in pair]
    argv = [
        WRK or "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "30s",
        "-s",
        str(SCRIPT),
    ]
    began = time.monotonic()
    done = subprocess.run(
        [*argv, f"http://127.0.0.1:{port}/", "--", target, BODY.decode(), *given],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"wrk failed: {done.stderr or done.stdout}")
    return figures_in(done.stdout, began)


def figures_in(output: str, began: float = 0.0) -> Load:
    """Reads what load.lua prints at the end. Raises BenchError if anything was refused or broke."""
    line = next((line for line in output.splitlines() if line.startswith(MARK)), None)
    if line is None:
        raise BenchError(f"wrk printed no figures: {output}")
    found = json.loads(line.removeprefix(MARK))
    wrong = {name: found[name] for name in ("connect", "read", "write", "status", "timeout") if found[name]}
    if wrong:
        raise BenchError(f"not every publish was accepted: {wrong} of {found['requests']} requests")
    return Load(began, found["requests"], found["seconds"], found["p50_ms"], found["p99_ms"])
