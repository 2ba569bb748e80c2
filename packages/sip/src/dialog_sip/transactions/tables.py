"""The transaction machines of RFC 3261 section 17 with RFC 6026 and RFC 4320, as tables.

Theory of operation
===================

A transaction is one request with all the responses to it, over one hop. There are four machines: the client and the
server side of INVITE, and of everything else. All that decides what happens next stands in this file, as ``(state,
input) -> (next state, actions)``; this file knows nothing of sockets, clocks or message contents.

Inputs are what comes from the wire, what the transaction user (TU) asks for, and timers. A transaction has at most
two timers at a time: the *retransmission* timer (A, E, G), whose interval doubles, and the *deadline* (B, C, D, F, H,
I, J, K, L, M), after which the state must not last. Arming one replaces the one before; leaving for ``TERMINATED``
ends both.

Where the RFC leaves a state without an end there is a deadline of our own, because nothing may wait for ever: Timer C
for an INVITE that rings (as the RFC has it for proxies), a second Timer B once it was cancelled (section 9.1), and
Timer U, for a TU that does not answer a request.

Two more things that the RFC leaves to the TU are done here, so that the TU sees each message once. A 2xx is
retransmitted until its ACK comes (section 13.3.1.4): that is why Accepted on the server side is two states, before
and after the ACK. And on the client side a 2xx that comes again is answered with the ACK that was sent for it
(section 13.2.2.4).

A cell that is not in a table cannot be met by a peer or a timer, only by a TU that breaks the protocol, such as a
second final response: that raises :class:`~dialog_sip.errors.LocalProtocolError`. What a peer may send at the wrong
time has a cell that does nothing.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NamedTuple


class State(Enum):
    """States, named as in the figures of RFC 3261 section 17 and RFC 6026."""

    # Members are singletons; Enum's own hash is a Python function, and every message looks up several cells.
    __hash__ = object.__hash__

    CALLING = auto()
    TRYING = auto()
    CANCEL_HELD = auto()
    """Calling, and to be cancelled as soon as a provisional response allows it (RFC 3261 section 9.1)."""
    PROCEEDING = auto()
    CANCELLING = auto()
    """Proceeding, with the CANCEL sent."""
    COMPLETED = auto()
    CONFIRMED = auto()
    ACCEPTED = auto()
    ACKNOWLEDGED = auto()
    """The part of the server's Accepted that follows the ACK."""
    TERMINATED = auto()


class Input(Enum):
    """What drives a machine (RFC 3261 section 17). Wire inputs mean the peer's message, TU inputs ours."""

    __hash__ = object.__hash__

    REQUEST = auto()
    """The request came again."""
    ACK = auto()
    PROVISIONAL = auto()
    SUCCESS = auto()
    SUCCESS_AGAIN = auto()
    """A 2xx with a To tag that was seen already: only in Accepted."""
    FAILURE = auto()
    """A final response from 300 up."""
    TU_PROVISIONAL = auto()
    TU_SUCCESS = auto()
    TU_FAILURE = auto()
    TU_CANCEL = auto()
    RETRANSMIT = auto()
    """The retransmission timer fired."""
    DEADLINE = auto()
    """The deadline fired."""
    TRANSPORT_ERROR = auto()


class Action(Enum):
    """What the transaction does, in order (RFC 3261 section 17)."""

    __hash__ = object.__hash__

    SEND = auto()
    """Send the response at hand, and remember it."""
    RESEND = auto()
    """Send again what was sent last."""
    SEND_ACK = auto()
    """ACK a failure (RFC 3261 section 17.1.1.3)."""
    REPEAT_ACK = auto()
    """Send the TU's ACK for this 2xx again, if it gave one."""
    SEND_CANCEL = auto()
    """Send a CANCEL, as a transaction of its own."""
    SEND_TRYING = auto()
    """Send 100, so that the peer stops retransmitting while the TU thinks (RFC 3261 section 17.2.1)."""
    PASS = auto()
    """Give the message to the TU."""
    TIMEOUT = auto()
    """Tell the TU that the peer did not answer."""
    TRANSPORT_FAILED = auto()
    ACK_TIMEOUT = auto()
    """Tell the TU that its 2xx was never ACKed."""
    GIVE_UP = auto()
    """Answer in the TU's place, and tell it."""
    RETRANSMISSIONS_OFF = auto()
    ARM_A = auto()
    ARM_B = auto()
    ARM_C = auto()
    ARM_D = auto()
    ARM_E = auto()
    ARM_F = auto()
    ARM_G = auto()
    ARM_2XX = auto()
    """Timer G for a 2xx: on reliable transports too, since other hops may lose it (RFC 3261 section 13.3.1.4)."""
    ARM_H = auto()
    ARM_I = auto()
    ARM_J = auto()
    ARM_K = auto()
    ARM_L = auto()
    ARM_M = auto()
    ARM_U = auto()
    ARM_TRYING = auto()
    """Arm the retransmission timer for a 100 to what is no INVITE (RFC 4320 section 4.1)."""
    AGAIN = auto()
    """Arm the retransmission timer once more, with the next interval."""
    AGAIN_T2 = auto()
    """The same, with T2 at once."""


