"""Each value changes what it says and nothing else; a wrong one stops Helm in words that say what is needed."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.conftest import Render
from tests.support.chart_cases import CASES, REFUSED, SETTINGS, Case, variable
from tests.support.cluster import Object, Refused, apply, call, path_of
from tests.support.controlplane import ControlPlane
from tests.support.differences import difference
from tests.support.helm import CHART, NAMESPACE, RELEASE, Helm, environment_of, named, only
from tests.support.rights import create_service_account
from tools.manifests import chart

from angarium.settings import Settings, load


def setting_case(name: str) -> Case:
    value, text = SETTINGS[name]
    snake = re.sub("([A-Z])", r"_\1", name).upper()
    return Case(f"settings.{name}", value, variable(f"ANGARIUM_{snake}", text))


ALL_CASES = [*CASES, *map(setting_case, SETTINGS)]


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


def test_the_api_server_takes_all_that_is_rendered(
    control_plane: ControlPlane, namespaces: None, monitoring: None, render: Render
) -> None:
    """Each object of every case, in a dry run that refuses unknown fields; and the pod that each StatefulSet makes, in
    a namespace that enforces the restricted Pod Security Standard: of a StatefulSet itself that would only warn."""
    different = [one for case in ALL_CASES for one in render(with_value(case.given, case.path, case.value))]
    objects = list({json.dumps(one, sort_keys=True): one for one in different}.values())
    for name in {"default", *(one["metadata"]["name"] for one in named(objects, "ServiceAccount"))}:
        create_service_account(control_plane, NAMESPACE, name)
    for one in objects:
        apply(control_plane, one, dryRun="All")
    pods = [pod_of(one) for one in named(objects, "StatefulSet")]
    assert len(pods) > len(SETTINGS)
    for pod in pods:
        create_pod(control_plane, pod)
    pods[0]["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(Refused, match="violates PodSecurity"):
        create_pod(control_plane, pods[0])


def pod_of(stateful_set: Object) -> Object:
    """The pod that the controller makes of it."""
    template = stateful_set["spec"]["template"]
    name = f"{stateful_set['metadata']['name']}-0"
    volumes = [
        {
            "name": claim["metadata"]["name"],
            "persistentVolumeClaim": {"claimName": f"{claim['metadata']['name']}-{name}"},
        }
        for claim in stateful_set["spec"].get("volumeClaimTemplates", [])
    ]
    spec = {**template["spec"], "volumes": [*template["spec"]["volumes"], *volumes]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": name}, "spec": spec}


def create_pod(control_plane: ControlPlane, pod: Object) -> None:
    params = {"dryRun": "All", "fieldValidation": "Strict"}
    call(control_plane, "POST", path_of("Pod", namespace=NAMESPACE), params=params, json=pod)


def as_the_program_reads_it(objects: list[Object]) -> Settings:
    """The settings that the container has. Raises SettingsError for what would keep it from starting."""
    filled_in = {"POD_NAMESPACE": NAMESPACE, "POD_NAME": "angarium-0", "POD_UID": "0e2f"}
    environment = environment_of(objects)
    for name, text in filled_in.items():
        environment = {key: value.replace(f"$({name})", text) for key, value in environment.items()}
    assert not any("$(" in value for value in environment.values())
    return load({}, environment, Settings())


def test_the_program_is_told_where_it_runs(render: Render) -> None:
    objects = render({"watchNamespaces": ["angarium", "shop"]})
    assert environment_of(objects)["ANGARIUM_POD"] == "$(POD_NAMESPACE)/$(POD_NAME)/$(POD_UID)"
    settings = as_the_program_reads_it(objects)
    assert settings.public_url == "http://angarium.angarium.svc:8080"
    assert settings.namespaces == ("angarium", "shop")


def test_probes_ask_what_operations_says(render: Render) -> None:
    (container,) = only(render({}), "StatefulSet")["spec"]["template"]["spec"]["containers"]
    startup, liveness, readiness = (container[f"{name}Probe"] for name in ("startup", "liveness", "readiness"))
    assert startup["httpGet"] == liveness["httpGet"] == {"path": "/livez", "port": "health"}
    assert readiness["httpGet"] == {"path": "/readyz", "port": "health"}
    assert (liveness["timeoutSeconds"], liveness["failureThreshold"]) == (5, 3)
    assert startup["periodSeconds"] * startup["failureThreshold"] == 60


def test_the_pod_has_what_it_needs_and_nothing_else(render: Render) -> None:
    """It writes to its volume and to /tmp only, and gets no variables of Services, which would look like settings.
    Its ServiceAccount's token goes to it alone."""
    objects = render({})
    pod = only(objects, "StatefulSet")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {str(Settings().database.parent), "/tmp"}
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {}}]
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    assert (pod["enableServiceLinks"], pod["automountServiceAccountToken"]) == (False, True)
    assert only(objects, "ServiceAccount")["automountServiceAccountToken"] is False


