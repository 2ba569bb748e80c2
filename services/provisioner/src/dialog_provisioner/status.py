"""What the provisioner says of itself, for health and metrics."""

from __future__ import annotations

from enum import StrEnum

import structlog

log = structlog.get_logger()


class WatchState(StrEnum):
    """How this process stands to the watch of the table."""

    STARTING = "starting"
    FOLLOWING = "following"
    """Another leads."""
    TRIGGERED = "leading, told by triggers"
    POLLING = "leading, polling"


class Status:
    """Kept by the watch; says each new trouble once in the log."""

    def __init__(self) -> None:
        self.watch = WatchState.STARTING
        self.trouble: str | None = None
        """What does not work now, in words; None where all does."""
        self.records = 0
        """Records published since the start."""

    @property
    def leads(self) -> bool:
        """True where this process writes ``sip.mappings``."""
        return self.watch in {WatchState.TRIGGERED, WatchState.POLLING}

    def following(self) -> None:
        """Note that another leads."""
        self.watch = WatchState.FOLLOWING
        self.caught_up()

    def leading(self, *, triggers: bool) -> None:
        """Note that this process leads, and how it hears of changes."""
        self.watch = WatchState.TRIGGERED if triggers else WatchState.POLLING

    def caught_up(self) -> None:
        """Note that the topic says what the table says."""
        if self.trouble is not None:
            log.info("caught up again")
        self.trouble = None

    def failed(self, reason: str) -> None:
        """Note what went wrong; it will be tried again."""
        if reason != self.trouble:
            log.warning("watch interrupted, trying again", reason=reason)
        self.trouble = reason

    def published(self, count: int) -> None:
        """Count records."""
        self.records += count
