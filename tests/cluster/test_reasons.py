"""Every reason that a condition or an Event can have occurs here, as the real API server tells it, and no other does.

One instance plays it all: against CRDs that are older than it, a proxy that refuses, rights that are taken away, and a
courier that is killed. Only a defect, or another version of Angarium, makes what is shown by unit tests alone.
"""

import json
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from tests.support import reasons as table
from tests.support.api_proxy import ApiProxy
from tests.support.cluster import (
    ROOT,
    Object,
    Refused,
    call,
    create_namespace,
    get,
    patch,
    path_of,
    remove_namespace,
    wait_for,
)
from tests.support.controlplane import ControlPlane
from tests.support.processes import tree
from tests.support.reasons import CASES, EVENT_CASES, Case, EventCase
from tests.support.receiver import Answer
from tests.support.rights import SERVICE_ACCOUNT
from tests.support.stage import STATUS_S, Stage
from tests.support.staging import staged
from tools.docs.troubleshooting import texts

from angarium.domain.declarations import Kind
from angarium.domain.ids import signing_key
from angarium.domain.reasons import ConditionType, EventReason, FailureReason, RunReason, StateReason
from angarium.engine.attempt import MOST_LOSSES
from angarium.resources.vocabulary import possible

WAITING_LIMIT = 100
PATIENCE_S = 60.0
"""For what comes in seconds, on a machine that has much else to do."""
BY_DEFAULT = (ConditionType.READY, "Unknown", StateReason.PENDING)
"""What the CRD writes before anybody looks."""
ELSEWHERE: dict[object, str] = {
    # Another version of Angarium recorded the attempt.
    (ConditionType.REACHABLE, "False", FailureReason.NO_RESPONSE): "unit/resources/test_statuses.py",
    # Every URL is judged before it is stored: another version let it pass.
    (ConditionType.REACHABLE, "False", FailureReason.INVALID_URL): "unit/engine/test_sender.py",
    # A run was decided on, and nothing to send: a defect.
    RunReason.INTERNAL_ERROR: "contract/store/test_schedules.py",
    # They are about the pod, and an instance that lacks something cannot play all the rest.
    EventReason.CRD_MISSING: "cluster/test_missing_rights.py",
    EventReason.RIGHTS_MISSING: "cluster/test_missing_rights.py",
    EventReason.ALL_GRANTED: "cluster/test_missing_rights.py",
}
"""What nothing from outside can bring about, and where it is shown."""
LAX = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

pytestmark = [pytest.mark.timeout(300), pytest.mark.rights_taken("those on Secrets are taken away at the end")]


@dataclass(slots=True)
class Witness:
    """All that statuses and Events were seen to say: (kind, name, type, status, reason), (kind, name, type, reason)."""

    stage: Stage
    conditions: set[tuple[str, ...]] = field(default_factory=set)
    events: set[tuple[str, ...]] = field(default_factory=set)
    messages: dict[tuple[str, ...], str] = field(default_factory=dict)

    def look(self) -> None:
        for kind in Kind:
            for found in self.stage.list_all(kind):
                for one in found.get("status", {}).get("conditions", []):
                    said = (kind.value, found["metadata"]["name"], one["type"], one["status"], one["reason"])
                    self.conditions.add(said)
                    self.messages[said] = one["message"]
        for event in self.stage.list_all("Event"):
            about = event["involvedObject"]
            self.events.add((about["kind"], about["name"], event["type"], event["reason"]))
            self.messages[about["kind"], about["name"], event["reason"]] = event["message"]

    def missing(self, cases: Iterable[Case | EventCase]) -> list[tuple[str, ...]]:
        self.look()
        return [one for case in cases for one in wanted(case) if one not in self.conditions | self.events]

    def await_all(self, cases: Iterable[Case | EventCase]) -> None:
        """Those that do not come are left to the test of their row."""
        until = time.monotonic() + PATIENCE_S
        while self.missing(cases) and time.monotonic() < until:
            time.sleep(0.1)


