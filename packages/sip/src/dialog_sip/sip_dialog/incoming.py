"""Being called: an INVITE of a peer's until its final response (RFC 3261 section 13.3, RFC 3262, RFC 3891), as a table.

Theory of operation. The INVITE is checked first: extensions, the interval of its session timer, the offer. Then it
rings: provisional responses go out reliably to who can have them so (``100rel``), and one with SDP is then the
answer; in an ordinary one the SDP is a preview of what the 2xx says again. The 2xx waits for the PRACK of a response
that held SDP. A CANCEL gets 487 until the final response. No PRACK in time ends the call with 504 (RFC 3262 section
3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

from dialog_sip.errors import LocalProtocolError, RemoteProtocolError
from dialog_sip.fields.rack import TAG
from dialog_sip.fields.reason import reasons_of
from dialog_sip.headers import HeaderValue
from dialog_sip.message import Request, Response
from dialog_sip.sip_dialog.glare import GuardState, InviteGuard
from dialog_sip.sip_dialog.offer_answer import OfferEvent, OfferState, sdp_of
from dialog_sip.sip_dialog.outputs import Ended, Offered, Output, Respond
from dialog_sip.sip_dialog.parts import SUPPORTED, SessionSettings
from dialog_sip.sip_dialog.reliable import ReliableResponses, ReliableState
from dialog_sip.sip_dialog.session import SipSession, make_parts
from dialog_sip.sip_dialog.sip_dialog import SipDialog


class CalledState(StrEnum):
    """Where the call stands (RFC 3261 section 13.3)."""

    RINGING = "ringing"
    """No final response yet."""
    ACCEPTING = "accepting"
    """The 2xx waits for a PRACK."""
    ACCEPTED = "accepted"
    OVER = "over"
    """Refused, cancelled, or ended."""


class CalledEvent(StrEnum):
    """What moves it (RFC 3261 section 13.3)."""

    ACCEPT = "accept"
    SENT = "sent"
    """The 2xx went out."""
    END = "end"


_S, _E = CalledState, CalledEvent

TRANSITIONS: Final = {
    (_S.RINGING, _E.ACCEPT): _S.ACCEPTING,
    (_S.ACCEPTING, _E.SENT): _S.ACCEPTED,
    **{(state, _E.END): _S.OVER for state in CalledState},
}
"""State and event -> the state after it."""


class IncomingInvite:
    """A call of a peer's (RFC 3261 section 13.3).

    ``local_tag`` is to be unguessable; drive it as :class:`SipSession` is driven.
    """

    def __init__(
        self,
        invite: Request,
        local_tag: str,
        settings: SessionSettings | None = None,
        *,
        chance: Callable[[], float] | None = None,
        ignore_contact: bool = False,
    ) -> None:
        """Take it; what it cannot be gets its refusal at once.

        Raises :class:`RemoteProtocolError` where it cannot even make a SIP dialog.
        """
        self.invite = invite
        self.settings = settings or SessionSettings()
        dialog = SipDialog.uas(invite, local_tag, ignore_contact=ignore_contact)
        guard = InviteGuard(owner=False, state=GuardState.ANSWERING)
        self._parts = make_parts(dialog, self.settings, chance, guard=guard)
        self.session = SipSession(self._parts)
        """The session; it takes requests of the peer's from the start (PRACK, UPDATE, BYE)."""
        self._state = CalledState.RINGING
        self._pracks = ReliableResponses(invite, first=self.settings.first_rseq, t1=self.settings.t1)
        self._parts.pracks = self._pracks
        self._accepted: tuple[bytes, list[tuple[str, HeaderValue]]] = (b"", [])
        self._parts.open.append(invite)
        self._parts.note_capabilities(invite)
        self._admit()

    @property
    def state(self) -> CalledState:
        """Where the call stands."""
        return CalledState.OVER if self._parts.is_over else self._state

    @property
    def timer(self) -> float | None:
        """When to call :meth:`handle_timer`."""
        return self.session.timer

    def take_outputs(self) -> list[Output]:
        """Return and forget what is to be sent, and what happened."""
        return self.session.take_outputs()

    def progress(
        self, code: int, sdp: bytes = b"", *, now: float, headers: Iterable[tuple[str, HeaderValue]] = ()
    ) -> None:
        """Send a provisional response (101 to 199), reliably where both sides can."""
        if self._state is not CalledState.RINGING or self._parts.is_over:
            raise LocalProtocolError(f"no provisional response while {self.state}")
        if not self._is_reliable:
            self._parts.respond(self.invite, code, None, headers, sdp)
            return
        if sdp:
            self._note_sdp(sdp)
        content_type = "application/sdp" if sdp else None
        response = self._parts.dialog.respond(
            self.invite, code, headers=[*self.settings.capabilities(), *headers], body=sdp, content_type=content_type
        )
        self._pracks.send(response, now)
        self._flush()

    def accept(self, sdp: bytes = b"", *, now: float, headers: Iterable[tuple[str, HeaderValue]] = ()) -> None:
        """Send 200, as soon as the PRACKs allow. ``sdp`` is left out where a reliable response held it."""
        if self._parts.is_over:
            raise LocalProtocolError("the call is over")
        if not sdp and (self._parts.offers.state is OfferState.RECEIVED or self._has_said_nothing):
            raise LocalProtocolError("this 2xx has to hold SDP")
        self._apply(CalledEvent.ACCEPT)
        self._accepted = (sdp, list(headers))
        self._send_success(now)

    def reject(self, code: int, phrase: str | None = None, *, headers: Iterable[tuple[str, HeaderValue]] = ()) -> None:
        """Refuse with a final response from 300 up; nothing where the call is over."""
        if code < 300:
            raise LocalProtocolError("a refusal is 300 or above")
        if self.state is CalledState.RINGING or self.state is CalledState.ACCEPTING:
            self._end(code, phrase, headers, Ended(code, by_peer=False, branch=self._parts.branch))

    def receive_cancel(self, cancel: Request) -> None:
        """Take the peer's CANCEL, which is answered; after our final response it changes nothing."""
        if self.state is CalledState.RINGING or self.state is CalledState.ACCEPTING:
            self._end(487, None, (), Ended(reasons=reasons_of(cancel), branch=self._parts.branch))

    def give_up(self) -> None:
        """Note that the transaction layer refused the INVITE in our place, because we took too long."""
        self._parts.open = [request for request in self._parts.open if request is not self.invite]
        self._parts.finish(Ended(503, by_peer=False, branch=self._parts.branch))

    def receive_request(self, request: Request, now: float) -> None:
        """Take a request of the peer's in the SIP dialog."""
        self.session.receive_request(request, now)
        self._flush()
        self._send_success(now)

    def receive_response(self, request: Request, response: Response, now: float) -> None:
        """Take a response to a request of ours in the SIP dialog."""
        self.session.receive_response(request, response, now)

    def fail(self, request: Request, now: float) -> None:
        """Note that a request of ours got no final response: as good as 408."""
        self.session.fail(request, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._pracks.handle_timer(now)
        self._flush()
        if self._pracks.state is ReliableState.FAILED and self.state is not CalledState.OVER:
            self._end(504, None, (), Ended(504, by_peer=False, branch=self._parts.branch))
        self.session.handle_timer(now)

    @property
    def _is_reliable(self) -> bool:
        headers = self.invite.headers
        return headers.has_token("Require", TAG) or (self.settings.reliable and headers.has_token("Supported", TAG))

    @property
    def _has_said_nothing(self) -> bool:
        return sdp_of(self.invite) is None and not self._parts.local_sdp

    def _admit(self) -> None:
        unknown = [tag for tag in self.invite.headers.get_list("Require") if tag.lower() not in SUPPORTED]
        if unknown:
            self._refuse(420, [("Unsupported", ", ".join(unknown))])
            return
        try:
            too_short = self._parts.session_timer.refusal(self.invite)
            if too_short is not None:
                self._refuse(422, [*too_short])
                return
            self._parts.offers.receive(self.invite)
        except RemoteProtocolError as error:
            self._refuse(error.status, [*error.headers])
            return
        self._parts.outputs.append(Offered(sdp_of(self.invite), self.invite, self._parts.branch))

    def _refuse(self, code: int, headers: list[tuple[str, HeaderValue]]) -> None:
        self._end(code, None, headers, Ended(code, by_peer=False, branch=self._parts.branch))

    def _note_sdp(self, sdp: bytes) -> None:
        parts = self._parts
        if parts.offers.state is OfferState.RECEIVED:
            parts.offers.apply(OfferEvent.SEND_ANSWER)
        elif self._has_said_nothing:
            parts.offers.apply(OfferEvent.SEND_OFFER)
        parts.local_sdp = sdp

    def _send_success(self, now: float) -> None:
        if self._state is not CalledState.ACCEPTING or self._parts.is_over or self._pracks.holds_success:
            return
        sdp, headers = self._accepted
        self._pracks.finish(now)
        self.session.respond(self.invite, 200, sdp, headers=headers, now=now)
        self._apply(CalledEvent.SENT)

    def _end(self, code: int, phrase: str | None, headers: Iterable[tuple[str, HeaderValue]], ended: Ended) -> None:
        self._parts.respond(self.invite, code, phrase, headers)
        self._apply(CalledEvent.END)
        self._parts.finish(ended)

    def _flush(self) -> None:
        for response in self._pracks.take_transmits():
            if not self._parts.is_over:
                self._parts.outputs.append(Respond(self.invite, response))

    def _apply(self, event: CalledEvent) -> None:
        following = TRANSITIONS.get((self._state, event))
        if following is None:
            raise LocalProtocolError(f"{event} cannot happen while {self._state}")
        self._state = following
