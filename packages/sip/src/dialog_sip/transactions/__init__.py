"""Transactions (RFC 3261 section 17, RFC 6026) without I/O: :class:`TransactionLayer` and what comes out of it."""

from dialog_sip.transactions.events import (
    AckReceived,
    AckTimeout,
    CancelReceived,
    Event,
    FlowLike,
    RequestReceived,
    ResponseReceived,
    ServerTimeout,
    StraySuccess,
    Terminated,
    Timeout,
    Transmit,
    TransportFailed,
)
from dialog_sip.transactions.failure import Failure
from dialog_sip.transactions.layer import TransactionLayer
from dialog_sip.transactions.timers import Timers
from dialog_sip.transactions.transaction import TooManyTransactionsError

__all__ = [
    "AckReceived",
    "AckTimeout",
    "CancelReceived",
    "Event",
    "Failure",
    "FlowLike",
    "RequestReceived",
    "ResponseReceived",
    "ServerTimeout",
    "StraySuccess",
    "Terminated",
    "Timeout",
    "Timers",
    "TooManyTransactionsError",
    "TransactionLayer",
    "Transmit",
    "TransportFailed",
]
