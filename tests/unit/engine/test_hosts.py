"""The cap per host, across lanes and tenants: never more, everybody in turn, nobody forgotten."""

from collections import Counter
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.support.fakes import FakeClock, endpoint, leased

from angarium.domain.declarations import Endpoint
from angarium.engine.flight import Branch, Flight, Host, Lane
from angarium.engine.lanes import Lanes
from angarium.engine.room import Room

BYTES = 1 << 30
ELSEWHERE = "https://elsewhere.test/"


def lanes_of(host_cap: int, *, cap: int = 100, clock: FakeClock | None = None) -> Lanes:
    return Lanes(cap, BYTES, Room(10_000, BYTES), clock or FakeClock(), host_cap)


def at(name: str, spec: Endpoint | None = None, tenant: str = "shop") -> Flight:
    """A message to an Endpoint; they all lead to one host unless told otherwise."""
    spec = spec or endpoint(f"https://host.test/{name}")
    return Flight(leased(f"msg_{name}", namespace=tenant, lane=f"{tenant}/endpoint/{name}", endpoint=spec))


def to(url: str, lane: str) -> Flight:
    return Flight(leased(url, lane=lane, url=url))


def entered(lanes: Lanes, *flights: Flight) -> list[bool]:
    return [lanes.enter(one) for one in flights]


def test_the_cap_is_one_for_all_spellings_endpoints_urls_and_tenants() -> None:
    lanes = lanes_of(4)
    assert (
        entered(
            lanes,
            at("one"),
            at("two", endpoint("https://HOST.test.:443/x")),
            at("three", tenant="blog"),
            to("https://host.test?x", "shop/host.test"),
        )
        == [True] * 4
    )
    assert entered(lanes, at("four"), to("https://host.test/y", "blog/host.test")) == [False, False]
    assert entered(lanes, to("https://host.test:444/", "shop/host.test:444"), to("http://host.test/", "shop/x"))


def test_a_host_at_its_cap_touches_no_other() -> None:
    lanes = lanes_of(1)
    assert entered(lanes, at("a"), at("b"), at("c")) == [True, False, False]
    assert lanes.enter(at("d", endpoint(ELSEWHERE)))


def test_at_a_full_host_none_of_those_that_wait_is_asked() -> None:
    host = Host("host.test:443", cap=1)
    running, waiting = (Branch(Lane("shop"), host) for _ in range(2))
    running.begin()
    waiting.wait(at("a"))
    asked: list[Branch] = []
    assert host.next(lambda branch: not asked.append(branch)) is None and not asked
    running.end()
    assert host.next(lambda branch: not asked.append(branch)) is waiting and asked == [waiting]


def test_lanes_of_a_host_take_turns() -> None:
    """A busy Endpoint with many waiting gets one place in three, not all that become free."""
    lanes = lanes_of(1)
    running = at("busy")
    entered(lanes, running, *[at("busy") for _ in range(6)], at("b"), at("c"), at("b"), at("c"))
    order = []
    for _ in range(10):
        ((running,), _) = lanes.leave(running)
        order.append(running.leased.lane.rpartition("/")[2])
    assert order == ["busy", "b", "c", "busy", "b", "c", "busy", "busy", "busy", "busy"]


def test_turns_go_to_tenants_first() -> None:
    lanes = lanes_of(1)
    running = at("first")
    entered(lanes, running, *[at(f"of-shop-{n}") for n in range(4)], *[at("of-blog", tenant="blog") for _ in range(2)])
    order = []
    for _ in range(6):
        ((running,), _) = lanes.leave(running)
        order.append(running.leased.message.namespace)
    assert order == ["shop", "blog", "shop", "blog", "shop", "shop"]


def test_a_lane_whose_attempts_hang_leaves_half_of_the_places_to_others() -> None:
    lanes = lanes_of(20)
    assert sum(entered(lanes, *[at("hangs") for _ in range(50)])) == 10
    assert entered(lanes, *[at(f"other-{n}") for n in range(10)]) == [True] * 10


def test_a_lane_whose_attempts_end_gets_all_places_of_its_host() -> None:
    lanes = lanes_of(20)
    running = [one for one in (at("quick") for _ in range(200)) if lanes.enter(one)]
    for _ in range(100):
        following, _ = lanes.leave(running.pop(0))
        running.extend(following)
    assert len(running) == 20


def test_a_lane_alone_has_all_its_places_when_the_host_has_twice_as_many() -> None:
    lanes = lanes_of(20, cap=10)
    assert sum(entered(lanes, *[at("hangs") for _ in range(50)])) == 10


def test_one_lane_with_two_hosts_does_not_make_one_wait_for_the_other() -> None:
    """http and https URLs of a host share a lane, but are two hosts to connect to."""
    lanes = lanes_of(2)
    first, *rest = [to(f"https://h.test/{n}", "shop/h.test") for n in range(4)]
    assert entered(lanes, first, *rest) == [True, False, False, False]
    assert lanes.enter(to("http://h.test/", "shop/h.test"))


