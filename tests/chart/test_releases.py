"""Releases on a real API server (no node, so no pod runs): install, upgrade, roll back, uninstall, come back."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.conftest import running
from tests.support.angarium import Angarium
from tests.support.chart_cases import VERSION
from tests.support.cluster import ROOT, apply, create_namespace, find, get, list_all, patch, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.helm import CHART, Helm
from tests.support.markdown import blocks
from tests.support.rights import create_service_account, token_of

KINDS = ("endpoints", "queues", "schedules", "tokens", "topics")
CRDS = [f"{kind}.angarium.dev" for kind in KINDS]
OWNER = "meta.helm.sh/release-name"
NO_CRDS = {"crds": {"enabled": False}}
README = (CHART / "README.md").read_text()
INSTALL_PAGE = (ROOT / "docs" / "install.md").read_text()


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One that no other test has brought CRDs to. They are there from the first test on, and go with the last."""
    with running(tmp_path_factory.mktemp("releases")) as control_plane:
        yield control_plane


@pytest.fixture
def controllers(control_plane: ControlPlane) -> Iterator[None]:
    control_plane.start_controller_manager()
    yield
    control_plane.stop_controller_manager()


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """Without releases, before and after."""
    yield control_plane
    left = list_all(control_plane, "Secret", labelSelector="owner=helm")
    assert [one["metadata"]["name"] for one in left] == [], "a release was left behind"


def crds(control_plane: ControlPlane) -> dict[str, str | None]:
    """Angarium's CRDs, and the release that owns each."""
    found = {one["metadata"]["name"]: one["metadata"] for one in list_all(control_plane, "CustomResourceDefinition")}
    return {name: found[name].get("annotations", {}).get(OWNER) for name in CRDS if name in found}


def stateful_set(control_plane: ControlPlane, namespace: str, name: str = "angarium") -> dict[str, Any]:
    return get(control_plane, "StatefulSet", name, namespace)


def drain(control_plane: ControlPlane, namespace: str) -> str:
    (container,) = stateful_set(control_plane, namespace)["spec"]["template"]["spec"]["containers"]
    return next(str(one["value"]) for one in container["env"] if one["name"] == "ANGARIUM_DRAIN")


def test_a_release_from_its_install_to_its_return(cluster: ControlPlane, admin: Helm) -> None:
    admin.succeed("install", "angarium", CHART, "-n", "first", "--create-namespace")
    assert crds(cluster) == dict.fromkeys(CRDS, "angarium")
    assert drain(cluster, "first") == "30s"
    schedule = {"every": "1h", "destination": {"url": "http://reports.first.svc/run"}}
    manifest = {"apiVersion": "angarium.dev/v1alpha1", "kind": "Schedule", "metadata": {"name": "s"}, "spec": schedule}
    wait_for(lambda: apply(cluster, manifest, "first"), describe="Schedules are served")
    admin.succeed("upgrade", "angarium", CHART, "-n", "first", values={"drainSeconds": 45})
    assert drain(cluster, "first") == "45s"
    admin.succeed("rollback", "angarium", "1", "-n", "first")
    assert drain(cluster, "first") == "30s"
    admin.succeed("uninstall", "angarium", "-n", "first")
    assert find(cluster, "StatefulSet", "angarium", "first") is None
    assert list_all(cluster, "ClusterRole", labelSelector="app.kubernetes.io/name=angarium") == []
    assert get(cluster, "Schedule", "s", "first")["spec"]["every"] == "1h"
    admin.succeed("install", "angarium", CHART, "-n", "first")
    assert get(cluster, "Schedule", "s", "first")["spec"]["every"] == "1h"
    admin.succeed("uninstall", "angarium", "-n", "first")


def test_another_release_meets_crds_that_are_there_already(cluster: ControlPlane, admin: Helm) -> None:
    """Helm's words stand in the README, with the two ways out; both work, side by side."""
    admin.succeed("install", "old", CHART, "-n", "old", "--create-namespace", "--take-ownership")
    admin.succeed("uninstall", "old", "-n", "old")
    refused = admin.run("install", "new", CHART, "-n", "new", "--create-namespace")
    words = 'CustomResourceDefinition "endpoints.angarium.dev" in namespace "" exists and cannot be imported'
    assert refused.returncode != 0 and words in refused.stderr and "invalid ownership metadata" in refused.stderr
    assert words in " ".join(README.split())
    admin.succeed("install", "aside", CHART, "-n", "aside", "--create-namespace", values=NO_CRDS)
    assert crds(cluster) == dict.fromkeys(CRDS, "old")
    admin.succeed("install", "new", CHART, "-n", "new", "--create-namespace", "--take-ownership")
    assert crds(cluster) == dict.fromkeys(CRDS, "new")
    admin.succeed("upgrade", "new", CHART, "-n", "new")
    for name in ("new", "aside"):
        admin.succeed("uninstall", name, "-n", name)
    assert crds(cluster) == dict.fromkeys(CRDS, "new")


