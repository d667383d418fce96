"""Samples in the shapes that prometheus_client writes out, from plain numbers."""

from collections.abc import Mapping
from itertools import accumulate
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from angarium.domain.figures import Histogram

PREFIX = "angarium_"
Labels: TypeAlias = tuple[str, ...]
Labelled: TypeAlias = Mapping[Labels, float]
"""Values by the values of the labels, in the labels' order."""


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def gauges(name: str, text: str, labels: Labels, values: Labelled) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for given, value in values.items():
        family.add_metric(given, value)
    return family


def counter(name: str, text: str, value: float) -> CounterMetricFamily:
    """`name` without `_total`, which the exposition adds."""
    return CounterMetricFamily(PREFIX + name, text, value=value)


def counters(name: str, text: str, labels: Labels, values: Labelled) -> CounterMetricFamily:
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for given, value in values.items():
        family.add_metric(given, value)
    return family


def histogram(name: str, text: str, values: Histogram) -> HistogramMetricFamily:
    return histograms(name, text, (), {(): values})


def histograms(name: str, text: str, labels: Labels, values: Mapping[Labels, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(PREFIX + name, text, labels=labels)
    for given, one in values.items():
        sums = accumulate(tuple(one.counts))
        bounds = (*(str(float(bound)) for bound in one.bounds), "+Inf")
        family.add_metric(given, list(zip(bounds, sums, strict=True)), one.total)
    return family