def test_a_place_of_a_lane_goes_to_the_host_that_has_places() -> None:
    lanes = lanes_of(4, cap=2)
    secure = [to(f"https://h.test/{n}", "shop/h.test") for n in range(4)]
    plain = to("http://h.test/", "shop/h.test")
    assert entered(lanes, *secure, plain) == [True, True, False, False, False]
    assert lanes.leave(secure[0])[0] == [plain]
    assert lanes.leave(plain)[0] == [secure[2]]


def test_what_waits_is_led_elsewhere_by_a_new_url() -> None:
    lanes = lanes_of(1)
    first, second, third = at("a"), at("a"), at("a")
    assert entered(lanes, first, second, third) == [True, False, False]
    second.leased = at("a", endpoint(ELSEWHERE)).leased
    assert lanes.rebind(second)
    third.leased = at("a", endpoint(ELSEWHERE)).leased
    assert not lanes.rebind(third), "there is a cap there too"
    assert not lanes.leave(first)[0]
    assert lanes.leave(second)[0] == [third]
    lanes.leave(third)
    assert lanes._lanes == lanes._hosts == {}


def test_what_is_given_back_instead_of_sent_waits_for_no_host() -> None:
    lanes = lanes_of(1)
    suspended = endpoint("https://host.test/", suspend=True)
    gone = Flight(leased("msg_gone", lane="shop/endpoint/gone", url=None, endpoint_name=None))
    assert entered(lanes, at("a"), at("b", suspended), at("b", suspended), gone) == [True] * 4


HOSTS = ["https://one.test/", "https://two.test/"]
LANES = ["shop/endpoint/a", "shop/endpoint/b", "blog/endpoint/a", "blog/endpoint/c"]


@settings(max_examples=60, stateful_step_count=60, deadline=None)
class Turns(RuleBasedStateMachine):
    """Whatever enters, ends, is withdrawn or led elsewhere: within the caps, and nothing waits that could run."""

    @initialize(cap=st.integers(1, 6), host_cap=st.integers(1, 8))
    def begin(self, cap: int, host_cap: int) -> None:
        self.clock = FakeClock()
        self.cap, self.host_cap = cap, host_cap
        self.lanes = lanes_of(host_cap, cap=cap, clock=self.clock)
        self.running: list[Flight] = []
        self.waiting: list[Flight] = []

    @rule(lane=st.sampled_from(LANES), host=st.sampled_from(HOSTS), count=st.integers(1, 8))
    def enter(self, lane: str, host: str, count: int) -> None:
        for _ in range(count):
            flight = self.flight(lane, host)
            (self.running if self.lanes.enter(flight) else self.waiting).append(flight)

    @rule(data=st.data(), count=st.integers(1, 8))
    def leave(self, data: st.DataObject, count: int) -> None:
        for _ in range(min(count, len(self.running))):
            left = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
            self.start(self.lanes.leave(left)[0])

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        if self.waiting:
            self.lanes.withdraw(self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1))))

    @rule(lane=st.sampled_from(LANES), host=st.sampled_from(HOSTS))
    def lead_elsewhere(self, lane: str, host: str) -> None:
        for flight in [one for one in self.waiting if one.leased.lane == lane]:
            flight.leased = self.flight(lane, host).leased
            if self.lanes.rebind(flight):
                self.start([flight])

    @rule(ms=st.integers(1, 3000))
    def pass_time(self, ms: int) -> None:
        self.clock.advance(timedelta(milliseconds=ms))

    def flight(self, lane: str, host: str) -> Flight:
        tenant = lane.partition("/")[0]
        return Flight(leased("msg", namespace=tenant, lane=lane, endpoint=endpoint(host)))

    def start(self, flights: "list[Flight] | tuple[Flight, ...] | object") -> None:
        assert isinstance(flights, (list, tuple))
        for one in flights:
            self.waiting.remove(one)
            self.running.append(one)

    @invariant()
    def within_the_caps(self) -> None:
        assert all(count <= self.cap for count in Counter(one.leased.lane for one in self.running).values())
        hosts = Counter(one.branch.host.name for one in self.running if one.branch)
        assert all(count <= self.host_cap for count in hosts.values())

    @invariant()
    def nothing_waits_that_could_run(self) -> None:
        for one in self.waiting:
            assert one.branch is not None
            lane, host = one.branch.lane, one.branch.host
            taken = min(self.cap - lane.running, self.host_cap - host.running)
            assert taken <= 0 or one.branch.running > 0, "a lane that has nothing there gets a free place"
            assert not self.lanes._may_run(one.branch)

    def teardown(self) -> None:
        while self.running:
            self.start(self.lanes.leave(self.running.pop())[0])
        assert not self.waiting
        assert self.lanes._lanes == self.lanes._hosts == {} and not self.lanes.closed()


TestTurns = Turns.TestCase
