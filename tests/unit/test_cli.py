"""What the command line makes of errors; that it starts and ends as it should is tested with real processes."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from angarium import app
from angarium.cli import main
from angarium.domain.declarations import Kind
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


def test_what_ends_it_by_a_defect_is_a_line_of_the_log_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any, **__: Any) -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(app, "run_in_cluster", fail)
    assert invoke("run").exit_code == 1
    (record,) = caplog.records
    assert record.__dict__["action"] == "program.fail"
    assert record.exc_info is not None and record.exc_info[0] is ZeroDivisionError


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that dev mode was started with."""
    started: list[Settings] = []

    async def keep(settings: Settings, paths: list[Path], *, ephemeral: bool) -> int:
        started.append(settings)
        return 0

    monkeypatch.setattr(app, "run_in_dev", keep)
    return started


@pytest.mark.parametrize(
    ("arguments", "health_port"),
    [([], 8081), (["--port", "0"], 0), (["--port", "65535"], 0), (["--port", "65535", "--health-port", "7"], 7)],
)
def test_health_is_on_the_port_above_in_dev_mode(
    arguments: list[str], health_port: int, started: list[Settings]
) -> None:
    assert invoke("dev", *arguments).exit_code == 0
    assert [settings.health_port for settings in started] == [health_port]


@pytest.mark.parametrize(
    "arguments", [["-port", "8585"], ["-port=8585"], ["--port", "8585"], ["--port=8585"]], ids=" ".join
)
def test_the_port_of_dev_mode_with_one_dash_or_two(arguments: list[str], started: list[Settings]) -> None:
    assert invoke("dev", *arguments).exit_code == 0
    assert [settings.port for settings in started] == [8585]


@pytest.mark.parametrize(
    ("arguments", "environ", "port"),
    [
        ([], {"QSTASH_DEV_PORT": "8585"}, 8585),
        ([], {"QSTASH_DEV_PORT": ""}, 8080),
        (["-port", "8181"], {"QSTASH_DEV_PORT": "8585"}, 8181),
        ([], {"QSTASH_DEV_PORT": "8585", "ANGARIUM_PORT": "8181"}, 8181),
    ],
)
def test_the_port_where_the_javascript_sdk_looks(
    arguments: list[str], environ: dict[str, str], port: int, started: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    assert invoke("dev", *arguments).exit_code == 0
    assert [(settings.port, settings.health_port) for settings in started] == [(port, port + 1)]


def test_a_port_that_is_none_is_told_by_its_variable(started: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QSTASH_DEV_PORT", "http")
    result = invoke("dev")
    assert (result.exit_code, started) == (2, [])
    assert result.stderr.startswith("angarium: QSTASH_DEV_PORT='http' cannot be used: ")


def test_what_has_no_effect_here_is_accepted_and_told(started: list[Settings]) -> None:
    result = invoke("dev", "-port", "8585", "-log-port", "8586", "-quota=pro")
    assert (result.exit_code, len(started)) == (0, 1)
    assert result.stderr.splitlines() == [
        "angarium: --log-port has no effect: the log is at /v2/logs of the API",
        "angarium: --quota has no effect: there are no plans; flags set the limits",
    ]


def test_a_plan_that_does_not_exist_is_refused(started: list[Settings]) -> None:
    result = invoke("dev", "--quota", "gold")
    assert (result.exit_code, started) == (2, [])
    assert "gold" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["dev"], ["run"]])
def test_help_ends_well(arguments: list[str]) -> None:
    result = invoke(*arguments, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")


def test_help_names_every_kind_that_is_watched() -> None:
    text = invoke("run", "--help").stdout
    assert [kind for kind in Kind if f"{kind}s" not in text] == []


def test_help_names_the_sdks() -> None:
    assert {"qstash", "@upstash/qstash"} <= set(invoke("--help").stdout.split())
