"""Calling: an INVITE of ours, and the SIP dialogs that it makes (RFC 3261 section 13.2, RFC 3262, RFC 6228).

Theory of operation. A proxy may send the INVITE to several phones; each To tag that answers is a SIP dialog of its own,
with its own offer, its own reliable responses and its own media. The first 2xx wins. A 2xx of another branch that comes
later - its CANCEL was too slow - is acknowledged and ended with BYE at once, and so is every 2xx after we cancelled.
64*T1 after the first 2xx nothing more can come, and the branches that never answered are forgotten (section 13.2.2.4).
199 ends one branch, a failure all that are early. 422 sends the INVITE again with a longer interval.
"""

from __future__ import annotations

from collections.abc import Callable

from dialog_sip.errors import LocalProtocolError, RemoteProtocolError
from dialog_sip.fields.rack import RAck
from dialog_sip.fields.reason import Reason
from dialog_sip.message import Request, Response
from dialog_sip.sip_dialog.calling import CallingEvent, CallingState, after
from dialog_sip.sip_dialog.dialog_set import DialogSet
from dialog_sip.sip_dialog.early_media import EarlyMedia
from dialog_sip.sip_dialog.glare import GuardEvent, GuardState, InviteGuard
from dialog_sip.sip_dialog.machine import DialogState
from dialog_sip.sip_dialog.offer_answer import Meaning, OfferAnswer, OfferEvent, OfferState, sdp_of
from dialog_sip.sip_dialog.outputs import Answered, Cancel, Ended, Established, Offered, Output, Ringing, Send
from dialog_sip.sip_dialog.parts import SessionSettings
from dialog_sip.sip_dialog.reliable import GIVE_UP_AFTER, ReliableReceiver
from dialog_sip.sip_dialog.session import SipSession, make_parts
from dialog_sip.sip_dialog.session_timer import SessionTimer
from dialog_sip.sip_dialog.sip_dialog import SipDialog
from dialog_sip.values import CSeq

EARLY_DIALOG_TERMINATED = 199
"""Status that ends one branch (RFC 6228)."""
MAX_ATTEMPTS = 4
"""INVITEs with one 422 after another."""


