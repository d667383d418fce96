"""How many of some instants lie close together: what a rate limit is judged by."""

from bisect import bisect_left
from collections.abc import Sequence


def most_within(times: Sequence[float], period_s: float) -> int:
    """The most of these times that lie in any [t, t + period)."""
    ordered = sorted(times)
    return max(bisect_left(ordered, start + period_s) - index for index, start in enumerate(ordered))