def as_kubectl_leaves_them(control_plane: ControlPlane) -> None:
    control_plane.kubectl("apply", "-f", str(ROOT / "crds"))
    helms = {"annotations": {OWNER: None}, "labels": {"app.kubernetes.io/managed-by": None}}
    for name in CRDS:
        patch(control_plane, "CustomResourceDefinition", name, None, {"metadata": helms})


def test_a_release_takes_over_crds_that_kubectl_applied(cluster: ControlPlane, admin: Helm) -> None:
    as_kubectl_leaves_them(cluster)
    assert crds(cluster) == dict.fromkeys(CRDS)
    refused = admin.run("install", "angarium", CHART, "-n", "taken", "--create-namespace")
    assert refused.returncode != 0 and "invalid ownership metadata" in refused.stderr
    admin.succeed("install", "angarium", CHART, "-n", "taken", "--create-namespace", "--take-ownership")
    assert crds(cluster) == dict.fromkeys(CRDS, "angarium")
    admin.succeed("uninstall", "angarium", "-n", "taken")
    assert list(crds(cluster)) == CRDS


def test_two_releases_share_a_cluster_and_a_namespace(cluster: ControlPlane, admin: Helm) -> None:
    """The same name in two namespaces, and two names in one."""
    for release, namespace in (("angarium", "a"), ("angarium", "a-angarium"), ("other", "a")):
        admin.succeed("install", release, CHART, "-n", namespace, "--create-namespace", values=NO_CRDS)
    bindings = list_all(cluster, "ClusterRoleBinding", labelSelector="app.kubernetes.io/name=angarium")
    subjects = {one["metadata"]["name"]: one["subjects"][0] for one in bindings}
    assert {name: (one["namespace"], one["name"]) for name, one in subjects.items()} == {
        "angarium.a": ("a", "angarium"),
        "angarium.a-angarium": ("a-angarium", "angarium"),
        "other-angarium.a": ("a", "other-angarium"),
    }
    selectors = [one["spec"]["selector"]["matchLabels"] for one in list_all(cluster, "StatefulSet", "a")]
    assert len(selectors) == 2 and selectors[0] != selectors[1]
    for release, namespace in (("angarium", "a"), ("angarium", "a-angarium"), ("other", "a")):
        admin.succeed("uninstall", release, "-n", namespace)


def kubernetes_admin(control_plane: ControlPlane) -> list[dict[str, Any]]:
    """The rules of the ClusterRole `admin`, which a controller gathers in a cluster: what every cluster has."""
    parts = (get(control_plane, "ClusterRole", f"system:aggregate-to-{part}") for part in ("admin", "edit", "view"))
    return [rule for part in parts for rule in part["rules"]]


def test_the_administrator_of_a_namespace_needs_no_cluster_wide_right(
    cluster: ControlPlane, admin: Helm, tmp_path: Path
) -> None:
    """Whoever is `admin` of one namespace, and nothing elsewhere, installs, upgrades and uninstalls it there, once
    that role has what docs/install.md adds to it: nobody may make a Role with rights that they do not have."""
    create_namespace(cluster, "owned")
    create_service_account(cluster, "owned", "owner")
    rbac = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "owner"}}
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "owner"},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "owner"},
        "subjects": [{"kind": "ServiceAccount", "name": "owner", "namespace": "owned"}],
    }
    for one in (role | {"rules": kubernetes_admin(cluster)}, binding):
        apply(cluster, one, "owned")
    kubeconfig = cluster.write_kubeconfig(tmp_path / "owner.kubeconfig", token_of(cluster, "owned", "owner"))
    owner = Helm(admin.program, tmp_path, kubeconfig)
    refused = owner.run("install", "angarium", CHART, "-n", "owned")
    assert refused.returncode != 0 and "cannot get resource" in refused.stderr
    values = {"watchNamespaces": ["owned"], **NO_CRDS}
    refused = owner.run("install", "angarium", CHART, "-n", "owned", values=values)
    assert refused.returncode != 0 and "not currently held" in refused.stderr
    owner.succeed("uninstall", "angarium", "-n", "owned")
    (added,) = (yaml.safe_load(one.text) for one in blocks(INSTALL_PAGE) if "aggregate-to-admin" in one.text)
    assert added["metadata"]["labels"] == {f"{rbac}/aggregate-to-admin": "true"}
    apply(cluster, role | {"rules": kubernetes_admin(cluster) + added["rules"]}, "owned")
    owner.succeed("install", "angarium", CHART, "-n", "owned", values=values)
    owner.succeed("upgrade", "angarium", CHART, "-n", "owned", values={**values, "drainSeconds": 45})
    assert drain(cluster, "owned") == "45s"
    owner.succeed("uninstall", "angarium", "-n", "owned")


