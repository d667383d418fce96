"""The table of contract 6: filters of the log, of the dead letters, and of messages to cancel."""

from datetime import UTC, datetime, timedelta

import pytest

from angarium.api.history import cancel_filter, dead_letter_filter, log_filter
from angarium.domain.errors import InvalidInput
from angarium.domain.messages import LogState
from angarium.domain.views import HistoryFilter

SHARED = [
    ("url", "urls"),
    ("topicName", "topics"),
    ("scheduleId", "schedules"),
    ("queueName", "queues"),
    ("flowControlKey", "flow_keys"),
    ("label", "labels"),
    ("callerIp", "caller_ips"),
    ("callerIP", "caller_ips"),
]
LISTED = [("messageIds", "message_ids"), ("host", "hosts"), ("path", "paths")]


def test_no_filter_is_the_newest_hundred() -> None:
    assert log_filter("a", []) == HistoryFilter("a", count=100, newest_first=True)
    assert dead_letter_filter("a", []) == HistoryFilter("a", count=100, newest_first=True)


@pytest.mark.parametrize(("name", "field"), [*SHARED, *LISTED, ("messageId", "message_ids")])
def test_log_filters(name: str, field: str) -> None:
    assert log_filter("a", [(name, "x"), (name, "y")]) == HistoryFilter("a", **{field: ("x", "y")})


@pytest.mark.parametrize(("name", "field"), [*SHARED, ("messageId", "message_ids"), ("dlqIds", "dlq_ids")])
def test_dead_letter_filters(name: str, field: str) -> None:
    assert dead_letter_filter("a", [(name, "x"), (name, "y")]) == HistoryFilter("a", **{field: ("x", "y")})


@pytest.mark.parametrize(("name", "field"), [*SHARED, *LISTED])
def test_cancel_filters(name: str, field: str) -> None:
    assert cancel_filter("a", [(name, "x"), (name, "y")]) == (HistoryFilter("a", **{field: ("x", "y")}), None)


def test_a_cancel_without_a_count_is_of_all_that_match() -> None:
    assert cancel_filter("a", []) == (HistoryFilter("a"), None)
    assert cancel_filter("a", [("count", "500"), ("cursor", "c")]) == (HistoryFilter("a", count=500), 500)
    where, most = cancel_filter("a", [("messageIds", "m1"), ("count", "1"), ("label", "x")])
    assert (where.message_ids, where.labels, most) == (("m1",), (), None)


@pytest.mark.parametrize("name", ["lable", "messageId", "dlqIds", "state", "responseStatus", "order", "urlGroup", ""])
def test_unknown_filters_of_messages_to_cancel_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not a filter of messages to cancel; there are callerIP, "):
        cancel_filter("a", [("label", "x"), (name, "x")])


@pytest.mark.parametrize(
    ("name", "text"), [("count", "0"), ("count", "501"), ("label", ""), ("messageIds", ""), ("toDate", "now")]
)
def test_bad_values_of_cancel_filters(name: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        cancel_filter("a", [(name, text)])
    assert caught.value.field == name


def test_commas_separate_values_and_a_url_is_also_taken_whole() -> None:
    assert log_filter("a", [("label", "x,y"), ("label", "z")]).labels == ("x", "y", "z")
    assert log_filter("a", [("url", "https://a.test/x,y")]).urls == ("https://a.test/x,y", "https://a.test/x", "y")
    assert log_filter("a", [("path", "/x,y")]).paths == ("/x,y", "/x", "y")
    assert log_filter("a", [("flowControlKey", "x,y")]).flow_keys == ("x,y", "x", "y")


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
