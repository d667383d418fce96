"""The tables of contract 4.1–4.8: options in header and query form."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.api.errors import AboveMaximum
from angarium.api.options import OptionLimits, Options, read_options
from angarium.domain.declarations import Callback, DeliveryOptions, Destination, FlowControl, Header, Redaction
from angarium.domain.errors import InvalidInput

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())


def read(*headers: tuple[str, str], query: tuple[tuple[str, str], ...] = ()) -> Options:
    return read_options(headers, query, NOW, OptionLimits())


def forwarded(options: Options) -> list[tuple[str, str | None]]:
    return [(header.name, header.value) for header in options.delivery.headers]


def test_nothing_given_is_nothing_set() -> None:
    options = read(("Host", "x"), ("User-Agent", "y"), ("Accept", "*/*"), ("Authorization", "Bearer t"))
    assert options == Options()


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


@pytest.mark.parametrize(
    "ignored",
    [
        ("Upstash-Not-Before", "tomorrow"),
        ("Upstash-Not-Before", "99999999999"),
        ("Upstash-Deduplication-Id", ""),
        ("Upstash-Content-Based-Deduplication", "perhaps"),
    ],
)
def test_what_a_schedule_ignores_is_ignored_whatever_it_says(ignored: tuple[str, str]) -> None:
    assert read(ignored, ("Upstash-Cron", "* * * * *")).cron == "* * * * *"
    with pytest.raises(InvalidInput, match=ignored[0]):
        read(ignored)


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
        ("Upstash-Label", "a\x00b"),
        ("Upstash-Deduplication-Id", ""),
        ("Upstash-Deduplication-Id", "x" * 513),
        ("Upstash-Deduplication-Id", "a\nb"),
        ("Upstash-Content-Based-Deduplication", "yes"),
        ("Upstash-Content-Based-Deduplication", ""),
        ("Upstash-Header-Forward", "2"),
        ("Upstash-Callback", ""),
        ("Upstash-Callback", "e.test/x"),
        ("Upstash-Callback", "ftp://e.test"),
        ("Upstash-Callback", "my-topic"),
        ("Upstash-Callback", "https://a b"),
        ("Upstash-Callback", "http://169.254.169.254/latest"),
        ("Upstash-Callback", "http://127.0.0.1/"),
        ("Upstash-Failure-Callback", "http://[::1]/"),
        ("Upstash-Failure-Callback", "e.test"),
        ("Upstash-Callback-Retries", "-1"),
        ("Upstash-Callback-Method", "HEAD"),
        ("Upstash-Failure-Callback-Delay", "soon"),
        ("Upstash-Failure-Callback-Forward-X", "a\x01"),
        ("Upstash-Redact-Fields", "bodies"),
        ("Upstash-Redact-Fields", "header[]"),
        ("Upstash-Redact-Fields", "header[a b]"),
        ("Upstash-Redact-Fields", "body,header[X"),
        ("Upstash-Redact-Fields", ",".join(f"header[x{n}]" for n in range(101))),
        ("Upstash-Cron", " "),
        ("Upstash-Schedule-Id", "a/b"),
        ("Upstash-Queue-Name", ""),
        ("Upstash-Queue-Name", "größe"),
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
        ("Upstash-Callback-Retries", "101"),
        ("Upstash-Failure-Callback-Timeout", "3h"),
        ("Upstash-Callback-Delay", "9999d"),
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
        ("Upstash-Callback", "https://a.test/a", "https://b.test/b"),
        ("Upstash-Failure-Callback", "https://a.test/a", "https://b.test/b"),
        ("Upstash-Deduplication-Id", "a", "b"),
        ("Upstash-Redact-Fields", "body", "header"),
        ("Upstash-Cron", "1 * * * *", "2 * * * *"),
        ("Upstash-Schedule-Id", "a", "b"),
        ("Upstash-Queue-Name", "a", "b"),
    ],
)
def test_the_header_wins_over_the_query_form(name: str, header: str, query: str) -> None:
    lower = name.lower()
    assert read((name, header), query=((lower, query),)) == read((name, header))
    assert read(query=((lower, query),)) == read((name, query)) != read((name, header))


def test_the_first_of_repeated_options_wins() -> None:
    assert read(("Upstash-Retries", "1"), ("upstash-retries", "2")).delivery.retry_limit == 1
    assert read(query=(("upstash-retries", "1"), ("upstash-retries", "2"))).delivery.retry_limit == 1


CALLBACK = ("Upstash-Callback", "https://c.test/done?x=1")
FAILURE = ("Upstash-Failure-Callback", "https://f.test/failed")


def test_callbacks_are_read_as_publishes_of_their_own() -> None:
    options = read(
        ("upstash-retries", "1"),
        ("upstash-forward-x", "message"),
        ("upstash-callback-forward-x-a", "callback"),
        CALLBACK,
        ("upstash-callback-method", "put"),
        ("upstash-callback-retries", "2"),
        ("upstash-callback-timeout", "10s"),
        ("upstash-callback-retry-delay", "1000 * retried"),
        ("upstash-callback-delay", "30s"),
        ("upstash-callback-label", "a,b"),
        ("upstash-callback-flow-control-key", "k"),
        ("upstash-callback-flow-control-value", "rate=2"),
        ("upstash-failure-callback-forward-x-a", "failure"),
        ("upstash-failure-callback-retries", "0"),
        FAILURE,
    )
    assert options.delivery == DeliveryOptions(headers=(Header("X", "message"),), retry_limit=1)
    assert options.callback == Callback(
        Destination(url="https://c.test/done?x=1"),
        DeliveryOptions(
            method="PUT",
            headers=(Header("X-A", "callback"),),
            timeout=timedelta(seconds=10),
            retry_limit=2,
            retry_delay="1000 * retried",
            flow_control=FlowControl("k", rate=2),
        ),
        ("a", "b"),
        timedelta(seconds=30),
    )
    assert options.failure_callback == Callback(
        Destination(url="https://f.test/failed"), DeliveryOptions(headers=(Header("X-A", "failure"),), retry_limit=0)
    )


def test_the_forward_form_of_a_callback_comes_before_its_options() -> None:
    options = read(CALLBACK, ("Upstash-Callback-Forward-Retries", "x"), ("Upstash-Callback-Forward-Upstash-Delay", "y"))
    assert options.callback is not None
    assert options.callback.options.headers == (Header("Retries", "x"), Header("Upstash-Delay", "y"))


@pytest.mark.parametrize(
    "name",
    [
        "Upstash-Callback-X-Y",
        "Upstash-Callback-Workflow-RunId",
        "Upstash-Callback-Callback",
        "Upstash-Callback-Callback-Retries",
        "Upstash-Callback-Failure-Callback",
        "Upstash-Callback-Queue-Name",
        "Upstash-Callback-Cron",
        "Upstash-Callback-Deduplication-Id",
        "Upstash-Callback-",
    ],
)
def test_what_means_nothing_to_a_callback_is_ignored(name: str) -> None:
    assert read(CALLBACK, (name, "\x00 not a value")) == read(CALLBACK)


def test_options_of_a_callback_without_a_url_set_nothing() -> None:
    assert read(("Upstash-Callback-Retries", "1"), ("Upstash-Failure-Callback-Forward-X", "1")) == Options()


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("parallelism=3, rate=4, period=2s", FlowControl("k", 3, 4, timedelta(seconds=2))),
        ("period=1h,rate=10", FlowControl("k", None, 10, timedelta(hours=1))),
        ("parallelism=1", FlowControl("k", 1, None, timedelta(seconds=1))),
        ("ratePerSecond=5", FlowControl("k", None, 5)),
        (" rate = 7 , period = 60 ", FlowControl("k", None, 7, timedelta(minutes=1))),
        ("rate=1,period=1.5s", FlowControl("k", None, 1, timedelta(seconds=1.5))),
        ("rate=1,period=7d", FlowControl("k", None, 1, timedelta(days=7))),
        ("parallelism=1,period=5s", FlowControl("k", 1, None, timedelta(seconds=5))),
    ],
)
def test_flow_control_values(text: str, limits: FlowControl) -> None:
    options = read(("Upstash-Flow-Control-Key", "k"), ("Upstash-Flow-Control-Value", text))
    assert options.delivery.flow_control == limits


@pytest.mark.parametrize(
    ("text", "maximum"),
    [
        ("", False),
        ("period=1s", False),
        ("rate=0", False),
        ("parallelism=0", False),
        ("rate=-1", False),
        ("rate=1.5", False),
        ("rate=", False),
        ("rate", False),
        ("rate=1,", False),
        ("rate=1;period=2s", False),
        ("rate=1,rate=2", False),
        ("rate=1,ratePerSecond=1", False),
        ("rate=1,burst=2", False),
        ("rate=1,period=0.5s", False),
        ("rate=1,period=soon", False),
        ("rate=1,period=8d", True),
        ("rate=1000000001", True),
        ("parallelism=" + "9" * 5000, True),
    ],
)
def test_flow_control_values_that_are_refused(text: str, *, maximum: bool) -> None:
    with pytest.raises(InvalidInput, match="^Upstash-Flow-Control-Value: ") as caught:
        read(("Upstash-Flow-Control-Key", "k"), ("Upstash-Flow-Control-Value", text))
    assert isinstance(caught.value, AboveMaximum) is maximum


@pytest.mark.parametrize("prefix", ["", "Callback-", "Failure-Callback-"])
def test_a_flow_control_key_and_its_value_come_together(prefix: str) -> None:
    key, value = f"Upstash-{prefix}Flow-Control-Key", f"Upstash-{prefix}Flow-Control-Value"
    with pytest.raises(InvalidInput, match=f"^{value}: is missing"):
        read(CALLBACK, FAILURE, (key, "k"))
    with pytest.raises(InvalidInput, match=f"^{key}: is missing"):
        read(CALLBACK, FAILURE, (value, "rate=1"))


@pytest.mark.parametrize("key", ["endpoint/billing", "schedule/x", "endpoint/"])
def test_keys_that_objects_imply_are_reserved(key: str) -> None:
    for prefix in ("Upstash-", "Upstash-Callback-"):
        with pytest.raises(InvalidInput, match=f"^{prefix}Flow-Control-Key: "):
            read((f"{prefix}Flow-Control-Key", key), (f"{prefix}Flow-Control-Value", "rate=1"))


@pytest.mark.parametrize("text", ["true", "True", "TRUE", " true ", "1"])
def test_booleans_of_any_case(text: str) -> None:
    assert read(("Upstash-Content-Based-Deduplication", text)).dedup_by_content is True


@pytest.mark.parametrize("text", ["false", "False", "0"])
def test_false_is_not_given(text: str) -> None:
    assert read(("Upstash-Content-Based-Deduplication", text), ("Upstash-Header-Forward", text), ("X", "1")) == read()


@pytest.mark.parametrize(
    ("text", "redaction"),
    [
        ("body", Redaction(body=True)),
        ("header", Redaction(all_headers=True)),
        ("headers", Redaction(all_headers=True)),
        ("header[Authorization]", Redaction(names=("authorization",))),
        ("headers[X-A], header[x-b] , header[X-a]", Redaction(names=("x-a", "x-b"))),
        ("body,header[A],header", Redaction(body=True, all_headers=True, names=("a",))),
        ("", None),
    ],
)
def test_redactions(text: str, redaction: Redaction | None) -> None:
    assert read(("Upstash-Redact-Fields", text)).redaction == redaction


def test_what_schedules_and_queues_are_made_from() -> None:
    options = read(
        ("Upstash-Cron", " CRON_TZ=Europe/Berlin 0 4 * * * "),
        ("Upstash-Schedule-Id", "nightly"),
        ("Upstash-Queue-Name", "q.1"),
        ("Upstash-Delay", "10s"),
        ("Upstash-Deduplication-Id", "größe 1"),
    )
    assert (options.cron, options.schedule_id, options.queue) == ("CRON_TZ=Europe/Berlin 0 4 * * *", "nightly", "q.1")
    assert (options.delay, options.not_before) == (timedelta(seconds=10), NOW + timedelta(seconds=10))
    assert options.dedup_id == "größe 1"


@pytest.mark.parametrize("name", ["Upstash-Callback-Delay", "Upstash-Failure-Callback-Delay"])
def test_a_callback_of_a_queues_message_has_no_delay(name: str) -> None:
    delayed = read(CALLBACK, FAILURE, (name, "5s"))
    with pytest.raises(InvalidInput, match=f"^{name}: .*'q'"):
        delayed.into("q")
    with pytest.raises(InvalidInput, match=f"^{name}: .*'q'"):
        read(CALLBACK, FAILURE, (name, "5s"), ("Upstash-Queue-Name", "q"))
    assert read(CALLBACK, FAILURE, (name, "0s")).into("q").queue == "q"


def test_header_forward_forwards_every_other_header() -> None:
    incoming = (
        ("Host", "api.test"),
        ("Content-Length", "3"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Transfer-Encoding", "chunked"),
        ("User-Agent", "GitHub-Hookshot"),
        ("Accept-Encoding", "gzip"),
        ("Accept", "*/*"),
        ("Authorization", "Bearer token"),
        ("Upstash-Header-Forward", "True"),
        ("Upstash-Retries", "1"),
        ("Upstash-Telemetry-Sdk", "x"),
        ("Upstash-Forward-X-Mine", "explicit"),
        ("X-Mine", "incoming"),
        ("x-github-event", "push"),
        ("X-GITHUB-EVENT", "again"),
        ("Content-Type", "application/json"),
    )
    options = read(*incoming)
    assert sorted(forwarded(options)) == [
        ("Accept", "*/*"),
        ("Content-Type", "application/json"),
        ("X-Github-Event", "again"),
        ("X-Github-Event", "push"),
        ("X-Mine", "explicit"),
    ]
    assert forwarded(options).index(("X-Github-Event", "push")) < forwarded(options).index(("X-Github-Event", "again"))
    passed = read_options(incoming, (), NOW, OptionLimits(), forward_authorization=True)
    assert ("Authorization", "Bearer token") in forwarded(passed)


DEFAULTS = (
    ("Upstash-Retries", "7"),
    ("Upstash-Method", "PUT"),
    ("Upstash-Forward-X-A", "default"),
    ("Upstash-Forward-X-A", "default 2"),
    ("Upstash-Forward-X-B", "default"),
    ("Upstash-Callback", "https://c.test/default"),
    ("Upstash-Callback-Retries", "5"),
)


def test_default_headers_count_as_if_they_had_been_sent_last() -> None:
    sent = (("upstash-retries", "1"), ("upstash-forward-x-a", "sent"), ("Upstash-Callback-Retries", "2"))
    query = (("upstash-method", "PATCH"), ("upstash-forward-x-b", "asked"))
    options = read_options(sent, query, NOW, OptionLimits(), defaults=DEFAULTS)
    assert (options.delivery.retry_limit, options.delivery.method) == (1, "PATCH")
    assert forwarded(options) == [("X-A", "sent"), ("X-B", "asked")]
    assert options.callback == Callback(Destination(url="https://c.test/default"), DeliveryOptions(retry_limit=2))
    alone = read_options((), (), NOW, OptionLimits(), defaults=DEFAULTS)
    assert alone == read(*DEFAULTS)


def test_header_forward_among_the_defaults_works() -> None:
    sent = (("X-Event", "push"), ("Content-Type", "text/plain"), ("Authorization", "Bearer token"))
    defaults = (("Upstash-Header-Forward", "true"), ("X-Event", "none"), ("X-From", "topic"))
    options = read_options(sent, (), NOW, OptionLimits(), defaults=defaults)
    assert sorted(forwarded(options)) == [("Content-Type", "text/plain"), ("X-Event", "push"), ("X-From", "topic")]


def test_the_content_type_of_the_request_comes_before_one_that_a_default_forwards() -> None:
    defaults = (("Upstash-Forward-Content-Type", "text/default"),)
    sent = (("Content-Type", "text/sent"),)
    assert forwarded(read_options(sent, (), NOW, OptionLimits(), defaults=defaults)) == [("Content-Type", "text/sent")]
    asked = (("upstash-forward-content-type", "text/asked"),)
    options = read_options(sent, asked, NOW, OptionLimits(), defaults=defaults)
    assert forwarded(options) == [("Content-Type", "text/asked")]
    assert forwarded(read_options((), (), NOW, OptionLimits(), defaults=defaults)) == [("Content-Type", "text/default")]


def test_overrides_leave_out_the_content_type_of_the_request_itself() -> None:
    own = read(("Content-Type", "application/json"), ("Upstash-Retries", "0"), ("Upstash-Forward-X", "1"), CALLBACK)
    overrides = own.overrides()
    assert overrides.options == DeliveryOptions(headers=(Header("X", "1"),), retry_limit=0)
    assert overrides.callback == own.callback
    given = read(("Content-Type", "application/json"), ("Upstash-Forward-Content-Type", "text/xml"))
    assert given.overrides().options.headers == (Header("Content-Type", "text/xml"),)
    assert read(("Content-Type", "application/json")).overrides() == type(overrides)()


NAMES = st.text(st.sampled_from("abcXYZ019-_."), min_size=1, max_size=12).filter(lambda name: name not in (".", ".."))
OPAQUE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
SECONDS = st.integers(0, 7200).map(lambda n: timedelta(seconds=n))
FLOWS = st.builds(
    FlowControl,
    key=OPAQUE.filter(lambda key: not key.startswith(("endpoint/", "schedule/"))),
    parallelism=st.none() | st.integers(1, 10**9),
    rate=st.integers(1, 10**9),
    period=st.integers(1, 7 * 86400).map(lambda n: timedelta(seconds=n)),
)
HEADERS = st.lists(
    st.builds(
        Header, NAMES.map(lambda n: "X-" + n.replace("-", "").capitalize()), OPAQUE.filter(lambda t: "\x7f" not in t)
    ),
    max_size=4,
    unique_by=lambda header: header.name,
).map(tuple)
DELIVERIES = st.builds(
    DeliveryOptions,
    method=st.none() | st.sampled_from(["GET", "PUT"]),
    headers=HEADERS,
    timeout=st.none() | SECONDS.filter(bool),
    retry_limit=st.none() | st.integers(0, 100),
    retry_delay=st.none() | st.integers(0, 10**6).map(lambda n: f"{n} * (1 + retried)"),
    flow_control=st.none() | FLOWS,
)
LABELS = st.lists(OPAQUE.filter(lambda t: "," not in t and t == t.strip()), max_size=3).map(tuple)
CALLBACKS = st.builds(
    Callback,
    NAMES.map(lambda name: Destination(url=f"https://e.test/{name}")),
    DELIVERIES,
    LABELS,
    st.none() | SECONDS,
)
OPTIONS = st.builds(
    Options,
    delivery=DELIVERIES,
    labels=LABELS,
    delay=st.none() | SECONDS,
    callback=st.none() | CALLBACKS,
    failure_callback=st.none() | CALLBACKS,
    redaction=st.none() | st.just(Redaction(body=True, names=("x-a", "b"))),
    dedup_id=st.none() | OPAQUE,
    dedup_by_content=st.booleans(),
    schedule_id=st.none() | NAMES,
)


def written_delivery(prefix: str, delivery: DeliveryOptions) -> list[tuple[str, str]]:
    lines = [(f"{prefix}Forward-{header.name}", header.value or "") for header in delivery.headers]
    flow = delivery.flow_control
    for name, value in (
        ("Method", delivery.method),
        ("Timeout", delivery.timeout and f"{int(delivery.timeout.total_seconds())}s"),
        ("Retries", None if delivery.retry_limit is None else str(delivery.retry_limit)),
        ("Retry-Delay", delivery.retry_delay),
        ("Flow-Control-Key", flow and flow.key),
        ("Flow-Control-Value", flow and written_flow(flow)),
    ):
        lines += [(prefix + name, value)] if value is not None else []
    return lines


def written_flow(flow: FlowControl) -> str:
    parallelism = f"parallelism={flow.parallelism}, " if flow.parallelism else ""
    return f"{parallelism}rate={flow.rate}, period={int(flow.period.total_seconds())}s"


def written(options: Options) -> list[tuple[str, str]]:
    lines = written_delivery("Upstash-", options.delivery)
    for prefix, callback in (
        ("Upstash-Callback", options.callback),
        ("Upstash-Failure-Callback", options.failure_callback),
    ):
        if callback:
            lines.append((prefix, callback.destination.url or ""))
            lines += written_delivery(f"{prefix}-", callback.options)
            lines += [(f"{prefix}-Label", ",".join(callback.labels))]
            lines += (
                [(f"{prefix}-Delay", f"{int(callback.delay.total_seconds())}s")] if callback.delay is not None else []
            )
    lines += [("Upstash-Label", ", ".join(options.labels))]
    lines += [("Upstash-Delay", f"{int(options.delay.total_seconds())}")] if options.delay is not None else []
    lines += [("Upstash-Redact-Fields", "body,header[X-A],headers[B]")] if options.redaction else []
    lines += [("Upstash-Deduplication-Id", options.dedup_id)] if options.dedup_id is not None else []
    lines += [("Upstash-Content-Based-Deduplication", str(options.dedup_by_content))]
    lines += [("Upstash-Schedule-Id", options.schedule_id)] if options.schedule_id is not None else []
    return lines


@given(options=OPTIONS, as_query=st.booleans())
def test_what_is_written_is_read(options: Options, *, as_query: bool) -> None:
    lines = written(options)
    read_back = read(query=tuple((name.lower(), value) for name, value in lines)) if as_query else read(*lines)
    not_before = None if options.delay is None else NOW + options.delay
    assert read_back == replace(options, not_before=not_before)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["", "Callback-", "Failure-Callback-"]
            ).flatmap(
                lambda prefix: st.sampled_from(
                    ["Method", "Timeout", "Retries", "Retry-Delay", "Delay", "Not-Before", "Callback", "Redact-Fields",
                     "Flow-Control-Key", "Flow-Control-Value", "Label", "Cron", "Queue-Name", "Forward-", "Forward-X",
                     "Header-Forward", "Deduplication-Id", "Content-Based-Deduplication", "Schedule-Id"]
                ).map(lambda name: f"Upstash-{prefix}{name}")
            ),
            st.text(max_size=20) | st.sampled_from(["rate=1", "1", "true", "POST", "10s", "body", "https://a.test"]),
        ),
        max_size=6,
    )
)  # fmt: skip
def test_any_headers_are_read_or_refused_by_name(lines: list[tuple[str, str]]) -> None:
    try:
        read(*lines)
    except InvalidInput as error:
        assert error.field.partition(":")[0].startswith("Upstash-")
