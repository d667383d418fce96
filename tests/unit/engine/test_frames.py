"""What program and courier tell each other arrives as it was sent, in whatever pieces."""

from datetime import timedelta
from ipaddress import ip_network

from angarium.domain.addresses import AddressPolicy
from angarium.domain.reasons import FailureReason
from angarium.domain.requests import OutgoingRequest, TlsMaterial
from angarium.engine.frames import Frames, Order, Report, Terms, frame


def order(number: int, body: bytes = b"x") -> Order:
    return Order.of(number, OutgoingRequest("POST", "http://dest.test/", (), body, timedelta(seconds=10)))


def test_they_are_put_together_from_any_pieces() -> None:
    orders = [order(n, bytes([n]) * n) for n in range(1, 40)]
    wire = frame(orders[:1]) + frame(orders[1:]) + frame([])
    for size in (1, 3, 7, 1000, len(wire)):
        frames = Frames(Order)
        pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
        found = [list(content) for piece in pieces for content in frames.feed(piece)]
        assert found == [orders[:1], orders[1:], []]


def test_numbers_of_orders_to_drop_keep_their_place_among_the_orders() -> None:
    given = [1, order(2), 2**40]
    frames: Frames[Order | int] = Frames(Order | int)
    assert list(frames.feed(frame(given))) == [given]


def test_everything_of_an_order_arrives() -> None:
    tls = TlsMaterial(b"CA", b"CERT", b"KEY", "billing.internal")
    headers, timeout = (("A", "1"),), timedelta(seconds=1.5)
    given = OutgoingRequest("PUT", "https://d.test/", headers, b"\0\xff", timeout, tls, "sig_1")
    ((arrived,),) = Frames(Order).feed(frame([Order.of(1, given)]))
    assert arrived.request() == given
    assert "sig_1" not in repr(arrived) and "KEY" not in repr(arrived)


def test_everything_of_a_report_arrives() -> None:
    given = Report(3, 200, (("A", "é"),), b"\0\xff", FailureReason.TIMEOUT, "late", "", 0.5)
    ((report,),) = Frames(Report).feed(frame([given]))
    assert report == given


def test_a_policy_arrives_as_it_was() -> None:
    policy = AddressPolicy((ip_network("127.0.0.1/32"),), False, (ip_network("10.0.0.1/32"), ip_network("::1/128")))
    terms = Terms.read(Terms.of(policy, 17).text())
    assert (terms.policy(), terms.max_response) == (policy, 17)
