"""The table of DESIGN 5, "Defaults and precedence": which level says what of each leaf field, and who wins.

A row is one field and two levels that both say something of it: the higher one has to win. What a test may leave out
stands in the table with its reason, so that completeness can be asserted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from itertools import combinations

from angarium.domain.declarations import DeliveryOptions, FlowControl, Header, KeyRef

SECRET = KeyRef("auth", "header")
SECRET_VALUE = "of the Secret"


class Level(IntEnum):
    """Who says something of a field; the lower number wins."""

    OWN = 1
    """The request, or the Schedule; of a callback, what is prefixed, or what stands in `callback`."""
    TOPIC = 2
    ENDPOINT = 3
    DEFAULT = 4


@dataclass(frozen=True, slots=True)
class Leaf:
    """One field. `says`: what each level says and how that is seen; of DEFAULT, what is seen when nobody says anything.

    `option`: its header in the HTTP API, `given`: what is written there.
    """

    name: str
    option: str
    says: Mapping[Level, object]
    given: Mapping[Level, str]


def _leaf(name: str, option: str, *says: object, unit: str = "") -> Leaf:
    """`says`: what each level says, from OWN to DEFAULT; in a header it has this unit."""
    given = {level: f"{value}{unit}" for level, value in zip((Level.OWN, Level.TOPIC), says, strict=False)}
    return Leaf(name, option, dict(zip(Level, says, strict=True)), given)


_FLOW = {
    Level.OWN: FlowControl("own", parallelism=2, rate=30, period=timedelta(seconds=4)),
    Level.TOPIC: FlowControl("topic", parallelism=5, rate=60, period=timedelta(seconds=7)),
    Level.ENDPOINT: FlowControl("", parallelism=8, rate=90, period=timedelta(seconds=10)),
}


def _flow(name: str, seen: Mapping[Level, object]) -> Leaf:
    given = {
        level: f"parallelism={one.parallelism}, rate={one.rate}, period={one.period.seconds}s"
        for level, one in _FLOW.items()
        if one.key
    }
    return Leaf(f"flowControl.{name}", "Flow-Control-Value", {**seen, Level.DEFAULT: None}, given)


LEAVES = (
    _leaf("method", "Method", "PUT", "PATCH", "DELETE", "POST"),
    _leaf("header", "Forward-X-Team", "own", "topic", "endpoint", None),
    _leaf("Content-Type", "Forward-Content-Type", "text/own", "text/topic", "text/endpoint", None),
    _leaf("timeout", "Timeout", 7, 8, 9, 900, unit="s"),
    _leaf("retry.limit", "Retries", 0, 1, 2, 3),
    _leaf("retry.delay", "Retry-Delay", "1", "2", "4", None),
    _flow("key", {Level.OWN: "own", Level.TOPIC: "topic", Level.ENDPOINT: "endpoint"}),
    _flow("rate", {level: one.rate for level, one in _FLOW.items()}),
    _flow("period", {level: one.period.seconds for level, one in _FLOW.items()}),
    _flow("parallelism", {level: one.parallelism for level, one in _FLOW.items()}),
)
"""Limits of flow control go with the key that they limit: who gives the key gives all of them (ADR 0004)."""


@dataclass(frozen=True, slots=True)
class Row:
    """Both levels say something of this field (DEFAULT always does); `winner` has to be seen."""

    leaf: Leaf
    winner: Level
    loser: Level

    @property
    def levels(self) -> frozenset[Level]:
        return frozenset({self.winner, self.loser})

    @property
    def expected(self) -> object:
        return self.leaf.says[self.winner]

    def __str__(self) -> str:
        return f"{self.leaf.name}: {self.winner.name} before {self.loser.name}"


def rows(levels: frozenset[Level] = frozenset(Level)) -> Iterator[Row]:
    """All of them: each field with each pair of the levels that can speak."""
    for leaf in LEAVES:
        for winner, loser in combinations(sorted(levels), 2):
            yield Row(leaf, winner, loser)


def lines(row: Row, level: Level, number: int, prefix: str = "Upstash-") -> list[tuple[str, str]]:
    """What this level says in header lines. Keys of flow control are made different by `number`."""
    if level not in row.levels:
        return []
    leaf, given = row.leaf, row.leaf.given[level]
    said = [(f"{prefix}{leaf.option}", given)]
    if leaf.name.startswith("flowControl"):
        said.append((f"{prefix}Flow-Control-Key", f"{_FLOW[level].key}-{number}"))
    # Names count in any case: the request writes them small.
    return [(name.lower() if level is Level.OWN else name, value) for name, value in said]


def options(row: Row, level: Level, number: int) -> DeliveryOptions:
    """What this level says in a declared spec."""
    if level not in row.levels:
        return DeliveryOptions()
    said = row.leaf.says[level]
    if row.leaf.name.startswith("flowControl"):
        flow = _FLOW[level]
        key = f"{flow.key}-{number}" if flow.key else ""
        return DeliveryOptions(flow_control=FlowControl(key, flow.parallelism, flow.rate, flow.period))
    if row.leaf.name in ("header", "Content-Type"):
        name = "x-team" if row.leaf.name == "header" else "Content-Type"
        return DeliveryOptions(headers=(Header(name, str(said)),))
    value = timedelta(seconds=int(str(said))) if row.leaf.name == "timeout" else said
    attribute = row.leaf.name.replace(".", "_")
    return DeliveryOptions(**{attribute: value})  # type: ignore[arg-type]


def without_number(key: str | None, endpoint: str) -> str | None:
    """A key as it is seen, comparable with the table's: `endpoint/<name>` is that of the Endpoint."""
    if key is None:
        return None
    return "endpoint" if key == f"endpoint/{endpoint}" else key.rpartition("-")[0]
