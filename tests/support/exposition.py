"""Prometheus' text format, read back: what a scrape of the real program says."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Sample:
    """One series: the name as it is queried, its labels, its value."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Family:
    """A metric as it is documented: the name that people query by, without the suffixes of a histogram."""

    name: str
    kind: str
    text: str
    labels: frozenset[str]
    samples: tuple[Sample, ...] = field(repr=False)


class Exposition:
    """Families and samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in _families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """Of the only series with this name and these labels."""
        (found,) = [one for one in self.samples if one.name == name and one.labels == labels]
        return found.value

    def family_of(self, name: str) -> Family | None:
        """Of a series' name."""
        return next((one for one in self.families.values() if any(s.name == name for s in one.samples)), None)


def _families(text: str) -> Iterator[Family]:
    for found in text_string_to_metric_families(text):
        samples = tuple(Sample(one.name, dict(one.labels), one.value) for one in found.samples)
        name = found.name + ("_total" if found.type == "counter" else "")
        labels = frozenset(label for sample in samples for label in sample.labels) - {"le"}
        yield Family(name, found.type, found.documentation, labels, samples)
