"""All metrics of the program in one exposition. Names follow the Prometheus conventions.

No label has values that people choose: no URL, no message id, no namespace, which anyone may make as many of as they
like. Who needs figures by namespace or object finds them in statuses and over the API.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from angarium.domain.figures import Turn
from angarium.domain.notices import Notice
from angarium.domain.views import Backlog
from angarium.telemetry import processes
from angarium.telemetry.sources import backlog_families, loop_families
from angarium.telemetry.traffic import Traffic

Families = Callable[[], Iterable[Metric]]
Turns = Callable[[], Mapping[str, Turn]]


class Metrics(Collector):
    """Implements `domain.notices.Observer`. What others keep is read when somebody scrapes."""

    def __init__(self) -> None:
        self._traffic = Traffic()
        self._backlog: tuple[Backlog, datetime] | None = None
        self._sources: list[Families] = [self._traffic.families, processes.families]
        self._turns: list[Turns] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def notice(self, notices: list[Notice]) -> None:
        self._traffic.notice(notices)

    def add(self, source: Families) -> None:
        """Families that are read at each scrape."""
        self._sources.append(source)

    def watch(self, turns: Turns) -> None:
        """Loops whose turns are shown."""
        self._turns.append(turns)

    def show(self, backlog: Backlog, now: datetime) -> None:
        """What the store holds now."""
        self._backlog = backlog, now

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is differs from program to program."""
        return ()

    def collect(self) -> Iterator[Metric]:
        for families in self._sources:
            yield from families()
        if self._backlog is not None:
            yield from backlog_families(*self._backlog)
        yield from loop_families({name: turn for turns in self._turns for name, turn in turns().items()})
