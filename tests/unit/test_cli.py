"""What the command line makes of errors; that it starts and ends as it should is tested with real processes."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from angarium import app
from angarium.cli import main
from angarium.domain.errors import SettingsError, StoreFull, StoreUnusable
from angarium.settings import Settings


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("error", [SettingsError, StoreUnusable, StoreFull])
@pytest.mark.parametrize(("command", "function"), [("dev", "run_in_dev"), ("run", "run_in_cluster")])
def test_what_keeps_it_from_starting_is_one_line(
    command: str, function: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> int:
        raise error("the disk is full")

    monkeypatch.setattr(app, function, fail)
    result = invoke(command)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", "angarium: the disk is full\n")


@pytest.mark.parametrize(
    ("arguments", "health_port"),
    [([], 8081), (["--port", "0"], 0), (["--port", "65535"], 0), (["--port", "65535", "--health-port", "7"], 7)],
)
def test_health_is_on_the_port_above_in_dev_mode(
    arguments: list[str], health_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Settings] = []

    async def keep(settings: Settings, paths: list[Path], *, ephemeral: bool) -> int:
        started.append(settings)
        return 0

    monkeypatch.setattr(app, "run_in_dev", keep)
    assert invoke("dev", *arguments).exit_code == 0
    assert [settings.health_port for settings in started] == [health_port]
