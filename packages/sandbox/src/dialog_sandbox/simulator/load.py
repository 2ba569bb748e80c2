"""Whether the simulator itself was fast enough: its share of a CPU, and how late its event loop was."""

from __future__ import annotations

import asyncio
import time
from typing import Any

TICK = 0.05
"""Seconds between looks at the lag of the event loop."""


class Load:
    """Measures from :meth:`reset` on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.reset()

    def reset(self) -> None:
        """Measure from now on."""
        self._began, self._cpu = time.monotonic(), time.process_time()
        self._longest = 0.0
        self._late = self._ticks = 0

    def start(self) -> None:
        """Look at the lag until :meth:`stop`."""
        self._due = self._loop.time() + TICK
        self._timer = self._loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def as_json(self) -> dict[str, Any]:
        """Return the CPU share of one core, the longest lag in seconds, and the part of ticks that were late."""
        lasted = max(time.monotonic() - self._began, 1e-9)
        return {
            "seconds": round(lasted, 3),
            "cpu_share": round((time.process_time() - self._cpu) / lasted, 4),
            "longest_lag": round(self._longest, 4),
            "late_ticks": round(self._late / max(self._ticks, 1), 4),
        }

    def _tick(self) -> None:
        lag = self._loop.time() - self._due
        self._ticks += 1
        self._late += lag > TICK
        self._longest = max(self._longest, lag)
        self.start()
