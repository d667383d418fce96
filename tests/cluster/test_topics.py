"""A Topic: who its members are at the instant a message is accepted, and that each of them is on its own."""

from typing import Any

from tests.support.cluster import Object, patch, wait_for
from tests.support.receiver import Received
from tests.support.stage import STATUS_S, Stage

EVENTS = "events"
HOUR = {"limit": 5, "delay": "3600000"}


def publish(stage: Stage, topic: str) -> list[Object]:
    """The answer's array: one message per member, in their order."""
    answer = stage.api("POST", f"/v2/publish/{topic}", content=b"news")
    assert answer.status_code == 200, answer.text
    accepted = answer.json()
    assert isinstance(accepted, list)
    return accepted


def listed(*endpoints: str) -> list[Object]:
    """Members by reference, each under its Endpoint's name with a prefix."""
    return [{"name": f"the-{name}", "endpointRef": {"name": name}} for name in endpoints]


def selecting(value: str) -> Object:
    return {"matchLabels": {EVENTS: value}}


def members(stage: Stage, topic: str, count: int) -> Object:
    """Wait until status counts so many members; returns the status."""
    found: Object = wait_for(
        lambda: stage.status("Topic", topic), lambda status: status.get("endpoints") == count,
        within=STATUS_S, describe=f"{count} members of {topic}",
    )  # fmt: skip
    return found


def label(stage: Stage, endpoint: str, value: str | None) -> None:
    change = {"metadata": {"labels": {EVENTS: value}}}
    patch(stage.control_plane, "Endpoint", endpoint, stage.namespace, change)


def message_ids(requests: list[Received]) -> list[str | None]:
    return [request.header("Upstash-Message-Id") for request in requests]


def test_members_by_reference_by_url_and_by_selector(stage: Stage) -> None:
    """List order, then selected Endpoints by name; one that is both counts once, under the list's name."""
    stage.endpoint("listed-a", labels={EVENTS: "mixed"})
    stage.endpoint("selected-z", labels={EVENTS: "mixed"})
    stage.endpoint("selected-b", labels={EVENTS: "mixed"})
    stage.endpoint("other", labels={EVENTS: "elsewhere"})
    url = stage.receiver.url("/audit?x=1")
    stage.apply(
        "Topic", "mixed",
        {"endpoints": [{"name": "audit", "url": url}, *listed("listed-a")], "selector": selecting("mixed")},
    )  # fmt: skip
    members(stage, "mixed", 4)
    accepted = publish(stage, "mixed")
    assert [(one["endpointName"], one["url"]) for one in accepted] == [
        ("audit", url),
        ("the-listed-a", stage.receiver.url("/listed-a")),
        ("selected-b", stage.receiver.url("/selected-b")),
        ("selected-z", stage.receiver.url("/selected-z")),
    ]
    for one, path in zip(accepted, ("/audit", "/listed-a", "/selected-b", "/selected-z"), strict=True):
        (request,) = stage.receiver.wait_for(1, path=path)
        assert request.header("Upstash-Message-Id") == one["messageId"]
        assert request.header("Upstash-Topic-Name") == "mixed"
        assert request.body == b"news"
    assert stage.receiver.count("/other") == 0


def test_a_member_added_between_two_slots_gets_the_second_only(stage: Stage) -> None:
    stage.endpoint("first", labels={EVENTS: "growing"})
    stage.apply("Topic", "growing", {"selector": selecting("growing")})
    members(stage, "growing", 1)
    stage.apply("Schedule", "growing", {"every": "3s", "destination": {"topicRef": {"name": "growing"}}})
    stage.receiver.wait_for(1, path="/first")
    stage.endpoint("second", labels={EVENTS: "growing"})
    members(stage, "growing", 2)
    before = stage.receiver.count("/first")
    stage.receiver.wait_for(1, path="/second")
    stage.receiver.wait_for(before + 1, path="/first")
    stage.change("Schedule", "growing", suspend=True)
    runs = wait_for(
        lambda: stage.runs("growing"), lambda runs: len(runs) >= 2 and runs[0]["state"] == "Delivered", within=STATUS_S
    )
    sizes = [run["deliveries"]["total"] for run in reversed(runs)]
    assert sizes[0] == 1
    assert sizes[-1] == 2
    assert sizes == sorted(sizes)
    assert stage.receiver.count("/second") == sizes.count(2)
    assert stage.receiver.count("/first") == len(sizes)


