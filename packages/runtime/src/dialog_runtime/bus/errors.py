"""What can go wrong on the bus, sorted by what is to be done about it."""

from __future__ import annotations

from dialog_schemas.cloudevents import MalformedEventError
from dialog_schemas.relay import MalformedRelayError


class BusError(Exception):
    """Something is wrong on the bus or with what came over it."""


class PermanentError(BusError):
    """Raised by a handler: this event can never be handled. It becomes a dead letter at once, with these words."""


class TransientError(BusError):
    """Raised by a handler: something else is away. The event is tried again until it works."""


class BusTimeoutError(TransientError):
    """No acknowledgement before the deadline. The record may still arrive, with the same event id."""


class BusOverloadedError(TransientError):
    """Too much waits for the broker already."""


class BusStoppedError(BusError):
    """The client was stopped; nothing more is sent or received."""


class PartitionLostError(BusError):
    """Another instance owns the partition by now: let go of it, silently."""


HOPELESS = (PermanentError, MalformedEventError, MalformedRelayError)
"""Errors that no second attempt can mend."""

AWAY = (TransientError, ConnectionError, TimeoutError)
"""Errors that say nothing of the event: try again for as long as it takes."""
