"""``bench registrar``: what registrations cost, against a simulated PBX that says whether it was fast enough itself.

CPU is that of the registrar's process alone, status events included; Kafka, PostgreSQL and the PBX are not in it.
"""

from __future__ import annotations

from dialog_console.benchmarks.registrar.options import Options, parse
from dialog_console.benchmarks.registrar.plan import run

__all__ = ["Options", "parse", "run"]
