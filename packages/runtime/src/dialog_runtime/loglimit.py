"""Keep a library that is beside itself from filling the logs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

MOST_KINDS = 256
"""Kinds of lines that are told apart; beyond that the oldest is forgotten."""


class RateLimit(logging.Filter):
    """Lets one line of a kind from ``library`` through per ``every`` seconds, with the number of those held back.

    Lines are of one kind where level and message template are the same.
    """

    def __init__(self, library: str, every: float = 10.0, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._library = library
        self._every = every
        self._now = now
        self._kinds: dict[tuple[int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether ``record`` is written."""
        if not record.name.startswith(self._library):
            return True
        kind = (record.levelno, str(record.msg))
        now = self._now()
        last, held_back = self._kinds.pop(kind, (float("-inf"), 0))
        if now - last < self._every:
            self._kinds[kind] = (last, held_back + 1)
            return False
        if held_back:
            record.msg = f"{record.msg} (and {held_back} more like this)"
        self._kinds[kind] = (now, 0)
        if len(self._kinds) > MOST_KINDS:
            del self._kinds[next(iter(self._kinds))]
        return True
