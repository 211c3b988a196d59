"""From our counters to the sample families of the metrics library; knows no model, no route, no method."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client.core import HistogramMetricFamily

from .statistics import Histogram

_NS = 1e9


def add_histogram(
    family: HistogramMetricFamily, labels: Sequence[str], histogram: Histogram, *, unit: float = 1.0
) -> None:
    """Add ``histogram`` to ``family``; its bounds and total are divided by ``unit``.

    Taken without a lock: bucket counts are copied in one step and the count is their sum, so that they always agree;
    the total may be ahead by an observation made in the meantime.
    """
    total, counts = histogram.total, list(histogram.buckets)
    buckets: list[tuple[str, float]] = []
    below = 0
    for name, count in zip(_bound_names(histogram.bounds, unit), counts, strict=True):
        below += count
        buckets.append((name, below))
    family.add_metric(labels, buckets=buckets, sum_value=total / unit)


def add_duration_histogram(family: HistogramMetricFamily, labels: Sequence[str], histogram: Histogram) -> None:
    """Add a histogram of nanoseconds as one of seconds."""
    add_histogram(family, labels, histogram, unit=_NS)


_names: dict[tuple[tuple[int, ...], float], tuple[str, ...]] = {}


def _bound_names(bounds: tuple[int, ...], unit: float) -> tuple[str, ...]:
    names = _names.get((bounds, unit))
    if names is None:
        names = _names[bounds, unit] = (*(str(bound / unit) for bound in bounds), "+Inf")
    return names
