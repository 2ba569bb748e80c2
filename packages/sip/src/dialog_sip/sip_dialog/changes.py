"""Changes of the session that we make: INVITE and UPDATE inside a SIP dialog (RFC 3261 section 14, 3311, 4028).

Theory of operation. One change is wanted at a time; a newer one takes its place. It is sent as soon as the guard is
free, and again where it met one of the peer's (491) or asked for too short an interval (422). A refresh of the
session timer is such a change too, with what we said last: an UPDATE without SDP where the peer takes UPDATE, else an
INVITE.
"""

from __future__ import annotations

from typing import NamedTuple

from dialog_sip.errors import LocalProtocolError
from dialog_sip.message import Request, Response
from dialog_sip.sip_dialog.glare import GuardEvent, GuardState, glare_delay
from dialog_sip.sip_dialog.offer_answer import Meaning, OfferEvent, OfferState, sdp_of
from dialog_sip.sip_dialog.outputs import Answered, Offered, Refused, Send
from dialog_sip.sip_dialog.parts import Parts
from dialog_sip.sip_dialog.session_timer import TimerState


class Change(NamedTuple):
    """What is wanted (RFC 3261 section 14.1, RFC 3311 section 5.1)."""

    method: str
    sdp: bytes = b""
    """Empty: an INVITE asks for the peer's offer, an UPDATE only refreshes."""


class Changes:
    """The changes of one call (RFC 3261 section 14.1, RFC 3311 section 5.1)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._wanted: Change | None = None
        """Waits for the guard."""
        self._sent: dict[tuple[int, str], Change] = {}
        self._update: Change | None = None
        """An UPDATE that got 491."""
        self._update_at: float | None = None
        self._ack_for: int | None = None
        """CSeq of a 2xx with an offer: the ACK is to answer it."""

    @property
    def timer(self) -> float | None:
        """When to call :meth:`handle_timer`."""
        times = (self._parts.guard.timer, self._update_at)
        return min((time for time in times if time is not None), default=None)

    def invite(self, sdp: bytes) -> None:
        """Send an INVITE as soon as that may be done."""
        self._wanted = Change("INVITE", sdp)
        self.pump()

    def update(self, sdp: bytes) -> None:
        """Send an UPDATE now. Raises :class:`LocalProtocolError` while an offer is open."""
        self._update, self._update_at = None, None
        self._send(Change("UPDATE", sdp))

    def refresh(self) -> None:
        """Refresh the session, unless a change that does so anyway is on its way."""
        parts = self._parts
        if "UPDATE" in (parts.peer_methods or ()):
            self._send(Change("UPDATE"))
        elif self._wanted is None and parts.guard.state in {GuardState.FREE, GuardState.CONFIRMING}:
            self.invite(parts.local_sdp)

    def pump(self) -> None:
        """Send the INVITE that waits, if it may be sent now."""
        parts = self._parts
        if self._wanted is None or parts.dialog.is_over:
            return
        if not parts.guard.is_free or parts.offers.state is not OfferState.STABLE:
            return
        change, self._wanted = self._wanted, None
        parts.guard.apply(GuardEvent.SEND)
        self._send(change)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._parts.guard.handle_timer(now)
        if self._update_at is not None and now >= self._update_at and self._update is not None:
            change, self._update, self._update_at = self._update, None, None
            if self._parts.offers.state is OfferState.STABLE:
                self._send(change)
        self.pump()

    def end(self) -> None:
        """Forget what was wanted."""
        self._wanted = self._update = self._update_at = None

    def receive_response(self, request: Request, response: Response, now: float) -> None:
        """Take a response to an INVITE or UPDATE of ours. Raises :class:`RemoteProtocolError`."""
        if response.is_provisional or self._parts.is_over:
            return
        change = self._sent.pop((request.cseq.number, request.method), None)
        if change is None:
            return
        if response.is_success:
            self._succeed(change, response, now)
        else:
            self._fail(change, request, response, now)
        self.pump()

    def acknowledge(self, sdp: bytes) -> None:
        """Send the ACK with our answer. Raises :class:`LocalProtocolError` where none is wanted."""
        if self._ack_for is None:
            raise LocalProtocolError("no 2xx waits for an answer of ours")
        number, self._ack_for = self._ack_for, None
        self._parts.offers.apply(OfferEvent.SEND_ANSWER)
        self._parts.local_sdp = sdp
        self._parts.outputs.append(Send(self._parts.dialog.ack(number, body=sdp, content_type="application/sdp")))
        self._parts.guard.apply(GuardEvent.FINISH)
        self.pump()

    def _send(self, change: Change) -> None:
        parts = self._parts
        if change.sdp:
            parts.offers.apply(OfferEvent.SEND_OFFER)
            parts.local_sdp = change.sdp
        elif change.method == "INVITE":
            parts.offers.apply(OfferEvent.ASK)
        headers = [*parts.settings.capabilities(), *parts.session_timer.request_headers()]
        request = parts.send(change.method, headers, change.sdp)
        self._sent[request.cseq.number, change.method] = change

    def _succeed(self, change: Change, response: Response, now: float) -> None:
        parts = self._parts
        meaning = parts.offers.receive(response)
        parts.session_timer.receive_response(response, now)
        sdp = sdp_of(response) or b""
        if meaning is Meaning.OFFER:
            self._ack_for = response.cseq.number
            parts.outputs.append(Offered(sdp, None, parts.branch))
            return
        if change.sdp and meaning is not Meaning.ANSWER:
            parts.fail_offer()
        if change.method == "INVITE":
            parts.outputs.append(Send(parts.dialog.ack(response.cseq.number)))
            parts.guard.apply(GuardEvent.FINISH)
        if meaning is Meaning.ANSWER:
            parts.outputs.append(Answered(sdp, parts.branch))

    def _fail(self, change: Change, request: Request, response: Response, now: float) -> None:
        parts = self._parts
        if change.sdp or change.method == "INVITE":
            parts.fail_offer()
        if response.code == 491:
            self._wait(change, now)
            return
        if change.method == "INVITE":
            parts.guard.apply(GuardEvent.FINISH)
        if response.code == 422 and parts.session_timer.adjust(response):
            self._again(change)
            return
        parts.outputs.append(Refused(request, response))
        if parts.session_timer.state is TimerState.REFRESHING and change.method == "UPDATE":
            self._wanted = Change("INVITE", parts.local_sdp)

    def _wait(self, change: Change, now: float) -> None:
        parts = self._parts
        chance = parts.chance()
        if change.method == "INVITE":
            self._wanted = self._wanted or change
            parts.guard.glare(now, chance)
            return
        self._update = change
        self._update_at = now + glare_delay(owner=parts.dialog.is_ours, chance=chance)

    def _again(self, change: Change) -> None:
        if change.method == "INVITE":
            self._wanted = self._wanted or change
        else:
            self._send(change)
