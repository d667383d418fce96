"""From a leased message to its outcome: verdicts, retries, postponement, and that nothing escapes."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.fakes import START, FakeClock, FakeKeys, FakeReferences, FakeSender, endpoint, leased

from angarium.domain.declarations import Header, KeyRef
from angarium.domain.errors import SenderLost, SendError
from angarium.domain.messages import Leased, Outcome, Response, Result
from angarium.engine.attempt import MOST_LOSSES, POSTPONEMENT, Attempts

KEY = Header("X-Key", secret=KeyRef("auth", "key"))


async def perform(
    of: Leased, *answers: Response | Exception, references: FakeReferences | None = None, jitter: float = 0.0
) -> Outcome:
    sender = FakeSender(list(answers) or [Response(200)])
    attempts = Attempts(sender, references or FakeReferences(), FakeKeys(), FakeClock(), retry_jitter=jitter)
    return await attempts.perform(of)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_2xx_delivers(status: int) -> None:
    outcome = await perform(leased(), Response(status, (), b"ok"))
    assert outcome.result is Result.DELIVERED and outcome.next_at is None
    assert outcome.attempt is not None and outcome.attempt.response == Response(status, (), b"ok")
    assert (outcome.attempt.number, outcome.attempt.url) == (1, "https://dest.test/hook?a=1")
    assert (outcome.attempt.started_at, outcome.attempt.error) == (START, "")


@pytest.mark.parametrize("status", [301, 404, 429, 489, 500, 503])
async def test_other_statuses_are_tried_again_with_the_default_backoff(status: int) -> None:
    outcome = await perform(leased(retried=1), Response(status))
    assert outcome.result is Result.RETRY
    assert outcome.next_at == START + timedelta(milliseconds=148_413)
    assert outcome.attempt is not None and outcome.attempt.number == 2


async def test_no_retries_left_fails() -> None:
    assert (await perform(leased(retried=3), Response(500))).result is Result.FAILED
    assert (await perform(leased(max_retries=0), Response(500))).result is Result.FAILED
    assert (await perform(leased(retried=2), Response(500))).result is Result.RETRY


async def test_489_with_its_header_fails_at_once() -> None:
    outcome = await perform(leased(), Response(489, (("Upstash-NonRetryable-Error", "TRUE"),)))
    assert outcome.result is Result.FAILED and outcome.next_at is None


async def test_retry_after_wins_over_the_expression_and_that_over_the_backoff() -> None:
    wish = Response(503, (("Retry-After", "7"),))
    assert (await perform(leased(retry_delay="1000"), wish)).next_at == START + timedelta(seconds=7)
    of = leased(retry_delay="(1 + retried) * 1000", retried=2)
    assert (await perform(of, Response(503))).next_at == START + timedelta(seconds=3)


async def test_jitter_only_lengthens() -> None:
    for _ in range(50):
        outcome = await perform(leased(retry_delay="1000"), Response(503), jitter=0.5)
        assert outcome.next_at is not None
        assert timedelta(seconds=1) <= outcome.next_at - START <= timedelta(seconds=1.5)


async def test_no_response_is_a_failed_attempt_with_its_reason() -> None:
    outcome = await perform(leased(), SendError("ConnectionRefused", "dest.test:443 refused the connection"))
    assert outcome.result is Result.RETRY and outcome.attempt is not None
    assert outcome.attempt.response is None and outcome.attempt.reason == "ConnectionRefused"
    assert outcome.attempt.error == "ConnectionRefused: dest.test:443 refused the connection"
    assert (await perform(leased(retried=3), SendError("Timeout", "x"))).result is Result.FAILED


async def test_a_missing_secret_is_a_failed_attempt() -> None:
    outcome = await perform(leased(headers=(KEY,)))
    assert outcome.result is Result.RETRY and outcome.attempt is not None
    assert outcome.attempt.reason == "SecretNotFound"
    assert outcome.attempt.error == "SecretNotFound: auth with key key does not exist in shop"


async def test_an_unreadable_secret_postpones_and_costs_no_retry() -> None:
    outcome = await perform(leased(headers=(KEY,)), references=FakeReferences(unavailable=True))
    assert outcome.result is Result.POSTPONED and outcome.attempt is None
    assert outcome.next_at == START + POSTPONEMENT


async def test_a_message_to_an_endpoint_that_is_gone_or_suspended_is_given_back_without_sending() -> None:
    sender = FakeSender()
    attempts = Attempts(sender, FakeReferences(), FakeKeys(), FakeClock())
    gone = leased(url=None, endpoint=None)
    gone = replace(gone, message=replace(gone.message, url=None, endpoint="billing"))
    for of in (gone, leased(endpoint=replace(endpoint(), suspend=True))):
        assert await attempts.perform(of) == Outcome(of, Result.POSTPONED, next_at=START)
    assert sender.requests == []


async def test_an_unforeseen_error_is_logged_and_counts_as_a_failed_attempt(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        outcome = await perform(leased(), ZeroDivisionError("a bug"))
    assert outcome.result is Result.RETRY and outcome.attempt is not None
    assert outcome.attempt.reason == "InternalError" and "a bug" not in outcome.attempt.error
    assert "msg_1" in caplog.text and "ZeroDivisionError" in caplog.text


async def test_what_is_lost_with_its_sender_is_due_again_and_costs_no_retry() -> None:
    outcome = await perform(of := leased(), SenderLost("the courier ended"))
    assert outcome == Outcome(of, Result.POSTPONED, next_at=START)


async def test_what_is_lost_with_its_sender_again_and_again_comes_to_an_end() -> None:
    lost, of = SenderLost("the courier ended"), leased()
    answers = [*[lost] * (MOST_LOSSES - 1), Response(200), *[lost] * MOST_LOSSES, lost]
    attempts = Attempts(FakeSender([*answers]), FakeReferences(), FakeKeys(), FakeClock())
    outcomes = [await attempts.perform(of) for _ in answers]
    postponed, innocent = [Result.POSTPONED] * (MOST_LOSSES - 1), Result.DELIVERED
    assert [one.result for one in outcomes] == [*postponed, innocent, *postponed, Result.RETRY, Result.POSTPONED]
    failed = outcomes[-2].attempt
    assert failed is not None and failed.reason == "InternalError" and "3 times in a row" in failed.error


async def test_every_attempt_is_signed_afresh() -> None:
    sender = FakeSender([Response(500)])
    attempts = Attempts(sender, FakeReferences(), FakeKeys(), FakeClock())
    for retried in range(2):
        await attempts.perform(leased(retried=retried))
    signatures = {dict(request.headers)["Upstash-Signature"] for request in sender.requests}
    assert len(signatures) == 2
