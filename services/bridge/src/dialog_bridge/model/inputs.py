"""What can happen to a call. Every input has a :class:`Kind`, which is a column of the table in ``model/table.py``.

Whoever makes an input decides its kind from the facts of the message alone (180 or 183, with a description or
without), so that the table needs no conditions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from dialog_schemas.calls import CallCommand

C_co = TypeVar("C_co", bound=CallCommand, covariant=True)


class Kind(StrEnum):
    """The columns of the table."""

    # Commands of the dialog server.
    START = "start"
    RING = "ring"
    ACCEPT = "accept"
    REJECT = "reject"
    HANGUP = "hangup"
    WEB_OFFER = "web-offer"
    WEB_ANSWER = "web-answer"
    ADD_ICE = "add-ice"
    SEND_DTMF = "send-dtmf"
    HOLD = "hold"
    RESUME = "resume"
    TRANSFER = "transfer"

    # Requests of the PBX. A request whose answer is the same in every phase never gets here (``model/replies.py``).
    INVITE = "invite"
    CANCEL = "cancel"
    ACK = "ack"
    ACK_ANSWER = "ack-answer"
    """An ACK that has to carry the answer to the offer in our 2xx (RFC 3261 section 13.2.1)."""
    BYE = "bye"
    REINVITE = "reinvite"
    REINVITE_EMPTY = "reinvite-empty"
    UPDATE_OFFER = "update-offer"
    INFO_DTMF = "info-dtmf"
    NOTIFY_TRYING = "notify-trying"
    """A NOTIFY of our REFER (RFC 3515 section 2.4.5): its call is on the way, answered, refused."""
    NOTIFY_DONE = "notify-done"
    NOTIFY_FAILED = "notify-failed"

    # Responses of the PBX, or of the registrar in its place.
    PROGRESS = "progress"
    """18x other than 180, without a description."""
    REMOTE_RINGING = "remote-ringing"
    EARLY_MEDIA = "early-media"
    """18x other than 180, with a description."""
    ANSWERED = "answered"
    FORKED = "forked"
    """A second 2xx to our INVITE, from another branch (RFC 3261 section 13.2.2.4)."""
    REFUSED = "refused"
    REINVITE_OK = "reinvite-ok"
    REINVITE_GLARE = "reinvite-glare"
    REINVITE_REFUSED = "reinvite-refused"
    DIALOG_GONE = "dialog-gone"
    """481 or 408 to a request inside the SIP dialog (RFC 3261 section 12.2.1.2)."""
    BYE_DONE = "bye-done"
    REFER_ACCEPTED = "refer-accepted"
    REFER_REFUSED = "refer-refused"
    ACK_TIMEOUT = "ack-timeout"
    """What we sent reliably was not acknowledged: a 2xx by an ACK, or a provisional response by a PRACK."""

    # Results of media operations, and what media reports by itself.
    OFFER_READY = "offer-ready"
    EARLY_ANSWER_READY = "early-answer-ready"
    EARLY_ANSWER_REFUSED = "early-answer-refused"
    ANSWER_READY = "answer-ready"
    WEB_OFFER_READY = "web-offer-ready"
    SIP_ANSWER_READY = "sip-answer-ready"
    REANSWER_READY = "reanswer-ready"
    MEDIA_REFUSED = "media-refused"
    MEDIA_CONNECTED = "media-connected"
    MEDIA_SILENT = "media-silent"
    """The PBX has been silent for a while."""
    MEDIA_LOST = "media-lost"
    CANDIDATE_FOUND = "candidate-found"
    DIGIT_RECEIVED = "digit-received"

    # The surroundings.
    DEADLINE = "deadline"
    """The phase lasted as long as it may."""
    REGISTRAR_LOST = "registrar-lost"
    """The registrar that has our transactions is dead, and no other has the mapping."""
    REGISTRAR_AWAY = "registrar-away"
    """The same, but if it is started anew it has the address of before."""
    REGISTRAR_MOVED = "registrar-moved"
    """The mapping has a new live registrar, or the same one was started anew, with another address for the PBX."""
    REGISTRAR_ANEW = "registrar-anew"
    """The registrar was started anew and has the address of before: what the PBX answers still gets there."""
    REFRESH = "refresh"
    """The session timer wants a sign of life (RFC 4028 section 7.4)."""
    SESSION_EXPIRED = "session-expired"
    """The session timer ran out: the PBX gave no sign of life (section 10)."""
    REOFFER = "reoffer"
    """What we want is not yet what the PBX knows: make the offer again. The call says so to itself, after glare."""
    ADOPT_CONFIRMED = "adopt-confirmed"
    """A dead bridge left a call: with a SIP dialog, an INVITE of its own open, or the PBX's, or one that had ended and
    waited for the answer to BYE or CANCEL."""
    ADOPT_OUTGOING = "adopt-outgoing"
    ADOPT_INCOMING = "adopt-incoming"
    ADOPT_ENDED = "adopt-ended"
    ADOPT_CANCELLED = "adopt-cancelled"
    FENCED = "fenced"
    """The directory says that another instance holds the call, with a higher epoch."""


@dataclass(frozen=True, slots=True)
class Command(Generic[C_co]):
    """The dialog server wants something. ``target`` is the URI of a transfer, resolved."""

    kind: Kind
    command: C_co
    target: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls whom, as the INVITE says it."""

    from_uri: str
    from_number: str
    from_name: str
    to_uri: str


@dataclass(frozen=True, slots=True)
class Request:
    """The PBX sent a request. ``transaction`` is what a response names; ``sdp`` its description."""

    kind: Kind
    transaction: str = ""
    sdp: bytes | None = None
    holds: bool = False
    """The description puts us on hold (RFC 3264 section 8.4)."""
    digit: str = ""
    duration_ms: int = 0
    caller: Caller | None = None
    """Who calls; only with :attr:`Kind.INVITE`."""
    elsewhere: bool = False
    """A CANCEL because another device answered (RFC 3326, ``cause=200``)."""


@dataclass(frozen=True, slots=True)
class Response:
    """The PBX answered a request of ours. ``local``: the registrar did in its place, such as 408 after Timer B."""

    kind: Kind
    code: int
    phrase: str = ""
    sdp: bytes | None = None
    local: bool = False
    branch: str = ""
    """The To tag: which branch of a forked INVITE it comes from."""


@dataclass(frozen=True, slots=True)
class MediaResult:
    """A media operation is done. ``web`` or ``sip`` is the description it gave, for that side."""

    kind: Kind
    web: str | None = None
    sip: bytes = b""


@dataclass(frozen=True, slots=True)
class MediaRefusal:
    """A media operation failed. ``code`` is the SIP code for a PBX that waits."""

    kind: Kind
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class MediaNews:
    """Media reports something by itself."""

    kind: Kind
    text: str = ""
    """The candidate, the digit, or why media was lost."""
    mid: str | None = None
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class Signal:
    """Something in the surroundings changed."""

    kind: Kind
    detail: str = ""


Input = Command[CallCommand] | Request | Response | MediaResult | MediaRefusal | MediaNews | Signal
