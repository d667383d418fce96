"""An empty database on a cluster that is full of Schedules: nothing bursts, and statuses say where to go on."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from tests.support.cluster import Object, list_all, patch, wait_for
from tests.support.stage import RUN_NOW, STATUS_S, Stage, instants, rfc3339

MANY = 40
DOWN_S = 4.0
DEADLINE_S = 3
SECOND = timedelta(seconds=1)
LIVE: dict[str, Object] = {
    "live-latest": {"missedRunPolicy": "RunLatest"},
    "live-recent": {"missedRunPolicy": "RunAll", "startingDeadlineSeconds": DEADLINE_S},
    "live-skip": {"missedRunPolicy": "Skip"},
}
QUIET: dict[str, Object] = {
    "past-at": {"at": "2020-12-24T18:00:00Z"},
    "past-at-deadline": {"at": "2020-12-24T18:00:00Z", "startingDeadlineSeconds": 600},
    "yearly": {"cron": "0 0 1 1 *"},
    "interval": {"every": "365d", "startTime": "2000-01-01T00:00:00Z", "missedRunPolicy": "RunAll"},
    "suspended": {"every": "1s", "suspend": True, "startingDeadlineSeconds": 600, "missedRunPolicy": "RunAll"},
}
"""None of these has a slot now. All have a run-now annotation of long ago."""


@pytest.fixture(scope="module", autouse=True)
def before(stage: Stage) -> dict[str, int]:
    """Declared in full, some of them at work; then the database is lost. Returns how often each live one has fired."""
    for name, spec in LIVE.items():
        where = {"url": stage.receiver.url(f"/{name}")}
        stage.apply("Schedule", name, {"every": "1s", "historyLimit": 50, "destination": where, **spec})
    for name in LIVE:
        wait_for(lambda name=name: stage.runs(name), lambda runs: len(runs) >= 2, within=STATUS_S)  # type: ignore[misc]
    assert stage.angarium.stop() == 0
    for file in stage.angarium.folder.glob("angarium.db*"):
        file.unlink()
    where = {"url": stage.receiver.url("/quiet")}
    for kind, spec in QUIET.items():
        for number in range(MANY):
            stage.apply(
                "Schedule", f"{kind}-{number}", {"destination": where, **spec}, annotations={RUN_NOW: "long ago"}
            )  # fmt: skip
    long_ago = rfc3339(datetime.now(UTC) - timedelta(days=3))
    for number in range(MANY):
        status = {"status": {"lastSlotTime": long_ago}}
        patch(stage.control_plane, "Schedule", f"interval-{number}", stage.namespace, status, "status")
    time.sleep(DOWN_S)  # slots have to pass while nothing runs
    counts = {name: stage.receiver.count(f"/{name}") for name in LIVE}
    stage.angarium.start()
    for name, count in counts.items():
        stage.receiver.wait_for(count + 4, STATUS_S, f"/{name}")
    return counts


def test_nothing_fires_that_was_over(stage: Stage) -> None:
    schedules = {one["metadata"]["name"]: one for one in judged(stage)}
    assert len(schedules) == len(LIVE) + MANY * len(QUIET)
    assert stage.receiver.count("/quiet") == 0
    for kind in QUIET:
        reasons = {ready(schedules[f"{kind}-{number}"]) for number in range(MANY)}
        expected = "Completed" if kind.startswith("past") else "Suspended" if kind == "suspended" else "Ready"
        assert reasons == {("True", expected)}, kind
        assert not any("recentRuns" in schedules[f"{kind}-{number}"]["status"] for number in range(MANY))


def judged(stage: Stage) -> list[Object]:
    """All Schedules, once each has been looked at."""
    return wait_for(
        lambda: list_all(stage.control_plane, "Schedule", stage.namespace),
        lambda found: all(one["status"].get("observedGeneration") for one in found),
        within=2 * STATUS_S,
        describe="every Schedule has a status",
    )


def ready(schedule: Object) -> tuple[str, str]:
    (found,) = (one for one in schedule["status"]["conditions"] if one["type"] == "Ready")
    return found["status"], found["reason"]


def test_what_goes_on_follows_its_policy(stage: Stage, before: dict[str, int]) -> None:
    """All three have the same slots: what was missed is made up for once, inside the deadline, or not; then no slot is
    left out."""
    for name in LIVE:
        stage.change("Schedule", name, suspend=True)
    slots = {name: fired(stage, name, before[name]) for name in LIVE}
    for name in LIVE:
        assert len(set(slots[name])) == len(slots[name])
        assert {later - earlier for earlier, later in pairwise(slots[name])} == {SECOND}, name
    on_time = slots["live-skip"][0]
    assert slots["live-latest"][0] == on_time - SECOND
    assert 0 <= sum(slot < on_time for slot in slots["live-recent"]) <= DEADLINE_S


def fired(stage: Stage, name: str, before: int) -> list[datetime]:
    """The slots since the reinstall, once status tells of every request that has come."""
    stage.condition("Schedule", name, "Ready=True", "Suspended")

    def complete(runs: list[Object]) -> bool:
        ended = all(run["state"] == "Delivered" for run in runs)
        return ended and len(runs) == stage.receiver.count(f"/{name}") - before

    return instants(wait_for(lambda: stage.runs(name), complete, within=STATUS_S, describe=f"all runs of {name}"))
