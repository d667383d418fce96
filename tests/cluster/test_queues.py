"""A Queue that people declare: order, places, what it tells of itself, and what becomes of it when it goes."""

from collections.abc import Callable
from pathlib import Path

from tests.support.cluster import Object, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.receiver import Received
from tests.support.stage import STATUS_S, Stage
from tests.support.staging import silent, staged

from angarium.domain.reasons import BlockReason


def enqueue(stage: Stage, queue: str, path: str, *bodies: str, **options: str) -> list[str]:
    """Messages to the receiver's path, in this order; their ids. `options` are headers without `Upstash-`."""
    headers = {f"Upstash-{name.replace('_', '-')}": value for name, value in options.items()}
    return [accepted(stage, f"/v2/enqueue/{queue}/{stage.receiver.url(path)}", body, headers) for body in bodies]


def accepted(stage: Stage, path: str, body: str, headers: dict[str, str] | None = None) -> str:
    answer = stage.api("POST", path, content=body, headers=headers or {})
    assert answer.is_success, answer.text
    told = answer.json()
    return str((told[0] if isinstance(told, list) else told)["messageId"])


def to_endpoint(stage: Stage, queue: str, name: str, body: str) -> str:
    """A message to an Endpoint, by way of a Topic that has it as its only member."""
    stage.apply("Topic", name, {"endpoints": [{"name": name, "endpointRef": {"name": name}}]})
    stage.ready(("Topic", name))
    return accepted(stage, f"/v2/enqueue/{queue}/{name}", body)


def bodies(requests: list[Received]) -> list[str]:
    return [request.body.decode() for request in requests]


def shown(stage: Stage, queue: str, accept: Callable[[Object], object]) -> Object:
    """Wait until a Queue's status is like that."""
    return wait_for(
        lambda: stage.status("Queue", queue), accept, within=2 * STATUS_S, describe=f"status of Queue {queue}"
    )


def blocked(stage: Stage, queue: str, reason: str) -> Object:
    status = shown(stage, queue, lambda status: status.get("blockedBy", {}).get("reason") == reason)
    found: Object = status["blockedBy"]
    return found


def unblocked(stage: Stage, queue: str) -> None:
    shown(stage, queue, lambda status: "blockedBy" not in status and "oldestWaitingSince" not in status)


def over_the_api(stage: Stage, queue: str) -> Object:
    answer = stage.api("GET", f"/v2/queues/{queue}")
    assert answer.status_code == 200, answer.text
    found: Object = answer.json()
    return found


def test_order_is_kept_through_retries(stage: Stage) -> None:
    manifest = f"""
        apiVersion: angarium.dev/v1alpha1
        kind: Queue
        metadata: {{name: steady, namespace: {stage.namespace}}}
    """
    stage.control_plane.kubectl("apply", "-f", "-", input=manifest)
    stage.ready(("Queue", "steady"))
    stage.receiver.answer("/steady", 500, 500, 200, 500, 200)
    enqueue(stage, "steady", "/steady", "1", "2", "3", "4", Retries="5", Retry_Delay="200")
    assert bodies(stage.receiver.wait_for(7, path="/steady")) == ["1", "1", "1", "2", "2", "3", "4"]
    wait_for(lambda: over_the_api(stage, "steady")["lag"], lambda lag: lag == 0)
    assert {name: over_the_api(stage, "steady")[name] for name in ("name", "parallelism", "paused")} == {
        "name": "steady",
        "parallelism": 1,
        "paused": False,
    }


def test_a_schedules_messages_take_their_turn(stage: Stage) -> None:
    stage.apply("Queue", "turns", {"suspend": True})
    stage.ready(("Queue", "turns"))
    stage.endpoint("turns")
    enqueue(stage, "turns", "/turns", "first")
    stage.once("turns", "turns", queueRef={"name": "turns"}, body={"text": "second"})
    stage.ready(("Schedule", "turns"))
    wait_for(lambda: over_the_api(stage, "turns")["lag"], lambda lag: lag == 2)
    enqueue(stage, "turns", "/turns", "third")
    stage.change("Queue", "turns", suspend=False)
    assert bodies(stage.receiver.wait_for(3, path="/turns")) == ["first", "second", "third"]


