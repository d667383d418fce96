from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.domain.durations import LONGEST, format_duration, parse_declared, parse_wire
from angarium.domain.errors import InvalidInput

lengths = st.timedeltas(min_value=timedelta(0), max_value=LONGEST)

DECLARED = [  # DESIGN 5, Schema
    ("90s", timedelta(seconds=90)),
    ("15m", timedelta(minutes=15)),
    ("1d10h30m", timedelta(days=1, hours=10, minutes=30)),
    ("1h30m3s", timedelta(seconds=5403)),
    ("0s", timedelta(0)),
    ("5s1m", timedelta(seconds=65)),
    ("999999s", timedelta(seconds=999_999)),
]


@pytest.mark.parametrize(("text", "expected"), DECLARED)
def test_declared(text: str, expected: timedelta) -> None:
    assert parse_declared(text, "spec.every") == expected


@pytest.mark.parametrize(
    "text", ["", " 5s", "5s\n", "5", "1.5s", "-5s", "1000000s", "5S", "5 s", "5ms", "٣s", "1w", "1s" * 40]
)
def test_declared_refuses(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a duration") as caught:
        parse_declared(text, "spec.every")
    assert caught.value.field == "spec.every"


WIRE = [  # contract 4.5
    ("10s", timedelta(seconds=10)),
    ("1m", timedelta(minutes=1)),
    ("7d", timedelta(days=7)),
    ("1d10h30m", timedelta(days=1, hours=10, minutes=30)),
    ("1h30m3s", timedelta(seconds=5403)),
    ("1.5s", timedelta(seconds=1.5)),
    ("30", timedelta(seconds=30)),
    ("0.25", timedelta(milliseconds=250)),
    ("0", timedelta(0)),
    ("  60s\t", timedelta(minutes=1)),
    ("1000000s", timedelta(seconds=1_000_000)),
]


@pytest.mark.parametrize(("text", "expected"), WIRE)
def test_wire(text: str, expected: timedelta) -> None:
    assert parse_wire(text, "Upstash-Delay") == expected


@pytest.mark.parametrize(
    "text", ["", " ", "-1s", "-1", "+1s", "s", "1h30", "1h 30m", "5x", "5ms", "1..5s", ".5s", "1e3s", "5s,", "٣s"]
)
def test_wire_refuses(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a duration"):
        parse_wire(text, "Upstash-Delay")


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_declared, "36501d"),
        (parse_declared, "999999d999999d999999d"),
        (parse_wire, "9" * 60),
        (parse_wire, "9" * 60 + "d"),
        (parse_wire, "36500d0.1s"),
    ],
)
def test_too_long_a_duration_is_told_as_such(parse: Callable[[str, str], timedelta], text: str) -> None:
    with pytest.raises(InvalidInput, match="too long; the longest duration is 36500d"):
        parse(text, "")


def test_the_message_does_not_repeat_a_huge_text() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_wire("9" * 1_000_000, "Upstash-Delay")
    assert len(str(caught.value)) < 300


FORMATTED = [
    (timedelta(0), "0s"),
    (timedelta(seconds=90), "1m30s"),
    (timedelta(days=1, hours=10, minutes=30), "1d10h30m"),
    (timedelta(hours=1), "1h"),
    (timedelta(milliseconds=1500), "1.5s"),
    (timedelta(minutes=1, microseconds=50), "1m0.00005s"),
    (timedelta(seconds=-90), "-1m30s"),
]


@pytest.mark.parametrize(("duration", "text"), FORMATTED)
def test_format(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text


@settings(deadline=None)
@given(lengths)
def test_what_is_formatted_reads_back(duration: timedelta) -> None:
    assert parse_wire(format_duration(duration), "") == duration
    whole = timedelta(seconds=duration // timedelta(seconds=1))
    assert parse_declared(format_duration(whole), "") == whole


@settings(deadline=None)
@given(st.one_of(st.text(), st.from_regex(r"\A([0-9]{1,70}(\.[0-9]{1,9})?[dhms]?){1,9}\Z")))
def test_any_text_is_a_bounded_duration_or_invalid(text: str) -> None:
    for parse in (parse_declared, parse_wire):
        try:
            assert timedelta(0) <= parse(text, "f") <= LONGEST
        except InvalidInput as error:
            assert error.field == "f"
