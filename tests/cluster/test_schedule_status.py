"""The status of the longest history there can be, on the real API server: it fits, and the oldest runs give way."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from tests.support.cluster import path_of, wait_for
from tests.support.histories import ERROR, MEMBERS, RUNS, fill
from tests.support.stage import STATUS_S, Stage, instants
from tests.support.stores import ids

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.ports import Limits, Retention
from angarium.engine.clock import SystemClock
from angarium.store import open_store

LIMIT = 32 * 1024
NAME = "s" * 200 + ".full"
FAR = datetime(2100, 1, 1, tzinfo=UTC)


async def give_history(stage: Stage) -> list[datetime]:
    """Put it into the database of the stage, which does not run. Returns the slots, newest first."""
    clock = SystemClock()
    store = open_store(
        stage.angarium.database, limits=Limits(), new_id=ids(), clock=clock, retention=Retention()
    )  # fmt: skip
    try:
        due = {one.declared.ref: one for one in (await store.due_schedules(FAR, 100)).schedules}
        newest = clock.now().replace(minute=0, second=0, microsecond=0)
        schedule = due[ObjectRef(Kind.SCHEDULE, stage.namespace, NAME)]
        return await fill(store, stage.angarium.database, schedule, newest)
    finally:
        await store.close()


def raw_status(stage: Stage) -> bytes:
    """The bytes of the status as the API server writes them."""
    text = stage.control_plane.client.get(path_of("Schedule", NAME, stage.namespace)).content
    _, _, status = text.partition(b'"status":')
    return status.strip()[:-1]


def test_the_longest_history_fits(stage: Stage) -> None:
    members = [
        {"name": f"{number:03}-{'m' * 59}", "url": f"https://h{number}.test/{'p' * 2000}"} for number in range(MEMBERS)
    ]
    stage.apply("Topic", "many", {"endpoints": members})
    spec = {"cron": "0 0 1 1 *", "historyLimit": 50, "destination": {"topicRef": {"name": "many"}}}
    stage.apply("Schedule", NAME, spec)
    stage.ready(("Schedule", NAME))
    assert stage.angarium.stop() == 0
    slots = asyncio.run(give_history(stage))
    assert len(slots) == RUNS
    stage.angarium.start()

    def shown(status: dict[str, Any]) -> bool:
        return bool(status.get("recentRuns"))

    status = wait_for(lambda: stage.status("Schedule", NAME), shown, within=STATUS_S, describe="runs in status")
    raw = raw_status(stage)
    assert json.loads(raw) == status
    assert b"\\u003c" in raw, "the API server escapes, so that is counted"
    assert LIMIT / 2 < len(raw) <= LIMIT, len(raw)
    recent = status["recentRuns"]
    assert instants(recent) == sorted(slots[: len(recent)]), "the oldest gave way"
    assert len(recent) < RUNS
    (newest, *_) = recent
    assert newest["deliveries"] == {"total": MEMBERS, "delivered": 0, "failed": MEMBERS, "canceled": 0}
    assert len(newest["members"]) == 10
    (last, *_) = (member["recentAttempts"] for member in newest["members"])
    assert last[-1]["error"] == ERROR
    assert last[-1]["number"] == newest["members"][0]["attempts"] == newest["members"][0]["attemptsAllowed"] + 97
    assert status["lastResult"] == "Failed"


def test_no_history_at_all_still_tells_what_became_of_the_newest_run(stage: Stage) -> None:
    """A change of historyLimit takes effect at once, and what was kept comes back with the next one."""
    shown = wait_for(lambda: stage.runs(NAME), bool, within=STATUS_S)
    stage.change("Schedule", NAME, historyLimit=0)
    status = wait_for(
        lambda: stage.status("Schedule", NAME), lambda status: "recentRuns" not in status, within=STATUS_S
    )
    assert status["lastResult"] == "Failed"
    assert status["lastSlotTime"] == shown[0]["slot"]
    assert "lastFailureTime" in status
    stage.change("Schedule", NAME, historyLimit=1)
    assert wait_for(lambda: stage.runs(NAME), bool, within=STATUS_S) == shown[:1]
