"""Each value changes what it says and nothing else; a wrong one stops Helm in words that say what is needed."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.chart_cases import CASES, REFUSED, SETTINGS, Case, variable
from tests.support.cluster import Object
from tests.support.differences import difference
from tests.support.helm import CHART, NAMESPACE, RELEASE, Helm, environment_of, named, only
from tools.manifests import chart

from angarium.settings import Settings, load

MONITORING = (
    *("--api-versions", "monitoring.coreos.com/v1/ServiceMonitor"),
    *("--api-versions", "monitoring.coreos.com/v1/PrometheusRule"),
)


def setting_case(name: str) -> Case:
    value, text = SETTINGS[name]
    snake = re.sub("([A-Z])", r"_\1", name).upper()
    return Case(f"settings.{name}", value, variable(f"ANGARIUM_{snake}", text))


ALL_CASES = [*CASES, *map(setting_case, SETTINGS)]

Render = Callable[[dict[str, Any]], list[Object]]


@pytest.fixture(scope="module")
def render(helm: Helm) -> Render:
    """The same values are rendered once."""
    rendered: dict[str, list[Object]] = {}

    def once(values: dict[str, Any]) -> list[Object]:
        key = repr(values)
        if key not in rendered:
            rendered[key] = helm.render(values, *MONITORING)
        return rendered[key]

    return once


def with_value(given: Any, path: str, value: Any) -> dict[str, Any]:
    """A copy of `given` in which one value is set."""
    name, _, rest = path.partition(".")
    inner = with_value(given.get(name, {}), rest, value) if rest else value
    return {**given, name: inner}


def test_helm_finds_nothing_to_complain_about(helm: Helm) -> None:
    helm.succeed("lint", "--strict", CHART)


def test_every_value_has_a_case() -> None:
    assert sorted(case.path for case in ALL_CASES) == sorted(value.path for value in chart.values() if value.leaf)


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.path)
def test_a_value_changes_what_it_says_and_nothing_else(render: Render, case: Case) -> None:
    before = render(dict(case.given))
    after = render(with_value(case.given, case.path, case.value))
    assert difference(before, after, NAMESPACE) == case.changes
    as_the_program_reads_it(after)


def as_the_program_reads_it(objects: list[Object]) -> Settings:
    """The settings that the container has. Raises SettingsError for what would keep it from starting."""
    filled_in = {"POD_NAMESPACE": NAMESPACE, "POD_NAME": "angarium-0", "POD_UID": "0e2f"}
    environment = environment_of(objects)
    for name, text in filled_in.items():
        environment = {key: value.replace(f"$({name})", text) for key, value in environment.items()}
    assert not any("$(" in value for value in environment.values())
    return load({}, environment, Settings())


def test_the_program_is_told_where_it_runs(render: Render) -> None:
    settings = as_the_program_reads_it(render({"watchNamespaces": ["angarium", "shop"]}))
    assert settings.pod == "angarium/angarium-0/0e2f"
    assert settings.public_url == "http://angarium.angarium.svc:8080"
    assert settings.namespaces == ("angarium", "shop")


def test_probes_ask_what_operations_says(render: Render) -> None:
    (container,) = only(render({}), "StatefulSet")["spec"]["template"]["spec"]["containers"]
    startup, liveness, readiness = (container[f"{name}Probe"] for name in ("startup", "liveness", "readiness"))
    assert startup["httpGet"] == liveness["httpGet"] == {"path": "/livez", "port": "health"}
    assert readiness["httpGet"] == {"path": "/readyz", "port": "health"}
    assert (liveness["timeoutSeconds"], liveness["failureThreshold"]) == (5, 3)
    assert startup["periodSeconds"] * startup["failureThreshold"] == chart.default_of("startupSeconds")


def test_watched_namespaces_need_no_right_in_the_whole_cluster(render: Render) -> None:
    """One Role for what is watched, in each of them; where the pod runs, Events only, if that is not watched."""
    everywhere = only(render({}), "ClusterRole")["rules"]
    objects = render({"watchNamespaces": ["shop", "billing"], "crds": {"enabled": False}})
    assert not any(one["kind"].startswith("Cluster") for one in objects)
    roles = {one["metadata"]["namespace"]: one["rules"] for one in named(objects, "Role")}
    namespaces = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}
    assert roles.pop(NAMESPACE) == [{"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}]
    assert roles == {name: [rule for rule in everywhere if rule != namespaces] for name in ("shop", "billing")}
    for binding in named(objects, "RoleBinding"):
        (subject,) = binding["subjects"]
        assert subject == {"kind": "ServiceAccount", "name": RELEASE, "namespace": NAMESPACE}
        assert binding["roleRef"]["name"] == RELEASE


def test_the_rules_are_those_of_the_file(render: Render) -> None:
    rules = only(render({"prometheusRule": {"enabled": True}}), "PrometheusRule")["spec"]
    assert rules == yaml.safe_load((CHART / "files" / "prometheus-rules.yaml").read_text())


def test_metrics_are_scraped_where_they_are(render: Render) -> None:
    objects = render({"serviceMonitor": {"enabled": True}})
    wanted = only(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    matching = [one for one in named(objects, "Service") if wanted.items() <= one["metadata"]["labels"].items()]
    (service,) = matching
    (port,) = service["spec"]["ports"]
    (container,) = only(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    assert (port["name"], port["port"], port["targetPort"]) == ("health", Settings().health_port, "health")
    assert {one["name"]: one["containerPort"] for one in container["ports"]} == {
        "http": Settings().port,
        "health": Settings().health_port,
    }


def test_kinds_that_the_cluster_does_not_know_are_left_out(helm: Helm) -> None:
    objects = helm.render({"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}})
    assert not {"ServiceMonitor", "PrometheusRule"} & {one["kind"] for one in objects}


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("angarium", {}, "angarium"),
        ("my-angarium", {}, "my-angarium"),
        ("queue", {}, "queue-angarium"),
        ("queue", {"nameOverride": "http"}, "queue-http"),
        ("queue", {"fullnameOverride": "post"}, "post"),
        ("r" * 53, {}, "r" * 52),
        ("r" * 51, {}, "r" * 51),
        ("queue", {"fullnameOverride": "f" * 51 + "-" + "f" * 11}, "f" * 51),
    ],
)
def test_names(helm: Helm, release: str, values: dict[str, Any], name: str) -> None:
    objects = helm.render({**values, "crds": {"enabled": False}}, release=release, namespace="n" * 63)
    names = {one["kind"]: one["metadata"]["name"] for one in objects if one["kind"] != "Service"}
    cluster_wide = f"{name}.{'n' * 63}"
    assert names == {
        "ServiceAccount": name,
        "StatefulSet": name,
        "ClusterRole": cluster_wide,
        "ClusterRoleBinding": cluster_wide,
    }
    assert {one["metadata"]["name"] for one in named(objects, "Service")} == {name, f"{name}-health"}
    assert only(objects, "StatefulSet")["spec"]["serviceName"] == f"{name}-health"


def test_wrong_values_are_refused_in_words(helm: Helm) -> None:
    values: dict[str, Any] = {}
    for path, value, _, _ in REFUSED:
        values = with_value(values, path, value)
    expected = {f"'{where}': {words}" for _, _, where, words in REFUSED}
    assert set(helm.refusal(values)) == expected


def test_a_parent_chart_may_bring_it(helm: Helm, tmp_path: Path) -> None:
    """Helm hands `global` down to the charts of a chart, whether they know it or not."""
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: platform\nversion: 0.1.0\n")
    (tmp_path / "values.yaml").write_text("angarium: {drainSeconds: 45}\n")
    shutil.copytree(CHART, tmp_path / "charts" / "angarium")
    objects = [one for one in yaml.safe_load_all(helm.succeed("template", "angarium", tmp_path)) if one]
    assert environment_of(objects)["ANGARIUM_DRAIN"] == "45s"
    assert len(named(objects, "CustomResourceDefinition")) == 5
