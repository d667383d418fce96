"""How what is limited in time is counted: in any stretch of a period, and in the windows of flow control."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def most_within(times: Sequence[float], period_s: float) -> int:
    """The most of these times that lie in any [t, t + period)."""
    return max(sum(start <= time < start + period_s for time in times) for start in times)


def most_in_a_window(times: Sequence[float], period_s: float) -> int:
    """Windows as contract 23.1 has them: one begins with the first start after the one before it has ended."""
    most = count = 0
    ends = -math.inf
    for time in sorted(times):
        if time >= ends:
            count, ends = 0, time + period_s
        count += 1
        most = max(most, count)
    return most


def starts_in(log: Sequence[Mapping[str, Any]]) -> list[float]:
    """When attempts started, in seconds, the first one first, from the `logs` of `GET /v2/logs?state=ACTIVE`.

    Arrivals tell less: a busy machine lets some of them take long.
    """
    return sorted(entry["time"] / 1e3 for entry in log if entry["state"] == "ACTIVE")
