"""Metrics that models of Triton's Python backend declare, through the server's custom metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from threading import Lock
from typing import Any, ClassVar

from oipserver.telemetry.custom import CustomMetric, declare

from .failures import TritonModelException


class MetricKind(Enum):
    """How values of a metric go together."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class MetricFamily:
    """Metrics of one name and kind, told apart by their labels."""

    COUNTER: ClassVar[MetricKind] = MetricKind.COUNTER
    GAUGE: ClassVar[MetricKind] = MetricKind.GAUGE
    HISTOGRAM: ClassVar[MetricKind] = MetricKind.HISTOGRAM

    def __init__(self, name: str, description: str, kind: MetricKind) -> None:
        """Raises TritonModelException for a name that cannot be a metric's."""
        self._name, self._description, self._kind = name, description, kind
        self._declare({}, None)

    def _declare(self, labels: Mapping[str, str], buckets: Sequence[float] | None) -> CustomMetric:
        try:
            return declare(self._name, self._description, self._kind.value, labels, buckets)
        except ValueError as error:
            raise TritonModelException(str(error)) from None

    def Metric(  # noqa: N802  # the name its users know
        self, labels: Mapping[str, str] | None = None, buckets: Sequence[float] | None = None
    ) -> Metric:
        """A metric with ``labels``; a histogram with the upper bounds ``buckets``, in ascending order."""
        if (self._kind is MetricKind.HISTOGRAM) != (buckets is not None):
            raise TritonModelException(f"metric '{self._name}': a histogram has buckets, and nothing else does")
        return Metric(self._declare(labels or {}, buckets), self._kind)


class Metric:
    """One metric. Its value is counted in this process; what is scraped is that of all processes of the model."""

    def __init__(self, metric: CustomMetric, kind: MetricKind) -> None:
        self._metric = metric
        self._kind = kind
        self._value = 0.0
        self._lock = Lock()

    def increment(self, value: float) -> None:
        """Add ``value``, which for a counter is not negative. Raises TritonModelException."""
        self._refuse(MetricKind.HISTOGRAM, "increment")
        with self._lock:
            self._record(value if self._kind is MetricKind.COUNTER else self._value + value)
            self._value += value

    def set(self, value: float) -> None:
        """Set a gauge. Raises TritonModelException for any other kind."""
        self._refuse(MetricKind.HISTOGRAM, "set")
        self._refuse(MetricKind.COUNTER, "set")
        with self._lock:
            self._record(value)
            self._value = value

    def observe(self, value: float) -> None:
        """Count ``value`` in a histogram. Raises TritonModelException for any other kind."""
        self._refuse(MetricKind.COUNTER, "observe")
        self._refuse(MetricKind.GAUGE, "observe")
        self._record(value)

    def value(self) -> float:
        """What was recorded in this process. Raises TritonModelException for a histogram."""
        self._refuse(MetricKind.HISTOGRAM, "value")
        return self._value

    def _refuse(self, kind: MetricKind, what: str) -> None:
        if self._kind is kind:
            raise TritonModelException(f"metric '{self._metric.name}': a {kind.value} does not do '{what}'")

    def _record(self, value: Any) -> None:
        try:
            self._metric.log(value)
        except (TypeError, ValueError) as error:
            raise TritonModelException(str(error)) from None
