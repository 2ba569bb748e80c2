"""Topics ``call.commands`` (dialog server -> bridge) and ``call.events`` (bridge -> dialog server). Key: the call id.

An outgoing call starts with the command ``start``; an incoming one with the event ``incoming``. SDP is that of the
WebRTC side: what a browser's ``setLocalDescription`` and ``setRemoteDescription`` produce and take.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from dialog_schemas.event import Aor, CallId, Event, UserId

Sdp = Annotated[str, StringConstraints(min_length=1, max_length=65536)]
"""A session description (RFC 8866)."""


class CallState(StrEnum):
    """States of dialog's call API."""

    TRYING = "TRYING"
    PROGRESS = "PROGRESS"
    RINGING = "RINGING"
    TALKING = "TALKING"
    FINISHED = "FINISHED"


class EndReason(StrEnum):
    """End reasons of dialog's call API."""

    NORMAL = "normal"
    BUSY = "busy"
    REJECTED = "rejected"
    NO_ANSWER = "no-answer"
    CALLEE_NOT_FOUND = "callee-not-found"
    TRANSFER = "transfer"
    PICKED_UP = "picked-up"
    CALLER_DISABLED = "caller-disabled"
    CALLEE_DISABLED = "callee-disabled"
    ERROR = "error"


class SdpType(StrEnum):
    """``RTCSessionDescription.type`` (W3C WebRTC 1.0 section 4.8.2)."""

    OFFER = "offer"
    PRANSWER = "pranswer"
    ANSWER = "answer"


class CallCommand(Event):
    """What the dialog server wants of a call."""

    call_id: CallId


class Start(CallCommand):
    """Call ``to`` from the mapping of ``user_id``, with the client's offer."""

    NAME: ClassVar[str] = "call-start"
    user_id: UserId
    to: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """A number, ``user``, ``user@host`` or a SIP or tel URI."""
    sdp: Sdp


class Ringing(CallCommand):
    """The client of an incoming call rings."""

    NAME: ClassVar[str] = "call-ringing"


class Accept(CallCommand):
    """The client of an incoming call answers."""

    NAME: ClassVar[str] = "call-accept"
    sdp: Sdp


class Reject(CallCommand):
    """The client of an incoming call does not take it."""

    NAME: ClassVar[str] = "call-reject"
    reason: EndReason = EndReason.REJECTED


class SetSdp(CallCommand):
    """A new description from the client, after the first offer and answer."""

    NAME: ClassVar[str] = "call-set-sdp"
    sdp_type: SdpType
    sdp: Sdp


class AddIce(CallCommand):
    """A candidate that the client found (RFC 8840); an empty one ends its list."""

    NAME: ClassVar[str] = "call-add-ice"
    candidate: Annotated[str, StringConstraints(max_length=1024)]
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None


class SendDtmf(CallCommand):
    """Send digits to the SIP side (RFC 4733)."""

    NAME: ClassVar[str] = "call-send-dtmf"
    digits: Annotated[str, StringConstraints(pattern=r"^[0-9*#A-D]{1,64}$")]
    duration_ms: Annotated[int, Field(ge=40, le=6000)] = 100


class Hold(CallCommand):
    """Put the SIP side on hold (RFC 3264 section 8.4)."""

    NAME: ClassVar[str] = "call-hold"


class Resume(CallCommand):
    """Take the SIP side off hold."""

    NAME: ClassVar[str] = "call-resume"


class Transfer(CallCommand):
    """Send the SIP side elsewhere (RFC 3515); with ``replaces_call_id`` into another call (RFC 3891)."""

    NAME: ClassVar[str] = "call-transfer"
    to: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    replaces_call_id: CallId | None = None


class Hangup(CallCommand):
    """End the call, in whatever state it is."""

    NAME: ClassVar[str] = "call-hangup"


class CallEvent(Event):
    """What became of a call. ``seq`` grows by one with each event of a call."""

    call_id: CallId
    seq: Annotated[int, Field(ge=0)]
    state: CallState
    user_id: UserId


class Incoming(CallEvent):
    """Somebody calls the user; the offer is for the user's clients."""

    NAME: ClassVar[str] = "call-incoming"
    aor: Aor
    from_uri: str
    from_number: str
    from_name: str = ""
    to_uri: str
    sdp: Sdp


class Trying(CallEvent):
    """The bridge has the call and the INVITE is on its way."""

    NAME: ClassVar[str] = "call-trying"


class Progress(CallEvent):
    """Early media: the SIP side sends sound before it answers (RFC 3960)."""

    NAME: ClassVar[str] = "call-progress"
    sdp: Sdp | None = None


class RemoteRinging(CallEvent):
    """The SIP side rings."""

    NAME: ClassVar[str] = "call-remote-ringing"


class Answered(CallEvent):
    """Both sides talk. For an outgoing call ``sdp`` is the answer for the client, unless it had it already."""

    NAME: ClassVar[str] = "call-answered"
    sdp: Sdp | None = None


class SdpChanged(CallEvent):
    """A description for the client, after the first offer and answer."""

    NAME: ClassVar[str] = "call-sdp"
    sdp_type: SdpType
    sdp: Sdp


class IceFound(CallEvent):
    """A candidate of the bridge for the client; an empty one ends the list."""

    NAME: ClassVar[str] = "call-ice"
    candidate: str
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None


class Held(CallEvent):
    """The SIP side went on hold, or came back."""

    NAME: ClassVar[str] = "call-held"
    held: bool


class DtmfReceived(CallEvent):
    """The SIP side pressed a key."""

    NAME: ClassVar[str] = "call-dtmf"
    digit: Annotated[str, StringConstraints(pattern=r"^[0-9*#A-D]$")]
    duration_ms: int


class Transferred(CallEvent):
    """The SIP side was sent on to ``to``."""

    NAME: ClassVar[str] = "call-transferred"
    to: str


class Quality(Event):
    """How the media of a call was, counted by the bridge. ``sip`` and ``web`` are what came from each side."""

    NAME: ClassVar[str] = "quality"
    codec: str | None = None
    sip_packets: int = 0
    sip_lost: int = 0
    web_packets: int = 0
    web_lost: int = 0


class Ended(CallEvent):
    """The call is over. Nothing follows it."""

    NAME: ClassVar[str] = "call-ended"
    reason: EndReason
    detail: str = ""
    sip_code: int | None = None
    started_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime
    quality: Quality | None = None
