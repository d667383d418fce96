"""The cap per lane: who runs, who waits, when a lane closes and opens."""

from datetime import timedelta

from tests.support.fakes import FakeClock, leased

from angarium.engine.flight import Flight
from angarium.engine.lanes import Lanes
from angarium.engine.room import Room

BYTES = 1 << 20


def lanes_of(cap: int, cap_bytes: int = BYTES, room: Room | None = None, clock: FakeClock | None = None) -> Lanes:
    return Lanes(cap, cap_bytes, room or Room(1000, 8 * BYTES), clock or FakeClock())


def flight(number: int, lane: str = "shop/slow", body: bytes = b"{}") -> Flight:
    return Flight(leased(f"msg_{number}", lane=lane, body=body))


def test_so_many_run_and_the_rest_waits_in_order() -> None:
    lanes = lanes_of(2)
    flights = [flight(n) for n in range(4)]
    assert [lanes.enter(one) for one in flights] == [True, True, False, False]
    assert lanes.leave(flights[0])[0] == [flights[2]]
    assert lanes.leave(flights[1])[0] == [flights[3]]
    assert not lanes.leave(flights[2])[0]


def test_a_full_lane_does_not_touch_another() -> None:
    lanes = lanes_of(1)
    assert lanes.enter(flight(1)) and not lanes.enter(flight(2))
    assert lanes.enter(flight(3, "shop/quick")) and lanes.enter(flight(4, "blog/slow"))


def test_a_lane_closes_when_it_holds_twice_its_cap_and_opens_before_it_runs_dry() -> None:
    lanes = lanes_of(4)
    flights = [flight(number) for number in range(8)]
    for one in flights[:7]:
        lanes.enter(one)
    assert lanes.closed() == frozenset()
    lanes.enter(flights[7])
    assert lanes.closed() == {"shop/slow"}
    opened = [lanes.leave(one)[1] for one in flights]
    assert opened == [False, False, True, False, False, False, False, False]  # with 5 held: 4 run, 1 waits
    assert lanes.closed() == frozenset()


def test_withdrawing_one_that_waits_frees_its_place() -> None:
    lanes = lanes_of(1)
    flights = [flight(n) for n in range(3)]
    for one in flights:
        lanes.enter(one)
    assert lanes.closed() == {"shop/slow"}
    assert lanes.withdraw(flights[1]) is False
    assert lanes.withdraw(flights[2]) is True
    assert lanes.leave(flights[0]) == ((), False)


def test_a_lane_that_is_empty_is_forgotten() -> None:
    lanes = lanes_of(1)
    for number in range(1000):
        one = flight(number, f"shop/{number}")
        lanes.enter(one)
        lanes.leave(one)
    assert lanes._lanes == lanes._hosts == {}


def test_a_lane_closes_when_its_bodies_are_large_and_opens_when_half_of_them_are_gone() -> None:
    lanes = lanes_of(100, 400)
    flights = [flight(n, body=b"x" * 100) for n in range(4)]
    for one in flights[:3]:
        lanes.enter(one)
    assert lanes.closed() == frozenset()
    assert lanes.enter(flights[3])
    assert lanes.closed() == {"shop/slow"}
    assert [lanes.leave(one)[1] for one in flights] == [False, True, False, False]
    assert lanes._lanes == {}


def filled(lanes: Lanes, room: Room, *named: tuple[str, int]) -> list[Flight]:
    """So many messages of each of these lanes have entered."""
    flights = [flight(number, lane) for lane, count in named for number in range(count)]
    for one in flights:
        lanes.enter(one)
        room.enter(one.leased.size)
    return flights


def opens(lanes: Lanes, room: Room, *flights: Flight) -> list[bool]:
    """For each that leaves: whether its lane opened."""
    opened = []
    for one in flights:
        room.leave(one.leased.size)
        opened.append(lanes.leave(one)[1])
    return opened


def test_a_lane_that_does_not_move_leaves_room_when_half_of_it_is_held() -> None:
    room = Room(100, BYTES)
    lanes = lanes_of(40, room=room)
    slow = filled(lanes, room, ("shop/slow", 49))
    assert (lanes.room, lanes.closed()) == (40, frozenset())
    filled(lanes, room, ("shop/other", 2))
    assert (lanes.room, lanes.closed()) == (1, {"shop/slow", "shop/other"}), "a thirty-second of 49"
    assert opens(lanes, room, *slow[:2]) == [False, True], "half is free again"


def test_a_lane_opens_when_others_have_left_room() -> None:
    room = Room(100, BYTES)
    lanes = lanes_of(40, room=room)
    quick = filled(lanes, room, ("shop/quick", 45))
    filled(lanes, room, ("shop/slow", 15))
    assert lanes.closed() == {"shop/quick", "shop/slow"}
    assert lanes.reopen() is False
    opens(lanes, room, *quick)
    assert lanes.closed() == {"shop/slow"}, "nobody opens a lane in passing: what it has waiting would not be claimed"
    assert lanes.reopen() is True
    assert lanes.closed() == frozenset() and lanes.reopen() is False


def test_a_lane_that_moves_may_hold_as_much_as_ends_in_a_second() -> None:
    room, clock = Room(100, BYTES), FakeClock()
    lanes = lanes_of(40, room=room, clock=clock)
    filled(lanes, room, ("shop/slow", 60))
    quick = filled(lanes, room, ("shop/quick", 15))
    assert lanes.closed() == {"shop/quick", "shop/slow"}
    opened = opens(lanes, room, *quick[:9])
    assert opened == [False] * 8 + [True], "it holds 6 and may hold 9 and a part of 34"
    assert lanes.closed() == {"shop/slow"}
    clock.advance(timedelta(seconds=3))
    assert lanes.closed() == {"shop/quick", "shop/slow"}, "it has moved, but does not any more"


def test_a_lane_that_holds_nothing_is_open_however_little_is_free() -> None:
    room = Room(1, BYTES)
    lanes = lanes_of(100, room=room)
    only = flight(1)
    assert lanes.enter(only)
    room.enter(2)
    assert (lanes.room, lanes.closed()) == (1, {"shop/slow"})
    room.leave(2)
    assert lanes.leave(only) == ((), True)
    assert lanes.closed() == frozenset()
