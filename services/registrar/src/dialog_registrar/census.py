"""How many mappings are in which state, counted when somebody asks and not more often than that is worth."""

from __future__ import annotations

from collections import Counter

from dialog_runtime.clock import Clock
from dialog_schemas.registrations import RegistrationState

from dialog_registrar.model.engine import Engine
from dialog_registrar.model.status import published_state

COUNT_EVERY = 1.0
"""Seconds that a count is good for: one scrape asks once for each state."""


class Census:
    """Counts the mappings of an engine."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._counted_at = float("-inf")
        self._counts: Counter[RegistrationState] = Counter()

    def count(self, state: RegistrationState) -> int:
        """Return the number of mappings in ``state``."""
        now = self._clock.monotonic()
        if now - self._counted_at >= COUNT_EVERY:
            self._counted_at = now
            self._counts = Counter(published_state(entry, now) for entry in self._engine.holdings)
        return self._counts[state]