class OutgoingInvite:
    """A call of ours (RFC 3261 section 13.2).

    ``chance`` gives random numbers from 0 to 1; drive it as :class:`SipSession` is driven.
    """

    def __init__(
        self,
        invite: Request,
        settings: SessionSettings | None = None,
        *,
        chance: Callable[[], float] | None = None,
        ignore_contact: bool = False,
    ) -> None:
        self.settings = settings or SessionSettings()
        self.session: SipSession | None = None
        """The one that won."""
        self.early_media = EarlyMedia()
        """What is to be heard meanwhile."""
        self._chance = chance
        self._ignore_contact = ignore_contact
        self._state = CallingState.CALLING
        self._session_timer = SessionTimer(self.settings.timer)
        self._outputs: list[Output] = []
        self._sessions: dict[str | None, SipSession] = {}
        self._receiver = ReliableReceiver()
        self._unanswered: dict[str | None, RAck] = {}
        """PRACKs that are to hold our answer."""
        self._ack_for: int | None = None
        self._attempts = 0
        self._timer: float | None = None
        self._start(invite)

    @property
    def state(self) -> CallingState:
        """Where the call stands."""
        return self._state

    @property
    def invite(self) -> Request:
        """The INVITE that is on its way, or was last."""
        return self._dialogs.invite

    @property
    def sessions(self) -> tuple[SipSession, ...]:
        """All branches that answered, the oldest first."""
        return tuple(self._sessions.values())

    @property
    def timer(self) -> float | None:
        """When to call :meth:`handle_timer`."""
        times = [self._timer, *(session.timer for session in self._sessions.values())]
        return min((time for time in times if time is not None), default=None)

    def take_outputs(self) -> list[Output]:
        """Return and forget what is to be sent, and what happened."""
        taken = list(self._outputs)
        self._outputs.clear()
        return taken

    def find(self, request: Request) -> SipSession | None:
        """Return the session that a request of a peer's is for."""
        return next((one for one in self._sessions.values() if one.dialog.matches(request)), None)

    def cancel(self, *reasons: Reason) -> None:
        """Give up (RFC 3261 section 9.1). The driver sends CANCEL; a 2xx that crosses it is ended here."""
        if self._state is CallingState.CALLING:
            self._outputs.append(Cancel(self.invite))
            for reason in reasons:
                self.invite.headers.add("Reason", str(reason))
        self._apply(CallingEvent.CANCEL)

    def acknowledge(self, sdp: bytes, branch: str | None = None) -> None:
        """Answer the offer that came in a reliable response (in a PRACK) or in the 2xx (in the ACK)."""
        session = self._sessions.get(branch) or self.session
        if session is None:
            raise LocalProtocolError("nothing waits for an answer of ours")
        rack = self._unanswered.pop(session.parts.branch, None)
        if rack is None and self._ack_for is None:
            session.acknowledge(sdp)
            return
        session.parts.offers.apply(OfferEvent.SEND_ANSWER)
        session.parts.local_sdp = sdp
        if rack is not None:
            session.parts.send("PRACK", [("RAck", str(rack))], sdp)
        elif self._ack_for is not None:
            self._acknowledge(session, self._ack_for, sdp)

    def receive_response(self, request: Request, response: Response, now: float) -> None:
        """Take a response: to the INVITE, or to a request of one of the sessions."""
        if request is self.invite:
            try:
                self._receive(response, now)
            except RemoteProtocolError:
                self._take_unreadable(response)
            return
        session = next((one for one in self._sessions.values() if one.dialog.local_tag == request.from_.tag
                        and one.dialog.remote_tag == request.to.tag), None)  # fmt: skip
        if session is not None:
            session.receive_response(request, response, now)

    def fail(self, request: Request, now: float) -> None:
        """Note that a request of ours got no final response: as good as 408."""
        self.receive_response(request, request.respond(408), now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._timer is not None and now >= self._timer:
            self._timer = None
            self._apply(CallingEvent.TIMER)
            self._end_early()
        for session in self._sessions.values():
            session.handle_timer(now)

    def _start(self, invite: Request) -> None:
        self._attempts += 1
        for name, value in self.settings.capabilities():
            invite.headers.set(name, value)
        for name in ("Session-Expires", "Min-SE"):
            invite.headers.remove(name)
        for name, value in self._session_timer.request_headers():
            invite.headers.set(name, value)
        self._dialogs = DialogSet(invite, ignore_contact=self._ignore_contact)
        self._outputs.append(Send(invite))

    def _receive(self, response: Response, now: float) -> None:
        self.early_media.receive(response)
        if response.code == 422 and self._ask_again(response):
            return
        dialog = self._dialogs.receive(response)
        if response.is_provisional:
            self._receive_provisional(response, dialog)
        elif response.is_success and dialog is not None:
            self._receive_success(response, dialog, now)
        elif not response.is_success:
            self._receive_failure(response)

    def _ask_again(self, response: Response) -> bool:
        if self._state is not CallingState.CALLING or self._attempts >= MAX_ATTEMPTS:
            return False
        if not self._session_timer.adjust(response):
            return False
        again = self.invite.copy()
        number = max(self._dialogs.cseq, response.cseq.number) + 1
        again.headers.set("CSeq", CSeq(number, "INVITE"))
        self.early_media = EarlyMedia()
        self._start(again)
        return True

    def _receive_provisional(self, response: Response, dialog: SipDialog | None) -> None:
        received = self._receiver.receive(response)
        if not received.is_new:
            return
        if dialog is None:
            if response.code > 100:
                self._outputs.append(Ringing(response, response.to.tag))
            return
        session = self._session_of(dialog)
        if response.code == EARLY_DIALOG_TERMINATED:
            session.parts.finish(Ended(199, response=response, branch=session.parts.branch))
            return
        session.parts.note_capabilities(response)
        self._outputs.append(Ringing(response, session.parts.branch))
        meaning = self._take_sdp(session, response)
        if received.rack is None:
            return
        if meaning is Meaning.OFFER:
            self._unanswered[session.parts.branch] = received.rack
        else:
            session.parts.send("PRACK", [("RAck", str(received.rack))])

    def _take_sdp(self, session: SipSession, response: Response) -> Meaning:
        meaning = session.parts.offers.receive(response)
        sdp, branch = sdp_of(response), session.parts.branch
        if sdp is not None and meaning in {Meaning.ANSWER, Meaning.PREVIEW}:
            self._outputs.append(Answered(sdp, branch, meaning is Meaning.ANSWER))
        elif meaning is Meaning.OFFER:
            self._outputs.append(Offered(sdp, None, branch))
        return meaning

    def _receive_success(self, response: Response, dialog: SipDialog, now: float) -> None:
        session = self._session_of(dialog)
        if self._state is not CallingState.CALLING and session is not self.session:
            self._release(session, response)
            return
        if session is self.session:
            return
        self.session = session
        self._apply(CallingEvent.SUCCESS)
        self._timer = now + GIVE_UP_AFTER * self.settings.t1
        session.parts.note_capabilities(response)
        self._unanswered.clear()
        session.parts.session_timer.receive_response(response, now)
        self._outputs.append(Established(session.parts.branch))
        if self._take_sdp(session, response) is Meaning.OFFER:
            self._ack_for = response.cseq.number
            return
        self._acknowledge(session, response.cseq.number, b"")
        if session.parts.offers.state is not OfferState.STABLE:
            # No answer, no session (RFC 3261 section 13.2.1).
            session.bye()

    def _acknowledge(self, session: SipSession, cseq: int, sdp: bytes) -> None:
        self._ack_for = None
        content_type = "application/sdp" if sdp else None
        self._outputs.append(Send(session.dialog.ack(cseq, body=sdp, content_type=content_type)))
        session.parts.guard.apply(GuardEvent.FINISH)

    def _release(self, session: SipSession, response: Response) -> None:
        """End a branch that answered in vain: ACK, and BYE (RFC 3261 section 13.2.2.4)."""
        self._outputs.append(Send(session.dialog.ack(response.cseq.number)))
        session.bye()

    def _receive_failure(self, response: Response) -> None:
        if self._state in {CallingState.CALLING, CallingState.CANCELLING}:
            self._apply(CallingEvent.FAILURE)
            self._finish_all(response)
            self._outputs.append(Ended(response.code, response=response))

    def _finish_all(self, response: Response) -> None:
        for session in self._sessions.values():
            session.parts.finish(Ended(response.code, response=response, branch=session.parts.branch))

    def _end_early(self) -> None:
        for session in self._sessions.values():
            if session is not self.session and session.dialog.state is not DialogState.CONFIRMED:
                session.parts.finish(Ended(branch=session.parts.branch))

    def _take_unreadable(self, response: Response) -> None:
        """End the attempt with a final response, also where it cannot be read."""
        if response.is_final and self._state in {CallingState.CALLING, CallingState.CANCELLING}:
            self._apply(CallingEvent.FAILURE)
            self._finish_all(response)
            self._outputs.append(Ended(response.code, response=response))

    def _session_of(self, dialog: SipDialog) -> SipSession:
        known = self._sessions.get(dialog.remote_tag)
        if known is None:
            offered = sdp_of(self.invite) is not None
            parts = make_parts(
                dialog,
                self.settings,
                self._chance,
                outputs=self._outputs,
                guard=InviteGuard(owner=True, state=GuardState.CALLING),
                offers=OfferAnswer(OfferState.OFFERED if offered else OfferState.ASKED),
                session_timer=self._session_timer if self.session is None else None,
            )
            parts.local_sdp = self.invite.body
            known = self._sessions[dialog.remote_tag] = SipSession(parts)
        return known

    def _apply(self, event: CallingEvent) -> None:
        self._state = after(self._state, event)
