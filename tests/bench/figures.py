"""What is made of measured values: percentiles, the table to read and the one to paste."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.targets import OTHERS, ROWS, Row

Figures = Mapping[str, Sequence[float]]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all values do not exceed (nearest rank). ValueError for no values."""
    if not values:
        raise ValueError("there are no values")
    rank = max(1, math.ceil(len(values) * percent / 100))
    return sorted(values)[rank - 1]


def number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def measured(figures: Figures, rows: Sequence[Row] = ROWS) -> list[tuple[Row, float]]:
    """The rows that have values, with what stands for all rounds, in the order of the table."""
    return [(row, row.figure(figures[row.key])) for row in rows if figures.get(row.key)]


def cells(row: Row, value: float, rounds: Sequence[float]) -> list[str]:
    """One line of a table: text, figure, rounds, must, aim, verdict."""
    sign = "≤ " if row.less else "≥ "
    limits = ["" if limit is None else f"{sign}{limit:,g}" for limit in (row.must, row.aim)]
    each = " ".join(number(one, row.digits) for one in rounds)
    return [row.text, f"{number(value, row.digits)} {row.unit}".rstrip(), each, *limits, row.verdict(value)]


def text_table(figures: Figures, rows: Sequence[Row] = ROWS) -> str:
    """For a terminal."""
    heading = ["", "figure", "rounds", "must", "aim", ""]
    lines = [heading, *(cells(row, value, figures[row.key]) for row, value in measured(figures, rows))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def markdown_table(figures: Figures, rows: Sequence[Row] = ROWS) -> str:
    """For docs/benchmarks.md; with the figures of others where a row has some."""
    others = OTHERS if any(row.others for row in rows) else ()
    heading = ["", *others, "Angarium", "rounds", "must reach", "aims for", "verdict"]
    lines = [heading, ["---"] * len(heading)]
    for row, value in measured(figures, rows):
        text, figure, rounds, *rest = cells(row, value, figures[row.key])
        lines.append([text, *(row.others or ("",) * len(others)), f"**{figure}**", rounds, *rest])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(figures: Figures, rows: Sequence[Row] = ROWS) -> list[dict[str, Any]]:
    """Every figure with its rounds, targets and verdict."""
    return [
        {
            "key": row.key,
            "text": row.text,
            "unit": row.unit,
            "figure": value,
            "rounds": list(figures[row.key]),
            "must": row.must,
            "aim": row.aim,
            "verdict": row.verdict(value),
        }
        for row, value in measured(figures, rows)
    ]
