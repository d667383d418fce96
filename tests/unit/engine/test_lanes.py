"""The cap per lane: who runs, who waits, when a lane closes and opens."""

from tests.support.fakes import leased

from angarium.engine.lanes import Flight, Lanes

BYTES = 1 << 20


def flight(number: int, lane: str = "shop/slow", body: bytes = b"{}") -> Flight:
    return Flight(leased(f"msg_{number}", lane=lane, body=body))


def test_so_many_run_and_the_rest_waits_in_order() -> None:
    lanes = Lanes(2, BYTES)
    flights = [flight(n) for n in range(4)]
    assert [lanes.enter(one) for one in flights] == [True, True, False, False]
    assert lanes.leave(flights[0].leased)[0] is flights[2]
    assert lanes.leave(flights[1].leased)[0] is flights[3]
    assert lanes.leave(flights[2].leased)[0] is None


def test_a_full_lane_does_not_touch_another() -> None:
    lanes = Lanes(1, BYTES)
    assert lanes.enter(flight(1)) and not lanes.enter(flight(2))
    assert lanes.enter(flight(3, "shop/quick")) and lanes.enter(flight(4, "blog/slow"))


def test_a_lane_closes_when_it_holds_twice_its_cap_and_opens_before_it_runs_dry() -> None:
    lanes = Lanes(4, BYTES)
    for number in range(7):
        lanes.enter(flight(number))
    assert lanes.closed() == frozenset()
    lanes.enter(flight(7))
    assert lanes.closed() == {"shop/slow"}
    opened = [lanes.leave(flight(number).leased)[1] for number in range(8)]
    assert opened == [False, False, True, False, False, False, False, False]  # with 5 held: 4 run, 1 waits
    assert lanes.closed() == frozenset()


def test_withdrawing_one_that_waits_frees_its_place() -> None:
    lanes = Lanes(1, BYTES)
    flights = [flight(n) for n in range(3)]
    for one in flights:
        lanes.enter(one)
    assert lanes.closed() == {"shop/slow"}
    assert lanes.withdraw(flights[1]) is False
    assert lanes.withdraw(flights[2]) is True
    assert lanes.leave(flights[0].leased) == (None, False)


def test_a_lane_that_is_empty_is_forgotten() -> None:
    lanes = Lanes(1, BYTES)
    for number in range(1000):
        lanes.enter(flight(number, f"shop/{number}"))
        lanes.leave(flight(number, f"shop/{number}").leased)
    assert lanes._lanes == {}


def test_a_lane_closes_when_its_bodies_are_large_and_opens_when_half_of_them_are_gone() -> None:
    lanes = Lanes(100, 400)
    flights = [flight(n, body=b"x" * 100) for n in range(4)]
    for one in flights[:3]:
        lanes.enter(one)
    assert lanes.closed() == frozenset()
    assert lanes.enter(flights[3])
    assert lanes.closed() == {"shop/slow"}
    assert [lanes.leave(one.leased)[1] for one in flights] == [False, True, False, False]
    assert lanes._lanes == {}
