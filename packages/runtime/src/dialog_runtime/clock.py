"""Time as an argument: a :class:`Clock` is handed in, so that tests advance a number instead of waiting."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where a part gets the time from."""

    def monotonic(self) -> float:
        """Return seconds since some fixed point; never goes back, goes on while the process is stopped."""

    def utcnow(self) -> datetime:
        """Return the time of day, aware, in UTC."""


class SystemClock:
    """The machine's clocks."""

    monotonic = staticmethod(time.monotonic)
    """``CLOCK_MONOTONIC`` in seconds."""

    def utcnow(self) -> datetime:
        """Return the machine's time of day."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that a test moves by hand."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC), monotonic: float = 1000.0) -> None:
        self._now = now
        self._monotonic = monotonic

    def monotonic(self) -> float:
        """Return seconds as they were set."""
        return self._monotonic

    def utcnow(self) -> datetime:
        """Return the time of day as it was set."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on both clocks."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
