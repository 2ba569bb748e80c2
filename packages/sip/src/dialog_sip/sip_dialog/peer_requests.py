"""Requests of the peer's inside a SIP dialog (RFC 3261 section 12.2.2): what each is, and what it gets."""

from __future__ import annotations

from dialog_sip.capabilities import KNOWN_METHODS
from dialog_sip.errors import RemoteProtocolError
from dialog_sip.fields.dtmf import digit_of
from dialog_sip.fields.reason import reasons_of
from dialog_sip.headers import HeaderValue
from dialog_sip.message import Request
from dialog_sip.sip_dialog.glare import GuardEvent, retry_after
from dialog_sip.sip_dialog.offer_answer import Meaning, OfferEvent, OfferState, sdp_of
from dialog_sip.sip_dialog.outputs import Answered, DigitReceived, Ended, Established, Offered, Received
from dialog_sip.sip_dialog.parts import MAX_OPEN, SUPPORTED, Parts
from dialog_sip.sip_dialog.transfers import Transfers


class PeerRequests:
    """Takes the requests of one call (RFC 3261 section 12.2.2).

    What needs a decision becomes an output; the rest is answered here.
    """

    def __init__(self, parts: Parts, transfers: Transfers) -> None:
        self._parts = parts
        self._transfers = transfers

    def receive(self, request: Request, now: float) -> None:
        """Take a request; it is answered, or waits for an answer of ours, when this returns."""
        parts = self._parts
        if request.method == "ACK":
            self._ack(request)
            return
        try:
            parts.dialog.receive(request)
            parts.note_capabilities(request)
            self._check_extensions(request)
            self._open(request)
            self._dispatch(request, now)
        except RemoteProtocolError as error:
            self._refuse(request, error)

    def cancel(self, invite: Request) -> None:
        """Take a CANCEL for an INVITE of the peer's that waits for our answer; the CANCEL itself is answered."""
        parts = self._parts
        if not parts.is_open(invite):
            return
        parts.respond(invite, 487)
        self.withdraw(invite)

    def give_up(self, request: Request) -> None:
        """Forget a request of the peer's that was answered in our place."""
        parts = self._parts
        if parts.is_open(request):
            parts.open = [other for other in parts.open if other is not request]
            self.withdraw(request)

    def withdraw(self, request: Request) -> None:
        """Take back what a request of the peer's changed, for it fails."""
        parts = self._parts
        carries_offer = request.method in {"INVITE", "UPDATE", "PRACK"} and sdp_of(request) is not None
        if carries_offer and parts.offers.state is OfferState.RECEIVED:
            parts.fail_offer()
        if request.method == "INVITE":
            parts.guard.apply(GuardEvent.REJECT)

    def _dispatch(self, request: Request, now: float) -> None:
        match request.method:
            case "BYE":
                self._bye(request)
            case "INVITE":
                self._invite(request)
            case "UPDATE":
                self._update(request, now)
            case "PRACK":
                self._prack(request, now)
            case "REFER":
                self._transfers.receive_refer(request)
            case "NOTIFY":
                self._transfers.receive_notify(request, now)
            case "INFO":
                self._info(request)
            case "OPTIONS":
                self._options(request)
            case _:
                self._other(request)

    def _check_extensions(self, request: Request) -> None:
        tags = request.headers.get_list("Require")
        unknown = [tag for tag in tags if tag.lower() not in SUPPORTED]
        if unknown:
            raise RemoteProtocolError(
                "an extension that is not understood",
                status=420,
                reason="Bad Extension",
                headers=[("Unsupported", ", ".join(unknown))],
            )

    def _open(self, request: Request) -> None:
        if len(self._parts.open) >= MAX_OPEN:
            raise RemoteProtocolError("too many requests wait", status=500, reason="Server Internal Error")
        self._parts.open.append(request)

    def _refuse(self, request: Request, error: RemoteProtocolError) -> None:
        headers: list[tuple[str, HeaderValue]] = [*error.headers]
        if error.status == 500:
            headers.append(("Retry-After", retry_after(self._parts.chance())))
        if error.status == 489:
            headers.append(("Allow-Events", "refer"))
        self._parts.respond(request, error.status, error.reason, headers)

    def _ack(self, ack: Request) -> None:
        parts = self._parts
        if parts.is_over or not parts.dialog.matches(ack):
            return
        parts.guard.apply(GuardEvent.ACK)
        awaited = parts.offers.state is OfferState.OFFERED
        meaning = parts.offers.receive(ack)
        if meaning is Meaning.ANSWER:
            parts.outputs.append(Answered(sdp_of(ack) or b"", parts.branch))
        parts.outputs.append(Established(parts.branch))
        if awaited and meaning is not Meaning.ANSWER:
            # Our 2xx made an offer that nobody answered: there is no session (RFC 3261 section 13.2.1).
            parts.hang_up()

    def _bye(self, request: Request) -> None:
        parts = self._parts
        parts.respond(request, 200)
        parts.finish(Ended(reasons=reasons_of(request), branch=parts.branch))

    def _invite(self, request: Request) -> None:
        parts = self._parts
        self._check_interval(request)
        parts.guard.receive()
        self._take_offer(request, withdraw=True)

    def _update(self, request: Request, now: float) -> None:
        parts = self._parts
        self._check_interval(request)
        if sdp_of(request) is not None:
            self._take_offer(request, withdraw=False)
            return
        headers = parts.session_timer.answer_headers(request, now)
        parts.respond(request, 200, headers=[*parts.settings.capabilities(), *headers])

    def _check_interval(self, request: Request) -> None:
        headers = self._parts.session_timer.refusal(request)
        if headers is not None:
            raise RemoteProtocolError(
                "interval too small", status=422, reason="Session Interval Too Small", headers=headers
            )

    def _take_offer(self, request: Request, *, withdraw: bool) -> None:
        parts = self._parts
        try:
            if sdp_of(request) is None and parts.offers.state is not OfferState.STABLE:
                raise RemoteProtocolError("an offer is open already", status=491, reason="Request Pending")
            parts.offers.receive(request)
        except RemoteProtocolError:
            if withdraw:
                parts.guard.apply(GuardEvent.REJECT)
            raise
        parts.outputs.append(Offered(sdp_of(request), request, parts.branch))

    def _prack(self, request: Request, now: float) -> None:
        parts = self._parts
        if parts.pracks is None:
            raise RemoteProtocolError("PRACK for no INVITE", status=481, reason="Call/Transaction Does Not Exist")
        parts.pracks.receive(request, now)
        meaning = parts.offers.receive(request)
        if meaning is Meaning.OFFER:
            parts.outputs.append(Offered(sdp_of(request), request, parts.branch))
            return
        parts.respond(request, 200)
        if meaning is Meaning.ANSWER:
            parts.outputs.append(Answered(sdp_of(request) or b"", parts.branch))

    def _info(self, request: Request) -> None:
        digit = digit_of(request)
        package = (request.headers.get("Info-Package") or "").partition(";")[0].strip().lower()
        if digit is None and package not in {"", "dtmf"}:
            self._parts.respond(request, 469, "Bad Info Package", [("Recv-Info", "dtmf")])
        elif digit is None and request.body:
            self._parts.respond(request, 415, headers=[("Accept", "application/dtmf-relay, application/dtmf")])
        else:
            self._parts.respond(request, 200)
            if digit is not None:
                self._parts.outputs.append(DigitReceived(digit))

    def _options(self, request: Request) -> None:
        self._parts.respond(request, 200, headers=[*self._parts.settings.capabilities(), ("Accept", "application/sdp")])

    def _other(self, request: Request) -> None:
        if request.method in self._parts.settings.also_allowed:
            self._parts.outputs.append(Received(request))
            return
        code = 405 if request.method in KNOWN_METHODS else 501
        self._parts.respond(request, code, headers=[("Allow", self._parts.settings.allow)])


def accept_offer(parts: Parts, request: Request, sdp: bytes) -> None:
    """Move the offers for a 2xx of ours with or without SDP (RFC 3261 section 13.3.1.4, RFC 3311 section 5.2).

    Raises :class:`LocalProtocolError` for a wrong one.
    """
    if parts.offers.state is OfferState.RECEIVED:
        parts.offers.apply(OfferEvent.SEND_ANSWER)
    elif sdp and request.method == "INVITE":
        parts.offers.apply(OfferEvent.SEND_OFFER)
    if sdp:
        parts.local_sdp = sdp