Cell = tuple[State, tuple[Action, ...]]
"""Next state, and what to do there."""


class Machine(NamedTuple):
    """One of the four machines (RFC 3261 sections 17.1.1, 17.1.2, 17.2.1 and 17.2.2)."""

    start: Cell
    cells: dict[tuple[State, Input], Cell]


# Letters keep the tables readable.
A = Action
I = Input  # noqa: E741
S = State

INVITE_CLIENT: Final = Machine(
    (S.CALLING, (A.RESEND, A.ARM_A, A.ARM_B)),
    {
        (S.CALLING, I.RETRANSMIT): (S.CALLING, (A.RESEND, A.AGAIN)),
        (S.CALLING, I.DEADLINE): (S.TERMINATED, (A.TIMEOUT,)),
        (S.CALLING, I.TRANSPORT_ERROR): (S.TERMINATED, (A.TRANSPORT_FAILED,)),
        (S.CALLING, I.PROVISIONAL): (S.PROCEEDING, (A.RETRANSMISSIONS_OFF, A.ARM_C, A.PASS)),
        (S.CALLING, I.SUCCESS): (S.ACCEPTED, (A.RETRANSMISSIONS_OFF, A.ARM_M, A.PASS)),
        (S.CALLING, I.FAILURE): (S.COMPLETED, (A.RETRANSMISSIONS_OFF, A.SEND_ACK, A.ARM_D, A.PASS)),
        (S.CALLING, I.TU_CANCEL): (S.CANCEL_HELD, ()),
        (S.CANCEL_HELD, I.RETRANSMIT): (S.CANCEL_HELD, (A.RESEND, A.AGAIN)),
        (S.CANCEL_HELD, I.DEADLINE): (S.TERMINATED, (A.TIMEOUT,)),
        (S.CANCEL_HELD, I.TRANSPORT_ERROR): (S.TERMINATED, (A.TRANSPORT_FAILED,)),
        (S.CANCEL_HELD, I.PROVISIONAL): (S.CANCELLING, (A.RETRANSMISSIONS_OFF, A.SEND_CANCEL, A.ARM_B, A.PASS)),
        (S.CANCEL_HELD, I.SUCCESS): (S.ACCEPTED, (A.RETRANSMISSIONS_OFF, A.ARM_M, A.PASS)),
        (S.CANCEL_HELD, I.FAILURE): (S.COMPLETED, (A.RETRANSMISSIONS_OFF, A.SEND_ACK, A.ARM_D, A.PASS)),
        (S.CANCEL_HELD, I.TU_CANCEL): (S.CANCEL_HELD, ()),
        (S.PROCEEDING, I.DEADLINE): (S.CANCELLING, (A.SEND_CANCEL, A.ARM_B)),
        (S.PROCEEDING, I.TRANSPORT_ERROR): (S.TERMINATED, (A.TRANSPORT_FAILED,)),
        (S.PROCEEDING, I.PROVISIONAL): (S.PROCEEDING, (A.ARM_C, A.PASS)),
        (S.PROCEEDING, I.SUCCESS): (S.ACCEPTED, (A.ARM_M, A.PASS)),
        (S.PROCEEDING, I.FAILURE): (S.COMPLETED, (A.SEND_ACK, A.ARM_D, A.PASS)),
        (S.PROCEEDING, I.TU_CANCEL): (S.CANCELLING, (A.SEND_CANCEL, A.ARM_B)),
        (S.CANCELLING, I.DEADLINE): (S.TERMINATED, (A.TIMEOUT,)),
        (S.CANCELLING, I.TRANSPORT_ERROR): (S.TERMINATED, (A.TRANSPORT_FAILED,)),
        (S.CANCELLING, I.PROVISIONAL): (S.CANCELLING, (A.PASS,)),
        (S.CANCELLING, I.SUCCESS): (S.ACCEPTED, (A.ARM_M, A.PASS)),
        (S.CANCELLING, I.FAILURE): (S.COMPLETED, (A.SEND_ACK, A.ARM_D, A.PASS)),
        (S.CANCELLING, I.TU_CANCEL): (S.CANCELLING, ()),
        (S.COMPLETED, I.DEADLINE): (S.TERMINATED, ()),
        (S.COMPLETED, I.TRANSPORT_ERROR): (S.TERMINATED, (A.TRANSPORT_FAILED,)),
        (S.COMPLETED, I.PROVISIONAL): (S.COMPLETED, ()),
        (S.COMPLETED, I.SUCCESS): (S.COMPLETED, ()),
        (S.COMPLETED, I.FAILURE): (S.COMPLETED, (A.SEND_ACK,)),
        (S.COMPLETED, I.TU_CANCEL): (S.COMPLETED, ()),
        (S.ACCEPTED, I.DEADLINE): (S.TERMINATED, ()),
        (S.ACCEPTED, I.TRANSPORT_ERROR): (S.ACCEPTED, ()),
        (S.ACCEPTED, I.PROVISIONAL): (S.ACCEPTED, ()),
        (S.ACCEPTED, I.SUCCESS): (S.ACCEPTED, (A.PASS,)),
        (S.ACCEPTED, I.SUCCESS_AGAIN): (S.ACCEPTED, (A.REPEAT_ACK,)),
        (S.ACCEPTED, I.FAILURE): (S.ACCEPTED, ()),
        (S.ACCEPTED, I.TU_CANCEL): (S.ACCEPTED, ()),
    },
)
"""RFC 3261 section 17.1.1 with RFC 6026 section 8.4."""

