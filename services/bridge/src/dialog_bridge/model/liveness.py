"""Which instances are alive, told by heartbeats.

Silence counts only while we hear ourselves: when our own heartbeats do not come back from the bus, it is we who are cut
off, and nobody is dead for that. After such a gap everybody gets the full time again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dialog_schemas.instances import Heartbeat, ServiceName

from dialog_bridge.model.memory import Memory

SILENT = 3.0
"""Seconds without a heartbeat after which an instance is dead."""

FORMER = 1000
"""Processes that are remembered after their end."""


@dataclass(slots=True)
class Liveness:
    """Heartbeats as they arrive. Times are monotonic seconds of this process: clocks of others do not matter."""

    own: str
    _last: dict[str, Heartbeat] = field(default_factory=dict)
    _heard: dict[str, float] = field(default_factory=dict)
    _incarnations: dict[str, str] = field(default_factory=dict)
    _former: Memory[tuple[str, str], None] = field(default_factory=lambda: Memory(FORMER))
    """Processes that another one took the place of."""

    def heard(self, heartbeat: Heartbeat, now: float) -> None:
        """Take a heartbeat."""
        instance = heartbeat.instance
        if instance == self.own and now - self._heard.get(instance, now) > SILENT:
            self._heard = dict.fromkeys(self._heard, now)
        self._last[instance], self._heard[instance] = heartbeat, now
        self.spoke(instance, heartbeat.incarnation)

    def left(self, instance: str) -> None:
        """Take a tombstone: the instance went in good order."""
        self._last.pop(instance, None)
        self._heard.pop(instance, None)

    def is_dead(self, instance: str, now: float) -> bool:
        """Tell whether an instance is gone; false as long as we cannot know."""
        if self._is_deaf(now):
            return False
        return now - self._heard.get(instance, -SILENT) >= SILENT

    def spoke(self, instance: str, incarnation: str) -> None:
        """Learn which process an instance is, from whatever it says. What an earlier one said may come late."""
        known = self._incarnations.get(instance, "")
        if incarnation and incarnation != known and (instance, incarnation) not in self._former:
            self._former.put((instance, known), None)
            self._incarnations[instance] = incarnation

    def incarnation_of(self, instance: str) -> str:
        """Return which process an instance is; empty where that is not known."""
        return self._incarnations.get(instance, "")

    def bridges(self, now: float) -> list[Heartbeat]:
        """Return the last heartbeat of every live bridge."""
        alive = (instance for instance in self._last if not self.is_dead(instance, now))
        return [self._last[instance] for instance in alive if self._last[instance].service is ServiceName.BRIDGE]

    def forget(self, now: float, after: float = 3600.0) -> None:
        """Drop what has been dead for long."""
        for instance in [name for name, heard in self._heard.items() if now - heard > after]:
            self.left(instance)
            self._incarnations.pop(instance, None)

    def _is_deaf(self, now: float) -> bool:
        return now - self._heard.get(self.own, -SILENT) >= SILENT