def test_a_broken_member_does_not_hold_back_the_others(stage: Stage) -> None:
    stage.endpoint("broken", 500, retry=HOUR)
    stage.endpoint("sound")
    stage.apply("Topic", "uneven", {"endpoints": listed("broken", "sound")})
    members(stage, "uneven", 2)
    stage.once("uneven", {"topicRef": {"name": "uneven"}})
    stage.receiver.wait_for(1, path="/sound")
    for count in (2, 3):
        publish(stage, "uneven")
        stage.receiver.wait_for(count, path="/sound")
    run = stage.run("uneven", "Retrying", lambda run: run["deliveries"]["delivered"] == 1)
    assert run["deliveries"] == {"total": 2, "delivered": 1, "failed": 0, "canceled": 0}
    assert [(member["name"], member["state"]) for member in run["members"]] == [
        ("the-broken", "Retrying"),
        ("the-sound", "Delivered"),
    ]
    assert "nextAttemptTime" in run["members"][0]
    assert stage.receiver.count("/broken") == 3


def test_a_suspended_member_gets_its_message_later(stage: Stage) -> None:
    stage.endpoint("asleep", suspend=True)
    stage.endpoint("awake")
    stage.apply("Topic", "drowsy", {"endpoints": listed("asleep", "awake")})
    members(stage, "drowsy", 2)
    accepted = publish(stage, "drowsy")
    stage.receiver.wait_for(1, path="/awake")
    assert stage.receiver.count("/asleep") == 0
    stage.change("Endpoint", "asleep", suspend=False)
    requests = stage.receiver.wait_for(1, path="/asleep")
    assert message_ids(requests) == [accepted[0]["messageId"]]


def test_a_missing_member_is_named_and_heals(stage: Stage) -> None:
    """The others get their messages; the missing one is left out of the answer and told in status."""
    stage.endpoint("here")
    stage.apply("Topic", "gappy", {"endpoints": listed("missing", "here")})
    assert "'missing'" in stage.condition("Topic", "gappy", "ResolvedRefs=False", "EndpointNotFound")
    stage.condition("Topic", "gappy", "Ready=False", "EndpointNotFound")
    status = stage.status("Topic", "gappy")
    assert (status["endpoints"], status["missingEndpoints"]) == (1, ["missing"])
    assert [one["endpointName"] for one in publish(stage, "gappy")] == ["the-here"]
    stage.endpoint("missing")
    stage.ready(("Topic", "gappy"))
    assert "missingEndpoints" not in members(stage, "gappy", 2)
    assert [one["endpointName"] for one in publish(stage, "gappy")] == ["the-missing", "the-here"]
    stage.receiver.wait_for(1, path="/missing")


def test_a_changed_label_counts_at_once(stage: Stage) -> None:
    stage.endpoint("wanderer", labels={EVENTS: "away"})
    stage.endpoint("resident", labels={EVENTS: "home"})
    stage.apply("Topic", "home", {"selector": selecting("home")})
    members(stage, "home", 1)
    label(stage, "wanderer", "home")
    receives(stage, "home", ["resident", "wanderer"])
    label(stage, "wanderer", None)
    receives(stage, "home", ["resident"])


def receives(stage: Stage, topic: str, expected: list[str]) -> None:
    """Publish until these are the members: the label was changed a few milliseconds ago."""
    wait_for(
        lambda: [one["endpointName"] for one in publish(stage, topic)],
        lambda names: names == expected,
        within=5,
        describe=f"the members of {topic}: {expected}",
    )


def test_a_topic_without_members(stage: Stage) -> None:
    """Publishing answers 404; a slot is a failed run with an Event. The first member ends that."""
    stage.apply("Topic", "empty", {"selector": selecting("nobody")})
    stage.ready(("Topic", "empty"))
    answer = stage.api("POST", "/v2/publish/empty")
    assert answer.status_code == 404
    assert "empty" in answer.json()["error"]
    topic: dict[str, Any] = {"topicRef": {"name": "empty"}}
    stage.once("to-empty", topic)
    run = stage.run("to-empty", "Failed")
    assert run["reason"] == "RefNotFound"
    assert "has no member" in run["message"]
    (event,) = stage.events("Schedule", "to-empty", "RefNotFound")
    assert event["type"] == "Warning"
    stage.endpoint("somebody", labels={EVENTS: "nobody"})
    members(stage, "empty", 1)
    assert len(publish(stage, "empty")) == 1


def test_an_unknown_topic_is_404(stage: Stage) -> None:
    answer = stage.api("POST", "/v2/publish/no-such-topic")
    assert answer.status_code == 404
    assert "no-such-topic" in answer.json()["error"]
