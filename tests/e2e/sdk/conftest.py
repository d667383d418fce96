"""One server and one destination for each module of this folder, and Node with the JavaScript SDK."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.angarium import Angarium
from tests.support.node import environment, installed, node
from tests.support.receiver import Receiver
from tests.support.sdk import RunScript, dev_server

SUITE = Path(__file__).parent / "javascript"
SCRIPT_S = 100.0


@pytest.fixture(scope="module")
def angarium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Angarium]:
    with dev_server(tmp_path_factory.mktemp("angarium")) as angarium:
        yield angarium


@pytest.fixture(scope="module")
def destination() -> Iterator[Receiver]:
    with Receiver() as destination:
        yield destination


@pytest.fixture(scope="module")
def run_script(tmp_path_factory: pytest.TempPathFactory) -> RunScript:
    """Runs a script of the suite beside the SDK as the lock file has it; returns what it prints.

    Its errors stand in the failure if it fails. QSTASH_* of this machine do not reach it.
    """
    folder = tmp_path_factory.mktemp("javascript")
    for script in SUITE.glob("*.mjs"):
        shutil.copy(script, folder)
    (folder / "node_modules").symlink_to(installed(SUITE) / "node_modules")

    def run(script: str, **variables: str) -> str:
        own = {name: text for name, text in environment().items() if not name.startswith(("QSTASH_", "UPSTASH_"))}
        done = subprocess.run(
            [node(), folder / script],
            env=own | variables,
            capture_output=True,
            text=True,
            timeout=SCRIPT_S,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    return run
