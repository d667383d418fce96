"""Events about Angarium's own pod: what is new in what it lacks, again when it lasts, and when all is there."""

from datetime import timedelta

import pytest
from tests.support.fakes import FakeClock

from angarium.domain.pod import Pod, parse_pod
from angarium.domain.reasons import EventReason
from angarium.kube.events import MESSAGE_LENGTH, Told
from angarium.kube.pod import AGAIN_S, MORE, PodEvents
from angarium.kube.preflight import Lack

POD = Pod("shop", "angarium-0", "1-2")
CRD = Lack(EventReason.CRD_MISSING, "the CRD topics is missing")
SECRETS = Lack(EventReason.RIGHTS_MISSING, "may not get secrets", frozenset({"shop"}))
TOPICS = Lack(EventReason.RIGHTS_MISSING, "may not list topics", frozenset({"billing"}))
GRANTED = "all CRDs and rights are there: what is declared is followed again"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def told() -> list[Told]:
    return []


@pytest.fixture
def events(clock: FakeClock, told: list[Told]) -> PodEvents:
    return PodEvents(POD, told.append, clock)


def said(told: list[Told]) -> list[tuple[str, str, bool]]:
    assert all(one.ref == POD for one in told)
    found = [(str(one.reason), one.message, one.warning) for one in told]
    told.clear()
    return found


def test_what_lasts_is_told_once_and_again_after_ten_minutes(
    events: PodEvents, clock: FakeClock, told: list[Told]
) -> None:
    for _ in range(3):
        events.lacking([CRD])
        clock.advance(timedelta(seconds=10))
    assert said(told) == [("CrdMissing", CRD.text, True)]
    clock.advance(timedelta(seconds=AGAIN_S))
    events.lacking([CRD])
    events.lacking([CRD])
    assert said(told) == [("CrdMissing", CRD.text, True)]


def test_each_reason_has_an_event_that_tells_all_of_it(events: PodEvents, told: list[Told]) -> None:
    events.lacking([CRD, SECRETS, TOPICS])
    assert said(told) == [("CrdMissing", CRD.text, True), ("RightsMissing", f"{SECRETS.text}; {TOPICS.text}", True)]
    events.lacking([SECRETS])
    assert said(told) == [("RightsMissing", SECRETS.text, True)]


def test_when_all_is_there_that_is_told_once(events: PodEvents, told: list[Told]) -> None:
    events.lacking([])
    assert said(told) == []
    events.lacking([SECRETS])
    for _ in range(2):
        events.lacking([])
    assert said(told) == [("RightsMissing", SECRETS.text, True), ("AllGranted", GRANTED, False)]


def test_what_does_not_fit_says_where_the_rest_is(events: PodEvents, told: list[Told]) -> None:
    events.lacking([Lack(EventReason.RIGHTS_MISSING, "x" * 3000)])
    ((_, message, _),) = said(told)
    assert len(message) == MESSAGE_LENGTH and message.endswith(MORE)


def test_without_a_pod_nothing_is_told(clock: FakeClock, told: list[Told]) -> None:
    events = PodEvents(None, told.append, clock)
    events.lacking([SECRETS])
    events.lacking([])
    assert told == []


def test_a_pod_is_read_as_the_downward_api_gives_it() -> None:
    assert parse_pod("shop/angarium-0/1-2") == POD
    assert str(POD) == "Pod shop/angarium-0"


@pytest.mark.parametrize(
    "text",
    ["", "shop", "shop/angarium-0", "shop/angarium-0/1/2", "Shop/a/1", "shop/a_b/1", "shop/a/", "/a/1", "shop//1",
     "shop/a/1 ", f"shop/{'a' * 254}/1", f"{'s' * 64}/a/1", "$(NS)/a/1"],
)  # fmt: skip
def test_what_is_no_pod_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAMESPACE/NAME/UID"):
        parse_pod(text)
