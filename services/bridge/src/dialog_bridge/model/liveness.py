"""Which instances are alive, told by heartbeats.

Silence counts only while we hear ourselves: when our own heartbeats do not come back from the bus, it is we who are cut
off, and nobody is dead for that. After such a gap everybody gets the full time again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dialog_schemas.instances import Heartbeat, ServiceName

SILENT = 3.0
"""Seconds without a heartbeat after which an instance is dead."""


@dataclass(slots=True)
class Liveness:
    """Heartbeats as they arrive. Times are monotonic seconds of this process: clocks of others do not matter."""

    own: str
    _last: dict[str, Heartbeat] = field(default_factory=dict)
    _heard: dict[str, float] = field(default_factory=dict)

    def heard(self, heartbeat: Heartbeat, now: float) -> None:
        """Take a heartbeat."""
        instance = heartbeat.instance
        if instance == self.own and now - self._heard.get(instance, now) > SILENT:
            self._heard = dict.fromkeys(self._heard, now)
        self._last[instance], self._heard[instance] = heartbeat, now

    def left(self, instance: str) -> None:
        """Take a tombstone: the instance went in good order."""
        self._last.pop(instance, None)
        self._heard.pop(instance, None)

    def is_dead(self, instance: str, now: float) -> bool:
        """Tell whether an instance is gone; false as long as we cannot know."""
        if self._is_deaf(now):
            return False
        return now - self._heard.get(instance, -SILENT) >= SILENT

    def bridges(self, now: float) -> list[Heartbeat]:
        """Return the last heartbeat of every live bridge."""
        alive = (instance for instance in self._last if not self.is_dead(instance, now))
        return [self._last[instance] for instance in alive if self._last[instance].service is ServiceName.BRIDGE]

    def forget(self, now: float, after: float = 3600.0) -> None:
        """Drop what has been dead for long."""
        for instance in [name for name, heard in self._heard.items() if now - heard > after]:
            self.left(instance)

    def _is_deaf(self, now: float) -> bool:
        return now - self._heard.get(self.own, -SILENT) >= SILENT
