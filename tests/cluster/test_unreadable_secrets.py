"""Secrets that cannot be read although the API server is there: no right to, overloaded, or it never answers.

Outages of the whole API server are in test_outages.py.
"""

import time
from pathlib import Path

import pytest
from tests.cluster.test_endpoints import REREAD_S, log, publish
from tests.cluster.test_outages import ticking
from tests.support import rights
from tests.support.api_proxy import FORBIDDEN, UNAVAILABLE, ApiProxy, Refusal
from tests.support.cluster import Object, delete, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.stage import Stage
from tests.support.staging import await_metric, staged

ONCE = {"limit": 0}
ANSWER_S = 20.0
"""How long an attempt waits for an answer of the API server."""
HINDRANCES = {"forbidden": FORBIDDEN, "unavailable": UNAVAILABLE}
SECOND_LOOK_S = 62.0


def header_of(secret: str) -> list[Object]:
    return [{"name": "X-Token", "valueFrom": {"secretKeyRef": {"name": secret, "key": "token"}}}]


def value_of(name: str) -> str:
    return f"open-sesame-of-{name}"


def test_a_secret_that_was_never_read_makes_messages_wait_and_costs_no_retry(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path
) -> None:
    """Messages without a retry: a single failed attempt would end them."""
    with staged(control_plane, namespace, tmp_path, server=api_proxy.url) as stage:
        stage.angarium.start()
        messages = {name: waiting(stage, api_proxy, name, by) for name, by in HINDRANCES.items()}
        told = stage.condition("Endpoint", "forbidden", "ResolvedRefs=False", "ReferenceForbidden")
        assert "'forbidden'" in told and "get on secrets" in told
        stage.condition("Endpoint", "unavailable", "ResolvedRefs=Unknown", "ReferenceUnavailable")
        assert stage.angarium.is_ready() and stage.angarium.health("/livez")[0] == 200
        delivered_after_return(stage, api_proxy, messages, REREAD_S + 10)
        stage.ready(*(("Endpoint", name) for name in messages))
        told_nowhere(stage, list(messages))


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_an_api_server_that_never_answers_makes_messages_wait(
    control_plane: ControlPlane, namespace: str, api_proxy: ApiProxy, tmp_path: Path
) -> None:
    with staged(control_plane, namespace, tmp_path, server=api_proxy.url) as stage:
        stage.angarium.start()
        messages = {"silent": waiting(stage, api_proxy, "silent", None)}
        delivered_after_return(stage, api_proxy, messages, ANSWER_S + REREAD_S + 10)
        told_nowhere(stage, list(messages))


def waiting(stage: Stage, proxy: ApiProxy, name: str, by: Refusal | None) -> str:
    """A message that waits for a Secret which nobody has read yet; its id."""
    proxy.hinder(f"/secrets/{name}", by=by)
    stage.secret(name, token=value_of(name))
    stage.endpoint(name, headers=header_of(name), retry=ONCE)
    stage.apply("Topic", name, {"endpoints": [{"name": name, "endpointRef": {"name": name}}]})
    stage.ready(("Topic", name))
    answer = stage.api("POST", f"/v2/publish/{name}")
    assert answer.status_code == 200, answer.text
    (accepted,) = answer.json()
    message_id = str(accepted["messageId"])
    if by is not None:
        wait_for(lambda: postponed(stage, message_id), describe="the attempt is postponed")
    return message_id


def postponed(stage: Stage, message_id: str) -> bool:
    lines = stage.angarium.log_lines()
    return any(line["action"] == "message.postpone" and line.get("message_id") == message_id for line in lines)


def delivered_after_return(stage: Stage, proxy: ApiProxy, messages: dict[str, str], within: float) -> None:
    assert stage.receiver.count() == 0
    proxy.pass_through()
    for name, message_id in messages.items():
        (request,) = stage.receiver.wait_for(1, within, f"/{name}")
        assert request.header("Upstash-Message-Id") == message_id
        assert (request.header("X-Token"), request.header("Upstash-Retried")) == (value_of(name), "0")
        wait_for(lambda message_id=message_id: log(stage, message_id, "DELIVERED"))
        assert log(stage, message_id, "ERROR") == [] and len(log(stage, message_id, "ACTIVE")) == 1


