import re
import shlex
from datetime import timedelta
from typing import Any

import pytest
from tests.support.fakes import START, message

from angarium.domain.credentials import SigningKeys
from angarium.domain.declarations import Declared, Endpoint, Kind, ObjectRef, Topic
from angarium.domain.messages import Attempt, Leased, Message, Outcome, Response, Result, Run, Trigger
from angarium.domain.notices import (
    Accepted,
    AttemptEnded,
    CatalogChanged,
    ClockReset,
    EndpointOrphansFailed,
    Notice,
    PlaceFreed,
    RunFailed,
    RunStarted,
    SlotsSkipped,
    TakenOver,
)
from angarium.files.users import DEFAULT_USER
from angarium.files.wording import ASCII, SYMBOLS, Addresses, Wording, sample_destination, start_text

TICK = ObjectRef(Kind.SCHEDULE, "default", "tick")
LINE = ObjectRef(Kind.QUEUE, "default", "line")
OK = ObjectRef(Kind.ENDPOINT, "default", "ok")
RUN = Run("run_1", TICK, "uid", START)
LOCAL = f"{START.astimezone():%H:%M:%S}"


def to(**given: Any) -> Message:
    return message(**{"namespace": "default", "url": "http://127.0.0.1:8099/ok", "max_retries": 3} | given)


def ended(
    result: Result, status: int | None = 200, reason: str = "", after: float | None = None, **given: Any
) -> Notice:
    took = timedelta(milliseconds=12.4)
    response = None if status is None else Response(status)
    attempt = Attempt(2, "http://a.test/", START - took, took, response, reason)
    next_at = None if after is None else START + timedelta(seconds=after)
    return AttemptEnded(Outcome(Leased(to(**given), 1, 1, "lane"), result, attempt, next_at))


def line(notice: Notice, signs: Any = SYMBOLS) -> str:
    wording = Wording(signs)
    assert wording.is_worth_a_line(notice)
    return wording.line(notice)


@pytest.mark.parametrize(
    ("notice", "text"),
    [
        (
            ended(Result.DELIVERED),
            "✓ http://127.0.0.1:8099/ok           200      attempt 2 of 4      12 ms",
        ),
        (
            ended(Result.RETRY, 500, after=2.04, url=None, endpoint="flaky"),
            "✗ endpoint/flaky                     500      attempt 2 of 4      12 ms  next try in 2.0 s",
        ),
        (
            ended(Result.FAILED, None, "Timeout", url=None, endpoint="ok", topic="orders", endpoint_name="billing"),
            "✗ topic/orders billing               Timeout  attempt 2 of 4      12 ms  → DLQ",
        ),
        (
            ended(Result.DELIVERED, namespace="test-user-1", url="http://a.test/" + "x" * 99),
            "✓ test-user-1 http://a.test/xxxxxx.. 200      attempt 2 of 4      12 ms",
        ),
        (
            ended(Result.DELIVERED, url="http://me:hunter2@a.test/?key=hunter2"),
            "✓ http://a.test/?...                 200      attempt 2 of 4      12 ms",
        ),
    ],
)
def test_attempts(notice: Notice, text: str) -> None:
    assert line(notice) == f"{LOCAL} {text}"


@pytest.mark.parametrize(
    ("notice", "text"),
    [
        (RunStarted(RUN, ("msg_1",), 0.01), "→ Schedule default/tick              fired: 1 message"),
        (
            RunStarted(Run("run_1", TICK, "uid", START, Trigger.MANUAL), ("a", "b"), 0),
            "→ Schedule default/tick              fired by run-now: 2 messages",
        ),
        (RunStarted(RUN, ("a",), 61.2), "→ Schedule default/tick              fired: 1 message, 61 s late"),
        (RunFailed(RUN, "RefNotFound", "no\x1b[2J\nit"), "✗ Schedule default/tick              RefNotFound: no?[2J?it"),
        (SlotsSkipped(TICK, 3, "Missed"), "✗ Schedule default/tick              3 slots skipped: Missed"),
        (
            ClockReset(TICK, START),
            "→ Schedule default/tick              the clock was set back; starts anew from now",
        ),
        (
            EndpointOrphansFailed(OK, ("a",)),
            "✗ Endpoint default/ok                1 message given up: EndpointDeleted → DLQ",
        ),
        (TakenOver(LINE), "→ Queue default/line                 replaces the one that was made over the API"),
        (
            PlaceFreed(LINE, "msg_1"),
            "✗ Queue default/line                 goes on: the callbacks of msg_1 did not end in time",
        ),
    ],
)
def test_other_news(notice: Notice, text: str) -> None:
    written = line(notice)
    assert re.match(r"\d\d:\d\d:\d\d ", written)
    assert written[9:] == text


def test_what_is_no_news() -> None:
    postponed = AttemptEnded(Outcome(Leased(to(), 0, 1, "lane"), Result.POSTPONED, next_at=START))
    for notice in (postponed, Accepted(to(), "http://a.test/"), CatalogChanged(frozenset({OK}))):
        assert not Wording(SYMBOLS).is_worth_a_line(notice)


def test_plain_letters() -> None:
    texts = [line(notice, ASCII) for notice in (ended(Result.FAILED, 500), RunStarted(RUN, ("a",), 0))]
    texts.append(Wording(ASCII).count(213))
    assert all(text.isascii() for text in texts)
    assert texts[0].endswith("-> DLQ")
    assert texts[2] == "... and 213 more"


def test_start_text() -> None:
    addresses = Addresses(api="http://127.0.0.1:8080", health="http://127.0.0.1:8081")
    text = start_text(addresses, DEFAULT_USER.token, DEFAULT_USER.keys, "orders")
    assert re.search("running at", text.splitlines()[0])
    exports = [shlex.split(line) for line in text.splitlines() if line.strip().startswith("export ")]
    assert [words[1] for words in exports] == [
        "QSTASH_URL=http://127.0.0.1:8080",
        f"QSTASH_TOKEN={DEFAULT_USER.token}",
        f"QSTASH_CURRENT_SIGNING_KEY={DEFAULT_USER.keys.current}",
        f"QSTASH_NEXT_SIGNING_KEY={DEFAULT_USER.keys.next}",
    ]
    commands = [shlex.split(line) for line in text.replace("\\\n", " ").splitlines() if line.strip().startswith("curl")]
    assert [words[-1].removeprefix(addresses.api) for words in commands] == [
        "/v2/publish/orders",
        "/v2/logs?count=5",
        "/v2/dlq?count=5",
    ]
    assert all(f"Authorization: Bearer {DEFAULT_USER.token}" in words for words in commands)


def test_what_a_shell_would_read_is_quoted() -> None:
    keys = SigningKeys("a b", "$(c)")
    text = start_text(Addresses("http://127.0.0.1:8080", "http://x"), "tok'en", keys, "https://a.test/?x=1&y=2")
    assert "export QSTASH_NEXT_SIGNING_KEY='$(c)'" in text
    assert "'http://127.0.0.1:8080/v2/publish/https://a.test/?x=1&y=2'" in text


def test_sample_destination() -> None:
    def declared(kind: Kind, name: str, namespace: str = "default") -> Declared:
        spec = Topic() if kind is Kind.TOPIC else Endpoint("http://a.test/")
        return Declared(ObjectRef(kind, namespace, name), "uid", 1, "f", START, spec)

    assert (
        sample_destination([declared(Kind.ENDPOINT, "a"), declared(Kind.TOPIC, "t", "shop")]) == "https://example.com"
    )
    topics = [declared(Kind.TOPIC, name) for name in ("orders", "audit")]
    assert sample_destination(topics) == "audit"
