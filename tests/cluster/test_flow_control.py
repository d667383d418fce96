"""Limits that people declare, seen from the receiver."""

from tests.support.cluster import Object, wait_for
from tests.support.receiver import Answer
from tests.support.stage import Stage
from tests.support.windows import most_within, starts_in

SLACK_S = 0.25
"""Between a start in the store and its arrival: the machine may be busy."""


def arrivals(stage: Stage, path: str, count: int) -> list[float]:
    return sorted(request.at for request in stage.receiver.wait_for(count, timeout=30, path=path))


def to_endpoint(stage: Stage, name: str, messages: int) -> None:
    """Publish to an Endpoint, by way of a Topic that has it as its only member."""
    stage.apply("Topic", name, {"endpoints": [{"name": name, "endpointRef": {"name": name}}]})
    stage.ready(("Endpoint", name), ("Topic", name))
    batch = [{"destination": name, "body": str(number)} for number in range(messages)]
    assert stage.api("POST", "/v2/batch", json=batch).is_success


def key(stage: Stage, name: str) -> Object:
    answer = stage.api("GET", f"/v2/flowControl/{name}")
    assert answer.status_code == 200, answer.text
    found: Object = answer.json()
    return found


def test_a_rate_of_an_endpoint_holds_at_the_receiver(stage: Stage) -> None:
    stage.endpoint("rated", flowControl={"rate": 3, "period": "2s"})
    to_endpoint(stage, "rated", 10)
    times = arrivals(stage, "/rated", 10)
    assert most_within(times, 2.0) <= 6
    log = stage.api("GET", "/v2/logs?flowControlKey=endpoint/rated&state=ACTIVE").json()["logs"]
    starts = starts_in(log)
    assert starts[-1] - starts[0] >= 6.0 - 0.001, "ten messages need four windows"
    assert times[2] - times[0] < 2.0, "three go at once"
    found = key(stage, "endpoint/rated")
    assert (found["rateMax"], found["ratePeriod"]) == (3, 2)


def test_parallelism_of_an_endpoint_holds(stage: Stage) -> None:
    stage.endpoint("wide", flowControl={"parallelism": 2})
    stage.receiver.answer("/wide", Answer(delay_s=0.5))
    to_endpoint(stage, "wide", 6)
    times = arrivals(stage, "/wide", 6)
    assert most_within(times, 0.4) <= 2
    assert key(stage, "endpoint/wide")["parallelismMax"] == 2


def test_limits_declared_later_hold_what_waits_and_lifted_let_it_go(stage: Stage) -> None:
    stage.endpoint("later", suspend=True)
    to_endpoint(stage, "later", 5)
    stage.change("Endpoint", "later", suspend=False, flowControl={"rate": 1, "period": "1h"})
    stage.ready(("Endpoint", "later"))
    stage.receiver.wait_for(1, path="/later")
    wait_for(lambda: key(stage, "endpoint/later")["waitListSize"], lambda size: size == 4)
    assert stage.receiver.count("/later") == 1
    stage.change("Endpoint", "later", flowControl=None)
    stage.receiver.wait_for(5, path="/later")


def test_a_paused_key_of_an_endpoint_holds_its_messages(stage: Stage) -> None:
    """Somebody on call stops what a broken receiver would get; the declared limits stay as they are."""
    stage.endpoint("halted", flowControl={"rate": 100})
    stage.ready(("Endpoint", "halted"))
    assert stage.api("POST", "/v2/flowControl/endpoint/halted/pause").status_code == 200
    to_endpoint(stage, "halted", 2)
    wait_for(lambda: key(stage, "endpoint/halted")["waitListSize"], lambda size: size == 2)
    assert stage.receiver.count("/halted") == 0
    assert stage.api("POST", "/v2/flowControl/endpoint/halted/resume").status_code == 200
    stage.receiver.wait_for(2, path="/halted")


def test_a_schedule_has_limits_of_its_own(stage: Stage) -> None:
    stage.endpoint("drummed")
    stage.apply(
        "Schedule", "drum",
        {
            "every": "1s",
            "destination": {"endpointRef": {"name": "drummed"}},
            "flowControl": {"rate": 1, "period": "3s"},
        },
    )  # fmt: skip
    times = arrivals(stage, "/drummed", 3)
    stage.change("Schedule", "drum", suspend=True)
    assert most_within(times, 3.0 - SLACK_S) == 1
    found = key(stage, "schedule/drum")
    assert (found["rateMax"], found["ratePeriod"]) == (1, 3)


def test_schedules_that_share_a_key_share_its_limits(stage: Stage) -> None:
    shared = {"flowControl": {"key": "shops/north", "rate": 1, "period": "3s"}}
    for name in ("left", "right"):
        stage.receiver.answer("/shared", 200)
        stage.once(name, {"url": stage.receiver.url("/shared")}, **shared)
    first, second = arrivals(stage, "/shared", 2)
    assert second - first >= 3.0 - SLACK_S
    assert key(stage, "shops/north")["rateMax"] == 1


def test_publishers_may_not_take_the_key_of_an_endpoint(stage: Stage) -> None:
    for taken in ("endpoint/rated", "schedule/drum"):
        headers = {"Upstash-Flow-Control-Key": taken, "Upstash-Flow-Control-Value": "rate=1"}
        answer = stage.api("POST", f"/v2/publish/{stage.receiver.url('/any')}", headers=headers)
        assert answer.status_code == 400
        assert "Upstash-Flow-Control-Key" in answer.json()["error"]
