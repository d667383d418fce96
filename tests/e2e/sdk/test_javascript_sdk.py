"""Every public method of the official JavaScript SDK under Node, and its dev mode, at a server as on a laptop."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.angarium import Angarium
from tests.support.node import environment, installed, node

from angarium.files.users import USERS

SUITE = Path(__file__).parent / "javascript"
WITHIN_S = 100.0


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite beside the SDK as the lock file has it."""
    folder = tmp_path_factory.mktemp("javascript")
    for script in SUITE.glob("*.mjs"):
        shutil.copy(script, folder)
    (folder / "node_modules").symlink_to(installed(SUITE) / "node_modules")
    return folder


def run(script: Path, **variables: str) -> str:
    """What a script prints; its errors stand in the failure if it fails. QSTASH_* of this machine do not reach it."""
    own = {name: text for name, text in environment().items() if not name.startswith(("QSTASH_", "UPSTASH_"))}
    done = subprocess.run(
        [node(), script], env=own | variables, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def outcomes(angarium: Angarium, scripts: Path) -> dict[str, Any]:
    """What became of every case: null, or what was wrong."""
    user, other = USERS[0], USERS[1]
    printed = run(
        scripts / "suite.mjs", QSTASH_URL=angarium.url + "/", QSTASH_TOKEN=user.token, OTHER_TOKEN=other.token,
        QSTASH_CURRENT_SIGNING_KEY=user.keys.current, QSTASH_NEXT_SIGNING_KEY=user.keys.next,
    )  # fmt: skip
    return dict(json.loads(printed))


def test_every_public_method_has_its_cases(outcomes: dict[str, Any]) -> None:
    assert len(outcomes["methods"]) > 40
    assert set(outcomes["methods"]) == set(outcomes["successes"]) == set(outcomes["failures"])


@pytest.mark.parametrize("kind", ["successes", "failures", "notOffered", "receiver"])
def test_every_case_ends_as_it_should(kind: str, outcomes: dict[str, Any]) -> None:
    wrong = {name: problem for name, problem in outcomes[kind].items() if problem is not None}
    assert not wrong, "\n\n".join(f"{name}: {problem}" for name, problem in wrong.items())


def test_dev_mode_finds_this_server_and_spawns_none(angarium: Angarium, scripts: Path) -> None:
    printed = run(scripts / "dev_mode.mjs", QSTASH_DEV="true", QSTASH_DEV_PORT=str(angarium.port))
    assert f"Server already running at http://127.0.0.1:{angarium.port}" in printed
