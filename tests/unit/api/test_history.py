"""The table of contract 6: filters of the log and of the dead letters."""

from datetime import UTC, datetime, timedelta

import pytest

from angarium.api.history import dead_letter_filter, log_filter
from angarium.domain.errors import InvalidInput
from angarium.domain.messages import LogState
from angarium.domain.views import HistoryFilter

SHARED = [
    ("url", "urls"),
    ("topicName", "topics"),
    ("scheduleId", "schedules"),
    ("label", "labels"),
    ("callerIp", "caller_ips"),
    ("callerIP", "caller_ips"),
    ("messageId", "message_ids"),
]


def test_no_filter_is_the_newest_hundred() -> None:
    assert log_filter("a", []) == HistoryFilter("a", count=100, newest_first=True)
    assert dead_letter_filter("a", []) == HistoryFilter("a", count=100, newest_first=True)


@pytest.mark.parametrize(
    ("name", "field"), [*SHARED, ("messageIds", "message_ids"), ("host", "hosts"), ("path", "paths")]
)
def test_log_filters(name: str, field: str) -> None:
    assert log_filter("a", [(name, "x"), (name, "y")]) == HistoryFilter("a", **{field: ("x", "y")})


@pytest.mark.parametrize(("name", "field"), [*SHARED, ("dlqIds", "dlq_ids")])
def test_dead_letter_filters(name: str, field: str) -> None:
    assert dead_letter_filter("a", [(name, "x"), (name, "y")]) == HistoryFilter("a", **{field: ("x", "y")})


def test_commas_separate_values_and_a_url_is_also_taken_whole() -> None:
    assert log_filter("a", [("label", "x,y"), ("label", "z")]).labels == ("x", "y", "z")
    assert log_filter("a", [("url", "https://a.test/x,y")]).urls == ("https://a.test/x,y", "https://a.test/x", "y")
    assert log_filter("a", [("path", "/x,y")]).paths == ("/x,y", "/x", "y")


def test_both_spellings_of_the_caller_are_one_filter() -> None:
    assert log_filter("a", [("callerIp", "1.1.1.1"), ("callerIP", "2.2.2.2")]).caller_ips == ("1.1.1.1", "2.2.2.2")


@pytest.mark.parametrize(
    ("text", "states"),
    [
        *[(state.value, (state,)) for state in LogState],
        ("CANCELLED", (LogState.CANCELED,)),
        ("IN_PROGRESS", (LogState.ACTIVE, LogState.RETRY, LogState.ERROR)),
    ],
)
def test_states(text: str, states: tuple[LogState, ...]) -> None:
    assert log_filter("a", [("state", text)]).states == states


def test_response_statuses_are_numbers() -> None:
    assert dead_letter_filter("a", [("responseStatus", "500,0"), ("responseStatus", "404")]).response_statuses == (
        500,
        0,
        404,
    )


def test_dates_are_milliseconds() -> None:
    where = log_filter("a", [("fromDate", "1700000000001"), ("toDate", "1700000000999")])
    second = datetime.fromtimestamp(1_700_000_000, UTC)
    assert (where.since, where.until) == (
        second + timedelta(milliseconds=1),
        second + timedelta(milliseconds=999),
    )


def test_paging() -> None:
    where = log_filter("a", [("count", "1000"), ("cursor", "c"), ("order", "earliestFirst")])
    assert (where.count, where.cursor, where.newest_first) == (1000, "c", False)
    assert log_filter("a", [("cursor", ""), ("order", "latestFirst")]) == HistoryFilter("a")


def test_a_list_of_ids_wins_over_all_other_filters() -> None:
    given = [("label", "x"), ("fromDate", "1"), ("toDate", "2"), ("messageId", "m0")]
    assert log_filter("a", [*given, ("messageIds", "m1,m2")]) == HistoryFilter("a", message_ids=("m1", "m2"))
    assert dead_letter_filter("a", [*given, ("dlqIds", "1-0")]) == HistoryFilter("a", dlq_ids=("1-0",))


def test_a_single_id_is_a_filter_among_others() -> None:
    where = log_filter("a", [("messageId", "m1"), ("state", "DELIVERED")])
    assert (where.message_ids, where.states) == (("m1",), (LogState.DELIVERED,))


@pytest.mark.parametrize("name", ["lable", "host", "path", "messageIds", "state", "urlGroup", "", "ORDER"])
def test_unknown_filters_of_dead_letters_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not a filter of the dead letter queue"):
        dead_letter_filter("a", [(name, "x")])


def test_unknown_filters_of_the_log_are_ignored() -> None:
    assert log_filter("a", [("lable", "x"), ("responseStatus", "x"), ("dlqIds", "x")]) == HistoryFilter("a")


@pytest.mark.parametrize("name", ["queueName", "flowControlKey"])
def test_filters_of_features_that_do_not_exist_yet_are_refused_by_name(name: str) -> None:
    for read in (log_filter, dead_letter_filter):
        with pytest.raises(InvalidInput, match=f"^{name}: is not supported"):
            read("a", [(name, "x")])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("count", "0"),
        ("count", "1001"),
        ("count", "-1"),
        ("count", "ten"),
        ("count", "9" * 5000),
        ("fromDate", "yesterday"),
        ("toDate", "9" * 16),
        ("state", "GONE"),
        ("order", "newest"),
        ("label", ""),
        ("messageIds", ","),
    ],
)
def test_bad_values_name_the_parameter(name: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        log_filter("a", [(name, text)])
    assert caught.value.field == name


@pytest.mark.parametrize(("name", "text"), [("count", "101"), ("responseStatus", "5xx"), ("responseStatus", "1000")])
def test_bad_values_of_dead_letter_filters(name: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        dead_letter_filter("a", [(name, text)])
    assert caught.value.field == name


def test_values_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(InvalidInput, match="^label: is not valid UTF-8"):
        log_filter("a", [("label", "\udcff")])
    assert log_filter("a", [("unknown", "\udcff")]) == HistoryFilter("a")
