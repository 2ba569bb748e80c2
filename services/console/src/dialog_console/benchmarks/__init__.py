"""Benchmarks behind ``dialog-sip bench``: a module each with ``async def run() -> list[Row]``, and the list of them."""

from __future__ import annotations

BENCHMARKS: dict[str, tuple[str, str]] = {
    "call": ("dialog_console.benchmarks.call", "The demo's calls, one after another: CPU, latency, memory."),
    "provisioner": (
        "dialog_console.benchmarks.provisioner",
        "A table of 100,000 rows to the topic, edits and new users one by one.",
    ),
    "bus": ("dialog_console.benchmarks.bus", "Round trips and throughput through the embedded Kafka."),
}
"""Name -> module, and what it measures in one line."""
