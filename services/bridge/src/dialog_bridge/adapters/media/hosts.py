"""The addresses of this machine that ICE offers, looked up now and then: asking the kernel costs 1 ms a call."""

from __future__ import annotations

from collections.abc import Callable

REFRESH_SECONDS = 5.0
"""An interface that came or went is noticed within this time."""
_LOOPBACK = "127.0.0.1"


class HostAddresses:
    """Caches ``look_up``, which leaves loopback out as aioice's does; ``loopback`` adds it. Time is monotonic."""

    def __init__(self, look_up: Callable[[], list[str]], *, loopback: bool) -> None:
        self._look_up = look_up
        self._extra = [_LOOPBACK] if loopback else []
        self._known: list[str] = []
        self._looked_at: float | None = None

    def at(self, now: float) -> list[str]:
        """Return the addresses as they are, or were up to :data:`REFRESH_SECONDS` ago."""
        if self._looked_at is None or now - self._looked_at >= REFRESH_SECONDS:
            self._known = [*self._look_up(), *self._extra]
            self._looked_at = now
        return self._known