def test_the_next_version_changes_nothing_that_may_not_change(
    cluster: ControlPlane, admin: Helm, tmp_path: Path
) -> None:
    """Versions are in labels; were one in a selector or in the template of the claim, the API server would refuse."""
    following = tmp_path / "angarium"
    shutil.copytree(CHART, following)
    chart = yaml.safe_load((following / "Chart.yaml").read_text())
    (following / "Chart.yaml").write_text(yaml.safe_dump(chart | {"version": "99.0.0", "appVersion": "99.0.0"}))
    admin.succeed("install", "angarium", CHART, "-n", "next", "--create-namespace", values=NO_CRDS)
    admin.succeed("upgrade", "angarium", following, "-n", "next", values=NO_CRDS)
    (container,) = stateful_set(cluster, "next")["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith(":99.0.0")
    admin.succeed("uninstall", "angarium", "-n", "next")


def owner_of_the_pod(cluster: ControlPlane) -> str | None:
    owners = get(cluster, "Pod", "angarium-0", "angarium")["metadata"].get("ownerReferences", [])
    return owners[0]["uid"] if owners else None


def test_another_volume_is_refused_with_the_way_to_get_it(
    cluster: ControlPlane, controllers: None, admin: Helm
) -> None:
    """The commands are those that the README has, but for the claim, which nobody can enlarge here; the pod goes on."""
    admin.succeed("install", "angarium", CHART, "-n", "angarium", "--create-namespace", values=NO_CRDS)
    enlarging = ("upgrade", "angarium", CHART, "-n", "angarium", "--reuse-values", "--set", "persistence.size=20Gi")
    refused = admin.run(*enlarging)
    command = "kubectl -n angarium delete statefulset angarium --cascade=orphan"
    assert refused.returncode != 0 and command in refused.stderr and "data-angarium-0" in refused.stderr
    assert command in README
    wait_for(lambda: find(cluster, "Pod", "angarium-0", "angarium"), within=30, describe="the pod is there")
    pod = get(cluster, "Pod", "angarium-0", "angarium")["metadata"]["uid"]
    cluster.kubectl(*command.split()[1:])
    admin.succeed(*enlarging)
    (claim,) = stateful_set(cluster, "angarium")["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    adopted = stateful_set(cluster, "angarium")["metadata"]["uid"]
    wait_for(lambda: owner_of_the_pod(cluster), lambda uid: uid == adopted, within=30, describe="the pod is adopted")
    assert get(cluster, "Pod", "angarium-0", "angarium")["metadata"]["uid"] == pod
    admin.succeed("uninstall", "angarium", "-n", "angarium")


def test_a_pod_that_never_became_ready_is_replaced_and_its_volume_stays(
    cluster: ControlPlane, controllers: None, admin: Helm
) -> None:
    """No pod becomes ready without a node: as with a broken image, only another revision helps, and it has to come."""

    def await_image(tag: str) -> None:
        def tagged() -> bool:
            pod = find(cluster, "Pod", "angarium-0", "kept")
            return pod is not None and pod["spec"]["containers"][0]["image"].endswith(f":{tag}")

        wait_for(tagged, within=60, describe=f"a pod of the image {tag}")

    admin.succeed("install", "angarium", CHART, "-n", "kept", "--create-namespace", values=NO_CRDS)
    await_image(VERSION)
    admin.succeed("upgrade", "angarium", CHART, "-n", "kept", values={**NO_CRDS, "image": {"tag": "broken"}})
    await_image("broken")
    admin.succeed("rollback", "angarium", "1", "-n", "kept")
    await_image(VERSION)
    claim = get(cluster, "PersistentVolumeClaim", "data-angarium-0", "kept")["metadata"]["uid"]
    admin.succeed("uninstall", "angarium", "-n", "kept")
    wait_for(lambda: find(cluster, "Pod", "angarium-0", "kept") is None, within=60, describe="the pod is gone")
    admin.succeed("install", "angarium", CHART, "-n", "kept", values=NO_CRDS)
    await_image(VERSION)
    assert get(cluster, "PersistentVolumeClaim", "data-angarium-0", "kept")["metadata"]["uid"] == claim
    admin.succeed("uninstall", "angarium", "-n", "kept")


def test_monitoring_is_made_where_the_cluster_knows_it(cluster: ControlPlane, admin: Helm, monitoring: None) -> None:
    values = {**NO_CRDS, "serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
    told = admin.succeed("install", "angarium", CHART, "-n", "watched", "--create-namespace", values=values)
    assert "WARNING" not in told
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert get(cluster, kind, "angarium", "watched")
    admin.succeed("uninstall", "angarium", "-n", "watched")


def test_monitoring_is_missed_aloud_where_the_cluster_does_not_know_it(cluster: ControlPlane, admin: Helm) -> None:
    values = {**NO_CRDS, "serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
    told = admin.succeed("install", "angarium", CHART, "-n", "unwatched", "--create-namespace", values=values)
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert f"the cluster does not know the kind {kind}" in " ".join(told.split())
    admin.succeed("uninstall", "angarium", "-n", "unwatched")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "serves all namespaces"),
        ({"watchNamespaces": ["shop", "till"]}, "serves shop, till"),
        ({"watchNamespaces": ["shop", "till"]}, "kubectl -n shop apply -f -"),
        ({"service": {"port": 80}}, "port-forward service/angarium 8080:80 "),
        ({"persistence": {"enabled": False}}, "WARNING: persistence.enabled is false. All messages are lost"),
        ({"crds": {"enabled": True, "keep": False}}, "WARNING: crds.keep is false."),
        ({"replicas": 0}, "WARNING: replicas is 0."),
        ({"settings": {"publicOnly": True}}, "/v2/publish/https://example.com/"),
        ({"kubeconfig": {"existingSecret": "other"}}, "that of the kubeconfig in the Secret other"),
    ],
    ids=lambda part: None if isinstance(part, dict) else part[:30],
)
def test_the_notes_tell_what_was_installed(
    admin: Helm, control_plane: ControlPlane, values: dict[str, Any], words: str
) -> None:
    flags = ("-n", "any", "--dry-run=client", "--take-ownership")
    told = admin.succeed("install", "angarium", CHART, *flags, values={**NO_CRDS, **values})
    _, _, notes = told.partition("NOTES:")
    assert words in " ".join(notes.split())
    assert ("WARNING" in notes) == words.startswith("WARNING")
    assert ("QSTASH_TOKEN" in notes) == ("kubeconfig" not in values)


def test_the_first_publish_works_as_the_notes_say(cluster: ControlPlane, admin: Helm, tmp_path: Path) -> None:
    """Their commands in one shell, with a program beside the cluster in the place of the pod: same ServiceAccount, and
    where kubectl would wait for a pod and forward a port, its own address."""
    as_kubectl_leaves_them(cluster)
    notes = admin.succeed("install", "angarium", CHART, "-n", "notes", "--create-namespace", values=NO_CRDS)
    # Indented, as a person copies them.
    commands = "\n".join(line for line in notes.splitlines() if line.startswith("  "))
    kubeconfig = cluster.write_kubeconfig(tmp_path / "kubeconfig", token_of(cluster, "notes", "angarium"))
    with Angarium(tmp_path, kubeconfig=kubeconfig) as angarium:
        angarium.start()
        for of_the_pod, here in (
            (r"^  kubectl .* rollout status .*$", ""),
            (r"^  kubectl .* port-forward .*$", ""),
            (r"^  kill \$FORWARD$", ""),
            (r"http://127\.0\.0\.1:8080", angarium.url),
            (r"http://angarium-health\.notes\.svc:9090", angarium.health_url),
        ):
            commands, count = re.subn(of_the_pod, here, commands, flags=re.MULTILINE)
            assert count, f"{of_the_pod} is not in the notes"
        environment = dict(cluster.kubectl_environment())
        environment["PATH"] = f"{cluster.assets}:{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands], env=environment, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"state":"DELIVERED"' in done.stdout.replace(": ", ":")
    admin.succeed("uninstall", "angarium", "-n", "notes")


def test_crds_that_are_not_kept_go_with_the_release(cluster: ControlPlane, admin: Helm) -> None:
    values = {"crds": {"keep": False}}
    admin.succeed("install", "last", CHART, "-n", "last", "--create-namespace", "--take-ownership", values=values)
    admin.succeed("uninstall", "last", "-n", "last")
    for name in CRDS:
        left = find(cluster, "CustomResourceDefinition", name)
        assert left is None or "deletionTimestamp" in left["metadata"], "the API server takes its time"
