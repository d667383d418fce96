"""What writes over the API make of queues, schedules and URL groups (contract 10–12)."""

from datetime import timedelta

import pytest

from angarium.domain.declarations import Destination, Header, Queue, Schedule, Timing, Topic, TopicMember
from angarium.domain.edits import (
    MAX_ENDPOINTS,
    MemberKey,
    SpecChange,
    gone,
    paused,
    to_be,
    with_headers,
    with_members,
    without_members,
)
from angarium.domain.errors import InvalidInput, NotFound

A, B, C = (TopicMember(None, url=f"https://{letter}.test") for letter in "abc")
NAMED = TopicMember("b", url=B.url)


def members(change: SpecChange, *before: TopicMember) -> tuple[TopicMember, ...]:
    after = change(Topic(before) if before else None)
    assert isinstance(after, Topic)
    return after.members


@pytest.mark.parametrize(
    ("before", "added", "after"),
    [
        ((), (A, B), (A, B)),
        ((A,), (B, C), (A, B, C)),
        ((A, B), (A,), (A, B)),
        ((A, B, C), (NAMED,), (A, NAMED, C)),
        ((A, NAMED, C), (B,), (A, NAMED, C)),
        ((A, NAMED, C), (TopicMember("b", url="https://new.test"),), (A, TopicMember("b", url="https://new.test"), C)),
        ((A, NAMED), (TopicMember("b", url=A.url),), (TopicMember("b", url=A.url),)),
        ((), (A, TopicMember("a", url=A.url)), (TopicMember("a", url=A.url),)),
    ],
    ids=["new", "appended", "same", "named", "name stays", "moved", "url and name meet", "twice in one request"],
)
def test_endpoints_are_merged_by_url_and_by_name(
    before: tuple[TopicMember, ...], added: tuple[TopicMember, ...], after: tuple[TopicMember, ...]
) -> None:
    assert members(with_members(added), *before) == after


def test_a_group_has_a_most_and_updates_go_on_at_it() -> None:
    full = [TopicMember(None, url=f"https://{number}.test") for number in range(MAX_ENDPOINTS)]
    assert len(members(with_members(full))) == MAX_ENDPOINTS
    assert len(members(with_members([TopicMember("x", url=full[7].url)]), *full)) == MAX_ENDPOINTS
    with pytest.raises(InvalidInput, match="endpoints"):
        members(with_members([A]), *full)


@pytest.mark.parametrize(
    ("key", "left"),
    [
        (MemberKey(url=A.url), (NAMED, C)),
        (MemberKey(name="b"), (A, C)),
        (MemberKey(url=B.url, name="b"), (A, C)),
        (MemberKey(url=A.url, name="b"), (A, NAMED, C)),
        (MemberKey(url="https://unknown.test"), (A, NAMED, C)),
    ],
)
def test_endpoints_are_removed_by_url_name_or_both(key: MemberKey, left: tuple[TopicMember, ...]) -> None:
    assert members(without_members("t", [key]), A, NAMED, C) == left


def test_without_its_last_endpoint_a_group_is_gone() -> None:
    assert without_members("t", [MemberKey(url=A.url), MemberKey(name="b")])(Topic((A, NAMED))) is None
    with pytest.raises(NotFound, match="'t'"):
        without_members("t", [MemberKey(url=A.url)])(None)


def test_default_headers_replace_those_before_and_stay_over_merges() -> None:
    first, second = (Header("Upstash-Retries", "1"),), (Header("X", "1"), Header("X", "2"))
    topic = with_headers("t", second)(with_headers("t", first)(Topic((A,))))
    assert topic == Topic((A,), headers=second)
    assert with_members([B])(topic) == Topic((A, B), headers=second)
    with pytest.raises(NotFound, match="'t'"):
        with_headers("t", first)(None)


def test_pausing_changes_nothing_else() -> None:
    schedule = Schedule(Timing(every=timedelta(minutes=1)), Destination(url=A.url), labels=("x",))
    assert paused("queue 'q'", True)(Queue(3)) == Queue(3, suspend=True)
    assert paused("queue 'q'", False)(Queue(3, suspend=True)) == Queue(3)
    assert paused("schedule 's'", False)(paused("schedule 's'", True)(schedule)) == schedule
    with pytest.raises(NotFound, match="there is no queue 'q'"):
        paused("queue 'q'", True)(None)


def test_setting_and_deleting_ask_for_nothing() -> None:
    assert to_be(Queue(2))(None) == to_be(Queue(2))(Queue(7, suspend=True)) == Queue(2)
    assert gone(None) is None and gone(Queue()) is None
