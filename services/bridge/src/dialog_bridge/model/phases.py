"""The phases of a call, how each looks to the dialog server, and how long each may last."""

from __future__ import annotations

from enum import StrEnum

from dialog_schemas.calls import CallState


class Phase(StrEnum):
    """Where a call stands, both legs together. The first letters say which direction a phase belongs to."""

    NEW = "new"
    """Nothing happened yet."""

    # Outgoing: the client calls the PBX.
    OFFERING = "offering"
    """Media turns the client's offer into one for the PBX."""
    INVITING = "inviting"
    """The INVITE is out, nothing came back."""
    EARLY = "early"
    """The PBX sends early media (RFC 3960)."""
    ALERTING = "alerting"
    """The far end rings."""

    # Incoming: the PBX calls the client.
    PREPARING = "preparing"
    """Media turns the INVITE's offer, or none, into one for the client."""
    PRESENTED = "presented"
    """The client was told and does not ring yet."""
    RINGING = "ringing"
    """The client rings, the PBX has 180."""
    ACCEPTING = "accepting"
    """The client answered; media turns its answer into one for the PBX."""
    CONFIRMING = "confirming"
    """The 200 is out, its ACK is not there yet."""

    # Both directions.
    CONNECTING = "connecting"
    """The SIP dialog stands, media takes the PBX's answer."""
    TALKING = "talking"
    """Offer and answer are settled; no INVITE is in progress."""
    REOFFERING = "reoffering"
    """Media makes an offer for a re-INVITE of ours."""
    REINVITING = "reinviting"
    """Our re-INVITE is out."""
    GLARE = "glare"
    """Both sides sent a re-INVITE; we wait before we try again (RFC 3261 section 14.1)."""
    SETTLING = "settling"
    """Media takes the PBX's answer to an offer of ours."""
    REANSWERING = "reanswering"
    """Media answers a re-INVITE of the PBX."""
    RECONFIRMING = "reconfirming"
    """Our 200 to a re-INVITE is out, its ACK is not there yet."""
    UPDATING = "updating"
    """Media answers an UPDATE of the PBX (RFC 3311)."""
    TRANSFERRING = "transferring"
    """Our REFER is out (RFC 3515)."""

    # The dialog server has heard `ended`; the SIP side is being cleared away.
    CANCELLING = "cancelling"
    """CANCEL is out; the INVITE's final response is awaited, and may still be a 200."""
    UNCONFIRMED = "unconfirmed"
    """BYE has to wait for the ACK to our 200 (RFC 3261 section 15)."""
    CLOSING = "closing"
    """BYE is out."""
    FINISHED = "finished"
    """Nothing is left of the call on either side."""


SETUP_OUT = (Phase.INVITING, Phase.EARLY, Phase.ALERTING)
SETUP_IN = (Phase.PREPARING, Phase.PRESENTED, Phase.RINGING, Phase.ACCEPTING)
SETTLED = (
    Phase.TALKING,
    Phase.REOFFERING,
    Phase.REINVITING,
    Phase.GLARE,
    Phase.SETTLING,
    Phase.REANSWERING,
    Phase.RECONFIRMING,
    Phase.UPDATING,
    Phase.TRANSFERRING,
)
"""The SIP dialog is confirmed and the dialog server has heard `answered`."""
ENDING = (Phase.CANCELLING, Phase.UNCONFIRMED, Phase.CLOSING)
LIVE = (Phase.OFFERING, *SETUP_OUT, *SETUP_IN, Phase.CONFIRMING, Phase.CONNECTING, *SETTLED)
"""The dialog server has not heard `ended`."""


PUBLIC_STATE: dict[Phase, CallState] = {
    Phase.NEW: CallState.TRYING,
    Phase.OFFERING: CallState.TRYING,
    Phase.INVITING: CallState.TRYING,
    Phase.EARLY: CallState.PROGRESS,
    Phase.ALERTING: CallState.RINGING,
    Phase.PREPARING: CallState.TRYING,
    Phase.PRESENTED: CallState.TRYING,
    Phase.RINGING: CallState.RINGING,
    Phase.ACCEPTING: CallState.RINGING,
    Phase.CONFIRMING: CallState.RINGING,
    Phase.CONNECTING: CallState.PROGRESS,
    **dict.fromkeys(SETTLED, CallState.TALKING),
    **dict.fromkeys(ENDING, CallState.FINISHED),
    Phase.FINISHED: CallState.FINISHED,
}
"""How a phase looks to the dialog server."""


class Timer(StrEnum):
    """What limits a phase. A call has one deadline; phases in a row with the same timer share it."""

    MEDIA = "media"
    """A media operation."""
    RING = "ring"
    """From INVITE to answer."""
    CONFIRM = "confirm"
    """From 200 to ACK; the registrar's `ack-timeout` (64*T1) comes before it."""
    CALL = "call"
    """The longest call."""
    REQUEST = "request"
    """A request inside the SIP dialog; the registrar's local 408 (64*T1) comes before it."""
    GLARE = "glare"
    """The wait after 491."""
    TRANSFER = "transfer"
    """From REFER to the last NOTIFY."""


TIMER: dict[Phase, Timer | None] = {
    Phase.NEW: None,
    Phase.OFFERING: Timer.MEDIA,
    Phase.INVITING: Timer.RING,
    Phase.EARLY: Timer.RING,
    Phase.ALERTING: Timer.RING,
    Phase.PREPARING: Timer.MEDIA,
    Phase.PRESENTED: Timer.RING,
    Phase.RINGING: Timer.RING,
    Phase.ACCEPTING: Timer.MEDIA,
    Phase.CONFIRMING: Timer.CONFIRM,
    Phase.CONNECTING: Timer.MEDIA,
    Phase.TALKING: Timer.CALL,
    Phase.REOFFERING: Timer.MEDIA,
    Phase.REINVITING: Timer.REQUEST,
    Phase.GLARE: Timer.GLARE,
    Phase.SETTLING: Timer.MEDIA,
    Phase.REANSWERING: Timer.MEDIA,
    Phase.RECONFIRMING: Timer.CONFIRM,
    Phase.UPDATING: Timer.MEDIA,
    Phase.TRANSFERRING: Timer.TRANSFER,
    Phase.CANCELLING: Timer.REQUEST,
    Phase.UNCONFIRMED: Timer.CONFIRM,
    Phase.CLOSING: Timer.REQUEST,
    Phase.FINISHED: None,
}
"""Every phase that waits for somebody has a timer."""
