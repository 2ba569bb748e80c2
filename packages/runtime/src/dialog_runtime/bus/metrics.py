"""What the bus counts."""

from __future__ import annotations

from dialog_runtime.metrics import Metrics


class BusMetrics:
    """Counters of handled records."""

    def __init__(self, metrics: Metrics) -> None:
        self.handled = metrics.tally("records_handled_total", "Records whose handler succeeded", "topic")
        self.retried = metrics.counter("records_retried_total", "Attempts that failed and were repeated", ["topic"])
        self.dead = metrics.counter("dead_letters_total", "Records that could not be handled", ["topic"])


def topic_label(topic: str) -> str:
    """Return the topic for a label: all inboxes are one, or restarts would grow the metrics without bound."""
    return "inbox" if topic.startswith("inbox.") else topic