def told_nowhere(stage: Stage, names: list[str]) -> None:
    """Neither plain nor in base64: in the database and its log, our log lines, the API, statuses, Events, metrics."""
    database = [path.read_bytes() for path in stage.angarium.folder.iterdir() if path.name.startswith("angarium.db")]
    said = [
        stage.angarium.program.log.read_text(),
        stage.angarium.health("/metrics")[1],
        *(stage.api("GET", path).text for path in ("/v2/logs", "/v2/dlq", "/v2/schedules", "/v2/topics")),
        *(str(stage.list_all(kind)) for kind in ("Endpoint", "Topic", "Event")),
    ]
    for value in map(value_of, names):
        assert all(value not in text for text in said) and all(value.encode() not in content for content in database)


@pytest.mark.rights_taken("all are gone for a while")
def test_all_rights_that_are_lost_while_it_runs_stop_no_delivery_and_heal(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """The binding of the role goes, and comes back."""
    with staged(control_plane, namespace, tmp_path, resync="2s") as stage:
        stage.angarium.start()
        ticking(stage, "tick")
        stage.receiver.wait_for(1, path="/tick")
        delete(control_plane, "RoleBinding", "angarium", namespace)
        await_metric(stage.angarium, "angarium_operator_up", 0)
        stage.receiver.wait_for(stage.receiver.count("/tick") + 3, 20, "/tick")
        assert stage.angarium.health("/readyz") == stage.angarium.health("/livez") == (200, "ok\n")
        lines = [line["message"] for line in stage.angarium.log_lines() if line["action"] == "operator.lack"]
        assert any("Endpoints cannot be listed" in line for line in lines), lines
        rights.grant(control_plane, namespace)
        await_metric(stage.angarium, "angarium_operator_up", 1)
        stage.endpoint("later")
        stage.ready(("Endpoint", "later"))


@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.rights_taken("those on Secrets are gone for a while")
def test_a_value_that_was_read_outlives_the_right_and_not_the_secret(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Longer than the minute that it is fresh: with the right gone it serves, with the Secret gone it does not."""
    with staged(control_plane, namespace, tmp_path) as stage:
        stage.angarium.start()
        stage.secret("kept", token=value_of("kept"))
        ticking(stage, "kept")
        stage.change("Endpoint", "kept", headers=header_of("kept"))
        wait_for(lambda: stage.receiver.received("/kept")[-1:], lambda last: bool(last and last[0].header("X-Token")))
        rights.grant(control_plane, namespace, without=rights.on("secrets"))
        until = time.monotonic() + SECOND_LOOK_S
        while time.monotonic() < until:
            stage.receiver.wait_for(stage.receiver.count("/kept") + 1, 10, "/kept")
        assert stage.receiver.received("/kept")[-1].header("X-Token") == value_of("kept")
        stage.condition("Endpoint", "kept", "ResolvedRefs=True")
        rights.grant(control_plane, namespace)
        delete(control_plane, "Secret", "kept", namespace)
        assert "'kept'" in wait_for(lambda: condition_message(stage), within=SECOND_LOOK_S, describe="it is missed")
        stage.change("Endpoint", "kept", retry=ONCE)
        stage.apply("Topic", "kept", {"endpoints": [{"name": "kept", "endpointRef": {"name": "kept"}}]})
        stage.ready(("Topic", "kept"))
        message_id = publish(stage, "kept")
        (error,) = wait_for(lambda: log(stage, message_id, "ERROR"))
        assert error["error"].startswith("SecretNotFound: ")


def condition_message(stage: Stage) -> str:
    found = stage.status("Endpoint", "kept")["conditions"]
    return next((str(one["message"]) for one in found if one["reason"] == "SecretNotFound"), "")
