"""The tables of contract 4.1–4.8: options in header and query form."""

from datetime import UTC, datetime, timedelta

import pytest

from angarium.api.errors import AboveMaximum
from angarium.api.options import OptionLimits, Options, read_options
from angarium.domain.errors import InvalidInput

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())


def read(*headers: tuple[str, str], query: tuple[tuple[str, str], ...] = ()) -> Options:
    return read_options(headers, query, NOW, OptionLimits())


def forwarded(options: Options) -> list[tuple[str, str | None]]:
    return [(header.name, header.value) for header in options.delivery.headers]


def test_nothing_given_is_nothing_set() -> None:
    options = read(("Host", "x"), ("User-Agent", "y"), ("Accept", "*/*"), ("Authorization", "Bearer t"))
    assert options.delivery == type(options.delivery)()
    assert (options.labels, options.not_before) == ((), None)


@pytest.mark.parametrize("text", ["get", "GET", "Get", " get "])
def test_methods_in_any_case(text: str) -> None:
    assert read(("Upstash-Method", text)).delivery.method == "GET"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("1m", 60), ("1h30m3s", 5403), ("1.5s", 1.5), ("30", 30), (" 60 ", 60), ("2h", 7200), ("1ms", None)],
)
def test_timeouts(text: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(InvalidInput, match="^Upstash-Timeout: "):
            read(("Upstash-Timeout", text))
    else:
        assert read(("Upstash-Timeout", text)).delivery.timeout == timedelta(seconds=seconds)


@pytest.mark.parametrize(("text", "days"), [("7d", 7), ("10d", 10), ("365d", 365), ("366d", 366)])
def test_delays_of_a_year_are_taken(text: str, days: int) -> None:
    assert read(("Upstash-Delay", text)).not_before == NOW + timedelta(days=days)


def test_not_before_is_unix_seconds_and_wins_over_delay() -> None:
    options = read(("Upstash-Delay", "10s"), ("Upstash-Not-Before", str(NOW_S + 60)))
    assert options.not_before == NOW + timedelta(seconds=60)


def test_not_before_in_the_past_is_taken() -> None:
    assert read(("Upstash-Not-Before", "0")).not_before == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("text", "retries"), [("0", 0), ("3", 3), ("100", 100), ("007", 7)])
def test_retries(text: str, retries: int) -> None:
    assert read(("Upstash-Retries", text)).delivery.retry_limit == retries


def test_the_retry_delay_is_kept_verbatim() -> None:
    text = "max(1000,  pow(2, retried)*100)"
    assert read(("Upstash-Retry-Delay", text)).delivery.retry_delay == text


@pytest.mark.parametrize(
    ("text", "labels"), [("a", ("a",)), (" a , b,, c ", ("a", "b", "c")), ("", ()), (",", ()), ("größe", ("größe",))]
)
def test_labels(text: str, labels: tuple[str, ...]) -> None:
    assert read(("Upstash-Label", text)).labels == labels


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Upstash-Method", "HEAD"),
        ("Upstash-Method", ""),
        ("Upstash-Timeout", "0s"),
        ("Upstash-Timeout", "-1s"),
        ("Upstash-Timeout", ""),
        ("Upstash-Timeout", "1w"),
        ("Upstash-Retries", "-1"),
        ("Upstash-Retries", "1.5"),
        ("Upstash-Retries", ""),
        ("Upstash-Retries", "three"),
        ("Upstash-Retries", "٣"),
        ("Upstash-Retry-Delay", "pow(2)"),
        ("Upstash-Retry-Delay", "retries * 2"),
        ("Upstash-Retry-Delay", "1" + "+1" * 500),
        ("Upstash-Retry-Delay", ""),
        ("Upstash-Delay", "soon"),
        ("Upstash-Delay", "10s x"),
        ("Upstash-Not-Before", "1.5"),
        ("Upstash-Not-Before", "-5"),
        ("Upstash-Not-Before", "tomorrow"),
        ("Upstash-Label", "x" * 513),
        ("Upstash-Label", "caf\udce9"),
    ],
)
def test_bad_values_name_the_header(name: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read((name.lower(), text))
    assert caught.value.field == name
    assert not isinstance(caught.value, AboveMaximum)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Upstash-Retries", "101"),
        ("Upstash-Retries", "9" * 5000),
        ("Upstash-Timeout", "2h1s"),
        ("Upstash-Delay", "367d"),
        ("Upstash-Not-Before", str(NOW_S + 367 * 86400)),
        ("Upstash-Not-Before", "9" * 5000),
    ],
)
def test_values_above_the_maximum(name: str, text: str) -> None:
    with pytest.raises(AboveMaximum, match=f"^{name}: "):
        read((name, text))