def test_suspended_it_holds_everything_and_resumed_goes_on_in_order(stage: Stage) -> None:
    stage.apply("Queue", "asleep", {"suspend": True})
    stage.condition("Queue", "asleep", "Ready=True", "Suspended")
    enqueue(stage, "asleep", "/asleep", "1", "2", "3")
    silent(stage.receiver, "/asleep", 1)
    shown(stage, "asleep", lambda status: "oldestWaitingSince" in status)
    stage.change("Queue", "asleep", suspend=False)
    stage.condition("Queue", "asleep", "Ready=True", "Ready")
    assert bodies(stage.receiver.wait_for(3, path="/asleep")) == ["1", "2", "3"]
    unblocked(stage, "asleep")


def test_more_places_let_those_behind_pass(stage: Stage) -> None:
    stage.apply("Queue", "narrow", {"parallelism": 1})
    stage.ready(("Queue", "narrow"))
    stage.receiver.answer("/stuck", 500)
    enqueue(stage, "narrow", "/stuck", "0", Retries="3", Retry_Delay="3600000")
    stage.receiver.wait_for(1, path="/stuck")
    enqueue(stage, "narrow", "/narrow", "1", "2", "3")
    silent(stage.receiver, "/narrow", 1)
    stage.change("Queue", "narrow", parallelism=2)
    assert bodies(stage.receiver.wait_for(3, path="/narrow")) == ["1", "2", "3"]


def test_what_it_waits_for_is_told_and_taken_back(stage: Stage) -> None:
    """A retry, a suspended Endpoint, limits, callbacks, a delay: all at once, because statuses are not in a hurry."""
    told: set[BlockReason] = set()
    for name in ("on-retry", "on-endpoint", "on-limits", "on-callback", "on-delay"):
        stage.apply("Queue", name, {})
        stage.ready(("Queue", name))
    stage.receiver.answer("/never", 500)
    stage.endpoint("resting", suspend=True)
    (retrying, _) = enqueue(stage, "on-retry", "/never", "1", "2", Retries="1", Retry_Delay="3600000")
    resting = to_endpoint(stage, "on-endpoint", "resting", "1")
    limits = {"Flow_Control_Key": "slow", "Flow_Control_Value": "rate=1, period=1h"}
    (_, limited) = enqueue(stage, "on-limits", "/limited", "1", "2", **limits)
    stuck = {"Callback": stage.receiver.url("/never"), "Callback_Retries": "1", "Callback_Retry_Delay": "3600000"}
    (calling,) = enqueue(stage, "on-callback", "/called-back", "1", **stuck)
    (delayed,) = enqueue(stage, "on-delay", "/delayed", "1", Delay="1h")

    for name, reason, message in (
        ("on-retry", BlockReason.RETRY, retrying),
        ("on-endpoint", BlockReason.ENDPOINT_SUSPENDED, resting),
        ("on-limits", BlockReason.FLOW_CONTROL, limited),
        ("on-callback", BlockReason.CALLBACK, calling),
        ("on-delay", BlockReason.DELAY, delayed),
    ):
        assert blocked(stage, name, reason)["messageId"] == message
        told.add(reason)
    assert told == set(BlockReason), "each reason that there is"
    row = stage.control_plane.kubectl("get", "agq", "on-retry", "-n", stage.namespace, "--no-headers").stdout.split()
    assert row[:3] == ["on-retry", "1", "false"]
    assert row[4:7] == ["Retry", "True", "Ready"]

    stage.change("Endpoint", "resting", suspend=False)
    for message in (retrying, calling, limited, delayed):
        stage.api("DELETE", f"/v2/messages/{message}")
    stage.receiver.wait_for(1, path="/resting")
    for name in ("on-endpoint", "on-limits", "on-delay"):
        unblocked(stage, name)


def test_a_missing_queue_is_told_and_messages_flow_all_the_same(stage: Stage) -> None:
    stage.endpoint("unqueued")
    stage.apply(
        "Schedule", "unqueued",
        {"every": "1s", "destination": {"endpointRef": {"name": "unqueued"}}, "queueRef": {"name": "undeclared"}},
    )  # fmt: skip
    text = stage.condition("Schedule", "unqueued", "ResolvedRefs=False", "QueueNotFound")
    assert "'undeclared'" in text
    stage.condition("Schedule", "unqueued", "Ready=False", "QueueNotFound")
    stage.receiver.wait_for(2, path="/unqueued")
    assert over_the_api(stage, "undeclared")["parallelism"] == 1
    stage.condition("Schedule", "unqueued", "ResolvedRefs=False", "QueueNotFound")
    stage.apply("Queue", "undeclared", {"parallelism": 2})
    stage.ready(("Schedule", "unqueued"), ("Queue", "undeclared"))
    stage.events("Queue", "undeclared", "TakenOver")
    stage.change("Schedule", "unqueued", suspend=True)


