"""Benchmarks behind ``dialog-sip bench``: a module each with ``async def run() -> list[Row]``, and the list of them.

One that takes options has ``def parse(arguments: Sequence[str]) -> Options`` too, and ``run(options)``.
"""

from __future__ import annotations

BENCHMARKS: dict[str, tuple[str, str]] = {
    "call": ("dialog_console.benchmarks.call", "The demo's calls, one after another: CPU, latency, memory."),
    "provisioner": (
        "dialog_console.benchmarks.provisioner",
        "A table of 100,000 rows to the topic, edits and new users one by one.",
    ),
    "registrar": (
        "dialog_console.benchmarks.registrar",
        "1,000 to 100,000 registrations: CPU, memory, lapses, outage, kill -9. [--users N,N] [--quick] [--plot SVG]",
    ),
    "sip": (
        "dialog_console.benchmarks.sip",
        "SIP messages and transactions a CPU second, beside the libraries on PyPI. [--no-peers] [--rounds N]",
    ),
    "bus": ("dialog_console.benchmarks.bus", "Round trips and throughput through the embedded Kafka."),
}
"""Name -> module, and what it measures in one line."""