@pytest.mark.parametrize(
    "name",
    [
        "Upstash-Telemetry-Sdk",
        "Upstash-Workflow-RunId",
        "Upstash-Callback-Workflow-RunId",
        "Upstash-Callbackx",
        "Upstash-Something",
        "Upstash-",
    ],
)
def test_unknown_options_are_ignored_and_go_nowhere(name: str) -> None:
    assert read((name, "x"), query=((name.lower(), "y"),)) == read()


def test_forwarded_headers_are_canonical_and_one_entry_per_line() -> None:
    options = read(
        ("upstash-forward-bypass-tunnel-reminder", "true"),
        ("Upstash-Forward-X-List", "a, b"),
        ("UPSTASH-FORWARD-X-LIST", "c"),
        ("Upstash-Forward-Upstash-Delay", "5s"),
        ("Upstash-Forward-X-Tab", "a\tb"),
        ("Upstash-Forward-X-Empty", ""),
        ("Upstash-Forward-X-Text", "größe"),
    )
    assert forwarded(options) == [
        ("Bypass-Tunnel-Reminder", "true"),
        ("X-List", "a, b"),
        ("X-List", "c"),
        ("Upstash-Delay", "5s"),
        ("X-Tab", "a\tb"),
        ("X-Empty", ""),
        ("X-Text", "größe"),
    ]
    assert options.not_before is None


@pytest.mark.parametrize("value", ["a\x00b", "a\rb", "a\nb", "a\x01b", "a\x7fb", "caf\udce9"])
def test_a_forwarded_value_that_cannot_be_sent_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="^Upstash-Forward-X: "):
        read(("Upstash-Forward-X", value))
    with pytest.raises(InvalidInput, match="^upstash-forward-x: "):
        read(query=(("upstash-forward-x", value),))


@pytest.mark.parametrize(
    "name", ["upstash-forward-", "upstash-forward-a b", "upstash-forward-a:b", "upstash-forward-é"]
)
def test_a_forwarded_name_must_be_a_header_name(name: str) -> None:
    with pytest.raises(InvalidInput):
        read(query=((name, "x"),))


def test_the_content_type_is_kept_and_a_forwarded_one_wins() -> None:
    assert forwarded(read(("content-type", "text/plain"))) == [("Content-Type", "text/plain")]
    both = read(("Content-Type", "application/json"), ("Upstash-Forward-Content-Type", "text/xml"))
    assert forwarded(both) == [("Content-Type", "text/xml")]
    query = read(("Content-Type", "application/json"), query=(("upstash-forward-content-type", "text/xml"),))
    assert forwarded(query) == [("Content-Type", "text/xml")]


@pytest.mark.parametrize(
    ("name", "header", "query"),
    [
        ("Upstash-Retries", "1", "2"),
        ("Upstash-Method", "PUT", "PATCH"),
        ("Upstash-Timeout", "1s", "2s"),
        ("Upstash-Retry-Delay", "1", "2"),
        ("Upstash-Delay", "1s", "2s"),
        ("Upstash-Not-Before", str(NOW_S + 1), str(NOW_S + 2)),
        ("Upstash-Label", "a", "b"),
        ("Upstash-Forward-X", "a", "b"),
    ],
)
def test_the_header_wins_over_the_query_form(name: str, header: str, query: str) -> None:
    lower = name.lower()
    assert read((name, header), query=((lower, query),)) == read((name, header))
    assert read(query=((lower, query),)) == read((name, query)) != read((name, header))


def test_the_first_of_repeated_options_wins() -> None:
    assert read(("Upstash-Retries", "1"), ("upstash-retries", "2")).delivery.retry_limit == 1
    assert read(query=(("upstash-retries", "1"), ("upstash-retries", "2"))).delivery.retry_limit == 1
