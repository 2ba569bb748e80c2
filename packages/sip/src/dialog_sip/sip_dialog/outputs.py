"""What comes out of the machines of a call (RFC 3261 sections 12 to 15): messages to send, and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dialog_sip.fields.dtmf import Digit
from dialog_sip.fields.reason import Reason
from dialog_sip.fields.refer_to import ReferTarget
from dialog_sip.fields.subscription_state import Progress
from dialog_sip.message import Request, Response
from dialog_sip.values import NameAddr


class Send(NamedTuple):
    """Send a request (RFC 3261 section 8.1.2).

    ACK as it is, any other as a transaction whose responses come back with this very object.
    """

    request: Request


class Respond(NamedTuple):
    """Send a response in the transaction of this request (RFC 3261 section 8.2.6)."""

    request: Request
    response: Response


class Cancel(NamedTuple):
    """Cancel the transaction of this INVITE (RFC 3261 section 9.1)."""

    request: Request


class Answered(NamedTuple):
    """The peer's answer to our offer (RFC 3264 section 7).

    ``final`` is False for the preview in an unreliable provisional response.
    """

    sdp: bytes
    branch: str | None
    """The peer's tag: which SIP dialog it is for."""
    final: bool = True


class Offered(NamedTuple):
    """The peer offers (RFC 3264 section 5).

    Answer with :meth:`SipSession.respond`; or with ``acknowledge`` where ``request`` is None.
    """

    sdp: bytes | None
    """None: the peer asks for our offer, with an INVITE that has none."""
    request: Request | None
    branch: str | None


class Ringing(NamedTuple):
    """A provisional response came for the first time (RFC 3261 section 13.2.2.1)."""

    response: Response
    branch: str | None


class Established(NamedTuple):
    """The first 2xx came, or the ACK to ours (RFC 3261 sections 13.2.2.4 and 13.3.1.4)."""

    branch: str | None


class Refused(NamedTuple):
    """A change of the session failed; what was before goes on (RFC 3261 section 14.1)."""

    request: Request
    response: Response


class Referred(NamedTuple):
    """The peer wants us to call somebody (RFC 3515 section 2.4.2). Answer with ``accept_refer`` or ``respond``."""

    request: Request
    target: ReferTarget
    referred_by: NameAddr | None


class Transferred(NamedTuple):
    """How far our own REFER came (RFC 3515 section 2.4.4)."""

    cseq: int
    """Number of the REFER."""
    progress: Progress | None
    over: bool
    """Nothing more will be heard of it."""


class DigitReceived(NamedTuple):
    """A key, in an INFO that is answered already (RFC 6086 section 4)."""

    digit: Digit


class Received(NamedTuple):
    """Another request in the SIP dialog (RFC 3261 section 12.2.2), to be answered with ``respond``."""

    request: Request


@dataclass(frozen=True, slots=True)
class Ended:
    """The SIP dialog is over (RFC 3261 section 15); nothing comes after it but responses."""

    code: int | None = None
    """Of the response that ended it; None for a BYE, a CANCEL or a time that ran out."""
    reasons: tuple[Reason, ...] = ()
    by_peer: bool = True
    response: Response | None = None
    branch: str | None = None


Output = (
    Send
    | Respond
    | Cancel
    | Answered
    | Offered
    | Ringing
    | Established
    | Refused
    | Referred
    | Transferred
    | DigitReceived
    | Received
    | Ended
)
"""All of them, in the order in which they are to be done."""
