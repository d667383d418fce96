import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.domain.ids import ID_ENTROPY, SECRET_ENTROPY, dlq_id, new_id, signing_key, token_text

times = st.integers(0, (1 << 48) - 1)
chances = st.binary(min_size=ID_ENTROPY, max_size=ID_ENTROPY)
secrets = st.binary(min_size=SECRET_ENTROPY, max_size=SECRET_ENTROPY)


def test_new_id() -> None:
    assert new_id("msg_", 0, bytes(10)) == "msg_" + "0" * 26
    assert new_id("msg_", 1, bytes(9) + b"\x01") == "msg_" + "0000000001" + "0000000000000001"
    assert new_id("msg_", (1 << 48) - 1, b"\xff" * 10) == "msg_" + "7zzzzzzzzz" + "z" * 16


@settings(deadline=None)
@given(times, times, chances, chances)
def test_ids_sort_by_time(first_ms: int, second_ms: int, first_chance: bytes, second_chance: bytes) -> None:
    first, second = new_id("msg_", first_ms, first_chance), new_id("msg_", second_ms, second_chance)
    assert re.fullmatch(r"msg_[0-9a-z]{26}", first)
    if first_ms != second_ms:
        assert (first < second) == (first_ms < second_ms)
    else:
        assert (first == second) == (first_chance == second_chance)


def test_neighbouring_milliseconds_sort() -> None:
    for edge in (1 << 10, 1 << 20, 1 << 40, 1_800_000_000_000):
        ids = [new_id("", ms, b"\xff" * 10 if ms % 2 else bytes(10)) for ms in range(edge - 3, edge + 3)]
        assert all(before < after for before, after in pairwise(ids))


@pytest.mark.parametrize("now_ms", [-1, 1 << 48])
def test_a_time_out_of_range_is_refused(now_ms: int) -> None:
    with pytest.raises(ValueError, match="48 bits"):
        new_id("msg_", now_ms, bytes(10))


@settings(deadline=None)
@given(secrets)
def test_keys_and_tokens_keep_the_form_of_contract_5(entropy: bytes) -> None:
    assert re.fullmatch(r"sig_[0-9A-Za-z]{28}", signing_key(entropy))
    assert re.fullmatch(r"agt_[0-9A-Za-z]{43}", token_text(entropy))


@settings(deadline=None)
@given(secrets, secrets)
def test_tokens_carry_all_of_their_chance(first: bytes, second: bytes) -> None:
    assert (token_text(first) == token_text(second)) == (first == second)


@settings(deadline=None)
@given(st.integers(0, 62**28 - 1), st.integers(0, 62**28 - 1))
def test_keys_differ_with_every_value(first: int, second: int) -> None:
    assert (signing_key(first.to_bytes(32)) == signing_key(second.to_bytes(32))) == (first == second)


def test_too_little_chance_is_refused() -> None:
    with pytest.raises(ValueError, match="9 bytes of entropy are too few; 10"):
        new_id("msg_", 0, bytes(9))
    for make in (signing_key, token_text):
        with pytest.raises(ValueError, match="31 bytes of entropy are too few; 32"):
            make(bytes(31))


def test_dlq_id() -> None:
    assert dlq_id(1725323658779, 0) == "1725323658779-0"
