"""What a trace hook is told: every message that went out or came in."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from dialog_sip.aio.flow import Flow


class Direction(Enum):
    """Seen from here: whether the transport sent or received it (RFC 3261 section 18)."""

    SENT = "sent"
    RECEIVED = "received"


class Trace(NamedTuple):
    """One message on the wire (RFC 3261 section 7)."""

    at: float
    """Seconds of the event loop's monotonic clock."""
    direction: Direction
    flow: Flow
    data: bytes
    """The message, its credentials masked."""


TraceHook = Callable[[Trace], None]
"""Called for every message, in order; must be quick."""
