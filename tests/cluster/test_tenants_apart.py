"""Two tenants: neither the one's tokens, names and ids nor its operator reach anything of the other.

By two operators with a namespace each, by one that watches both, and by one for the whole cluster.
"""

import base64
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import rights
from tests.support.cluster import Refused, apply, create_namespace, delete, get, remove_namespace, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.stage import API_VERSION, STATUS_S, Stage
from tests.support.staging import silent, staged

MODES = ("two operators", "one operator", "whole cluster")
SECRET = "open-sesame"


@dataclass
class Pair:
    """`ours` tries to reach what is of `theirs`; `operator_token` is that of the operator of `ours`."""

    ours: Stage
    theirs: Stage
    operator_token: str


@pytest.fixture(scope="module", params=MODES)
def pair(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Pair]:
    mark, mode = uuid.uuid4().hex[:8], str(request.param)
    names = [f"{name}-{mark}" for name in ("ours", "theirs")]
    for name in names:
        create_namespace(control_plane, name)
    folders = [tmp_path_factory.mktemp(name) for name in names]
    with ExitStack() as stack:
        stages, token = staged_as(mode, control_plane, names, folders, stack)
        yield Pair(stages[0], stages[1], token)
    delete(control_plane, "ClusterRoleBinding", f"angarium-{names[0]}")
    for name in names:
        remove_namespace(control_plane, name)


def staged_as(
    mode: str, control_plane: ControlPlane, names: list[str], folders: list[Path], stack: ExitStack
) -> tuple[list[Stage], str]:
    if mode == "two operators":
        tokens = [rights.operator_token(control_plane, name) for name in names]
        stages = [
            stack.enter_context(staged(control_plane, name, folder, token=token))
            for name, folder, token in zip(names, folders, tokens, strict=True)
        ]
        for stage in stages:
            stage.angarium.start()
        return stages, tokens[0]
    if mode == "one operator":
        token = rights.operator_token(control_plane, names[0])
        rights.grant(control_plane, names[1], to=names[0])
        watched = ",".join(names)
    else:
        token, watched = rights.cluster_operator_token(control_plane, names[0]), ""
    first = stack.enter_context(staged(control_plane, names[0], folders[0], token=token, namespaces=watched))
    first.angarium.start()
    return [first, Stage(control_plane, names[1], first.angarium, first.receiver)], token


@pytest.fixture
def path(pair: Pair) -> str:
    """A path of the receiver that no other test has."""
    return f"/{uuid.uuid4().hex[:8]}"


def waiting_message(pair: Pair, path: str) -> str:
    """The id of a message of theirs, addressed to a Topic of theirs with an Endpoint of theirs."""
    theirs, name = pair.theirs, path.strip("/")
    theirs.endpoint("private", url=pair.theirs.receiver.url(path))
    theirs.apply("Topic", "private", {"endpoints": [{"name": "one", "endpointRef": {"name": "private"}}]})
    theirs.apply("Queue", "private", {})
    theirs.ready(("Topic", "private"), ("Queue", "private"))
    headers = {"Upstash-Delay": "1h", "Upstash-Label": name}
    (sent,) = theirs.api("POST", "/v2/publish/private", headers=headers).raise_for_status().json()
    return str(sent["messageId"])


def test_a_message_of_the_other_is_one_that_does_not_exist(pair: Pair, path: str) -> None:
    message_id = waiting_message(pair, path)
    ours, theirs = pair.ours, pair.theirs
    for method in ("GET", "DELETE"):
        assert ours.api(method, f"/v2/messages/{message_id}").status_code == 404
    assert ours.api("GET", "/v2/logs", params={"messageId": message_id}).json()["logs"] == []
    assert ours.api("GET", "/v2/logs", params={"label": path.strip("/")}).json()["logs"] == []
    assert ours.api("DELETE", "/v2/messages", json={"messageIds": [message_id]}).json()["cancelled"] == 0
    assert theirs.api("GET", f"/v2/messages/{message_id}").status_code == 200, "it waits as before"


def test_names_of_the_other_are_nobodys(pair: Pair, path: str) -> None:
    waiting_message(pair, path)
    ours = pair.ours
    assert ours.api("POST", "/v2/publish/private").status_code == 404
    assert ours.api("GET", "/v2/topics/private").status_code == 404
    assert "private" not in [one["name"] for one in ours.api("GET", "/v2/topics").json()]
    assert "private" not in [one["name"] for one in ours.api("GET", "/v2/queues").json()]
    ours.apply("Schedule", "across", {"every": "1s", "destination": {"endpointRef": {"name": "private"}}})
    ours.condition("Schedule", "across", "ResolvedRefs=False", "EndpointNotFound")
    silent(pair.theirs.receiver, path, 2)
    ours.delete("Schedule", "across")


def test_a_token_is_good_for_its_own_namespace_only(pair: Pair) -> None:
    """Also when the text of the other's Secret is known: it stays theirs, and is nothing to another operator."""
    ours, theirs = pair.ours, pair.theirs
    assert ours.token != theirs.token
    keys = [one.api("GET", "/v2/keys").json()["current"] for one in (ours, theirs)]
    assert keys[0] != keys[1]
    with ours.angarium.client(theirs.token) as client:
        answer = client.get("/v2/keys")
        if ours.angarium is theirs.angarium:
            assert answer.json()["current"] == keys[1]
        else:
            assert answer.status_code == 401
    text = base64.b64decode(get(ours.control_plane, "Secret", "stage-qstash", theirs.namespace)["data"]["QSTASH_TOKEN"])
    ours.secret("stolen", QSTASH_TOKEN=text, QSTASH_URL=ours.angarium.url, QSTASH_CURRENT_SIGNING_KEY=keys[0],
                QSTASH_NEXT_SIGNING_KEY=ours.api("GET", "/v2/keys").json()["next"])  # fmt: skip
    ours.apply("Token", "stolen", {"secretName": "stolen"})
    if ours.angarium is theirs.angarium:
        ours.condition("Token", "stolen", "ResolvedRefs=False", "TokenInUse")
    assert theirs.api("GET", "/v2/keys").json()["current"] == keys[1]
    ours.delete("Token", "stolen")


