"""Offers and answers in one SIP dialog (RFC 3264 section 4, RFC 3261 section 13.2.1, RFC 3311, RFC 6337), as a table.

Theory of operation. At most one offer is open. Whose it is decides what a new one from the peer gets: ours is open -
491, both ask at once (*glare*); theirs is open, and we have not answered - 500 with Retry-After (RFC 3311 section
5.2). An offer whose request fails is taken back, and the session is what it was before.

Whether SDP is an offer or an answer follows from where it stands. In INVITE and UPDATE it is an offer. In a response,
an ACK or a PRACK it answers the open offer, if there is one of ours; in a reliable response to an INVITE without SDP,
and in a PRACK while nothing is open, it is an offer. SDP in an unreliable provisional response is a preview of the
answer, which has to come again; SDP that comes again once it was answered says nothing new.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import Final

from dialog_sip.errors import LocalProtocolError, RemoteProtocolError
from dialog_sip.fields.rack import TAG
from dialog_sip.message import Message, Request, Response

SDP = "application/sdp"
"""Media type of descriptions."""


class OfferState(StrEnum):
    """Which offer is open (RFC 3264 section 4)."""

    STABLE = "stable"
    ASKED = "asked"
    """None, but our INVITE without SDP asks for one."""
    OFFERED = "offered"
    """One of ours."""
    RECEIVED = "received"
    """One of the peer's."""


class OfferEvent(StrEnum):
    """What moves it (RFC 3264 section 4)."""

    ASK = "ask"
    """We send an INVITE without SDP."""
    SEND_OFFER = "send-offer"
    SEND_ANSWER = "send-answer"
    RECEIVE_OFFER = "receive-offer"
    RECEIVE_ANSWER = "receive-answer"
    FAIL = "fail"
    """The request with the offer failed, or its answer never came."""


class Meaning(Enum):
    """What the SDP of a message that came is (RFC 3261 section 13.2.1)."""

    NOTHING = auto()
    """No SDP, or one that says nothing new."""
    OFFER = auto()
    ANSWER = auto()
    PREVIEW = auto()
    """Of an answer: fit for early media, not for more (RFC 3261 section 13.2.1)."""


_S, _E = OfferState, OfferEvent

TRANSITIONS: Final = {
    (_S.STABLE, _E.ASK): _S.ASKED,
    (_S.ASKED, _E.RECEIVE_OFFER): _S.RECEIVED,
    (_S.ASKED, _E.FAIL): _S.STABLE,
    (_S.STABLE, _E.SEND_OFFER): _S.OFFERED,
    (_S.STABLE, _E.RECEIVE_OFFER): _S.RECEIVED,
    (_S.STABLE, _E.FAIL): _S.STABLE,
    (_S.OFFERED, _E.RECEIVE_ANSWER): _S.STABLE,
    (_S.OFFERED, _E.FAIL): _S.STABLE,
    (_S.RECEIVED, _E.SEND_ANSWER): _S.STABLE,
    (_S.RECEIVED, _E.FAIL): _S.STABLE,
}
"""State and event -> the state after it."""
REFUSALS: Final = {
    _S.ASKED: (491, "Request Pending"),
    _S.OFFERED: (491, "Request Pending"),
    _S.RECEIVED: (500, "Server Internal Error"),
}
"""What an offer gets while another one is open."""


def sdp_of(message: Message) -> bytes | None:
    """Return the SDP of a message (RFC 3261 section 7.4.1); None where its body is none, or something else."""
    if not message.body:
        return None
    content = message.content_type
    return message.body if content is not None and content.essence == SDP else None


class OfferAnswer:
    """The offers of one SIP dialog (RFC 3264 section 4)."""

    def __init__(self, state: OfferState = OfferState.STABLE) -> None:
        self._state = state

    @property
    def state(self) -> OfferState:
        """Which offer is open."""
        return self._state

    def apply(self, event: OfferEvent) -> OfferState:
        """Move on. Raises :class:`LocalProtocolError` for what we may not do now."""
        following = TRANSITIONS.get((self._state, event))
        if following is None:
            raise LocalProtocolError(f"{event} cannot happen while {self._state}")
        self._state = following
        return following

    def receive(self, message: Message) -> Meaning:
        """Take a message that came, and tell what its SDP is.

        Raises :class:`RemoteProtocolError` with 491 or 500 for an offer that comes at a wrong time.
        """
        if sdp_of(message) is None:
            return Meaning.NOTHING
        meaning = self._meaning(message)
        if meaning is Meaning.OFFER:
            self._take_offer(message)
        elif meaning is Meaning.ANSWER:
            self.apply(OfferEvent.RECEIVE_ANSWER)
        return meaning

    def _meaning(self, message: Message) -> Meaning:
        ours_is_open = self._state is OfferState.OFFERED
        if isinstance(message, Request):
            if message.method in {"ACK", "PRACK"} and ours_is_open:
                return Meaning.ANSWER
            return Meaning.NOTHING if message.method == "ACK" else Meaning.OFFER
        if isinstance(message, Response) and not _is_reliable(message):
            return Meaning.PREVIEW if message.is_provisional and ours_is_open else Meaning.NOTHING
        if self._state is OfferState.ASKED:
            return Meaning.OFFER
        return Meaning.ANSWER if ours_is_open else Meaning.NOTHING

    def _take_offer(self, message: Message) -> None:
        if isinstance(message, Request) and self._state in REFUSALS:
            status, reason = REFUSALS[self._state]
            raise RemoteProtocolError("an offer is open already", status=status, reason=reason, request=message)
        self.apply(OfferEvent.RECEIVE_OFFER)


def _is_reliable(response: Response) -> bool:
    return response.is_success or (response.is_provisional and response.headers.has_token("Require", TAG))
