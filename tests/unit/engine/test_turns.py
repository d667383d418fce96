"""Which order is begun next, and which need not wait for a turn."""

from datetime import timedelta
from itertools import groupby

from angarium.domain.destinations import authority_of
from angarium.domain.requests import OutgoingRequest
from angarium.engine.frames import Order
from angarium.engine.turns import OpenConnections, Turns


def order(number: int, destination: str) -> Order:
    return Order.of(number, OutgoingRequest("POST", f"http://{destination}/x?a=//b", (), b"", timedelta(seconds=1)))


def waiting(*lines: tuple[str, int]) -> Turns:
    """So many orders to each; their numbers count from 1 over all of them."""
    turns, number = Turns(), 0
    for destination, count in lines:
        for _ in range(count):
            number += 1
            turns.add(order(number, destination))
    return turns


def rest(turns: Turns) -> list[str]:
    return [authority_of(one.url).removesuffix(":80") for one in iter(turns.take, None)]


def test_a_host_has_one_line_however_it_is_spelled() -> None:
    turns = waiting(("a.test", 2), ("A.test:80", 1), ("a.test:81", 1))
    assert [one.number for one in iter(turns.take, None)] == [1, 2, 4, 3]


def test_orders_to_one_destination_keep_their_order() -> None:
    turns = waiting(("a", 5))
    assert [one.number for one in iter(turns.take, None)] == [1, 2, 3, 4, 5]
    assert turns.take() is None


def test_hosts_take_turns() -> None:
    found = rest(waiting(("a", 100), ("b", 100), ("c", 100)))
    assert len(found) == 300
    assert all(found[:30].count(name) >= 9 for name in "abc")
    assert max(len(list(run)) for _, run in groupby(found[:250])) <= 2


def test_one_that_comes_alone_waits_for_one_other_at_most() -> None:
    turns = waiting(*((f"hole-{number}", 35) for number in range(20)))
    for _ in range(50):
        turns.take()
    for number in range(1000, 1020):
        turns.add(order(number, "quick"))
        taken = [turns.take(), turns.take()]
        assert number in {one.number for one in taken if one}


def test_newcomers_however_many_leave_every_second_turn_to_the_others() -> None:
    turns = waiting(("old", 100))
    turns.take()
    found = []
    for number in range(1000, 1050):
        turns.add(order(number, f"new-{number}"))
        taken = turns.take()
        assert taken is not None
        found.append(authority_of(taken.url).removesuffix(":80"))
    assert found.count("old") == 25


def test_what_was_dropped_is_not_begun() -> None:
    turns = waiting(("a", 3), ("b", 1))
    for number in (2, 4, 99):
        turns.drop(number)
    assert rest(turns) == ["a", "a"]
    turns.add(order(5, "b"))
    assert rest(turns) == ["b"]


def test_an_answer_leaves_a_connection_open_for_one_order() -> None:
    now = 0.0
    connections = OpenConnections(4, lambda: now)
    assert not connections.take("a")
    connections.put("a")
    assert not connections.take("b")
    assert connections.take("a") and not connections.take("a")


def test_connections_are_not_counted_on_for_long() -> None:
    now = 0.0
    connections = OpenConnections(4, lambda: now)
    connections.put("a")
    connections.put("a")
    connections.put("b")
    now = 3.0
    connections.put("b")
    now = 5.0
    assert not connections.take("a") and not connections.take("a")
    connections.forget_old()
    assert len(connections) == 1 and connections.take("b")
    now = 10.0
    connections.forget_old()
    assert len(connections) == 0