def test_a_secret_of_the_other_cannot_be_referred_to(pair: Pair, path: str) -> None:
    pair.theirs.secret("theirs-alone", token=SECRET)
    ref = {"name": "theirs-alone", "key": "token"}
    header = {"name": "X-Token", "valueFrom": {"secretKeyRef": ref}}
    ours = pair.ours
    ours.endpoint("curious", url=ours.receiver.url(path), headers=[header], retry={"limit": 0})
    told = ours.condition("Endpoint", "curious", "ResolvedRefs=False", "SecretNotFound")
    assert SECRET not in told and ours.namespace in told
    for elsewhere in ({"namespace": pair.theirs.namespace}, {"name": f"{pair.theirs.namespace}/theirs-alone"}):
        spec = {"url": ours.receiver.url(path), "headers": [{**header, "valueFrom": {"secretKeyRef": ref | elsewhere}}]}
        manifest = {"apiVersion": API_VERSION, "kind": "Endpoint", "metadata": {"name": "curious"}, "spec": spec}
        with pytest.raises(Refused):
            apply(ours.control_plane, manifest, ours.namespace)
    ours.once("curious", "curious")
    ours.message("curious", "Failed")
    assert ours.receiver.count(path) == 0


def test_a_config_map_of_the_same_name_is_each_ones_own(pair: Pair, path: str) -> None:
    ours, name = pair.ours, path.strip("/")
    pair.theirs.write("ConfigMap", name, {"body": "theirs"})
    spec = {"destination": {"url": ours.receiver.url(path)}, "body": {"configMapKeyRef": {"name": name, "key": "body"}}}
    ours.apply("Schedule", name, {"every": "365d", **spec})
    ours.condition("Schedule", name, "ResolvedRefs=False", "ConfigMapNotFound")
    ours.write("ConfigMap", name, {"body": "ours"})
    ours.run_now(name, "1")
    (request,) = ours.receiver.wait_for(1, path=path, timeout=20)
    assert request.body == b"ours"


def test_keys_are_rotated_for_one_alone(pair: Pair) -> None:
    before = {stage.namespace: secret_of(stage) for stage in (pair.ours, pair.theirs)}
    assert pair.ours.api("POST", "/v2/keys/rotate").is_success
    ours = pair.ours
    wait_for(lambda: secret_of(ours) != before[ours.namespace], within=STATUS_S, describe="our Secret is rewritten")
    assert secret_of(pair.theirs) == before[pair.theirs.namespace]


def secret_of(stage: Stage) -> dict[str, str]:
    assert stage.token
    found: dict[str, str] = get(stage.control_plane, "Secret", "stage-qstash", stage.namespace)["data"]
    return found


@pytest.mark.parametrize("pair", ["two operators"], indirect=True)
def test_an_operator_of_one_namespace_is_refused_in_another(pair: Pair) -> None:
    """With kubectl and its own token: reading, writing, and asking for all namespaces at once."""
    plane, theirs = pair.ours.control_plane, pair.theirs
    theirs.secret("theirs-alone", token=SECRET)
    theirs.endpoint("private")
    file = plane.write_kubeconfig(plane.folder / f"{pair.ours.namespace}.kubeconfig", pair.operator_token)
    asked = [
        ("get", "secret", "theirs-alone"),
        ("get", "secrets"),
        ("get", "configmaps", "kube-root-ca.crt"),
        ("get", "endpoints.angarium.dev"),
        ("get", "tokens.angarium.dev"),
        ("create", "secret", "generic", "planted"),
        ("patch", "endpoints.angarium.dev", "private", "--subresource=status", "--type=merge", '--patch={"status":{}}'),
        ("delete", "endpoints.angarium.dev", "private"),
    ]
    everywhere = [(*words, "-A") for words in asked if words[0] == "get" and len(words) == 2]
    for words in (*((*words, f"--namespace={theirs.namespace}") for words in asked), *everywhere):
        done = plane.kubectl(*words, f"--kubeconfig={file}", check=False)
        assert done.returncode == 1 and "forbidden" in done.stderr, (words, done)
        assert SECRET not in done.stdout
    own = plane.kubectl("get", "secrets", f"--namespace={pair.ours.namespace}", f"--kubeconfig={file}", check=False)
    assert "forbidden" in own.stderr, "in its own it reads Secrets by name, and cannot list them"


@pytest.mark.parametrize("pair", ["whole cluster"], indirect=True)
def test_events_are_counted_in_the_namespace_that_they_concern(pair: Pair, path: str) -> None:
    ours, name = pair.ours, path.strip("/")
    ours.endpoint(name, 500, retry={"limit": 0})
    ours.apply("Topic", name, {"endpoints": [{"name": "one", "endpointRef": {"name": name}}]})
    ours.ready(("Topic", name))
    for _ in range(2):
        assert ours.api("POST", f"/v2/publish/{name}").is_success

    def counts() -> list[int]:
        return [int(event["count"]) for event in ours.events("Endpoint", name, "DeliveryFailed")]

    wait_for(counts, lambda found: found == [2], within=STATUS_S, describe="one Event that tells of both")
    assert pair.theirs.event_reasons("Endpoint", name) == []