def test_whatever_selects_pods_selects_this_one(render: Render) -> None:
    objects = render({"networkPolicy": {"enabled": True}, "podLabels": {"app.kubernetes.io/name": "else"}})
    stateful_set = only(objects, "StatefulSet")["spec"]
    services = [one["spec"]["selector"] for one in named(objects, "Service")]
    policy = only(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    selectors = [*services, policy, stateful_set["selector"]["matchLabels"]]
    ours = {"app.kubernetes.io/name": "angarium", "app.kubernetes.io/instance": RELEASE}
    assert selectors == [ours] * 4
    assert ours.items() <= stateful_set["template"]["metadata"]["labels"].items()


def test_the_claim_outlives_the_stateful_set(render: Render) -> None:
    kept = only(render({}), "StatefulSet")["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert kept == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_health_is_asked_of_the_pod_itself_ready_or_not(render: Render) -> None:
    spec = only(render({}), "Service", "angarium-health")["spec"]
    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)


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
        ("1e3", {"fullnameOverride": "e3"}, "e3"),
        ("shop.eu", {}, "shop-eu-angarium"),
        ("queue", {"fullnameOverride": "f" * 51 + "-" + "f" * 11}, "f" * 51),
    ],
)
@pytest.mark.parametrize("namespace", ["n" * 63, "007"])
def test_names(helm: Helm, release: str, values: dict[str, Any], name: str, namespace: str) -> None:
    objects = helm.render({**values, "crds": {"enabled": False}}, release=release, namespace=namespace)
    names = {one["kind"]: one["metadata"]["name"] for one in objects if one["kind"] != "Service"}
    cluster_wide = f"{name}.{namespace}"
    assert {one["metadata"].get("namespace", namespace) for one in objects} == {namespace}
    assert {one["metadata"]["labels"]["app.kubernetes.io/instance"] for one in objects} == {release}
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


def test_rights_go_to_no_account_that_nobody_named(helm: Helm) -> None:
    """With `default`, every pod of the namespace would have them."""
    words = "value must be 'the name of an existing ServiceAccount, because serviceAccount.create is false'"
    assert helm.refusal({"serviceAccount": {"create": False}}) == [f"'/serviceAccount/name': {words}"]


def test_a_packed_chart_is_whole(helm: Helm, render: Render, tmp_path: Path) -> None:
    helm.succeed("package", CHART, "--destination", tmp_path)
    (archive,) = tmp_path.glob("angarium-*.tgz")
    text = helm.succeed("template", RELEASE, archive, "--namespace", NAMESPACE)
    assert [one for one in yaml.load_all(text, yaml.CSafeLoader) if one] == render({})


def test_a_parent_chart_may_bring_it(helm: Helm, tmp_path: Path) -> None:
    """Helm hands `global` down to the charts of a chart, whether they know it or not."""
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: platform\nversion: 0.1.0\n")
    (tmp_path / "values.yaml").write_text("angarium: {drainSeconds: 45}\n")
    shutil.copytree(CHART, tmp_path / "charts" / "angarium")
    objects = [one for one in yaml.safe_load_all(helm.succeed("template", "angarium", tmp_path)) if one]
    assert environment_of(objects)["ANGARIUM_DRAIN"] == "45s"
    assert len(named(objects, "CustomResourceDefinition")) == 5
