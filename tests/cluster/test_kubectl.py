"""kubectl and our objects: applying and comparing them, several managers of one object, and the everyday verbs."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from tests.support import examples
from tests.support.cluster import ROOT, Object, wait_for
from tests.support.stage import API_VERSION, RUN_NOW, STATUS_S, Stage

FOREIGN = ("argocd-controller", "kustomize-controller")
"""Under these names Argo CD and Flux apply on the server."""
CERTIFICATES = ROOT / "tests" / "support" / "certificates"


def kubectl(stage: Stage, *args: str, manifest: Object | None = None) -> str:
    text = yaml.safe_dump(manifest) if manifest else None
    return stage.control_plane.kubectl(*args, "-n", stage.namespace, input=text).stdout


def await_reconciled(stage: Stage, documents: Sequence[Object]) -> None:
    """Until the operator has written a status of this spec to each of these objects."""

    def reconciled(document: Object) -> bool:
        obj = stage.get(document["kind"], document["metadata"]["name"])
        observed: int | None = obj["status"].get("observedGeneration")
        return observed == obj["metadata"]["generation"]

    for document in documents:
        what = f"{document['kind']} {document['metadata']['name']} is reconciled"
        wait_for(lambda document=document: reconciled(document), within=STATUS_S, describe=what)  # type: ignore[misc]


def await_no_difference(stage: Stage, *where: str) -> None:
    """At the first or second look: a Schedule may fire between the two requests of kubectl, and its status differs."""

    def differences() -> tuple[int, str]:
        done = stage.control_plane.kubectl("diff", *where, "-n", stage.namespace, check=False)
        return done.returncode, done.stdout + done.stderr

    wait_for(differences, lambda found: found == (0, ""), within=5, describe="kubectl diff is silent")


def test_every_example_is_among_those_that_are_applied() -> None:
    applied = {file for name in examples.WRITTEN for file in examples.files_of(name)}
    base = examples.EXAMPLES / "gitops" / "base"
    built = {base / name for name in yaml.safe_load((base / "kustomization.yaml").read_text())["resources"]}
    assert examples.declaring() <= applied | built
    assert {file.parent for file in base.parent.glob("overlays/*/*.yaml")} == {
        examples.EXAMPLES / name for name in examples.BUILT
    }


def test_the_complete_examples_become_ready(stage: Stage) -> None:
    """Every field that there is, once the Secrets that their comments name are there."""
    kubectl(stage, "create", "secret", "generic", "shop-ca", f"--from-file=ca.crt={CERTIFICATES / 'ca.crt'}")
    pair = (f"--cert={CERTIFICATES / 'client.crt'}", f"--key={CERTIFICATES / 'client.key'}")
    kubectl(stage, "create", "secret", "tls", "billing-client", *pair)
    kubectl(stage, "apply", "-f", str(examples.EXAMPLES / "reference"))
    kubectl(stage, "wait", "agep,agt,ags,agq,agtok", "--all", "--for=condition=Ready", "--timeout=60s")
    kinds = [name.split(".")[0] for name in kubectl(stage, "get", "angarium", "-o", "name").split()]
    assert sorted(set(kinds)) == ["endpoint", "queue", "schedule", "token", "topic"]


@pytest.mark.parametrize("name", examples.ALL)
def test_nothing_differs_once_the_operator_has_written(stage: Stage, name: str, tmp_path: Path) -> None:
    """Neither for who applies from the client, nor for who applies on the server, nor on the way to the other."""
    documents = examples.manifests(stage.control_plane, name)
    where = ("-f", str(examples.written(documents, tmp_path / "manifests.yaml")))
    ours = examples.ours(documents)
    kubectl(stage, "apply", *where)
    await_reconciled(stage, ours)
    await_no_difference(stage, *where)
    again = kubectl(stage, "apply", *where).splitlines()
    assert all(line.endswith(" unchanged") for line in again if ".angarium.dev/" in line), again
    kubectl(stage, "apply", "--server-side", *where)
    await_reconciled(stage, ours)
    await_no_difference(stage, "--server-side", *where)
    kubectl(stage, "delete", *where, "--timeout=60s")


@pytest.mark.parametrize("name", examples.ALL)
def test_nobody_who_applies_on_the_server_meets_the_operator(stage: Stage, name: str, tmp_path: Path) -> None:
    """No conflict before or after it has written, though nothing is forced; status stays the operator's alone.

    Sources are applied once: two managers of a Secret's `stringData` meet each other, as it cannot be read again.
    """
    documents = examples.manifests(stage.control_plane, name)
    everything = ("-f", str(examples.written(documents, tmp_path / "all.yaml")))
    ours = examples.ours(documents)
    later = ("-f", str(examples.written(ours, tmp_path / "ours.yaml")))
    for manager, where in zip(FOREIGN, (everything, later), strict=True):
        for _ in ("before it has written", "after"):
            kubectl(stage, "apply", "--server-side", f"--field-manager={manager}", *where)
            await_reconciled(stage, ours)
        await_no_difference(stage, "--server-side", f"--field-manager={manager}", *where)
    for document in ours:
        obj = stage.get(document["kind"], document["metadata"]["name"])
        assert owned_by(obj, "angarium") == ({"f:status"}, "status")
        for manager in FOREIGN:
            assert owned_by(obj, manager)[0] <= {"f:metadata", "f:spec"}
        assert len(obj["metadata"]["managedFields"]) == 3
    kubectl(stage, "delete", *everything, "--timeout=60s")


def part(kind: str, name: str, spec: Object | None = None, **metadata: object) -> Object:
    """What one manager has to say about an object."""
    said: Object = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, **metadata}}
    return said | ({"spec": spec} if spec else {})


def apply_as(stage: Stage, manager: str, manifest: Object) -> str:
    return kubectl(stage, "apply", "--server-side", f"--field-manager={manager}", "-f", "-", manifest=manifest)


GITOPS = {
    "Endpoint": {"url": "http://a.test/", "headers": [{"name": "X-Team", "value": "pay"}]},
    "Topic": {"endpoints": [{"name": "first", "url": "http://a.test/"}]},
    "Schedule": {"every": "1h", "destination": {"url": "http://a.test/"}, "labels": ["daily"]},
    "Queue": {"parallelism": 2},
    "Token": {"access": "ReadOnly"},
}
ADDED = {
    "Endpoint": {"headers": [{"name": "X-Trace", "value": "on"}]},
    "Topic": {"endpoints": [{"name": "second", "url": "http://b.test/"}]},
    "Schedule": {"labels": ["watched"], "headers": [{"name": "X-Trace", "value": "on"}]},
    "Queue": {"suspend": True},
    "Token": {},
}


def merged(kind: str) -> Object:
    """Both parts together: lists of named things and sets are merged item by item."""
    spec = dict(GITOPS[kind])
    for field, value in ADDED[kind].items():
        spec[field] = [*spec.get(field, []), *value] if isinstance(value, list) else value
    return spec


@pytest.mark.parametrize("kind", GITOPS)
def test_two_managers_share_an_object(stage: Stage, kind: str) -> None:
    """Each owns its part, the operator the status alone; who goes leaves what the other said."""
    name = f"shared-{kind.lower()}"
    theirs = part(kind, name, ADDED[kind], labels={"team": "b"}, annotations={"example.com/note": "ours"})
    apply_as(stage, "gitops", part(kind, name, GITOPS[kind], labels={"app": "shop"}))
    stage.ready((kind, name))
    apply_as(stage, "team-b", theirs)
    stage.ready((kind, name))
    apply_as(stage, "gitops", part(kind, name, GITOPS[kind], labels={"app": "shop"}))
    both = stage.get(kind, name)
    assert merged(kind).items() <= both["spec"].items()
    assert both["metadata"]["labels"] == {"app": "shop", "team": "b"}
    assert owned_by(both, "angarium") == ({"f:status"}, "status")
    assert not any("f:status" in fields for fields in (owned_by(both, "gitops")[0], owned_by(both, "team-b")[0]))
    apply_as(stage, "team-b", part(kind, name))
    stage.ready((kind, name))
    one = stage.get(kind, name)
    assert GITOPS[kind].items() <= one["spec"].items()
    assert "X-Trace" not in str(one["spec"]) and "b.test" not in str(one["spec"]) and "watched" not in str(one["spec"])
    assert one["metadata"]["labels"] == {"app": "shop"}
    assert "annotations" not in one["metadata"]


def owned_by(obj: Object, manager: str) -> tuple[set[str], str]:
    """The top-level fields that a manager owns, and the subresource through which it wrote them."""
    (entry,) = [entry for entry in obj["metadata"]["managedFields"] if entry["manager"] == manager]
    return set(entry["fieldsV1"]), entry.get("subresource", "")


def test_managers_that_disagree_are_told(stage: Stage) -> None:
    """The same header from two: that is a conflict, as it is for any list of named things."""
    apply_as(stage, "gitops", part("Endpoint", "disputed", GITOPS["Endpoint"]))
    other = part("Endpoint", "disputed", {"headers": [{"name": "X-Team", "value": "other"}]})
    with pytest.raises(AssertionError, match=r'conflict with "gitops": \.spec\.headers\[name="X-Team"\]\.value'):
        apply_as(stage, "team-b", other)


def test_an_object_that_says_nothing_is_nobodys(stage: Stage) -> None:
    """Of the API server: fields are tracked from the first one on, so the examples say what they could leave out."""
    for _ in range(2):
        apply_as(stage, "gitops", part("Token", "bare"))
    with pytest.raises(AssertionError, match=r'conflict with "before-first-apply" .*: \.spec\.access'):
        apply_as(stage, "gitops", part("Token", "bare", {"access": "ReadOnly"}))


def test_from_client_side_apply_to_server_side(stage: Stage) -> None:
    """What kubectl apply had set before goes with the manifest, though it was another manager's."""
    before = part("Endpoint", "moved", {**GITOPS["Endpoint"], "timeout": "30s"})
    kubectl(stage, "apply", "-f", "-", manifest=before)
    stage.ready(("Endpoint", "moved"))
    kubectl(stage, "apply", "--server-side", "-f", "-", manifest=part("Endpoint", "moved", GITOPS["Endpoint"]))
    stage.ready(("Endpoint", "moved"))
    moved = stage.get("Endpoint", "moved")
    assert "timeout" not in moved["spec"]
    managers = {entry["manager"] for entry in moved["metadata"]["managedFields"]}
    assert managers == {"kubectl", "kubectl-last-applied", "angarium"}
    assert (
        kubectl(stage, "diff", "--server-side", "-f", "-", manifest=part("Endpoint", "moved", GITOPS["Endpoint"])) == ""
    )


