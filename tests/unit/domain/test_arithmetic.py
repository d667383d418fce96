import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.domain import arithmetic

inf, nan = math.inf, math.nan


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (arithmetic.divide(6, 4), 1.5),
        (arithmetic.divide(1, 0.0), inf),
        (arithmetic.divide(-1, 0.0), -inf),
        (arithmetic.divide(1, -0.0), -inf),
        (arithmetic.divide(0, 0.0), nan),
        (arithmetic.divide(nan, 0.0), nan),
        (arithmetic.power(2, 10), 1024),
        (arithmetic.power(10, 400), inf),
        (arithmetic.power(-10, 401), -inf),
        (arithmetic.power(-10, 400), inf),
        (arithmetic.power(0.0, -1), inf),
        (arithmetic.power(-0.0, -3), -inf),
        (arithmetic.power(-2, 0.5), nan),
        (arithmetic.exponential(0), 1),
        (arithmetic.exponential(1000), inf),
        (arithmetic.root(9), 3),
        (arithmetic.root(-1), nan),
        (arithmetic.floor(-1.5), -2),
        (arithmetic.ceiling(-1.5), -1),
        (arithmetic.nearest(0.5), 1),
        (arithmetic.nearest(2.5), 3),
        (arithmetic.nearest(-2.5), -3),
        (arithmetic.nearest(0.49999999999999994), 0),
        (arithmetic.nearest(inf), inf),
        (arithmetic.least(3, 1, 2), 1),
        (arithmetic.least(nan, 1), nan),
        (arithmetic.least(1, nan), nan),
        (arithmetic.greatest(1, nan), nan),
        (arithmetic.greatest(1, inf), inf),
    ],
)
def test_ieee_754(result: float, expected: float) -> None:
    assert result == expected or (math.isnan(result) and math.isnan(expected))


@settings(deadline=None)
@given(st.floats(), st.floats())
def test_nothing_raises(left: float, right: float) -> None:
    for binary in (arithmetic.divide, arithmetic.power, arithmetic.least, arithmetic.greatest):
        assert isinstance(binary(left, right), float)
    for unary in (arithmetic.exponential, arithmetic.root, arithmetic.floor, arithmetic.ceiling, arithmetic.nearest):
        assert isinstance(unary(left), float)
