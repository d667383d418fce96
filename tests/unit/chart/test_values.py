"""The chart's files, without Helm: schema, defaults, README and what has its source elsewhere fit together."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from tools.manifests import chart

from angarium import app
from angarium.domain.errors import SettingsError
from angarium.engine import courier_sender
from angarium.engine.dispatcher import DispatchSettings
from angarium.settings import Settings, default_text, fields, load, variable

BENCHMARKS = (chart.ROOT / "docs" / "benchmarks.md").read_text()
SCHEMA = chart.schema()
VALUES = list(chart.values())
SET_OTHERWISE = {
    "database": "the volume is mounted there",
    "port": "service.port is what others see",
    "health_port": "the Service and the probes name it",
    "public_url": "publicUrl",
    "kubeconfig": "kubeconfig.existingSecret",
    "namespaces": "watchNamespaces",
    "drain": "drainSeconds, from which the grace period of the pod follows",
    "pod": "the downward API tells it",
}
"""Settings that are not among `settings`, and what decides them."""
KUBERNETES = "Kubernetes' own"
DURATIONS = ("0s", "1s", "30s", "59s", "60s", "1m", "90s", "5m", "1d12h", "0d0h30s", "1h1h", "007s", "366d")
NO_DURATIONS = ("", "5", "s", "1.5s", "-1s", "5 m", "1w", "1m30", "1234567s")


def camel(name: str) -> str:
    return re.sub("_(.)", lambda found: found[1].upper(), name)


def settings_in_chart() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = SCHEMA["properties"]["settings"]["properties"]
    return found


def takes(schema: dict[str, Any], value: Any) -> bool:
    return bool(Draft202012Validator({**schema, "$defs": SCHEMA["$defs"]}).is_valid(value))


def program_takes(name: str, text: str) -> bool:
    try:
        load({}, {variable(name): text}, Settings())
    except SettingsError:
        return False
    return True


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert list(Draft202012Validator(SCHEMA).iter_errors(chart.defaults())) == []


def test_every_value_has_a_sentence() -> None:
    for value in VALUES:
        assert re.fullmatch(r"(?s)[A-Z].+\.", value.description), value.path


def test_schema_and_defaults_know_the_same_values() -> None:
    """`settings` are empty, because the program has their defaults; `global` belongs to parent charts."""
    known = {value.path for value in VALUES if value.leaf and not value.path.startswith("settings.")}
    assert known - {"global"} | {"settings"} == set(leaves(chart.defaults(), known))


def leaves(values: dict[str, Any], known: set[str], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and f"{path}{name}" not in known and value:
            yield from leaves(value, known, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_nothing_unknown_is_taken_but_what_is_kubernetes_own() -> None:
    for path, schema in objects_in(SCHEMA, ""):
        if path != "/properties/global" and not schema.get("$comment", "").startswith(KUBERNETES):
            assert schema.get("additionalProperties") in (False, {"type": "string"}), path


def objects_in(schema: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield path, schema
        for name, inner in schema.items():
            yield from objects_in(inner, f"{path}/{name}")


def test_every_setting_of_the_program_can_be_set() -> None:
    names = {field.name for field in fields()}
    assert SET_OTHERWISE.keys() <= names
    assert list(settings_in_chart()) == [camel(field.name) for field in fields() if field.name not in SET_OTHERWISE]


@pytest.mark.parametrize("field", [one for one in fields() if one.name not in SET_OTHERWISE], ids=lambda one: one.name)
def test_a_setting_is_described_and_bounded_as_in_the_program(field: Any) -> None:
    schema = settings_in_chart()[camel(field.name)]
    default = default_text(field.default)
    assert schema["description"] == field.metadata["help"] + (f" Default: {default}." if default else "")
    bounds = schema.get("if", {}).get("not", {})
    if bounds.get("type") == "integer":
        for bound, beyond in ((bounds["minimum"], -1), (bounds["maximum"], 1)):
            assert program_takes(field.name, str(bound)) and not program_takes(field.name, str(bound + beyond))
            assert takes(schema, bound) and not takes(schema, bound + beyond)
    elif "duration" in schema.get("$ref", ""):
        for text in (*DURATIONS, *NO_DURATIONS):
            assert takes(schema, text) == program_takes(field.name, text), text
    elif "enum" in schema:
        assert all(program_takes(field.name, choice) for choice in schema["enum"])
        assert len(schema["enum"]) == len(re.findall(r"\w+", field.metadata["help"].split(":")[-1])) - 1
    else:
        assert schema.get("type") in ("boolean", "array") or field.name in ("host", "health_host")


def test_the_pod_outlives_the_drain() -> None:
    """After the drain come, at the longest, two waits of the dispatcher for the store, the courier and the operator."""
    pod = (chart.CHART / "templates" / "_pod.tpl").read_text()
    reserve = re.search(r"terminationGracePeriodSeconds: \{\{ add .*drainSeconds.* (\d+) \}\}", pod)
    assert reserve is not None
    longest = 2 * DispatchSettings().settling.total_seconds() + courier_sender.END_S + app.OPERATOR_STOP_S
    assert int(reserve[1]) > longest
    assert f"{chart.default_of('drainSeconds')}s" == default_text(Settings().drain)


def test_the_readme_is_fresh() -> None:
    assert chart.README.read_text(encoding="utf-8") == chart.readme(), "stale: run `make manifests`"


def test_the_crds_are_those_of_the_project() -> None:
    ours, source = (
        {file.name: file.read_bytes() for file in folder.iterdir()} for folder in (chart.CRDS, chart.SOURCE)
    )
    assert ours == source, "stale: run `make manifests`"


def test_the_version_is_the_programs() -> None:
    version = tomllib.loads((chart.ROOT / "pyproject.toml").read_text())["project"]["version"]
    told = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
    assert (told["version"], told["appVersion"]) == (version, version)


def test_no_hooks_and_no_folder_that_helm_installs_once() -> None:
    assert not (chart.CHART / "crds").exists()
    assert [file for file in templates() if "helm.sh/hook" in file.read_text()] == []


def test_every_value_is_used() -> None:
    """What no template names does nothing. A group counts for what is in it where it is used as a whole."""
    text = "".join(file.read_text() for file in templates())
    for value in VALUES:
        path = "settings" if value.path.startswith("settings.") else value.path
        assert path == "global" or not value.leaf or re.search(rf"\.Values\.{re.escape(path)}\b", text), path


def templates() -> list[Path]:
    return [file for file in (chart.CHART / "templates").rglob("*") if file.is_file()]


def test_nothing_may_be_taken_away_that_a_template_needs() -> None:
    """null removes a default; so does a release of an older chart whose values are used again."""
    for path, schema in objects_in(SCHEMA, ""):
        if schema.get("additionalProperties") is False and not path.endswith("/properties/settings"):
            optional = set(schema["properties"]) - set(schema["required"])
            assert optional <= {"global", "nodePort"}, path


def test_the_memory_limit_has_room_for_what_the_settings_allow() -> None:
    """docs/benchmarks.md: the most that was seen, at a restart with large objects; bodies and answers come on top."""
    seen = re.search(r"restart with them on an empty database: memory at most \(PSS\) \| \*\*(\d+) MiB", BENCHMARKS)
    assert seen is not None
    settings = Settings()
    most = int(seen[1]) * 2**20 + settings.in_flight_bytes + settings.in_flight * settings.max_response
    assert chart.default_of("resources")["limits"]["memory"] == "512Mi"
    assert most < 512 * 2**20
