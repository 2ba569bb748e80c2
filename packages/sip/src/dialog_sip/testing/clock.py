"""Time as a number that the test moves."""

from __future__ import annotations

from collections.abc import Callable

MAX_STEPS = 100_000
"""Timers that one :meth:`ManualClock.advance` runs; with more, something asks to be called again at once for ever."""


class TimeLimitError(AssertionError):
    """Timers fire without an end; those of RFC 3261 section 17 have one."""


class ManualClock:
    """A clock, and the timers that are driven by it, such as those of RFC 3261 section 17."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        """Seconds."""
        self._timers: list[tuple[Callable[[], float | None], Callable[[float], object]]] = []

    def drive(self, timer: Callable[[], float | None], handle_timer: Callable[[float], object]) -> None:
        """Have ``handle_timer`` called whenever the time comes that ``timer`` says."""
        self._timers.append((timer, handle_timer))

    @property
    def next_timer(self) -> float | None:
        """When the next timer is due; None where none runs."""
        return min((due for timer, _ in self._timers if (due := timer()) is not None), default=None)

    def advance(self, seconds: float) -> None:
        """Move on, stopping at every timer on the way. Raises :class:`TimeLimitError` where that takes no end."""
        self.advance_to(self.now + seconds)

    def advance_to(self, target: float) -> None:
        """Move on to a time."""
        for _ in range(MAX_STEPS):
            due = self.next_timer
            if due is None or due > target:
                self.now = max(self.now, target)
                return
            self.now = max(self.now, due)
            self._fire()
        raise TimeLimitError(f"more than {MAX_STEPS} timers by {target}")

    def _fire(self) -> None:
        for timer, handle_timer in list(self._timers):
            due = timer()
            if due is not None and due <= self.now:
                handle_timer(self.now)