def wanted(case: Case | EventCase) -> list[tuple[str, ...]]:
    if isinstance(case, Case):
        return [(case.kind.value, case.name, *one) for one in case.conditions]
    return [(case.kind.value, case.name, type_of(case.reason), case.reason.value)]


def type_of(reason: EventReason | RunReason) -> str:
    """As the documentation says it."""
    return texts()["EventReason"][reason].type if isinstance(reason, EventReason) else "Warning"


@pytest.fixture(scope="module")
def witness(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    namespace = f"reasons-{os.urandom(5).hex()}"
    create_namespace(control_plane, namespace)
    settings = {"callback_hold": "1s", "waiting_limit": str(WAITING_LIMIT), "orphan_grace": "1s"}
    with (
        ApiProxy(control_plane.url, control_plane.ca_file) as proxy,
        staged(control_plane, namespace, tmp_path_factory.mktemp("reasons"), server=proxy.url, **settings) as stage,
    ):
        witness = Witness(stage)
        play(witness, proxy)
        yield witness
    remove_namespace(control_plane, namespace)


def play(witness: Witness, proxy: ApiProxy) -> None:
    """What takes long is begun first; what disturbs the others comes last."""
    stage = witness.stage
    declare(stage)
    with older_crds(stage):
        table.written(stage, [case for case in table.REFUSED if case.lax])
        witness.look()
        stage.angarium.start()
        adopt(stage)
        send(stage)
        take_over(stage)
        rest = [case for case in table.ATTEMPTED if case is not table.KILLED]
        witness.await_all(
            [*table.SOUND, *table.REFUSED, *table.UNRESOLVED, *table.ADOPTING, *rest, *table.EVENTS, *table.TAKEN_OVER]
        )
    kill_couriers(stage)
    give_up_orphans(stage)
    crowd(stage)
    proxy.answer_503(only="/secrets/")
    table.written(stage, table.UNTOLD)
    witness.await_all([table.KILLED, table.CROWDED, *table.UNTOLD])
    proxy.pass_through()
    take_away(stage, "create", "patch")
    table.written(stage, [table.UNWRITTEN])
    witness.await_all([table.UNWRITTEN])
    take_away(stage, "get")
    table.written(stage, [table.UNREADABLE, *table.FORBIDDEN])
    witness.await_all([table.UNREADABLE, *table.FORBIDDEN])


def declare(stage: Stage) -> None:
    """All that today's CRDs accept, before anybody is there to see it."""
    receiver = stage.receiver
    receiver.answer(f"/{FailureReason.TIMEOUT.lower()}", Answer(ending="hang"))
    receiver.answer(f"/{FailureReason.INTERNAL_ERROR.lower()}", Answer(ending="hang"))
    receiver.answer(f"/{FailureReason.CONNECTION_ERROR.lower()}", Answer(ending="reset"))
    receiver.answer(f"/{FailureReason.PROTOCOL_ERROR.lower()}", Answer(ending="garbage"))
    receiver.answer("/http503", 503)
    receiver.answer("/never", 500)
    receiver.answer("/slow", Answer(delay_s=3))
    stage.secret("torn", token="two\nlines")
    stage.secret("foreign", token="of somebody else")
    stage.write("ConfigMap", "large", {"body": "x" * (256 * 1024 + 1)})
    sound = [case for case in table.REFUSED if not case.lax]
    table.written(stage, [*table.SOUND, *sound, *table.UNRESOLVED, *table.ATTEMPTED, *table.EVENTS])
    members = [{"name": case.name, "endpointRef": {"name": case.name}} for case in table.ATTEMPTED]
    stage.apply("Topic", "all", {"endpoints": members})
    stage.apply("Endpoint", "leaves", {"url": receiver.url("/leaves"), "suspend": True})
    stage.apply("Topic", "leaves", {"endpoints": [{"name": "leaves", "endpointRef": {"name": "leaves"}}]})
    # As if the clock had been ahead when its status was written.
    ahead = {"status": {"lastSlotTime": "2099-01-01T00:00:00Z"}}
    patch(stage.control_plane, "Schedule", "ahead", stage.namespace, ahead, subresource="status")


def adopt(stage: Stage) -> None:
    """Secrets that are not the operator's, with the keys in force or others."""
    answer = stage.api("GET", "/v2/keys").json()
    current, following = answer["current"], answer["next"]
    others = [signing_key(bytes([number]) * 32) for number in (1, 2)]
    names = ("QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY")
    stage.secret("copied", **dict(zip(names, (stage.token, current, following), strict=True)))
    stage.secret("other-keys", **dict(zip(names, ("a-token-of-its-own", *others), strict=True)))
    table.written(stage, table.ADOPTING)


def send(stage: Stage) -> None:
    """A message to every Endpoint, one that waits for its Endpoint, and one whose callback never gets through."""
    assert len(stage.api("POST", "/v2/publish/all").json()) == len(table.ATTEMPTED)
    assert stage.api("POST", "/v2/publish/leaves").is_success
    never = {"Upstash-Callback": stage.receiver.url("/never"), "Upstash-Callback-Retry-Delay": "3600000"}
    assert stage.api("POST", f"/v2/enqueue/waits/{stage.receiver.url('/done')}", headers=never).is_success


def take_over(stage: Stage) -> None:
    member = {"endpoints": [{"url": stage.receiver.url("/taken")}]}
    assert stage.api("POST", "/v2/topics/taken/endpoints", json=member).is_success
    assert stage.api("POST", "/v2/queues", json={"queueName": "taken", "parallelism": 3}).is_success
    yearly = {"Upstash-Cron": "0 0 1 1 *", "Upstash-Schedule-Id": "taken"}
    assert stage.api("POST", f"/v2/schedules/{stage.receiver.url('/taken')}", headers=yearly).is_success
    table.written(stage, table.TAKEN_OVER)


def kill_couriers(stage: Stage) -> None:
    """Each with the same message on its way."""
    path = f"/{FailureReason.INTERNAL_ERROR.lower()}"
    for number in range(1, MOST_LOSSES + 1):
        stage.receiver.wait_for(number, path=path, timeout=PATIENCE_S)
        courier = next(one for one in tree(stage.angarium.program.pid)[1:] if one.exists)
        os.kill(courier.pid, signal.SIGKILL)
        wait_for(lambda courier=courier: not courier.exists, describe="the courier has ended")


def give_up_orphans(stage: Stage) -> None:
    stage.delete("Endpoint", "leaves")


def crowd(stage: Stage) -> None:
    """As many messages as the namespace may hold, none of them due."""
    one = {"destination": stage.receiver.url("/later"), "headers": {"Upstash-Delay": "1h"}}
    answers = stage.api("POST", "/v2/batch", json=[one] * WAITING_LIMIT).json()
    assert any("waiting messages" in answer.get("error", "") for answer in answers)
    table.written(stage, [table.CROWDED])


def take_away(stage: Stage, *verbs: str) -> None:
    """The operator may no longer do this with Secrets, and the API server knows."""
    role = get(stage.control_plane, "Role", "angarium", stage.namespace)
    rules = [
        rule | {"verbs": [verb for verb in rule["verbs"] if rule["resources"] != ["secrets"] or verb not in verbs]}
        for rule in role["rules"]
    ]
    left = {"rules": [rule for rule in rules if rule["verbs"]]}
    patch(stage.control_plane, "Role", "angarium", stage.namespace, left)
    for verb in verbs:
        wait_for(lambda verb=verb: not may(stage, verb), describe=f"the right to {verb} Secrets is gone")


def may(stage: Stage, verb: str) -> bool:
    about = {"namespace": stage.namespace, "resource": "secrets", "verb": verb}
    who = f"system:serviceaccount:{stage.namespace}:{SERVICE_ACCOUNT}"
    review = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": who, "resourceAttributes": about},
    }  # fmt: skip
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return bool(call(stage.control_plane, "POST", path, json=review)["status"]["allowed"])


