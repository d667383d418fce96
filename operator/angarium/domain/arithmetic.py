"""Arithmetic on doubles that never raises: overflow gives an infinity, what has no answer gives NaN (IEEE 754).

Python's own raises in these cases, and its min and max lose a NaN depending on where it stands.
"""

import math


def divide(dividend: float, divisor: float) -> float:
    """The quotient; by zero: an infinity with the sign of both, or NaN for zero by zero."""
    if divisor != 0:
        return dividend / divisor
    if dividend == 0 or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)


def power(base: float, exponent: float) -> float:
    """`base` to the `exponent`: zero to a negative power is infinite, a negative base to a broken one is NaN."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        pass
    except ValueError:
        if base != 0:
            return math.nan
    odd = abs(math.fmod(exponent, 2.0)) == 1.0
    return math.copysign(math.inf, base) if odd else math.inf


def exponential(value: float) -> float:
    """e to the `value`."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def root(value: float) -> float:
    """The square root; NaN of a negative number."""
    return math.nan if value < 0 else math.sqrt(value)


def floor(value: float) -> float:
    """The next integer towards minus infinity."""
    return float(math.floor(value)) if math.isfinite(value) else value


def ceiling(value: float) -> float:
    """The next integer towards infinity."""
    return float(math.ceil(value)) if math.isfinite(value) else value


def nearest(value: float) -> float:
    """The nearest integer; halves go away from zero, as in C."""
    if not math.isfinite(value):
        return value
    whole = float(math.trunc(value))
    return whole + math.copysign(1.0, value) if abs(value - whole) >= 0.5 else whole


def least(*values: float) -> float:
    """The smallest; NaN if any is NaN."""
    return math.nan if any(map(math.isnan, values)) else min(values)


def greatest(*values: float) -> float:
    """The largest; NaN if any is NaN."""
    return math.nan if any(map(math.isnan, values)) else max(values)
