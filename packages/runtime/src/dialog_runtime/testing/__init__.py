"""Test doubles for what this package gives: the bus in memory, and a clock that is moved by hand."""

from dialog_runtime.clock import ManualClock
from dialog_runtime.testing.memory import MemoryBroker, MemoryBus
from dialog_runtime.testing.memory_owned import MemoryOwnership

__all__ = ["ManualClock", "MemoryBroker", "MemoryBus", "MemoryOwnership"]