@contextmanager
def older_crds(stage: Stage) -> Iterator[None]:
    """CRDs that know no rule for any spec, as if Angarium were newer than they."""
    before = {kind: schema_of(stage, kind) for kind in Kind}
    for kind, schema in before.items():
        rules_aside = {name: part for name, part in schema.items() if name != "x-kubernetes-validations"}
        put_schema(stage, kind, rules_aside | {"properties": schema["properties"] | {"spec": LAX}})
    try:
        for case in of_each_kind():
            wait_for(lambda case=case: accepts(stage, case), within=PATIENCE_S, describe=f"the lax CRD of {case.kind}")
        yield
    finally:
        for kind, schema in before.items():
            put_schema(stage, kind, schema)
    for case in of_each_kind():
        wait_for(
            lambda case=case: not accepts(stage, case), within=PATIENCE_S, describe=f"the CRD of {case.kind} as it was"
        )


def of_each_kind() -> list[Case]:
    return list({case.kind: case for case in table.REFUSED if case.lax}.values())


def schema_of(stage: Stage, kind: Kind) -> Object:
    crd = get(stage.control_plane, "CustomResourceDefinition", f"{kind.lower()}s.angarium.dev")
    schema: Object = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def put_schema(stage: Stage, kind: Kind, schema: Object) -> None:
    path = path_of("CustomResourceDefinition", f"{kind.lower()}s.angarium.dev")
    change = [{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": schema}]
    headers = {"Content-Type": "application/json-patch+json"}
    call(stage.control_plane, "PATCH", path, headers=headers, content=json.dumps(change))


def accepts(stage: Stage, case: Case) -> bool:
    """Whether the API server would take a new object of this spec."""
    manifest = {"apiVersion": "angarium.dev/v1alpha1", "kind": case.kind, "metadata": {"name": "probe"},
                "spec": table.resolved(stage, case.spec)}  # fmt: skip
    path = path_of(case.kind, namespace=stage.namespace)
    try:
        call(stage.control_plane, "POST", path, params={"dryRun": "All"}, json=manifest)
    except Refused as refused:
        if refused.code == 422:
            return False
        raise
    return True


ROWS = [(case, one) for case in CASES for one in case.conditions]


@pytest.mark.parametrize(("case", "one"), ROWS, ids=[f"{case.kind}-{'-'.join(one)}" for case, one in ROWS])
def test_a_condition_has_this_reason(witness: Witness, case: Case, one: tuple[str, ...]) -> None:
    said = sorted(found for found in witness.conditions if found[:2] == (case.kind.value, case.name))
    assert (case.kind.value, case.name, *one) in said


@pytest.mark.parametrize("kind", Kind)
def test_before_anybody_looks(witness: Witness, kind: Kind) -> None:
    assert any(found[0] == kind and found[2:] == BY_DEFAULT for found in witness.conditions)


@pytest.mark.parametrize("case", EVENT_CASES, ids=lambda case: f"{case.kind}-{case.reason}")
def test_an_event_has_this_reason(witness: Witness, case: EventCase) -> None:
    said = sorted(found for found in witness.events if found[:2] == (case.kind.value, case.name))
    assert wanted(case)[0] in said


@pytest.mark.parametrize("case", [case for case in EVENT_CASES if isinstance(case.reason, RunReason)],
                         ids=lambda case: case.reason)  # fmt: skip
def test_a_run_that_could_not_start_has_the_same_reason(witness: Witness, case: EventCase) -> None:
    run = witness.stage.run(case.name, "Failed")
    assert run["reason"] == case.reason
    assert run["message"] and run["message"] in witness.messages[case.kind.value, case.name, case.reason]


@pytest.mark.parametrize("case", table.ATTEMPTED, ids=lambda case: case.name)
def test_status_log_and_dlq_tell_the_same_of_an_attempt(witness: Witness, case: Case) -> None:
    """The error begins with the reason; a response has its status instead."""
    ((_, _, reason),) = case.conditions
    stage, last = witness.stage, witness.stage.status("Endpoint", case.name)["lastDelivery"]
    entries = stage.api("GET", "/v2/logs", params={"messageId": last["messageId"], "state": "ERROR"}).json()["logs"]
    letters = stage.dead_letters(messageId=last["messageId"])
    if reason is StateReason.DELIVERED:
        assert (last["status"], last["outcome"], entries, letters) == (200, "Delivered", [], [])
    elif isinstance(reason, FailureReason):
        assert last["error"].startswith(f"{reason}: ")
        assert {last["error"]} == {entry["error"] for entry in entries} == {letter["error"] for letter in letters}
    else:
        assert reason == f"HTTP{last['status']}" == f"HTTP{letters[0]['responseStatus']}"
        assert str(last["status"]) in entries[0]["error"]


def test_messages_of_a_deleted_endpoint_are_given_up(witness: Witness) -> None:
    letters = wait_for(lambda: witness.stage.dead_letters(topicName="leaves"), within=STATUS_S, describe="its letter")
    assert [letter["error"].partition(":")[0] for letter in letters] == [FailureReason.ENDPOINT_DELETED]


def test_every_reason_of_a_failure_is_met() -> None:
    met = {case.conditions[0][2] for case in table.ATTEMPTED} | {FailureReason.ENDPOINT_DELETED}
    elsewhere = {one[2] for one in ELSEWHERE if isinstance(one, tuple)}
    assert met & set(FailureReason) == set(FailureReason) - elsewhere


@pytest.mark.parametrize("case", [case for case in table.REFUSED if case.lax], ids=lambda c: f"{c.kind}-{c.name}")
def test_todays_schema_refuses_it_before(witness: Witness, case: Case) -> None:
    assert not accepts(witness.stage, case)


@pytest.mark.parametrize("kind", Kind)
def test_every_reason_of_a_kind_has_a_row(kind: Kind) -> None:
    rows = {one for case in CASES if case.kind is kind for one in case.conditions}
    responses = {one for one in rows if re.fullmatch("HTTP[0-9]{3}", one[2])}
    assert rows - responses | {BY_DEFAULT} == possible(kind) - ELSEWHERE.keys()
    assert bool(responses) is (kind is Kind.ENDPOINT)


def test_every_reason_of_an_event_has_a_row() -> None:
    """Of each kind that the documentation says it is told of."""
    rows = {(case.reason, case.kind.value) for case in EVENT_CASES}
    reasons = [reason for reason in EventReason if reason not in ELSEWHERE]
    of_events = {(reason, kind) for reason in reasons for kind in texts()["EventReason"][reason].about}
    of_runs = {(reason, Kind.SCHEDULE.value) for reason in RunReason if reason not in ELSEWHERE}
    assert rows == of_events | of_runs


@pytest.mark.parametrize(("one", "file"), ELSEWHERE.items(), ids=lambda value: str(value))
def test_the_rest_is_shown_elsewhere(one: object, file: str) -> None:
    reason = one[-1] if isinstance(one, tuple) else one
    assert f'"{reason}"' in (ROOT / "tests" / file).read_text()


def test_nothing_else_was_ever_said(witness: Witness) -> None:
    for kind in Kind:
        said = {found[2:] for found in witness.conditions if found[0] == kind}
        assert {one for one in said if not re.fullmatch("HTTP[0-9]{3}", one[2])} <= possible(kind)
    reasons = {str(reason): reason for reason in (*EventReason, *RunReason)}
    for kind_name, name, type_, reason in witness.events:
        assert reason in reasons, (kind_name, name, reason)
        assert type_ == type_of(reasons[reason])
        known = reasons[reason]
        about = texts()["EventReason"][known].about if isinstance(known, EventReason) else (Kind.SCHEDULE.value,)
        assert kind_name in about


def test_nothing_went_wrong_inside(witness: Witness) -> None:
    """A courier that was killed is an error, and so are rights that were taken away, and, to Kopf, a watch that ends
    because a CRD has changed."""
    told = [line for line in witness.stage.angarium.log_lines() if line.get("level") == "error"]
    expected = [
        line
        for line in told
        if line["action"] == "loop.fail" or any(words in line["message"] for words in ("(re)initializing", " secrets "))
    ]
    assert told == expected


def test_no_message_is_cut_off(witness: Witness) -> None:
    """They are clipped at 1,024 characters; none of these has so much to say."""
    for said, message in witness.messages.items():
        assert message and len(message) < 1000, said
