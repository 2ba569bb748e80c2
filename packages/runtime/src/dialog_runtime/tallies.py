"""Metrics of what happens thousands of times a second: counted with an addition, written out when they are asked for.

``prometheus_client`` takes a lock for each increment: nine of them cost a registration 7 us. Only the event loop may
count here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Tally(Collector):
    """A counter with one label, or none: ``tally.of[label] += 1``."""

    def __init__(self, name: str, text: str, label: str | None) -> None:
        self._name, self._text = name, text
        self._labels = () if label is None else (label,)
        self.of: Counter[str] = Counter()
        """By the label's value; without a label under the empty one."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return what was counted."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        counts = self.of if self._labels else {"": self.of[""]}
        for value, count in counts.items():
            family.add_metric((value,) if self._labels else (), count)
        yield family


class Durations(Collector):
    """A histogram of seconds."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name, self._text = name, text
        self._bounds = (*bounds, float("inf"))
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return what was counted."""
        buckets = list(zip(map(floatToGoString, self._bounds), accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._name, self._text, buckets=buckets, sum_value=self._sum)
