"""Every public method of the official JavaScript SDK under Node, and its dev mode, at a server as on a laptop."""

import json
from typing import Any

import pytest
from tests.support.angarium import Angarium
from tests.support.sdk import RunScript

from angarium.files.users import USERS


@pytest.fixture(scope="module")
def outcomes(angarium: Angarium, run_script: RunScript) -> dict[str, Any]:
    """What became of every case: null, or what was wrong."""
    user, other = USERS[0], USERS[1]
    printed = run_script(
        "suite.mjs", QSTASH_URL=angarium.url + "/", QSTASH_TOKEN=user.token, OTHER_TOKEN=other.token,
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


def test_dev_mode_finds_this_server_and_spawns_none(angarium: Angarium, run_script: RunScript) -> None:
    printed = run_script("dev_mode.mjs", QSTASH_DEV="true", QSTASH_DEV_PORT=str(angarium.port))
    assert f"Server already running at http://127.0.0.1:{angarium.port}" in printed
