"""The bus: events, SIP messages and state over Kafka topics.

Services see :class:`~dialog_runtime.bus.ports.Bus`; :class:`~dialog_runtime.bus.kafka.KafkaBus` is the real one,
``dialog_runtime.testing`` has one in memory.
"""

from dialog_runtime.bus.errors import (
    BusError,
    BusOverloadedError,
    BusStoppedError,
    BusTimeoutError,
    PartitionLostError,
    PermanentError,
    TransientError,
)
from dialog_runtime.bus.message import Message
from dialog_runtime.bus.ports import Bus, Handler, Ownership, PartitionOwner, Subscription
from dialog_runtime.bus.publisher import Publisher, Sender
from dialog_runtime.bus.record import Record
from dialog_runtime.bus.view import View, event_of

__all__ = [
    "Bus",
    "BusError",
    "BusOverloadedError",
    "BusStoppedError",
    "BusTimeoutError",
    "Handler",
    "Message",
    "Ownership",
    "PartitionLostError",
    "PartitionOwner",
    "PermanentError",
    "Publisher",
    "Record",
    "Sender",
    "Subscription",
    "TransientError",
    "View",
    "event_of",
]