def test_deleted_with_messages_it_stays_for_them_and_belongs_to_the_api(stage: Stage) -> None:
    stage.apply("Queue", "leaving", {"parallelism": 2, "suspend": True})
    stage.ready(("Queue", "leaving"))
    enqueue(stage, "leaving", "/leaving", "1", "2", "3")
    assert stage.api("POST", "/v2/queues/leaving/resume").status_code == 409
    stage.delete("Queue", "leaving")
    wait_for(lambda: stage.api("POST", "/v2/queues/leaving/pause").status_code, lambda code: code == 200)
    found = over_the_api(stage, "leaving")
    assert (found["parallelism"], found["paused"], found["lag"]) == (2, True, 3)
    assert stage.receiver.count("/leaving") == 0
    assert stage.api("POST", "/v2/queues/leaving/resume").status_code == 200
    assert sorted(bodies(stage.receiver.wait_for(3, path="/leaving"))) == ["1", "2", "3"]
    assert stage.api("DELETE", "/v2/queues/leaving").status_code == 200
    assert stage.api("GET", "/v2/queues/leaving").status_code == 404


def test_deleted_without_messages_it_is_gone(stage: Stage) -> None:
    stage.apply("Queue", "empty", {})
    stage.ready(("Queue", "empty"))
    assert stage.api("GET", "/v2/queues/empty").status_code == 200
    stage.delete("Queue", "empty")
    wait_for(lambda: stage.api("GET", "/v2/queues/empty").status_code, lambda code: code == 404)


def test_a_queue_of_the_api_is_taken_over_with_its_messages(stage: Stage) -> None:
    made = {"queueName": "adopted", "parallelism": 5, "paused": True}
    assert stage.api("POST", "/v2/queues", json=made).is_success
    assert stage.api("POST", "/v2/queues/adopted/pause").is_success
    enqueue(stage, "adopted", "/adopted", "1", "2")
    stage.apply("Queue", "adopted", {"parallelism": 1, "suspend": True})
    stage.ready(("Queue", "adopted"))
    (event,) = stage.events("Queue", "adopted", "TakenOver")
    assert event["type"] == "Normal"
    found = over_the_api(stage, "adopted")
    assert (found["parallelism"], found["lag"]) == (1, 2)
    stage.change("Queue", "adopted", suspend=False)
    assert bodies(stage.receiver.wait_for(2, path="/adopted")) == ["1", "2"]
    wait_for(lambda: over_the_api(stage, "adopted")["lag"], lambda lag: lag == 0)
    stage.delete("Queue", "adopted")
    wait_for(lambda: stage.api("GET", "/v2/queues/adopted").status_code, lambda code: code == 404)


def test_places_limits_and_owners_outlive_a_crash(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    with staged(control_plane, namespace, tmp_path, resync="4s") as stage:
        stage.angarium.start()
        stage.apply("Queue", "line", {})
        stage.ready(("Queue", "line"))
        assert stage.api("POST", "/v2/queues", json={"queueName": "by-api", "parallelism": 3}).is_success
        stage.receiver.answer("/line", 500, 200)
        limits = {"Flow_Control_Key": "k", "Flow_Control_Value": "rate=1, period=1h"}
        enqueue(stage, "line", "/line", "1", "2", "3", Retries="3", Retry_Delay="6000")
        enqueue(stage, "by-api", "/limited", "1", "2", **limits)
        stage.receiver.wait_for(1, path="/line")
        stage.receiver.wait_for(1, path="/limited")
        wait_for(lambda: over_the_api(stage, "by-api")["lag"] == 1, describe="what was delivered is recorded")

        stage.angarium.kill()
        stage.angarium.start()
        assert bodies(stage.receiver.wait_for(4, timeout=30, path="/line")) == ["1", "1", "2", "3"]
        assert stage.receiver.count("/limited") == 1
        found = over_the_api(stage, "by-api")
        assert (found["parallelism"], found["lag"]) == (3, 1)
        key = stage.api("GET", "/v2/flowControl/k").json()
        assert (key["rateMax"], key["rateCount"], key["waitListSize"]) == (1, 1, 1)
        assert stage.api("POST", "/v2/queues/line/pause").status_code == 409
        assert stage.api("POST", "/v2/queues/by-api/pause").status_code == 200
