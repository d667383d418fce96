"""Outcomes are written in groups, told only when written, and kept while the store is in trouble."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.support.fakes import FakeClock, FakeOutcomeStore, Recorder, leased

from angarium.domain.errors import StoreError, StoreFull
from angarium.domain.messages import Outcome, Result
from angarium.domain.notices import AttemptEnded
from angarium.engine.outcomes import Outcomes


def outcome(number: int) -> Outcome:
    return Outcome(leased(f"msg_{number}", lease=number), Result.DELIVERED)


async def test_what_ends_together_is_written_together_and_told() -> None:
    store, recorder = FakeOutcomeStore(lost={2}), Recorder()
    outcomes = Outcomes(store, [recorder], FakeClock())
    written = await asyncio.gather(*(outcomes.record(outcome(n)) for n in range(4)))
    assert list(written) == [True, True, False, True]
    assert store.groups == [4]
    assert recorder.notices == [AttemptEnded(outcome(n)) for n in (0, 1, 3)]


@pytest.mark.looptime
async def test_while_the_disk_is_full_outcomes_wait() -> None:
    full = [True]
    store = FakeOutcomeStore(fail=lambda _: StoreFull("the disk is full") if full[0] else None)
    recorder = Recorder()
    outcomes = Outcomes(store, [recorder], FakeClock())
    recording = [asyncio.create_task(outcomes.record(outcome(n))) for n in range(3)]
    await asyncio.sleep(60)
    assert not any(task.done() for task in recording) and recorder.notices == []
    full[0] = False
    assert await asyncio.gather(*recording) == [True, True, True]
    assert len(recorder.notices) == 3


@pytest.mark.looptime
async def test_one_outcome_that_cannot_be_written_does_not_hold_back_its_group() -> None:
    def poisoned(outcomes: Sequence[Outcome]) -> StoreError | None:
        return StoreError("cannot be bound") if any(o.leased.lease == 5 for o in outcomes) else None

    store = FakeOutcomeStore(fail=poisoned)
    outcomes = Outcomes(store, [], FakeClock())
    recording = [asyncio.create_task(outcomes.record(outcome(n))) for n in range(9)]
    done, pending = await asyncio.wait(recording, timeout=30)
    assert {o.leased.lease for o in store.written} == {0, 1, 2, 3, 4, 6, 7, 8}
    assert len(done) == 8 and pending == {recording[5]}
    recording[5].cancel()
