"""What a service can do right now, for ``/healthz`` and ``/readyz``.

A check that is not required (Kafka or PostgreSQL away) makes the service *degraded*: it goes on with what it has, and
must not be restarted for it. One that is required makes it *failed*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """Outcome of one look. ``detail`` is for people."""

    ok: bool
    detail: str = ""


class Health:
    """The checks of one service."""

    def __init__(self) -> None:
        self._checks: dict[str, tuple[Callable[[], Check], bool]] = {}
        self.started = False
        """True once everything is wired and caught up."""
        self.draining = False
        """True from the moment that the service is told to stop."""

    def add(self, name: str, look: Callable[[], Check], *, required: bool = False) -> None:
        """Ask ``look`` whenever somebody asks for the health. It must not block."""
        self._checks[name] = (look, required)

    @property
    def is_ready(self) -> bool:
        """True while new work is welcome."""
        return self.started and not self.draining

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the service can do its work, and all there is to tell."""
        looks = {name: (look(), required) for name, (look, required) in self._checks.items()}
        failed = any(required and not check.ok for check, required in looks.values())
        degraded = any(not check.ok for check, _ in looks.values())
        return not failed, {
            "status": "failed" if failed else "degraded" if degraded else "ok",
            "started": self.started,
            "draining": self.draining,
            "checks": {name: {"ok": check.ok, "detail": check.detail} for name, (check, _) in looks.items()},
        }