def test_everyday_verbs(stage: Stage) -> None:
    stage.endpoint("daily", labels={"events": "orders"})
    stage.apply("Schedule", "daily", {"cron": "@yearly", "destination": {"endpointRef": {"name": "daily"}}})
    stage.ready(("Endpoint", "daily"), ("Schedule", "daily"))
    kubectl(stage, "annotate", "ags", "daily", f"{RUN_NOW}=1")
    stage.run("daily", "Delivered", lambda run: run["trigger"] == "Manual")
    kubectl(stage, "label", "agep", "daily", "events=invoices", "--overwrite")
    kubectl(stage, "patch", "ags", "daily", "--type=merge", "-p", '{"spec": {"suspend": true}}')
    stage.condition("Schedule", "daily", "Ready=True", "Suspended")
    assert stage.receiver.count("/daily") == 1
    assert stage.get("Endpoint", "daily")["metadata"]["labels"] == {"events": "invoices"}
    with pytest.raises(AssertionError, match="NotFound"):
        kubectl(stage, "scale", "ags", "daily", "--replicas=2")


def test_edit(stage: Stage) -> None:
    stage.apply("Queue", "edited", {"parallelism": 2})
    stage.ready(("Queue", "edited"))
    before = stage.get("Queue", "edited")
    assert "no changes made" in edit(stage, "true")
    assert stage.get("Queue", "edited")["metadata"] == before["metadata"]
    assert "edited" in edit(stage, "sed -i /parallelism/s/2/3/")
    stage.ready(("Queue", "edited"))
    after = stage.get("Queue", "edited")
    assert (after["spec"]["parallelism"], after["metadata"]["generation"]) == (3, 2)


def edit(stage: Stage, editor: str) -> str:
    """`kubectl edit` with a program in place of a person."""
    command = [stage.control_plane.assets / "kubectl", "edit", "agq", "edited", "-n", stage.namespace]
    environment = {**stage.control_plane.kubectl_environment(), "KUBE_EDITOR": editor}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
