"""A call inside its SIP dialog, with all extensions: what users of the library drive (RFC 3261 sections 12 to 15).

Theory of operation. A :class:`SipSession` is made of tables that know nothing of each other: the SIP dialog
(``machine.py``), its offers (``offer_answer.py``), the INVITEs that may meet (``glare.py``), the session timer
(``session_timer.py``), the subscriptions of REFERs (``subscription.py``) and reliable provisional responses
(``reliable.py``). A message goes to the ones it concerns; what they want to send or to tell comes out of
:meth:`SipSession.take_outputs`, in order. Whatever ends the SIP dialog ends them all, and with them their timers.

How to drive it, after each call: do what ``take_outputs`` gives; call :meth:`SipSession.handle_timer` when
:attr:`SipSession.timer` says. Requests that go out carry neither Via nor Contact nor credentials; a request that was
challenged is sent again below, and its response comes back with the request as it was built here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from dialog_sip.errors import LocalProtocolError, RemoteProtocolError
from dialog_sip.fields.dtmf import RELAY, Digit, dtmf_headers
from dialog_sip.fields.reason import Reason
from dialog_sip.fields.refer_to import ReferTarget
from dialog_sip.fields.subscription_state import Progress
from dialog_sip.headers import HeaderValue
from dialog_sip.message import Request, Response
from dialog_sip.sip_dialog.changes import Changes
from dialog_sip.sip_dialog.glare import GuardEvent, InviteGuard
from dialog_sip.sip_dialog.machine import DialogState
from dialog_sip.sip_dialog.offer_answer import Meaning, OfferAnswer, OfferState, sdp_of
from dialog_sip.sip_dialog.outputs import Answered, Ended, Output
from dialog_sip.sip_dialog.parts import Parts, SessionSettings
from dialog_sip.sip_dialog.peer_requests import PeerRequests, accept_offer
from dialog_sip.sip_dialog.session_timer import SessionTimer, TimerState
from dialog_sip.sip_dialog.sip_dialog import SipDialog
from dialog_sip.sip_dialog.transfers import Transfers
from dialog_sip.values import NameAddr

_CHANGES = frozenset({"INVITE", "UPDATE"})


def make_parts(
    dialog: SipDialog,
    settings: SessionSettings,
    chance: Callable[[], float] | None,
    *,
    outputs: list[Output] | None = None,
    guard: InviteGuard | None = None,
    offers: OfferAnswer | None = None,
    session_timer: SessionTimer | None = None,
) -> Parts:
    """Put the parts of a call together (RFC 3261 section 13); ``chance`` None: the interpreter's own random numbers."""
    return Parts(
        dialog,
        settings,
        offers or OfferAnswer(),
        guard or InviteGuard(owner=dialog.is_ours),
        session_timer or SessionTimer(settings.timer),
        # Spreads retries in time; nothing secret hangs on it.
        chance or random.random,
        [] if outputs is None else outputs,
    )


