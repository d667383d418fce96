"""When the operator is called up, ready and alive."""

from datetime import timedelta

import pytest
from tests.support.fakes import FakeClock

from angarium.kube.health import Health

RESYNC = timedelta(minutes=5)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def health(clock: FakeClock) -> Health:
    health = Health(clock, RESYNC)
    health.watching(lambda: True)
    return health


def synced(health: Health, *, missed: bool = False, watched: bool = True, problems: tuple[str, ...] = ()) -> None:
    health.resynced(missed=missed, watched=watched, problems=problems)


def test_at_first_it_is_alive_and_neither_up_nor_ready(health: Health) -> None:
    assert health.live() == []
    assert not health.up
    assert health.ready() == ["operator: the first resync is not done"]


def test_after_the_first_resync_it_is_up_and_ready(health: Health) -> None:
    synced(health, watched=False)
    assert (health.up, health.ready(), health.live()) == (True, [], [])


def test_what_is_lacking_is_named(health: Health) -> None:
    health.lacking(["the CRD topics is missing", "may not list tokens"])
    assert health.ready() == ["operator: the CRD topics is missing", "operator: may not list tokens"]
    health.lacking([])
    synced(health)
    assert health.ready() == []


def test_a_list_that_is_refused_later_turns_up_off_and_takes_nobody_away_from_publishers(health: Health) -> None:
    synced(health)
    synced(health, problems=("Schedules cannot be listed",))
    assert (health.up, health.ready(), health.live()) == (False, [], [])
    synced(health)
    assert health.up


def test_rights_that_are_lost_for_long_end_nobodys_life(health: Health, clock: FakeClock) -> None:
    """A restart would not bring them back, and would take the program away from publishers."""
    synced(health)
    for _ in range(100):
        clock.advance(timedelta(seconds=30))
        synced(health, watched=False, problems=("Schedules cannot be listed",))
    assert (health.up, health.ready(), health.live()) == (False, [], [])
    synced(health, watched=False)
    clock.advance(timedelta(minutes=4))
    assert health.live() == [], "from here on the watch has its time to come up"


def test_a_list_that_is_refused_at_first_keeps_it_unready(health: Health) -> None:
    synced(health, problems=("Schedules cannot be listed",))
    assert (health.up, health.ready()) == (False, ["operator: Schedules cannot be listed"])


def test_what_lasts_is_logged_once(health: Health, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for _ in range(3):
        health.unreachable("connection refused")
    for _ in range(3):
        health.lacking(["may not list tokens"])
    synced(health)
    health.unreachable("connection refused")
    said = [record.getMessage() for record in caplog.records]
    assert [" ".join(text.split()[:4]) for text in said] == [
        "the API server cannot",
        "the API server answers",
        "not all that is",
        "what was missing is",
        "the API server cannot",
    ]


def test_an_outage_turns_up_off_and_leaves_the_rest(health: Health, clock: FakeClock) -> None:
    synced(health)
    for _ in range(100):
        clock.advance(timedelta(seconds=30))
        health.unreachable("connection refused")
    assert not health.up
    assert (health.ready(), health.live()) == ([], [])
    synced(health, watched=False)
    assert health.up


def test_before_the_first_resync_the_outage_is_why_it_is_not_ready(health: Health) -> None:
    health.unreachable("connection refused")
    assert health.ready() == ["operator: the first resync is not done: connection refused"]


def test_two_misses_in_a_row_end_its_life_and_one_good_resync_gives_it_back(health: Health) -> None:
    synced(health)
    synced(health, missed=True)
    assert (health.up, health.live()) == (False, [])
    synced(health, missed=True)
    assert "two resyncs in a row" in health.live()[0]
    synced(health)
    assert (health.up, health.live()) == (True, [])


def test_a_watch_that_does_not_come_up_with_an_api_server_that_answers_ends_its_life(
    health: Health, clock: FakeClock
) -> None:
    health.watching(lambda: False)
    synced(health, watched=False)
    clock.advance(timedelta(minutes=4))
    synced(health, watched=False)
    assert (health.up, health.live()) == (False, [])
    clock.advance(timedelta(minutes=2))
    synced(health, watched=False)
    assert "not up for 360 s" in health.live()[0]


def test_a_loop_that_does_not_turn_is_told(health: Health, clock: FakeClock) -> None:
    synced(health)
    clock.advance(2 * RESYNC + timedelta(seconds=61))
    assert health.live() == ["resync: no turn for 661 s"]


def test_a_failure_for_good_is_told(health: Health) -> None:
    health.failed()
    assert health.live() == ["operator: it has failed, see the log"]
