"""Figures that a part keeps of its own work: plain numbers, cheap enough for every message, read when somebody asks."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

COMMIT_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
OPERATION_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Histogram:
    """Counts values by their upper bounds, which are inclusive, as Prometheus has them; the last count is of the rest.

    One thread writes at a time. Others may read meanwhile: `total` is then at most one value ahead of `counts`.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class WriterFigures:
    """What the store's writer counts. `turn` and `commit` are seconds; `operations` are those of one commit."""

    __slots__ = ("commit", "failures", "operations", "turn")

    def __init__(self) -> None:
        self.turn = Histogram(COMMIT_BOUNDS_S)
        self.commit = Histogram(COMMIT_BOUNDS_S)
        self.operations = Histogram(OPERATION_BOUNDS)
        self.failures = 0


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """The writer's counts, the operations that wait for it, and sizes in bytes: file, WAL, room left on the volume."""

    writer: WriterFigures
    waiting: int
    file: int
    wal: int
    free: int


@dataclass(frozen=True, slots=True)
class Turn:
    """How long ago a loop last turned, and how long it may take: beyond that, /livez is red. In seconds."""

    age_s: float
    limit_s: float