class SipSession:
    """One call (RFC 3261 sections 12 to 15).

    :class:`OutgoingInvite` and :class:`IncomingInvite` make them; or give ``parts`` of a confirmed one.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        """The tables, to look at."""
        self._changes = Changes(parts)
        self._transfers = Transfers(parts)
        self._requests = PeerRequests(parts, self._transfers)

    @property
    def dialog(self) -> SipDialog:
        """The SIP dialog."""
        return self.parts.dialog

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.parts.is_over

    @property
    def timer(self) -> float | None:
        """When to call :meth:`handle_timer`; None after the end."""
        parts = self.parts
        if parts.is_over:
            return None
        pracks = None if parts.pracks is None else parts.pracks.timer
        times = (parts.session_timer.timer, self._changes.timer, self._transfers.timer, pracks)
        return min((time for time in times if time is not None), default=None)

    def take_outputs(self) -> list[Output]:
        """Return and forget what is to be sent, and what happened."""
        taken = list(self.parts.outputs)
        self.parts.outputs.clear()
        return taken

    # What we want.

    def reinvite(self, sdp: bytes = b"") -> None:
        """Change the session by an INVITE, as soon as none is on its way; without SDP the peer is to offer."""
        self._check_confirmed()
        self._changes.invite(sdp)

    def update(self, sdp: bytes = b"") -> None:
        """Change the session by an UPDATE (RFC 3311), also before the answer. Raises while an offer is open."""
        self._changes.update(sdp)

    def acknowledge(self, sdp: bytes) -> None:
        """Answer the offer that came in a 2xx (in the ACK)."""
        self._changes.acknowledge(sdp)

    def respond(
        self, request: Request, code: int, sdp: bytes = b"", *, headers: Iterable[tuple[str, HeaderValue]] = (),
        now: float,
    ) -> None:  # fmt: skip
        """Answer a request that came as :class:`Offered`, :class:`Referred` or :class:`Received`."""
        parts = self.parts
        if not parts.is_open(request):
            raise LocalProtocolError("this request does not wait for an answer")
        added = list(headers)
        if code >= 200 and request.method in {*_CHANGES, "PRACK"}:
            added += self._conclude(request, code, sdp, now)
        parts.respond(request, code, None, added, sdp)
        self._changes.pump()

    def refer(self, target: ReferTarget | str, *, referred_by: NameAddr | None = None, subscribe: bool = True) -> int:
        """Ask the peer to call ``target``; return the REFER's number, which :class:`Transferred` has too."""
        self._check_confirmed()
        return self._transfers.refer(target, referred_by, subscribe=subscribe)

    def accept_refer(self, request: Request, now: float) -> None:
        """Answer a REFER with 202; then :meth:`report` how the call goes that it asked for."""
        if not self.parts.is_open(request):
            raise LocalProtocolError("this request does not wait for an answer")
        self._transfers.accept(request, now)

    def report(self, refer: Request, progress: Progress, now: float) -> None:
        """Tell the peer how far the call is that its REFER asked for."""
        self._transfers.report(refer.cseq.number, progress, now)

    def send_digit(self, digit: Digit) -> None:
        """Send a key in an INFO, as ``application/dtmf-relay``."""
        self._check_confirmed()
        self.parts.send("INFO", dtmf_headers(), digit.relay(), RELAY)

    def send(
        self, method: str, *, headers: Iterable[tuple[str, HeaderValue]] = (), body: bytes = b"", content_type: str = ""
    ) -> Request:
        """Send another request in the SIP dialog."""
        return self.parts.send(method, headers, body, content_type)

    def bye(self, *reasons: Reason) -> None:
        """End the call; nothing where it has ended."""
        self._changes.end()
        self.parts.hang_up(reasons)

    # What happens.

    def receive_request(self, request: Request, now: float) -> None:
        """Take a request of the peer's in this SIP dialog, ACK included."""
        self._requests.receive(request, now)
        self._changes.pump()

    def receive_cancel(self, invite: Request) -> None:
        """Take the peer's CANCEL for a change of its own."""
        self._requests.cancel(invite)
        self._changes.pump()

    def receive_response(self, request: Request, response: Response, now: float) -> None:
        """Take a response to a request of ours; what cannot be read is dropped, for it cannot be answered."""
        try:
            self._receive_response(request, response, now)
        except RemoteProtocolError:
            if response.is_final and request.method in _CHANGES:
                self.parts.hang_up(code=response.code)

    def fail(self, request: Request, now: float) -> None:
        """Note that a request of ours got no final response: as good as 408 (RFC 3261 section 8.1.3.1)."""
        self.receive_response(request, request.respond(408, to_tag=self.parts.branch), now)

    def give_up(self, request: Request) -> None:
        """Note that the transaction layer answered a request in our place, because we took too long."""
        self._requests.give_up(request)
        self._changes.pump()

    def ack_timeout(self) -> None:
        """Note that no ACK came for a 2xx of ours (RFC 3261 section 13.3.1.4)."""
        self.bye()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        parts = self.parts
        if parts.is_over:
            return
        before = parts.session_timer.state
        state = parts.session_timer.handle_timer(now)
        if state is TimerState.EXPIRED:
            self.bye(Reason("SIP", 408, "Session timer"))
            return
        if state is TimerState.REFRESHING and before is TimerState.REFRESHER:
            self._refresh()
        self._changes.handle_timer(now)
        self._transfers.handle_timer(now)

    def _refresh(self) -> None:
        if self.parts.offers.state is OfferState.STABLE:
            self._changes.refresh()

    def _receive_response(self, request: Request, response: Response, now: float) -> None:
        parts = self.parts
        parts.note_capabilities(response)
        timed_out = response.code == 408 and request.method in _CHANGES and not parts.is_over
        if timed_out:
            # The peer may still be there, and has to hear of the end (RFC 3261 section 12.2.1.2).
            self._changes.end()
            parts.hang_up(code=408)
            return
        parts.dialog.receive_response(response)
        if request.method in _CHANGES:
            self._changes.receive_response(request, response, now)
        elif request.method in {"REFER", "NOTIFY"}:
            self._transfers.receive_response(request, response, now)
        elif request.method == "PRACK":
            self._receive_prack_response(request, response)
        if parts.dialog.state is DialogState.TERMINATED and not parts.is_over:
            parts.finish(Ended(response.code, response=response, branch=parts.branch))

    def _receive_prack_response(self, request: Request, response: Response) -> None:
        if response.is_provisional or sdp_of(request) is None or self.parts.offers.state is not OfferState.OFFERED:
            return
        if self.parts.offers.receive(response) is Meaning.ANSWER:
            self.parts.outputs.append(Answered(sdp_of(response) or b"", self.parts.branch))
        else:
            self.parts.fail_offer()

    def _conclude(self, request: Request, code: int, sdp: bytes, now: float) -> list[tuple[str, HeaderValue]]:
        """Move the tables for a final response of ours; return the headers that it is to have."""
        parts = self.parts
        if code >= 300:
            self._requests.withdraw(request)
            return []
        if not sdp and (parts.offers.state is OfferState.RECEIVED or self._asks_for_offer(request)):
            raise LocalProtocolError("this 2xx has to hold SDP")
        accept_offer(parts, request, sdp)
        if request.method == "PRACK":
            return []
        if request.method == "INVITE":
            parts.guard.apply(GuardEvent.ACCEPT)
        return [*parts.settings.capabilities(), *parts.session_timer.answer_headers(request, now)]

    def _asks_for_offer(self, request: Request) -> bool:
        in_dialog = request.to.tag is not None
        return in_dialog and request.method == "INVITE" and sdp_of(request) is None

    def _check_confirmed(self) -> None:
        if self.parts.dialog.state is not DialogState.CONFIRMED:
            raise LocalProtocolError("the SIP dialog is not confirmed")