CLIENT: Final = Machine(
    (S.TRYING, (A.RESEND, A.ARM_E, A.ARM_F)),
    {
        (S.TRYING, I.RETRANSMIT): (S.TRYING, (A.RESEND, A.AGAIN)),
        (S.TRYING, I.DEADLINE): (S.TERMINATED, (A.TIMEOUT,)),
        (S.TRYING, I.TRANSPORT_ERROR): (S.TERMINATED, (A.TRANSPORT_FAILED,)),
        (S.TRYING, I.PROVISIONAL): (S.PROCEEDING, (A.PASS,)),
        (S.TRYING, I.SUCCESS): (S.COMPLETED, (A.RETRANSMISSIONS_OFF, A.PASS, A.ARM_K)),
        (S.TRYING, I.FAILURE): (S.COMPLETED, (A.RETRANSMISSIONS_OFF, A.PASS, A.ARM_K)),
        (S.PROCEEDING, I.RETRANSMIT): (S.PROCEEDING, (A.RESEND, A.AGAIN_T2)),
        (S.PROCEEDING, I.DEADLINE): (S.TERMINATED, (A.TIMEOUT,)),
        (S.PROCEEDING, I.TRANSPORT_ERROR): (S.TERMINATED, (A.TRANSPORT_FAILED,)),
        (S.PROCEEDING, I.PROVISIONAL): (S.PROCEEDING, (A.PASS,)),
        (S.PROCEEDING, I.SUCCESS): (S.COMPLETED, (A.RETRANSMISSIONS_OFF, A.PASS, A.ARM_K)),
        (S.PROCEEDING, I.FAILURE): (S.COMPLETED, (A.RETRANSMISSIONS_OFF, A.PASS, A.ARM_K)),
        (S.COMPLETED, I.DEADLINE): (S.TERMINATED, ()),
        (S.COMPLETED, I.TRANSPORT_ERROR): (S.COMPLETED, ()),
        (S.COMPLETED, I.PROVISIONAL): (S.COMPLETED, ()),
        (S.COMPLETED, I.SUCCESS): (S.COMPLETED, ()),
        (S.COMPLETED, I.FAILURE): (S.COMPLETED, ()),
    },
)
"""RFC 3261 section 17.1.2."""

