import math
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.domain.errors import InvalidInput
from angarium.domain.retry_expression import MAX_CHARACTERS, MAX_NESTING, parse

DAY_MS = 86_400_000


def delay_ms(text: str, retried: int) -> float | None:
    delay = parse(text, "retry.delay").delay(retried)
    return None if delay is None else delay / timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # the table of contract 4.6
        ("1000", [1000, 1000, 1000, 1000]),
        ("1000 * (1 + retried)", [1000, 2000, 3000, 4000]),
        ("pow(2, retried) * 1000", [1000, 2000, 4000, 8000]),
        ("max(1000, pow(2, retried) * 100)", [1000, 1000, 1000, 1000]),
        ("7000 * retried", [0, 7000, 14000, 21000]),
        # what the table does not show
        ("max(1000, pow(2, retried) * 400)", [1000, 1000, 1600, 3200]),
        ("pow(retried, 2)", [0, 1, 4, 9]),
    ],
)
def test_documented_examples(text: str, expected: list[float]) -> None:
    assert [delay_ms(text, retried) for retried in range(4)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # the grammar of contract 4.6, at retried = 2
        ("10 - 4 - 3", 3),
        ("100 / 10 / 5", 2),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("10 - 2 * 3 + 1", 5),
        ("-retried + 5", 3),
        ("5 * -1 + 7", 2),
        ("5 - -1", 6),
        ("+5", 5),
        ("-(3 - 5)", 2),
        ("1.5e3", 1500),
        ("1E+2", 100),
        ("250e-2", 2),
        (" 1 \t+\n1 ", 2),
        ("sqrt(16)", 4),
        ("abs(-7)", 7),
        ("floor(exp(1))", 2),
        ("ceil(exp(1))", 3),
        ("round(2.5)", 3),
        ("min(9, 8, 7, 10)", 7),
        ("max(9, 8, 7, 10)", 10),
        ("min(max(1, retried), pow(retried, 3))", 2),
        ("999.999", 999),  # whole milliseconds
        ("0.9", 0),
        ("-1", 0),  # negative is at once
        ("86400001", DAY_MS),
        ("1e300", DAY_MS),
    ],
)
def test_evaluation(text: str, expected: float) -> None:
    assert delay_ms(text, 2) == expected


@pytest.mark.parametrize(
    "text",
    ["1/0", "-1/0", "0/0", "1000/retried", "sqrt(0-1)", "pow(10, 999)", "exp(1000)", "1e999", "pow(0, -1)",
     "1e200*1e200", "floor(1/0)", "min(1, 0/0)", "max(0/0, 1)", "1e999 - 1e999", "pow(-8, 1/3)"],
)  # fmt: skip
def test_what_has_no_finite_result_falls_back(text: str) -> None:
    assert delay_ms(text, 0) is None


def test_an_infinity_inside_an_expression_is_a_value() -> None:
    assert delay_ms("min(5000, 1000 / retried)", 0) == 5000
    assert delay_ms("min(5000, exp(1000))", 0) == 5000
    assert delay_ms("1000 / (1 / retried)", 0) == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the expression ends at position 1"),
        ("   ", "the expression ends at position 4"),
        ("1 +", "the expression ends at position 4"),
        ("1 2", "found '2' at position 3"),
        ("(1", "the expression ends at position 3 where ')'"),
        ("1)", "found ')' at position 2"),
        ("* 2", "found '*' at position 1"),
        ("1 +* 2", "found '*' at position 4"),
        ("--1", "found '-' at position 2"),
        ("2 retried", "found 'retried' at position 3"),
        ("retried()", "found '(' at position 8"),
        ("retries * 2", "unknown name 'retries' at position 1"),
        ("2 * Retried", "unknown name 'Retried' at position 5"),
        ("log(2)", "unknown name 'log' at position 1"),
        ("__import__", "unknown name '__import__' at position 1"),
        ("pow", "the expression ends at position 4 where '('"),
        ("pow(2)", "'pow' at position 1 takes exactly 2, not 1"),
        ("1+pow(1,2,3)", "'pow' at position 3 takes exactly 2, not 3"),
        ("sqrt()", "'sqrt' at position 1 takes exactly 1, not 0"),
        ("min(1)", "'min' at position 1 takes 2 or more arguments, not 1"),
        ("max(1,)", "found ')' at position 7"),
        ("2 ** 3", "found '*' at position 4"),
        ("2 % 3", "'%' at position 3 has no meaning"),
        ("1000ms", "found 'ms' at position 5"),
        ("1.", "'.' at position 2 has no meaning"),
        (".5", "'.' at position 1 has no meaning"),
        ("1e", "found 'e' at position 2"),
        ("retried\0", "'\\x00' at position 8"),
        ("٣", "'٣' at position 1"),
    ],
)
def test_errors_name_the_token_and_where_it_stands(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text, "Upstash-Retry-Delay")
    assert caught.value.field == "Upstash-Retry-Delay"
    assert problem in caught.value.problem


def test_bounds() -> None:
    sum_of_ones = "+".join("1" * (MAX_CHARACTERS // 2))
    assert delay_ms(sum_of_ones, 0) == MAX_CHARACTERS // 2
    with pytest.raises(InvalidInput, match="at most 1000"):
        parse(sum_of_ones + " +1", "")
    assert delay_ms("(" * MAX_NESTING + "1" + ")" * MAX_NESTING, 0) == 1
    for opening in ("(", "abs(", "-("):
        with pytest.raises(InvalidInput, match="nested deeper than 64"):
            parse(opening * 99 + "1" + ")" * 99, "")


def test_the_text_is_kept_verbatim() -> None:
    text = " pow( 2,retried )*1000 "
    assert parse(text, "").text == text
    assert parse(text, "a") == parse(text, "b")


alphabet = st.sampled_from([*"0123456789+-*/(),. ", "retried", "pow(", "min(", "sqrt(", "exp(", "1e308"])


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(alphabet, max_size=30).map("".join)), st.integers(0, 1000))
def test_any_text_gives_a_delay_or_is_invalid(text: str, retried: int) -> None:
    try:
        expression = parse(text, "f")
    except InvalidInput:
        return
    delay = expression.delay(retried)
    assert delay is None or timedelta(0) <= delay <= timedelta(days=1)


@st.composite
def expressions(draw: st.DrawFn) -> str:
    """Texts that mean the same in the language and in Python."""
    leaf = st.one_of(st.integers(0, 9999).map(str), st.just("retried"))
    tree = st.recursive(
        leaf,
        lambda part: st.one_of(
            st.tuples(part, st.sampled_from("+-*"), part).map(lambda found: f"({found[0]} {found[1]} {found[2]})"),
            st.lists(part, min_size=2, max_size=4).map(lambda found: f"max({', '.join(found)})"),
            part.map(lambda found: f"abs({found})"),
        ),
        max_leaves=12,
    )
    return draw(tree)


@settings(deadline=None)
@given(expressions(), st.integers(0, 20))
def test_agrees_with_python(text: str, retried: int) -> None:
    expected = float(eval(text, {"retried": float(retried), "max": max, "abs": abs}))
    assert math.isfinite(expected)
    assert delay_ms(text, retried) == int(min(max(expected, 0), DAY_MS))
