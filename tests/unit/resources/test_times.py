from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.domain.errors import InvalidInput
from angarium.resources.times import format_slot, format_time, format_time_ms, milliseconds, parse_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-24T18:00:00Z", datetime(2026, 12, 24, 18, tzinfo=UTC)),
        ("2026-12-24t18:00:00z", datetime(2026, 12, 24, 18, tzinfo=UTC)),
        ("2026-12-24T19:00:00+01:00", datetime(2026, 12, 24, 18, tzinfo=UTC)),
        ("2026-12-24T18:00:00.25-00:30", datetime(2026, 12, 24, 18, 30, 0, 250_000, tzinfo=UTC)),
        ("2026-12-24T18:00:00.123456789Z", datetime(2026, 12, 24, 18, 0, 0, 123_000, tzinfo=UTC)),
    ],
)
def test_parse(text: str, expected: datetime) -> None:
    assert parse_time(text, "spec.at") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-12-24",
        "2026-12-24T18:00:00",
        "2026-12-24 18:00:00Z",
        "2026-12-24T18:00Z",
        "2026-02-30T18:00:00Z",
        "2026-12-24T25:00:00Z",
        "2026-12-24T18:00:00+99:00",
        "20261224T180000Z",
        "0001-01-01T00:00:00+05:00",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-01:00",
        "3000-01-01T00:00:00Z",
        "٢٠٢٦-12-24T18:00:00Z",
        "2026-12-24T18:00:00Z\n",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_time(text, "spec.at")
    assert refused.value.field == "spec.at"


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", fullmatch=True))
def test_never_raises_anything_else(text: str) -> None:
    try:
        assert parse_time(text, "spec.at").tzinfo is UTC
    except InvalidInput as refused:
        assert refused.field == "spec.at"


def test_format() -> None:
    instant = datetime(2026, 12, 24, 19, 0, 0, 123_999, tzinfo=UTC)
    assert format_time(instant) == "2026-12-24T19:00:00Z"
    assert format_time_ms(instant) == "2026-12-24T19:00:00.123Z"
    assert format_time_ms(instant.replace(microsecond=0)) == "2026-12-24T19:00:00.000Z"
    assert format_slot(instant) == "2026-12-24T19:00:00.123Z"
    assert format_slot(instant.replace(microsecond=999)) == "2026-12-24T19:00:00Z"
    assert milliseconds(timedelta(seconds=1.5)) == 1500
    assert milliseconds(timedelta(seconds=-1)) == 0