INVITE_SERVER: Final = Machine(
    (S.PROCEEDING, (A.SEND_TRYING, A.ARM_U, A.PASS)),
    {
        (S.PROCEEDING, I.REQUEST): (S.PROCEEDING, (A.RESEND,)),
        (S.PROCEEDING, I.ACK): (S.PROCEEDING, ()),
        (S.PROCEEDING, I.TU_PROVISIONAL): (S.PROCEEDING, (A.SEND, A.ARM_U)),
        (S.PROCEEDING, I.TU_SUCCESS): (S.ACCEPTED, (A.SEND, A.ARM_2XX, A.ARM_L)),
        (S.PROCEEDING, I.TU_FAILURE): (S.COMPLETED, (A.SEND, A.ARM_G, A.ARM_H)),
        (S.PROCEEDING, I.DEADLINE): (S.PROCEEDING, (A.GIVE_UP,)),
        (S.PROCEEDING, I.TRANSPORT_ERROR): (S.TERMINATED, (A.TRANSPORT_FAILED,)),
        (S.COMPLETED, I.REQUEST): (S.COMPLETED, (A.RESEND,)),
        (S.COMPLETED, I.ACK): (S.CONFIRMED, (A.RETRANSMISSIONS_OFF, A.ARM_I)),
        (S.COMPLETED, I.RETRANSMIT): (S.COMPLETED, (A.RESEND, A.AGAIN)),
        (S.COMPLETED, I.DEADLINE): (S.TERMINATED, ()),
        (S.COMPLETED, I.TRANSPORT_ERROR): (S.TERMINATED, (A.TRANSPORT_FAILED,)),
        (S.CONFIRMED, I.REQUEST): (S.CONFIRMED, ()),
        (S.CONFIRMED, I.ACK): (S.CONFIRMED, ()),
        (S.CONFIRMED, I.DEADLINE): (S.TERMINATED, ()),
        (S.CONFIRMED, I.TRANSPORT_ERROR): (S.CONFIRMED, ()),
        (S.ACCEPTED, I.REQUEST): (S.ACCEPTED, ()),
        (S.ACCEPTED, I.ACK): (S.ACKNOWLEDGED, (A.RETRANSMISSIONS_OFF, A.PASS)),
        (S.ACCEPTED, I.RETRANSMIT): (S.ACCEPTED, (A.RESEND, A.AGAIN)),
        (S.ACCEPTED, I.DEADLINE): (S.TERMINATED, (A.ACK_TIMEOUT,)),
        (S.ACCEPTED, I.TRANSPORT_ERROR): (S.ACCEPTED, (A.RETRANSMISSIONS_OFF,)),
        (S.ACKNOWLEDGED, I.REQUEST): (S.ACKNOWLEDGED, ()),
        (S.ACKNOWLEDGED, I.ACK): (S.ACKNOWLEDGED, ()),
        (S.ACKNOWLEDGED, I.DEADLINE): (S.TERMINATED, ()),
        (S.ACKNOWLEDGED, I.TRANSPORT_ERROR): (S.ACKNOWLEDGED, ()),
    },
)
"""RFC 3261 section 17.2.1 with RFC 6026 section 8.7."""

SERVER: Final = Machine(
    (S.TRYING, (A.ARM_TRYING, A.ARM_U, A.PASS)),
    {
        (S.TRYING, I.REQUEST): (S.TRYING, ()),
        (S.TRYING, I.RETRANSMIT): (S.PROCEEDING, (A.RETRANSMISSIONS_OFF, A.SEND_TRYING)),
        (S.TRYING, I.TU_PROVISIONAL): (S.PROCEEDING, (A.RETRANSMISSIONS_OFF, A.SEND)),
        (S.TRYING, I.TU_SUCCESS): (S.COMPLETED, (A.RETRANSMISSIONS_OFF, A.SEND, A.ARM_J)),
        (S.TRYING, I.TU_FAILURE): (S.COMPLETED, (A.RETRANSMISSIONS_OFF, A.SEND, A.ARM_J)),
        (S.TRYING, I.DEADLINE): (S.TRYING, (A.GIVE_UP,)),
        (S.TRYING, I.TRANSPORT_ERROR): (S.TERMINATED, (A.TRANSPORT_FAILED,)),
        (S.PROCEEDING, I.REQUEST): (S.PROCEEDING, (A.RESEND,)),
        (S.PROCEEDING, I.TU_PROVISIONAL): (S.PROCEEDING, (A.SEND,)),
        (S.PROCEEDING, I.TU_SUCCESS): (S.COMPLETED, (A.SEND, A.ARM_J)),
        (S.PROCEEDING, I.TU_FAILURE): (S.COMPLETED, (A.SEND, A.ARM_J)),
        (S.PROCEEDING, I.DEADLINE): (S.PROCEEDING, (A.GIVE_UP,)),
        (S.PROCEEDING, I.TRANSPORT_ERROR): (S.TERMINATED, (A.TRANSPORT_FAILED,)),
        (S.COMPLETED, I.REQUEST): (S.COMPLETED, (A.RESEND,)),
        (S.COMPLETED, I.DEADLINE): (S.TERMINATED, ()),
        (S.COMPLETED, I.TRANSPORT_ERROR): (S.TERMINATED, (A.TRANSPORT_FAILED,)),
    },
)
"""RFC 3261 section 17.2.2 with RFC 4320 section 4."""
