"""One answer to a scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import generate_latest

from mevflow.metrics.buckets import Buckets
from mevflow.metrics.catalogue import CATALOGUE

_FAMILIES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


class Page:
    """Values as they are put; ``constant`` labels are on every one of them, after the metric's own."""

    def __init__(self, constant: Mapping[str, str]) -> None:
        self._names, self._values = tuple(constant), tuple(constant.values())
        self._families: dict[str, Family] = {}

    def put(self, name: str, value: float | Buckets, **labels: object) -> None:
        """Add one value. Raises KeyError for what is not in the catalogue, ValueError for other labels than its own."""
        metric = CATALOGUE[name]
        if set(labels) != set(metric.labels):
            raise ValueError(f"{name} has the labels {metric.labels}, not {tuple(labels)}")
        told = [*(str(labels[label]) for label in metric.labels), *self._values]
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = self._family(name)
        if isinstance(value, Buckets):
            assert isinstance(family, HistogramMetricFamily)
            family.add_metric(told, value.cumulated(), value.total)
        else:
            assert isinstance(family, CounterMetricFamily | GaugeMetricFamily)
            family.add_metric(told, float(value))

    def info(self, name: str, **labels: str) -> None:
        """Add an info, whose labels are its value."""
        metric = CATALOGUE[name]
        family = InfoMetricFamily(name, metric.help, labels=self._names)
        family.add_metric(self._values, {label: labels[label] for label in metric.labels})
        self._families[name] = family

    def _family(self, name: str) -> Family:
        metric = CATALOGUE[name]
        labels = (*metric.labels, *self._names)
        if metric.kind == "histogram":
            return HistogramMetricFamily(name, metric.help, labels=labels)
        return _FAMILIES[metric.kind](name, metric.help, labels=labels)

    def collect(self) -> Iterable[Family]:
        """The families, as prometheus_client's writer asks for them."""
        return self._families.values()

    def text(self) -> bytes:
        """The page in OpenMetrics."""
        return bytes(generate_latest(self))


#: Puts what a part of the process has to tell.
Teller = Callable[[Page], None]
