"""Fixed windows, parallelism, pins: what a flow-control key says at an instant."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.fakes import START

from angarium.domain.declarations import FlowControl
from angarium.domain.flow_control import CLOCK_SKEW, FlowState, Pause, Pin, ResetRate, Unpin

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
RATED = FlowState(rate=2, period=10 * SECOND)


def test_without_limits_any_number_may_start() -> None:
    assert FlowState().room(START) is None
    assert FlowState().start(10**6, START).room(START) is None


def test_a_window_begins_with_the_first_start_after_the_one_before() -> None:
    full = RATED.start(1, START).start(1, START + 9 * SECOND)
    assert full.room(START + 9 * SECOND) == 0
    assert full.opens_at(START + 9 * SECOND) == START + 10 * SECOND
    assert full.room(START + 10 * SECOND) == 2
    later = full.start(1, START + 25 * SECOND)
    assert (later.started, later.window_start) == (1, START + 25 * SECOND)


def test_parallelism_counts_what_is_on_its_way_and_waits_for_an_end() -> None:
    state = FlowState(parallelism=2).start(2, START)
    assert (state.room(START + MINUTE), state.opens_at(START)) == (0, None)
    assert state.end(1).room(START) == 1


def test_both_limits_count() -> None:
    state = FlowState(parallelism=5, rate=3, period=MINUTE).start(3, START).end(3)
    assert (state.room(START), state.opens_at(START)) == (0, START + MINUTE)


def test_a_pause_starts_nothing_and_the_window_goes_on() -> None:
    paused = RATED.start(1, START).changed(Pause(True), START)
    assert (paused.room(START), paused.opens_at(START), paused.started_at(START)) == (0, None, 1)
    assert paused.changed(Pause(False), START + SECOND).room(START + SECOND) == 1
    assert FlowState(paused=True).room(START) == FlowState(parallelism=1, paused=True).room(START) == 0


def test_the_newest_message_configures_what_is_not_pinned() -> None:
    state = FlowState(parallelism=1).changed(Pin(rate=5), START).configured(FlowControl("k", 9, 9, MINUTE))
    assert (state.parallelism, state.rate, state.period) == (9, 5, SECOND)
    state = state.changed(Unpin(rate=True), START)
    assert (state.rate, state.pinned_rate) == (5, False)
    assert state.configured(FlowControl("k")).rate is None
    fixed = FlowState().changed(Pin(parallelism=2), START).configured(FlowControl("k", 9, 9, MINUTE))
    assert (fixed.parallelism, fixed.rate, fixed.period) == (2, 9, MINUTE)


def test_a_pin_begins_the_window_anew() -> None:
    state = RATED.start(2, START).changed(Pin(parallelism=3), START + SECOND)
    assert (state.started, state.window_start) == (0, START + SECOND)
    assert (state.rate, state.pinned_rate, state.pinned_parallelism) == (2, False, True)


def test_a_reset_forgets_the_starts() -> None:
    state = RATED.start(2, START).changed(ResetRate(), START + SECOND)
    assert (state.room(START + SECOND), state.window_start) == (2, START + SECOND)


@pytest.mark.parametrize("back, room", [(timedelta(0), 0), (CLOCK_SKEW, 0), (CLOCK_SKEW + SECOND, 2)])
def test_a_clock_set_back_does_not_freeze_a_window(back: timedelta, room: int) -> None:
    """A little behind is another thread's clock reading: that must not open a second window."""
    assert RATED.start(2, START).room(START - back) == room


steps = st.lists(st.tuples(st.integers(0, 7000), st.integers(0, 4), st.integers(0, 4)), max_size=60)
"""Milliseconds that pass, how many of those on their way end, and how many want to start."""


@settings(deadline=None)
@given(rate=st.integers(1, 4), parallelism=st.integers(1, 4), period=st.integers(1, 10), steps=steps)
def test_no_window_has_more_starts_than_its_rate_and_no_instant_more_on_their_way_than_allowed(
    rate: int, parallelism: int, period: int, steps: list[tuple[int, int, int]]
) -> None:
    """Windows are disjoint, so that no sliding period has more than twice the rate; and nobody waits for nothing."""
    length = period * SECOND
    state = FlowState(parallelism=parallelism, rate=rate, period=length)
    now, starts = START, list[datetime]()
    windows: dict[datetime, int] = {}
    for passed_ms, ending, wanting in steps:
        now += timedelta(milliseconds=passed_ms)
        state = state.end(min(ending, state.active))
        room = state.room(now)
        assert room is not None
        count = min(room, wanting)
        if count:
            state = state.start(count, now)
            starts += [now] * count
            window = state.window_start
            assert window is not None and window <= now < window + length
            windows[window] = windows.get(window, 0) + count
            assert windows[window] == state.started_at(now) <= rate
        assert state.active <= parallelism
        assert state.active == parallelism or state.started_at(now) == rate or count == wanting
    begins = sorted(windows)
    assert all(later - earlier >= length for earlier, later in pairwise(begins))
    assert all(sum(begin <= at < begin + length for at in starts) <= 2 * rate for begin in starts)
