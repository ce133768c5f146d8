"""Metrics for Prometheus: the measures of `processors.measures` under afterword_, and those of the process itself."""

import math
import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, TypeVar

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from processors.measures import EVENT_TO_ROW, FLUSH_SECONDS, MEASURES, Measure
from schemas.failures import Reason
from schemas.topics import TOPICS

MetricT = TypeVar("MetricT")

PREFIX: Final = "afterword_"
CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

BUCKETS: Final[Mapping[Measure, tuple[float, ...]]] = {
    FLUSH_SECONDS: (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    EVENT_TO_ROW: (0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60, 120, 300, 600),
}
"""Upper bounds in seconds. 1.5 s is what a label may take, so it is a bound."""

_FORESEEN: Final[Mapping[str, tuple[str, ...]]] = {
    "topic": tuple(topic.name for topic in TOPICS),
    "reason": tuple(Reason),
}
"""Labels whose values are known: their counters begin at 0, because an alert sees no growth to the first number."""


def name_of(measure: Measure) -> str:
    """Give the name under which Prometheus knows a measure."""
    return PREFIX + measure.name + ("_total" if measure.kind == "counter" else "")


class PrometheusMetrics:
    """Keeps the measurements of one worker and shows them to Prometheus. May be used from any thread.

    Raises LookupError for a measure that is not declared, or is of another kind.
    """

    def __init__(self, measures: Sequence[Measure] = MEASURES) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that nobody reads
        self._registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, _Histogram] = {}
        for measure in measures:
            self._declare(measure)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def _declare(self, measure: Measure) -> None:
        name, meaning, labels = PREFIX + measure.name, measure.meaning, measure.labels
        if measure.kind == "counter":
            counter = self._counters[measure.name] = Counter(name, meaning, labels, registry=self._registry)
            for value in _FORESEEN.get(*labels, ()) if len(labels) == 1 else ():
                counter.labels(value)
        elif measure.kind == "gauge":
            self._gauges[measure.name] = Gauge(name, meaning, labels, registry=self._registry)
        else:
            histogram = self._histograms[measure.name] = _Histogram(name, meaning, BUCKETS[measure])
            self._registry.register(histogram)

    def count(self, measure: Measure, amount: float = 1, *labels: str) -> None:
        """Add to a counter."""
        counter = _declared(self._counters, measure)
        (counter.labels(*labels) if labels else counter).inc(amount)

    def gauge(self, measure: Measure, value: float, *labels: str) -> None:
        """Set a gauge."""
        gauge = _declared(self._gauges, measure)
        (gauge.labels(*labels) if labels else gauge).set(value)

    def observe(self, measure: Measure, values: Sequence[float]) -> None:
        """Add observations to a histogram, in seconds; one below zero (clocks differ) counts as zero."""
        _declared(self._histograms, measure).observe(values)

    def render(self) -> bytes:
        """Write all of it as Prometheus reads it (CONTENT_TYPE)."""
        return generate_latest(self._registry)


class _Histogram(Collector):
    """Counts values by bucket, many at a time: prometheus_client's own takes a lock or two for each value."""

    def __init__(self, name: str, meaning: str, bounds: tuple[float, ...]) -> None:
        self._name = name
        self._meaning = meaning
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, values: Sequence[float]) -> None:
        bounds, counts = self._bounds, self._counts
        with self._lock:
            for value in values:
                counts[bisect_left(bounds, value)] += 1
                if value > 0:
                    self._sum += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        with self._lock:
            reached, total = list(accumulate(self._counts)), self._sum
        names = map(floatToGoString, (*self._bounds, math.inf))
        yield HistogramMetricFamily(
            self._name, self._meaning, buckets=list(zip(names, reached, strict=True)), sum_value=total
        )


def _declared(metrics: Mapping[str, MetricT], measure: Measure) -> MetricT:
    metric = metrics.get(measure.name)
    if metric is None:
        raise LookupError(f"{measure.name} is not declared as such a metric: it is a {measure.kind}, if anything")
    return metric
