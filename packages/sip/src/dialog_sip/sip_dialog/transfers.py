"""REFER inside a SIP dialog, both roles: whom to call, and how that went (RFC 3515, 3892, 4488)."""

from __future__ import annotations

from dialog_sip.errors import LocalProtocolError, RemoteProtocolError
from dialog_sip.fields.refer_to import (
    ReferTarget,
    refer_headers,
    refer_target_of,
    referred_by_of,
    wants_no_subscription,
)
from dialog_sip.fields.subscription_state import SIPFRAG, EventPackage, Progress
from dialog_sip.message import Request, Response
from dialog_sip.sip_dialog.outputs import Referred, Transferred
from dialog_sip.sip_dialog.parts import Parts
from dialog_sip.sip_dialog.subscription import (
    NotifierState,
    ReferNotifier,
    ReferSubscriber,
    Report,
    SubscriberState,
)
from dialog_sip.values import NameAddr

MAX_SUBSCRIPTIONS = 8
"""REFERs of one SIP dialog that are reported on at a time."""


class Transfers:
    """The REFERs of one call (RFC 3515 section 2.4)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @property
    def timer(self) -> float | None:
        """When to call :meth:`handle_timer`."""
        times = [
            *(subscriber.timer for subscriber in self._parts.subscribers.values()),
            *(notifier.timer for notifier in self._parts.notifiers.values()),
        ]
        return min((time for time in times if time is not None), default=None)

    def refer(self, target: ReferTarget | str, referred_by: NameAddr | None, *, subscribe: bool) -> int:
        """Ask the peer to call ``target``; return the number of the REFER."""
        parts = self._parts
        if len(parts.subscribers) >= MAX_SUBSCRIPTIONS:
            raise LocalProtocolError("too many REFERs of ours are open")
        request = parts.send("REFER", refer_headers(target, referred_by=referred_by, subscribe=subscribe))
        number = request.cseq.number
        parts.subscribers[number] = ReferSubscriber(number)
        return number

    def receive_refer(self, request: Request) -> None:
        """Take a REFER. Raises :class:`RemoteProtocolError` with what to answer."""
        target = refer_target_of(request)
        self._parts.outputs.append(Referred(request, target, referred_by_of(request)))

    def accept(self, request: Request, now: float) -> None:
        """Answer a REFER with 202, and report that the call begins, unless nobody wants to know."""
        parts = self._parts
        if wants_no_subscription(request):
            parts.respond(request, 202, headers=[("Refer-Sub", "false")])
            return
        if len(parts.notifiers) >= MAX_SUBSCRIPTIONS:
            parts.respond(request, 500)
            return
        parts.respond(request, 202)
        number = request.cseq.number
        parts.notifiers[number] = ReferNotifier(number, now)
        self.report(number, Progress(100), now)

    def report(self, cseq: int, progress: Progress, now: float) -> None:
        """Tell the peer how far the call is that its REFER of this number asked for; nothing where it does not care."""
        notifier = self._parts.notifiers.get(cseq)
        if notifier is not None:
            self._notify(notifier.report(progress, now))

    def receive_notify(self, request: Request, now: float) -> None:
        """Take a NOTIFY, and answer it. Raises :class:`RemoteProtocolError` with what else to answer."""
        parts = self._parts
        event = EventPackage.parse(request.headers.get("Event") or "")
        found = next((one for one in reversed(parts.subscribers.values()) if one.matches(event)), None)
        if found is None:
            raise RemoteProtocolError(
                "no such subscription", status=481, reason="Subscription Does Not Exist", request=request
            )
        progress = found.receive_notify(request, now)
        parts.respond(request, 200)
        self._tell(found, progress)

    def receive_response(self, request: Request, response: Response, now: float) -> None:
        """Take a response to a REFER or NOTIFY of ours."""
        if request.method == "REFER":
            self._receive_refer_response(request.cseq.number, response, now)
            return
        event = EventPackage.parse(request.headers.get("Event") or "refer")
        notifier = self._parts.notifiers.get(int(event.id or 0))
        if notifier is not None:
            self._notify(notifier.receive_response(response, now))
            self._tidy()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for subscriber in list(self._parts.subscribers.values()):
            before = subscriber.state
            subscriber.handle_timer(now)
            if subscriber.state is not before:
                self._tell(subscriber, None)
        for notifier in list(self._parts.notifiers.values()):
            self._notify(notifier.handle_timer(now))
        self._tidy()

    def _receive_refer_response(self, number: int, response: Response, now: float) -> None:
        subscriber = self._parts.subscribers.get(number)
        if subscriber is None:
            return
        subscriber.receive_response(response, now)
        if subscriber.state is SubscriberState.OVER:
            refused = None if response.is_success else Progress(response.code, response.phrase)
            self._tell(subscriber, refused)

    def _tell(self, subscriber: ReferSubscriber, progress: Progress | None) -> None:
        over = subscriber.state is SubscriberState.OVER
        if over:
            self._parts.subscribers.pop(subscriber.cseq, None)
        self._parts.outputs.append(Transferred(subscriber.cseq, progress, over))

    def _notify(self, report: Report | None) -> None:
        if report is not None and not self._parts.dialog.is_over:
            self._parts.send("NOTIFY", report.headers, report.body, SIPFRAG)

    def _tidy(self) -> None:
        over = [number for number, one in self._parts.notifiers.items() if one.state is NotifierState.OVER]
        for number in over:
            del self._parts.notifiers[number]
