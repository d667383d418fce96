"""The whole program on a database of an earlier version: everything in it is there, and goes on.

Nothing here needs an API server: what was declared stands in the database. The program's clock is set to shortly after
the kill that ended the earlier version, and in a second life to some hours later.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.releases.contents import ADOPTED, HOST
from tests.support import launcher, ledger
from tests.support.alone import kubeconfig_of
from tests.support.angarium import Angarium
from tests.support.launcher import set_clock
from tests.support.ledger import Ledger
from tests.support.programs import python_module
from tests.support.receiver import Received, Receiver
from tests.support.releases import FIRST, destinations

AWAY = timedelta(seconds=90)
LATER = timedelta(hours=2, minutes=30)
WITHIN_S = 40.0
Json = Any

IDS: dict[str, str] = FIRST.contents["messages"]
TOKENS: dict[str, str] = FIRST.contents["tokens"]
LINE, PAUSED = ([f"{queue}-{number}" for number in range(6)] for queue in ("line", "paused"))


@dataclass
class Life:
    """What one run of the program did and said: `said` by name, `came` in order, `runs` as the database has them."""

    runs: Ledger
    said: dict[str, Json] = field(default_factory=dict)
    came: list[Received] = field(default_factory=list)

    def bodies(self, path: str) -> list[str]:
        return [request.body.decode() for request in self.came if request.target == path]

    def messages(self, path: str) -> list[str]:
        return [request.header("Upstash-Message-Id") or "" for request in self.came if request.target == path]


@dataclass
class Story:
    before: Ledger
    first: Life
    second: Life
    log: list[Json]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("upgraded")
    database = FIRST.unpack(folder)
    before = ledger.read_left(database)
    settings = {"allow-address": f"{HOST}/32", "orphan-grace": "30d"}
    with destinations() as receiver:
        launch = python_module(launcher, folder)
        with Angarium(folder, kubeconfig=kubeconfig_of(folder), settings=settings, launch=launch) as angarium:
            first = live(angarium, receiver, AWAY, early)
            second = live(angarium, receiver, LATER, late)
            yield Story(before, first, second, angarium.log_lines())


def live(angarium: Angarium, receiver: Receiver, after: timedelta, act: Any) -> Life:
    """Start it so long after the kill, let `act` do and see what there is, and end it in order."""
    set_clock(angarium.folder, timedelta(seconds=FIRST.contents["taken"] - time.time()) + after)
    count = receiver.count()
    angarium.start(ready=False)
    with angarium.client(TOKENS["full"]) as client:
        said = act(angarium, receiver, client)
    assert angarium.stop() == 0
    return Life(ledger.read_left(angarium.database), said, receiver.received()[count:])


def early(angarium: Angarium, receiver: Receiver, client: httpx.Client) -> dict[str, Json]:
    for path, count in {"/line": 6, "/narrow": 2, "/held": 1, "/told-late": 1, "/hanging": 1,
                        "/schedule/delivering": 2, "/schedule/every": 1, "/schedule/all": 1}.items():  # fmt: skip
        receiver.wait_for(count, WITHIN_S, path)
    said: dict[str, Json] = {"seen": {path: client.get(path).json() for path in FIRST.contents["seen"]}}
    paths = ("/v2/messages/{delayed}", "/v2/messages/{dated}", "/v2/messages/{large}", "/v2/queues/blocked",
             "/v2/queues/paused", "/v2/flowControl/rated", "/v2/logs?messageId={letter}",
             "/v2/logs?messageId={canceled}", "/v2/messages/{redacted}", "/v2/logs?count=1000")  # fmt: skip
    said |= {path: client.get(path.format(**IDS)).json() for path in paths}
    assert not receiver.count("/paused")
    client.post("/v2/queues/paused/resume").raise_for_status()
    client.post("/v2/flowControl/stopped/resume").raise_for_status()
    receiver.wait_for(6, WITHIN_S, "/paused")
    receiver.wait_for(1, WITHIN_S, "/stopped")
    said["again"] = [
        publish_again(client, receiver, id_="order-1"),
        publish_again(client, receiver, content="the same"),
    ]
    letter = next(one for one in said["seen"]["/v2/dlq"]["messages"] if one["messageId"] == IDS["letter"])
    said["retried"] = client.post(f"/v2/dlq/retry/{letter['dlqId']}").json()
    receiver.wait_for(1, WITHIN_S, "/fails")
    said["tokens"] = {name: opens(angarium, token) for name, token in
                      {**TOKENS, "adopted": ADOPTED["QSTASH_TOKEN"], "unknown": "x"}.items()}  # fmt: skip
    with angarium.client(ADOPTED["QSTASH_TOKEN"]) as other:
        said["other"] = other.get("/v2/logs").json(), other.get(f"/v2/messages/{IDS['delayed']}").status_code
    return said


def late(angarium: Angarium, receiver: Receiver, client: httpx.Client) -> dict[str, Json]:
    for path, count in {"/delayed": 1, "/later": 1, "/blocked": 2, "/fails": 2, "/schedule/retrying": 1}.items():
        receiver.wait_for(count, WITHIN_S, path)
    said = {"again": publish_again(client, receiver, id_="order-1")}
    return said | {
        path: client.get(path.format(**IDS)).json() for path in ("/v2/messages/{dated}", "/v2/messages/{rated-too}")
    }


def publish_again(client: httpx.Client, receiver: Receiver, id_: str = "", content: str = "") -> Json:
    option = {"Upstash-Deduplication-Id": id_} if id_ else {"Upstash-Content-Based-Deduplication": "true"}
    answer = client.post(f"/v2/publish/{receiver.url('/once')}", headers=option, content=content or "once")
    return answer.status_code, answer.json()["messageId"]


def opens(angarium: Angarium, token: str) -> tuple[int, int]:
    """What this token gets for reading the log, and for publishing."""
    with angarium.client(token) as client:
        return client.get("/v2/logs").status_code, client.post(f"/v2/publish/http://{HOST}:1/").status_code


def test_what_was_under_way_is_sent_again(story: Story) -> None:
    for name, path in (("hanging", "/hanging"), ("limited", "/narrow"), ("line-0", "/line")):
        assert story.first.messages(path)[0] == IDS[name]
    assert "lease.void" in [line["action"] for line in story.log]


def test_queues_go_on_in_order_with_the_same_messages(story: Story) -> None:
    for path, expected in (("/line", LINE), ("/paused", PAUSED)):
        assert story.first.bodies(path) == expected
        assert story.first.messages(path) == [IDS[name] for name in expected]


def test_a_queue_that_was_paused_or_blocked_still_is(story: Story) -> None:
    assert story.first.said["/v2/queues/paused"]["lag"] == 6
    assert story.first.said["/v2/queues/blocked"]["lag"] == 2
    assert story.first.bodies("/blocked") == []
    assert story.second.messages("/blocked") == [IDS["blocked"], IDS["blocked-too"]], "after the hour of its retry"


def test_a_place_that_a_callback_holds_is_free_once_that_was_told(story: Story) -> None:
    assert story.first.messages("/held") == [IDS["held-too"]]
    assert len(story.first.bodies("/told-late")) == 1


def test_limits_hold_over_the_upgrade(story: Story) -> None:
    assert story.first.messages("/narrow") == [IDS["limited"], IDS["limited-too"]]
    assert story.first.messages("/stopped") == [IDS["stopped"]]
    assert story.first.said["/v2/flowControl/rated"]["rateCount"] == 1
    assert story.first.bodies("/rated") == story.second.bodies("/rated") == [], "its window is a day long"
    assert story.second.said["/v2/messages/{rated-too}"]["messageId"] == IDS["rated-too"]


def test_delays_and_retries_keep_their_time(story: Story) -> None:
    for path in ("/delayed", "/dated", "/later"):
        assert story.first.bodies(path) == []
    assert story.second.messages("/delayed") == [IDS["delayed"]]
    assert story.second.bodies("/later") == ["x" * 50_000]
    assert story.second.bodies("/dated") == [], "it is due in three hours"
    created = story.first.said["/v2/messages/{delayed}"]["createdAt"]
    assert story.first.said["/v2/messages/{delayed}"]["notBefore"] == created + timedelta(hours=2) // timedelta(
        milliseconds=1
    )
    retries = [request for request in story.second.came if request.target == "/fails"]
    assert [request.header("Upstash-Retried") for request in retries] == ["1"]
    assert retries[0].header("Upstash-Message-Id") == IDS["retrying"]


@pytest.mark.parametrize("path", FIRST.contents["seen"])
def test_what_stood_still_is_shown_as_before(story: Story, path: str) -> None:
    assert story.first.said["seen"][path] == FIRST.contents["seen"][path]


def test_the_log_tells_what_was_before_and_what_is_now(story: Story) -> None:
    letter, canceled = ([entry["state"] for entry in story.first.said[f"/v2/logs?messageId={{{name}}}"]["logs"]]
                        for name in ("letter", "canceled"))  # fmt: skip
    assert letter == ["FAILED", "ERROR", "ACTIVE", "CREATED"], letter
    assert canceled == ["CANCELED", "CANCEL_REQUESTED", "CREATED"], canceled
    assert len(story.first.said["/v2/logs?count=1000"]["logs"]) > 140


def test_what_was_redacted_stays_so(story: Story) -> None:
    assert "Bearer abc" not in str(story.first.said["/v2/messages/{redacted}"])


def test_a_dead_letter_can_be_retried(story: Story) -> None:
    assert story.first.bodies("/fails") == ["fails"]
    assert story.first.said["retried"]["messageId"] == story.first.messages("/fails")[0] != IDS["letter"]


def test_duplicates_are_known_for_as_long_as_they_were_to_be(story: Story) -> None:
    assert story.first.said["again"] == [(202, IDS["once"]), (202, IDS["once-by-content"])]
    status, message = story.second.said["again"]
    assert status == 200 and message != IDS["once"], "ten minutes are over"


def test_tokens_open_what_they_opened(story: Story) -> None:
    assert story.first.said["tokens"] == {
        "full": (200, 200),
        "reader": (200, 403),
        "publisher": (403, 200),
        "adopted": (200, 200),
        "unknown": (401, 401),
    }


def test_tenants_stay_apart(story: Story) -> None:
    logs, status = story.first.said["other"]
    assert status == 404
    assert {entry["url"].rpartition("/")[2] for entry in logs["logs"]} <= {"other", ""}


def test_no_slot_fires_twice_and_no_run_is_lost(story: Story) -> None:
    for life in (story.first, story.second):
        assert list(life.runs.faults()) == []
    before, after = ({run.key for run in found.runs} for found in (story.before, story.second.runs))
    assert before <= after


def test_schedules_go_on_from_where_they_were_without_a_burst(story: Story) -> None:
    """The slots of a minute and a half passed while nothing ran: each policy has its way, then slots come on time."""
    new = {name: fired(story.before, story.first.runs, name) for name in ("every", "latest", "all", "skip", "forbids")}
    last = {name: slots_of(story.before, name)[-1] for name in new}
    minute, step = timedelta(minutes=1), timedelta(seconds=20)
    assert new["all"] == [last["all"] + minute * (number + 1) for number in range(len(new["all"]))], "none is left out"
    assert len(new["all"]) >= AWAY // minute
    assert new["latest"] == new["all"][-len(new["latest"]) :], "the newest missed one alone, and what came since"
    assert new["skip"] == new["latest"][1:], "what came since"
    assert new["every"][0] - last["every"] >= AWAY - step, "the newest missed one alone"
    assert all((slot - last["every"]) % step == timedelta(0) for slot in new["every"])
    assert all(slot - last["forbids"] >= AWAY for slot in new["forbids"]), "Skip, and what was active had to end first"


def test_what_was_over_or_asked_for_by_hand_does_not_fire_again(story: Story) -> None:
    for name in ("over", "suspended", "to-come", "delivered", "failing", "retrying", "waiting", "lost", "canceled"):
        assert fired(story.before, story.second.runs, name) == [], name


def slots_of(found: Ledger, name: str) -> list[Any]:
    return sorted(run.slot for run in found.of(name))


def fired(before: Ledger, after: Ledger, name: str) -> list[Any]:
    """The slots that the second ledger has and the first has not."""
    return sorted(set(slots_of(after, name)) - set(slots_of(before, name)))


def test_the_log_says_that_it_was_migrated_once(story: Story) -> None:
    (told,) = [line["message"] for line in story.log if line["action"] == "store.migrate"]
    assert told.startswith("the database is brought from schema 4 to ")
