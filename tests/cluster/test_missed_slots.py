"""What becomes of slots that pass while nothing runs: after a crash, and after the database was lost."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from tests.support.cluster import Object, wait_for
from tests.support.stage import RUN_NOW, STATUS_S, Stage, instants

DOWN_S = 4.0
"""How long nothing runs; the start of the process comes on top."""
SECOND = timedelta(seconds=1)


def every_second(stage: Stage, name: str, **spec: object) -> None:
    destination = {"url": stage.receiver.url(f"/{name}")}
    stage.apply("Schedule", name, {"every": "1s", "historyLimit": 50, "destination": destination, **spec})


def fired_until_now(stage: Stage, name: str) -> list[Object]:
    """Suspends a Schedule and returns its runs, once status tells of every request that has arrived."""
    stage.change("Schedule", name, suspend=True)
    stage.condition("Schedule", name, "Ready=True", "Suspended")
    return wait_for(
        lambda: stage.runs(name),
        lambda runs: len(runs) == stage.receiver.count(f"/{name}") and all(one["state"] == "Delivered" for one in runs),
        within=STATUS_S,
        describe=f"all runs of {name} in status",
    )


def resumed(runs: list[Object]) -> datetime:
    """The first slot after the only gap."""
    (after,) = [later for earlier, later in pairwise(instants(runs)) if later - earlier > SECOND]
    return after


POLICIES: dict[str, Object] = {
    "run-latest": {"missedRunPolicy": "RunLatest"},
    "run-all": {"missedRunPolicy": "RunAll"},
    "run-recent": {"missedRunPolicy": "RunAll", "startingDeadlineSeconds": 3},
    "skip": {"missedRunPolicy": "Skip"},
}


def new_slots(stage: Stage, name: str, since: str) -> list[datetime]:
    """The slots in status that are later than `since`."""
    return [slot for slot in instants(stage.runs(name)) if slot > datetime.fromisoformat(since)]


def declare_survivors(stage: Stage) -> None:
    """What a lost database must not fire again; declared early, so that their statuses have been written."""
    every_second(stage, "survivor")
    stage.once("over", {"url": stage.receiver.url("/over")})
    yearly = {"cron": "0 0 1 1 *", "destination": {"url": stage.receiver.url("/yearly")}}
    stage.apply("Schedule", "yearly", yearly)
    stage.ready(("Schedule", "yearly"))
    stage.apply("Schedule", "yearly", yearly, annotations={RUN_NOW: "once"})
    for path in ("/over", "/yearly"):
        stage.receiver.wait_for(1, path=path)


@pytest.fixture(scope="module", autouse=True)
def runs(stage: Stage) -> dict[str, list[Object]]:
    """The runs of a Schedule of each policy, with one crash and its downtime in the middle. The process is killed in
    the middle between two slots, when the messages of the first have ended."""
    for name, policy in POLICIES.items():
        every_second(stage, name, **policy)
    declare_survivors(stage)
    for name in POLICIES:
        stage.receiver.wait_for(3, path=f"/{name}")
    time.sleep((0.5 - time.time()) % 1)
    stage.angarium.kill()
    before = {name: stage.receiver.count(f"/{name}") for name in POLICIES}
    time.sleep(DOWN_S)
    stage.angarium.start()
    for name in POLICIES:
        stage.receiver.wait_for(before[name] + 3, path=f"/{name}")
    return {name: fired_until_now(stage, name) for name in POLICIES}


@pytest.mark.parametrize("name", POLICIES)
def test_no_slot_fires_twice(runs: dict[str, list[Object]], name: str) -> None:
    slots = instants(runs[name])
    assert len(set(slots)) == len(slots)


def test_run_all_makes_up_for_every_slot(stage: Stage, runs: dict[str, list[Object]]) -> None:
    assert {later - earlier for earlier, later in pairwise(instants(runs["run-all"]))} == {SECOND}
    assert stage.status("Schedule", "run-all")["skippedSlots"] == 0


def test_skip_goes_on_with_the_next_slot(stage: Stage, runs: dict[str, list[Object]]) -> None:
    """What passed is counted, and one Event tells."""
    slots = instants(runs["skip"])
    gap = max(later - earlier for earlier, later in pairwise(slots))
    assert gap > timedelta(seconds=DOWN_S)
    assert stage.status("Schedule", "skip")["skippedSlots"] == gap // SECOND - 1
    (event,) = stage.events("Schedule", "skip", "SlotsMissed")
    assert event["type"] == "Warning"
    assert event["message"].startswith(f"{gap // SECOND - 1} slots passed")


def test_run_latest_makes_up_for_the_newest(stage: Stage, runs: dict[str, list[Object]]) -> None:
    """All four Schedules have the same slots: it takes one more than Skip, the one right before."""
    assert resumed(runs["run-latest"]) == resumed(runs["skip"]) - SECOND
    skipped = stage.status("Schedule", "skip")["skippedSlots"]
    assert stage.status("Schedule", "run-latest")["skippedSlots"] == skipped - 1


def test_a_deadline_gives_up_what_is_too_late(runs: dict[str, list[Object]]) -> None:
    late = resumed(runs["skip"]) - resumed(runs["run-recent"])
    assert SECOND <= late <= 3 * SECOND


def test_a_lost_database_causes_no_burst(stage: Stage) -> None:
    """Status remembers the last slot: one catch-up at most, nothing of what was over, no run-now of long ago."""
    stage.run("over", "Delivered")
    wait_for(lambda: len(stage.runs("survivor")) >= 3, within=STATUS_S)
    assert stage.angarium.stop() == 0
    for file in stage.angarium.folder.glob("angarium.db*"):
        file.unlink()
    told = stage.status("Schedule", "survivor")["lastSlotTime"]
    before = stage.receiver.count("/survivor")
    time.sleep(DOWN_S)
    started = datetime.now(UTC)
    stage.angarium.start()
    stage.receiver.wait_for(before + 4, path="/survivor")
    slots = wait_for(lambda: new_slots(stage, "survivor", told), lambda found: len(found) >= 4, within=STATUS_S)
    assert len([slot for slot in slots if slot < started]) <= 1, "one catch-up at most"
    stage.condition("Schedule", "over", "Ready=True", "Completed")
    stage.ready(("Schedule", "yearly"))
    assert stage.receiver.count("/over") == stage.receiver.count("/yearly") == 1
    assert stage.status("Schedule", "over")["lastSlotTime"]
