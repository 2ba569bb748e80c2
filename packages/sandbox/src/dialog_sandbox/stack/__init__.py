"""The whole system as child processes: what ``dialog-sip up``, the demo, the end-to-end tests and the benchmarks run.

``async with Stack(Options(state=folder)) as stack`` gives it on free ports with state of its own.
"""

from __future__ import annotations

from dialog_sandbox.stack.options import Options, Ports
from dialog_sandbox.stack.stack import Stack

__all__ = ["Options", "Ports", "Stack"]
