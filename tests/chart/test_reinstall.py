"""`helm uninstall` keeps every Schedule; a release that comes back, by its name or another, goes on without a burst.

What becomes of slots and of run-now when the database is lost: tests/cluster/test_reinstall.py has more of it.
"""

import base64
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from tests.support import ledger
from tests.support.cluster import Object, find, list_all, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.helm import Helm
from tests.support.ledger import Ledger
from tests.support.released import CRDS, Released, released
from tests.support.stage import RUN_NOW, STATUS_S, Stage

AWAY_S = 4.0
SECOND = timedelta(seconds=1)
LIVE = {"latest": "RunLatest", "skip": "Skip"}
KINDS = ("Endpoint", "Topic", "Schedule", "Queue", "Token")


@dataclass
class Life:
    """What one operator left in its database, and the signing keys that the token of the first one showed."""

    runs: Ledger
    keys: Object

    def slots(self, name: str, after: datetime | None = None) -> list[datetime]:
        return sorted(run.slot for run in self.runs.of(name) if after is None or run.slot > after)


@dataclass
class Story:
    """`uids` of all objects with their names, before and while nothing was installed; `last` slots and `keys` then."""

    release: Released
    uids: list[dict[str, str]]
    crds: list[str]
    last: dict[str, datetime]
    keys: Object
    same_database: Life
    empty_database: Life


@pytest.fixture(scope="module")
def story(control_plane: ControlPlane, admin: Helm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("again")
    with released(admin, control_plane, "again", folder) as release:
        yield play(release, folder)


def play(release: Released, folder: Path) -> Story:
    stage = release.stage
    stage.angarium.start()
    declare(stage)
    token = token_of(stage)
    with stage.angarium.client(token) as client:
        headers = {"Upstash-Delay": "1s"}
        client.post(f"/v2/publish/{stage.receiver.url('/delayed')}", headers=headers).raise_for_status()
        keys = client.get("/v2/keys").json()
    uids = [uids_of(stage)]
    release.uninstall()
    uids.append(uids_of(stage))
    crds = [one["metadata"]["name"] for one in list_all(release.control_plane, "CustomResourceDefinition")]
    before = ledger.read_left(stage.angarium.database)
    last = {name: max(run.slot for run in before.of(name)) for name in LIVE}
    time.sleep(AWAY_S)  # slots have to pass while nothing runs
    release.install()
    same = live(release, token)
    time.sleep(AWAY_S)
    release.install("--take-ownership", release="renamed")
    (folder / "empty").mkdir()
    release.stage = release.another(folder / "empty")
    return Story(release, uids, crds, last, keys, same, live(release, token))


def declare(stage: Stage) -> None:
    wait_for(lambda: stage.apply("Token", "app", {}), describe="Tokens are served")
    for name, policy in LIVE.items():
        where = {"url": stage.receiver.url(f"/{name}")}
        stage.apply("Schedule", name, {"every": "1s", "missedRunPolicy": policy, "destination": where})
    stage.once("over", {"url": stage.receiver.url("/over")})
    stage.apply("Schedule", "yearly", {"cron": "0 0 1 1 *", "destination": {"url": stage.receiver.url("/yearly")}})
    stage.apply("Queue", "line", {})
    stage.ready(("Schedule", "yearly"), ("Queue", "line"))
    stage.run_now("yearly", "once")
    for path in ("/over", "/yearly"):
        stage.receiver.wait_for(1, STATUS_S, path)
    for name in (*LIVE, "yearly", "over"):
        wait_for(lambda name=name: stage.status("Schedule", name).get("recentRuns"), within=STATUS_S)  # type: ignore[misc]


def token_of(stage: Stage) -> str:
    secret = wait_for(lambda: find(stage.control_plane, "Secret", "app-qstash", stage.namespace), within=STATUS_S)
    assert secret is not None
    return base64.b64decode(secret["data"]["QSTASH_TOKEN"]).decode()


def uids_of(stage: Stage) -> dict[str, str]:
    found: list[Object] = [one["metadata"] for kind in KINDS for one in stage.list_all(kind)]
    return {one["uid"]: one["name"] for one in found}


def live(release: Released, token: str) -> Life:
    """Until each Schedule that is at work has fired four times, and then until the release is uninstalled."""
    stage = release.stage
    counts = {name: stage.receiver.count(f"/{name}") for name in LIVE}
    stage.angarium.start()
    with stage.angarium.client(token) as client:
        answer = wait_for(lambda: client.get("/v2/keys"), lambda answer: answer.status_code == 200, within=STATUS_S)
    for name, count in counts.items():
        stage.receiver.wait_for(count + 4, STATUS_S, f"/{name}")
    release.uninstall()
    return Life(ledger.read_left(stage.angarium.database), answer.json())


def test_uninstalling_keeps_every_object(story: Story) -> None:
    before, after = story.uids
    assert before == after and len(before) == 6
    assert set(CRDS) <= set(story.crds)


def test_the_same_database_makes_up_for_one_slot_or_for_none(story: Story) -> None:
    missed = {name: story.same_database.slots(name, story.last[name]) for name in LIVE}
    goes_on(missed["latest"], missed["skip"])
    assert missed["skip"][0] - story.last["skip"] > timedelta(seconds=AWAY_S)
    assert list(story.same_database.runs.faults()) == []


def goes_on(latest: Sequence[datetime], skip: Sequence[datetime]) -> None:
    """Both have the same slots: RunLatest one more than Skip, the one right before; after it one a second."""
    assert latest[0] == skip[0] - SECOND
    for slots in (latest, skip):
        assert {later - earlier for earlier, later in pairwise(slots)} == {SECOND}


def test_an_empty_database_makes_up_for_one_slot_or_for_none(story: Story) -> None:
    goes_on(*(story.empty_database.slots(name) for name in ("latest", "skip")))
    lasts = {name: story.same_database.slots(name)[-1] for name in LIVE}
    assert story.empty_database.slots("skip")[0] - lasts["skip"] > timedelta(seconds=AWAY_S)


def test_what_was_over_or_asked_for_long_ago_does_not_fire(story: Story) -> None:
    for path in ("/over", "/yearly"):
        assert story.release.receiver.count(path) == 1
    (schedule,) = (one for one in story.release.stage.list_all("Schedule") if one["metadata"]["name"] == "yearly")
    assert schedule["metadata"]["annotations"][RUN_NOW] == "once"


def test_messages_wait_in_the_volume_that_is_kept(story: Story) -> None:
    assert story.release.receiver.count("/delayed") == 1


def test_applications_keep_their_token_and_their_keys(story: Story) -> None:
    """Its Secret belongs to the Token, not to the release; a database that is empty learns both from there."""
    assert story.same_database.keys == story.keys
    assert story.empty_database.keys == story.keys
