"""Prometheus metrics of one service, in a registry of its own: no module-level state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from dialog_runtime.tallies import Durations, Tally

NAMESPACE = "dialog_sip"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Buckets for durations on the call path."""


class Metrics:
    """Makes the metrics of a service and writes them out. Names get the prefix ``dialog_sip_``."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """Return a counter; ``name`` ends in ``_total``."""
        return Counter(name, text, labels, namespace=NAMESPACE, registry=self._registry)

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """Return a gauge."""
        return Gauge(name, text, labels, namespace=NAMESPACE, registry=self._registry)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Make a gauge that is read when it is asked for."""
        self.gauge(name, text).set_function(read)

    def tally(self, name: str, text: str, label: str | None = None) -> Tally:
        """Return a counter for what happens very often; ``name`` ends in ``_total``."""
        tally = Tally(f"{NAMESPACE}_{name}", text, label)
        self._registry.register(tally)
        return tally

    def durations(self, name: str, text: str, buckets: Sequence[float] = SECONDS) -> Durations:
        """Return a histogram for what happens very often; ``name`` ends in ``_seconds``."""
        durations = Durations(f"{NAMESPACE}_{name}", text, buckets)
        self._registry.register(durations)
        return durations

    def histogram(
        self, name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """Return a histogram; for durations ``name`` ends in ``_seconds``."""
        return Histogram(name, text, labels, namespace=NAMESPACE, registry=self._registry, buckets=buckets)

    def render(self) -> bytes:
        """Return all in the text format of Prometheus."""
        return generate_latest(self._registry)
