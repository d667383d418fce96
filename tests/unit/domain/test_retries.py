from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.domain.retries import default_backoff, next_delay, retry_after

NOW = datetime(2029, 1, 2, 3, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("n", "seconds"),  # the table of contract 19
    [(1, 12.182), (2, 148.413), (3, 1808.042), (4, 22026.466), (5, 86400), (6, 86400), (10_000, 86400)],
)
def test_default_backoff(n: int, seconds: float) -> None:
    assert default_backoff(n) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [  # contract 19, the forms of a value
        ("0", 0),
        ("10", 10),
        ("1.5", 1.5),
        (" 10 ", 10),
        ("86400", 86400),
        ("Tue, 02 Jan 2029 03:04:05 GMT", 5),
        ("Fri, 02 Jan 2029 03:04:05 GMT", 5),  # the weekday is wrong
        ("Tue, 2 Jan 2029 03:04:05 GMT", 5),
        ("Tue, 02 Jan 2029 03:04:60 GMT", 59),
        ("Mon, 01 Jan 2029 03:04:05 GMT", 0),
        ("Tuesday, 02-Jan-29 03:04:05 GMT", 5),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
        ("Tue Jan  2 03:04:05 2029", 5),
        ("6m5s", 365),
        ("1.5s", 1.5),
        ("1h", 3600),
        ("1h0m0.25s", 3600.25),
        ("250ms", 0.25),
        ("500us", 0.0005),
        ("500µs", 0.0005),  # the micro sign
        ("500μs", 0.0005),  # the Greek letter
        ("2000ns", 0.000002),
        ("24h", 86400),
    ],
)
def test_retry_after(value: str, seconds: float) -> None:
    assert retry_after({"retry-after": [value]}, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        "", "-1", "-5s", "+5", "soon", "1d", "5 s", "1e3", "86400.1", "24h1ms", "1735787045", "9" * 200, "s", "1.s",
        "Wed, 03 Jan 2029 03:04:05 GMT", "Tue, 32 Jan 2029 03:04:05 GMT", "Tue, 02 Foo 2029 03:04:05 GMT",
        "Tue, 02 Jan 0000 03:04:05 GMT", "Tue, 02 Jan 2029 25:04:05 GMT", "Tue, 02 Jan 2029 03:04:05 CET",
        "Tue Jan    03:04:05 2029", "٣",
    ],
)  # fmt: skip
def test_retry_after_ignores(value: str) -> None:
    assert retry_after({"retry-after": [value]}, NOW) is None
    assert retry_after({"retry-after": [value], "x-ratelimit-reset-tokens": ["7"]}, NOW) == timedelta(seconds=7)


def test_the_first_valid_header_in_order_decides() -> None:
    headers = {
        "x-ratelimit-reset-tokens": ["4"],
        "x-ratelimit-reset-requests": ["3"],
        "x-ratelimit-reset": ["2"],
        "retry-after": ["1"],
    }
    for seconds, name in enumerate(reversed(list(headers)), start=1):
        assert retry_after(headers, NOW) == timedelta(seconds=seconds)
        headers[name] = ["nonsense"]
    assert retry_after(headers, NOW) is None


def test_of_several_lines_the_first_valid_one_decides() -> None:
    assert retry_after({"retry-after": ["x", "8", "9"]}, NOW) == timedelta(seconds=8)


def test_precedence() -> None:
    def delay(retried: int, expression: str | None, **headers: list[str]) -> timedelta:
        named = {name.replace("_", "-"): values for name, values in headers.items()}
        return next_delay(retried=retried, expression=expression, response_headers=named, now=NOW)

    assert delay(0, "1000", retry_after=["9"]) == timedelta(seconds=9)
    assert delay(0, "1000", retry_after=["0"]) == timedelta(0)
    assert delay(0, "1000", retry_after=["90000"]) == timedelta(seconds=1)
    assert delay(0, "1000") == timedelta(seconds=1)
    assert delay(2, "1000 * retried") == timedelta(seconds=2)
    assert delay(0, "0") == timedelta(0)
    assert delay(0, "1 / retried") == default_backoff(1)
    assert delay(1, "1 / retried") == timedelta(milliseconds=1)
    assert delay(0, None) == default_backoff(1)
    assert delay(2, None) == default_backoff(3)
    assert delay(1, "no expression") == default_backoff(2)


texts = st.one_of(
    st.text(),
    st.from_regex(r"\A-?[0-9.]{1,60}(ns|us|ms|s|m|h|d)?\Z"),
    st.from_regex(r"\A[A-Z][a-z]{2}, [0-9]{1,2} (Jan|Feb|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT\Z"),
)


@settings(deadline=None)
@given(texts, st.datetimes(timezones=st.just(UTC)))
def test_any_value_is_a_wait_of_at_most_a_day_or_none(text: str, now: datetime) -> None:
    wait = retry_after({"retry-after": [text]}, now)
    assert wait is None or timedelta(0) <= wait <= timedelta(days=1)
