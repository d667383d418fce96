"""Forbid and Replace, whatever keeps a run active: the store is watched all the while, and so is the destination."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.support.cluster import Object, wait_for
from tests.support.receiver import Answer
from tests.support.stage import STATUS_S, TERMINAL, Stage, instants

SECOND = timedelta(seconds=1)
SLOTS = 5
"""So many pass before anything is judged."""
POLICIES = ("Forbid", "Replace")
SITUATIONS = ("slow", "retrying", "queued", "suspended", "limited", "fan-out", "called-back")
ACTIVE = "SELECT schedule, count(*) FROM runs WHERE pending > 0 AND trigger = 'Slot' GROUP BY schedule"


class Watch(threading.Thread):
    """Looks at the runs in the database all the time: how many of one Schedule were ever active at once."""

    def __init__(self, database: str) -> None:
        super().__init__(daemon=True)
        self._database = database
        self._over = threading.Event()
        self.most: Counter[str] = Counter()
        self.looks = 0

    def run(self) -> None:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as connection:
            while not self._over.wait(0.01):
                for schedule, active in connection.execute(ACTIVE):
                    self.most[schedule] = max(self.most[schedule], active)
                self.looks += 1

    def end(self) -> None:
        self._over.set()
        self.join()


def name_of(situation: str, policy: str) -> str:
    return f"{situation}-{policy.lower()}"


def arrange(stage: Stage, situation: str, name: str) -> Object:
    """What keeps a run of this Schedule from ending, as a part of its spec."""
    path = f"/{name}"
    spec: Object = {"destination": {"url": stage.receiver.url(path)}}
    match situation:
        case "slow":
            stage.receiver.answer(path, Answer(delay_s=60))
        case "retrying":
            stage.receiver.answer(path, 500)
            spec["retry"] = {"limit": 50, "delay": "300"}
        case "queued":
            stage.receiver.answer(f"/before-{name}", Answer(delay_s=60))
            stage.apply("Queue", name, {})
            stage.once(f"before-{name}", {"url": stage.receiver.url(f"/before-{name}")}, queueRef={"name": name})
            stage.receiver.wait_for(1, STATUS_S, f"/before-{name}")
            spec["queueRef"] = {"name": name}
        case "suspended":
            stage.endpoint(name, suspend=True)
            spec["destination"] = {"endpointRef": {"name": name}}
        case "limited":
            stage.receiver.answer(f"/before-{name}", Answer(delay_s=60))
            limits = {"key": name, "parallelism": 1}
            stage.once(f"before-{name}", {"url": stage.receiver.url(f"/before-{name}")}, flowControl=limits)
            stage.receiver.wait_for(1, STATUS_S, f"/before-{name}")
            spec["flowControl"] = limits
        case "fan-out":
            stage.receiver.answer(f"{path}-2", Answer(delay_s=60))
            members = [{"name": f"m{n}", "url": stage.receiver.url(f"{path}-{n}")} for n in (1, 2)]
            stage.apply("Topic", name, {"endpoints": members})
            spec["destination"] = {"topicRef": {"name": name}}
        case "called-back":
            stage.receiver.answer(f"{path}-told", Answer(delay_s=60))
            spec["callback"] = {"url": stage.receiver.url(f"{path}-told")}
    return spec


@pytest.fixture(scope="module", autouse=True)
def watch(stage: Stage) -> Iterator[Watch]:
    """All of them side by side, until the slowest has seen its slots."""
    specs = {
        name_of(situation, policy): {
            "every": "1s", "concurrencyPolicy": policy, "historyLimit": 50,
            **arrange(stage, situation, name_of(situation, policy)),
        }
        for situation in SITUATIONS
        for policy in POLICIES
    }  # fmt: skip
    watch = Watch(str(stage.angarium.database))
    watch.start()
    for name, spec in specs.items():
        stage.apply("Schedule", name, spec)
    for name in specs:
        wait_for(lambda name=name: passed(stage, name), lambda count: count > SLOTS, within=STATUS_S, describe=name)  # type: ignore[misc]
    for name in specs:
        stage.change("Schedule", name, suspend=True)
    stage.ready(*(("Schedule", name) for name in specs))
    yield watch
    watch.end()


def passed(stage: Stage, name: str) -> int:
    status = stage.status("Schedule", name)
    return len(status.get("recentRuns", [])) + int(status.get("skippedSlots", 0))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_never_two_runs_at_once(watch: Watch, situation: str, policy: str) -> None:
    assert watch.looks > 50
    assert watch.most[name_of(situation, policy)] <= 1


@pytest.mark.parametrize("situation", [one for one in SITUATIONS if one != "called-back"])
def test_forbid_skips_slots_for_good_while_a_run_is_active(stage: Stage, situation: str) -> None:
    name = name_of(situation, "Forbid")
    status = stage.status("Schedule", name)
    (run,) = status["recentRuns"]
    assert run["state"] not in TERMINAL
    assert status["skippedSlots"] >= SLOTS
    (event,) = stage.events("Schedule", name, "SlotsForbidden")
    assert event["type"] == "Normal"


@pytest.mark.parametrize("situation", [one for one in SITUATIONS if one != "called-back"])
def test_replace_leaves_the_newest_run_only(stage: Stage, situation: str) -> None:
    name = name_of(situation, "Replace")

    def settled(runs: list[Object]) -> bool:
        return len(runs) >= SLOTS and all(run["state"] in TERMINAL for run in runs[1:])

    newest, *others = wait_for(lambda: stage.runs(name), settled, within=STATUS_S, describe=f"the runs of {name}")
    assert newest["state"] not in TERMINAL
    ended = {"Canceled", "Delivered"} if situation == "fan-out" else {"Canceled"}
    assert {member["state"] for run in others for member in run["members"]} == ended
    slots = instants([newest, *others])
    assert {later - earlier for earlier, later in pairwise(slots)} == {SECOND}, "every slot fires"
    assert stage.status("Schedule", name)["skippedSlots"] == 0
    assert "SlotsForbidden" not in stage.event_reasons("Schedule", name)


@pytest.mark.parametrize("situation", ["queued", "suspended", "limited"])
def test_what_was_replaced_before_its_turn_is_never_sent(stage: Stage, situation: str) -> None:
    assert stage.receiver.count(f"/{name_of(situation, 'Replace')}") == 0


def test_what_was_replaced_is_not_tried_again(stage: Stage) -> None:
    """At the destination: as soon as a newer message has come, no older one does."""
    requests = stage.receiver.received("/retrying-replace")
    ids = [request.header("Upstash-Message-Id") for request in requests]
    assert len(set(ids)) >= SLOTS
    turns = [ids[0], *(later for earlier, later in pairwise(ids) if later != earlier)]
    assert len(turns) == len(set(turns)), "no message came back after a newer one"


@pytest.mark.parametrize("policy", POLICIES)
def test_callbacks_keep_no_run_active(stage: Stage, policy: str) -> None:
    """They take a minute, but slot after slot fires."""
    name = name_of("called-back", policy)
    delivered = [run for run in stage.runs(name) if run["state"] == "Delivered"]
    assert len(delivered) > 2
    stage.receiver.wait_for(len(delivered), STATUS_S, f"/{name}-told")


@pytest.mark.parametrize("policy", POLICIES)
def test_run_now_fires_beside_an_active_run(stage: Stage, policy: str) -> None:
    """Whatever the policy, and it cancels nothing: the slot's run goes on."""
    name = name_of("slow", policy)
    before = stage.receiver.count(f"/{name}")
    stage.run_now(name, "now")
    stage.receiver.wait_for(before + 1, STATUS_S, f"/{name}")
    runs = wait_for(lambda: stage.runs(name), lambda runs: runs[0]["trigger"] == "Manual", within=STATUS_S)
    assert [run["state"] in TERMINAL for run in runs[:2]] == [False, False]
