"""What the machines of one call (RFC 3261 section 13) share: its SIP dialog, its tables, and what is to be sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dialog_sip.fields.reason import Reason
from dialog_sip.headers import HeaderValue
from dialog_sip.message import Message, Request
from dialog_sip.sip_dialog.glare import GuardEvent, InviteGuard
from dialog_sip.sip_dialog.machine import DialogEvent
from dialog_sip.sip_dialog.offer_answer import SDP, OfferAnswer, OfferEvent
from dialog_sip.sip_dialog.outputs import Ended, Output, Respond, Send
from dialog_sip.sip_dialog.reliable import T1, ReliableResponses
from dialog_sip.sip_dialog.session_timer import SessionTimer, SessionTimerSettings
from dialog_sip.sip_dialog.sip_dialog import SipDialog
from dialog_sip.sip_dialog.subscription import ReferNotifier, ReferSubscriber

MAX_OPEN = 16
"""Requests of the peer's that wait for our answer; more get 500. A peer with more has lost its mind."""

ALLOWED = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY")
"""Methods that are answered here."""
SUPPORTED = ("100rel", "timer", "replaces", "norefersub")
"""Option tags that are understood here."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How calls are to be (RFC 3261 section 13); shared by all of them."""

    timer: SessionTimerSettings = field(default_factory=SessionTimerSettings)
    reliable: bool = True
    """Provisional responses go out reliably to who can have them so."""
    also_allowed: tuple[str, ...] = ()
    """Other methods, given to the application as :class:`Received`."""
    t1: float = T1
    """Seconds."""
    first_rseq: int = 1

    @property
    def allow(self) -> str:
        """Value of Allow."""
        return ", ".join((*ALLOWED, *self.also_allowed))

    @property
    def supported(self) -> str:
        """Value of Supported."""
        return ", ".join(SUPPORTED)

    def capabilities(self) -> list[tuple[str, HeaderValue]]:
        """Return the headers that say what we can do."""
        return [("Allow", self.allow), ("Supported", self.supported), ("Recv-Info", "dtmf")]


@dataclass(slots=True)
class Parts:
    """The parts of one call (RFC 3261 section 13). ``chance`` gives random numbers from 0 to 1."""

    dialog: SipDialog
    settings: SessionSettings
    offers: OfferAnswer
    guard: InviteGuard
    session_timer: SessionTimer
    chance: Callable[[], float]
    outputs: list[Output]
    pracks: ReliableResponses | None = None
    """Of the INVITE that made the SIP dialog, where it came from the peer."""
    subscribers: dict[int, ReferSubscriber] = field(default_factory=dict)
    notifiers: dict[int, ReferNotifier] = field(default_factory=dict)
    open: list[Request] = field(default_factory=list)
    """Requests of the peer's that wait for our answer."""
    local_sdp: bytes = b""
    """What we said last, to be said again by a refresh."""
    peer_methods: frozenset[str] | None = None
    """From the peer's Allow; None while it has said nothing."""
    is_over: bool = False

    @property
    def branch(self) -> str | None:
        """The peer's tag."""
        return self.dialog.remote_tag

    def note_capabilities(self, message: Message) -> None:
        """Learn from Allow what the peer can do."""
        if "Allow" in message.headers:
            self.peer_methods = frozenset(message.headers.get_list("Allow"))

    def send(
        self, method: str, headers: Iterable[tuple[str, HeaderValue]] = (), body: bytes = b"", content_type: str = SDP
    ) -> Request:
        """Send a request in the SIP dialog."""
        request = self.dialog.request(method, headers=headers, body=body, content_type=content_type if body else None)
        self.outputs.append(Send(request))
        return request

    def respond(
        self,
        request: Request,
        code: int,
        phrase: str | None = None,
        headers: Iterable[tuple[str, HeaderValue]] = (),
        sdp: bytes = b"",
    ) -> None:
        """Answer a request of the peer's."""
        if code >= 200:
            self.open = [other for other in self.open if other is not request]
        response = self.dialog.respond(
            request, code, phrase, headers=headers, body=sdp, content_type=SDP if sdp else None
        )
        self.outputs.append(Respond(request, response))

    def is_open(self, request: Request) -> bool:
        """Tell whether a request of the peer's waits for our answer."""
        return any(other is request for other in self.open)

    def fail_offer(self) -> None:
        """Take back the offer that is open, if one is."""
        self.offers.apply(OfferEvent.FAIL)

    def hang_up(self, reasons: tuple[Reason, ...] = (), code: int | None = None) -> None:
        """Send BYE, and end."""
        if self.is_over:
            return
        if not self.dialog.is_over:
            self.send("BYE", [("Reason", str(reason)) for reason in reasons])
        self.finish(Ended(code, reasons, by_peer=False, branch=self.branch))

    def finish(self, ended: Ended) -> None:
        """End all parts: no timer goes on, and what is open is answered with 487 (RFC 3261 section 15.1.2)."""
        if self.is_over:
            return
        self.is_over = True
        for request in self.open:
            self.outputs.append(Respond(request, request.respond(487, to_tag=self.dialog.local_tag)))
        self.open = []
        self.dialog.apply(DialogEvent.BYE)
        self.guard.apply(GuardEvent.END)
        self.session_timer.end()
        for subscriber in self.subscribers.values():
            subscriber.end()
        for notifier in self.notifiers.values():
            notifier.end()
        if self.pracks is not None:
            self.pracks.finish(0.0)
        self.outputs.append(ended)
