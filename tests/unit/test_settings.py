"""Flags before variables before defaults, and what is no setting of ours although it looks like one."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from angarium.domain.errors import SettingsError
from angarium.settings import Settings, default_text, fields, flag, load, variable

# What Kubernetes puts into each pod of a namespace with the Services `angarium` and `angarium-health`.
SERVICE_VARIABLES = {
    "ANGARIUM_SERVICE_HOST": "10.96.0.7",
    "ANGARIUM_SERVICE_PORT": "8080",
    "ANGARIUM_SERVICE_PORT_HTTP": "8080",
    "ANGARIUM_PORT": "tcp://10.96.0.7:8080",
    "ANGARIUM_PORT_8080_TCP": "tcp://10.96.0.7:8080",
    "ANGARIUM_PORT_8080_TCP_PROTO": "tcp",
    "ANGARIUM_PORT_8080_TCP_PORT": "8080",
    "ANGARIUM_PORT_8080_TCP_ADDR": "10.96.0.7",
    "ANGARIUM_HEALTH_SERVICE_HOST": "10.96.0.8",
    "ANGARIUM_HEALTH_PORT": "tcp://10.96.0.8:9090",
}


def settings_of(environ: Mapping[str, str], **flags: str) -> Settings:
    return load(flags, environ, Settings())


def test_a_flag_wins_over_a_variable_and_that_over_the_default() -> None:
    environ = {"ANGARIUM_PORT": "8081", "ANGARIUM_DRAIN": "5s", "PORT": "1"}
    settings = settings_of(environ, port="8082")
    assert (settings.port, settings.drain, settings.host) == (8082, timedelta(seconds=5), "0.0.0.0")


def test_variables_of_services_are_not_ours() -> None:
    assert settings_of(SERVICE_VARIABLES) == Settings()
    assert settings_of(SERVICE_VARIABLES, port="8082", health_port="9091").health_port == 9091


@pytest.mark.parametrize(
    ("name", "text"),
    [("ANGARIUM_MAX_BODDY", "1"), ("ANGARIUM_API_PORT", "9000"), ("ANGARIUM_", ""), ("ANGARIUM_port", "9000")],
)
def test_an_unknown_variable_is_refused(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"unknown setting {name}: "):
        settings_of(SERVICE_VARIABLES | {name: text})


MAY_BE_EMPTY = {"namespaces", "allow_address"}


@pytest.mark.parametrize("name", [field.name for field in fields() if field.name not in MAY_BE_EMPTY])
def test_an_empty_value_is_refused_where_it_means_nothing(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable(name)}=''"):
        settings_of({variable(name): ""})
    with pytest.raises(SettingsError, match=f"{flag(name)}=''"):
        settings_of({}, **{name: ""})


def test_empty_lists_are_values() -> None:
    assert settings_of({"ANGARIUM_NAMESPACES": ""}).namespaces == ()
    assert settings_of({"ANGARIUM_ALLOW_ADDRESS": ""}).allow_address == ()
    assert settings_of({"ANGARIUM_NAMESPACES": " shop, billing ,"}).namespaces == ("shop", "billing")


@pytest.mark.parametrize("text", [",", " ", " , "])
def test_what_looks_like_names_but_has_none_is_not_taken_for_all_namespaces(text: str) -> None:
    with pytest.raises(SettingsError, match="names no namespace"):
        settings_of({"ANGARIUM_NAMESPACES": text})


def test_every_default_is_what_its_text_means() -> None:
    for field in fields():
        text = default_text(field.default)
        if text:
            assert getattr(settings_of({}, **{field.name: text}), field.name) == field.default


def test_paths_and_hosts_are_taken_as_they_are() -> None:
    settings = settings_of({"ANGARIUM_DATABASE": "data/a b.db"}, host="::1")
    assert (settings.database, settings.host) == (Path("data/a b.db"), "::1")


@pytest.mark.parametrize(("name", "least"), [("keep_messages", "1m"), ("resync", "1s")])
def test_a_duration_that_would_break_a_promise_is_refused(name: str, least: str) -> None:
    """A message has to stay readable for a minute after its end (contract 8.2)."""
    with pytest.raises(SettingsError, match=f"at least {least} is needed"):
        settings_of({variable(name): "0s"})
    assert settings_of({variable(name): least})
