"""What a call wants done. Whoever runs a call does these in order (``dialog_bridge.runner``)."""

from __future__ import annotations

from dataclasses import dataclass

from dialog_schemas.calls import CallEvent, Ended

from dialog_bridge.model.inputs import Kind

# SIP. The SIP leg turns these into messages (``model/leg.py``).


@dataclass(frozen=True, slots=True)
class SendInvite:
    """Send the first INVITE, with our offer; None: the same again."""

    sdp: bytes | None = None


@dataclass(frozen=True, slots=True)
class SendAck:
    """Acknowledge the 2xx that came last from ``branch`` (RFC 3261 section 13.2.2.4)."""

    branch: str


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Cancel the first INVITE."""


@dataclass(frozen=True, slots=True)
class SendBye:
    """End the SIP dialog; that with ``branch`` where it is not the call's own."""

    branch: str = ""


@dataclass(frozen=True, slots=True)
class SendReinvite:
    """Send a re-INVITE with our offer (RFC 3261 section 14.1)."""

    sdp: bytes


@dataclass(frozen=True, slots=True)
class SendRefer:
    """Ask the PBX to call ``target`` in our place (RFC 3515)."""

    target: str


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer a request. ``retry_after`` in seconds (RFC 3261 section 20.33)."""

    transaction: str
    code: int
    sdp: bytes | None = None
    retry_after: int | None = None


# Media. All but Open and Close run in order on the call's session; results come back as inputs of kind ``done``.


@dataclass(frozen=True, slots=True)
class OpenMedia:
    """Open the session. A failure comes back as :attr:`Kind.MEDIA_REFUSED`."""

    sip_peer: str


@dataclass(frozen=True, slots=True)
class TakeWebOffer:
    """Result: :attr:`Kind.OFFER_READY`."""

    sdp: str


@dataclass(frozen=True, slots=True)
class TakeSipAnswer:
    """Result: ``done``, and ``refused`` where it cannot be taken."""

    sdp: bytes
    done: Kind = Kind.ANSWER_READY
    refused: Kind = Kind.MEDIA_REFUSED


@dataclass(frozen=True, slots=True)
class TakeSipOffer:
    """Result: :attr:`Kind.WEB_OFFER_READY`. None: the INVITE had no offer."""

    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class TakeWebAnswer:
    """Result: :attr:`Kind.SIP_ANSWER_READY`."""

    sdp: str


@dataclass(frozen=True, slots=True)
class TakeSipReoffer:
    """Result: :attr:`Kind.REANSWER_READY`."""

    sdp: bytes


@dataclass(frozen=True, slots=True)
class MakeSipOffer:
    """Result: ``done``."""

    held: bool
    done: Kind = Kind.OFFER_READY


@dataclass(frozen=True, slots=True)
class AddCandidate:
    """Give a candidate of the client to media. No result."""

    candidate: str
    mid: str | None
    mline_index: int | None


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Play digits to the SIP side. No result."""

    digits: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class CloseMedia:
    """Close the session, whatever it is doing. No result, and none of what was under way either."""


# The bus.


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell the dialog server."""

    event: CallEvent


@dataclass(frozen=True, slots=True)
class PublishEnded:
    """Tell the dialog server that it is over. The runner adds the quality that media counted."""

    event: Ended


@dataclass(frozen=True, slots=True)
class Record:
    """Write the call's entry of the directory as it is now."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop the call's entry from the directory: nothing is left of the call."""


SipAction = SendInvite | SendAck | SendCancel | SendBye | SendReinvite | SendRefer | Respond
MediaAction = (
    TakeWebOffer
    | TakeSipAnswer
    | TakeSipOffer
    | TakeWebAnswer
    | TakeSipReoffer
    | MakeSipOffer
    | AddCandidate
    | SendDigits
)
Action = SipAction | MediaAction | OpenMedia | CloseMedia | Publish | PublishEnded | Record | Forget
