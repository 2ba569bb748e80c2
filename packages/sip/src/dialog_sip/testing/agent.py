"""A whole user agent of this library on the wire: transactions, digest, calls. It shows how the parts are driven."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count

from dialog_sip.digest import DigestClient, Outcome
from dialog_sip.errors import LocalProtocolError, RemoteProtocolError, SipError
from dialog_sip.headers import HeaderValue
from dialog_sip.message import Message, Request, Response
from dialog_sip.parser import parse_message
from dialog_sip.sip_dialog import (
    Cancel,
    IncomingInvite,
    OutgoingInvite,
    Respond,
    Send,
    SessionSettings,
    initial_request,
)
from dialog_sip.testing.call import Call
from dialog_sip.testing.clock import ManualClock
from dialog_sip.testing.wire import MemoryFlow, Wire
from dialog_sip.transactions import (
    AckReceived,
    AckTimeout,
    CancelReceived,
    Event,
    RequestReceived,
    ResponseReceived,
    ServerTimeout,
    Terminated,
    Timeout,
    TransactionLayer,
    TransportFailed,
)
from dialog_sip.values import CSeq, NameAddr

MAX_CHALLENGES = 3
"""Challenges of one request that are answered."""
_WITH_CONTACT = frozenset({"INVITE", "UPDATE", "REFER", "NOTIFY", "SUBSCRIBE"})


class UserAgent:
    """One user agent under a name (RFC 3261 section 8). ``chance`` gives the random numbers of its retries."""

    def __init__(
        self,
        name: str,
        wire: Wire,
        clock: ManualClock,
        settings: SessionSettings | None = None,
        *,
        transport: str = "udp",
        password: str | None = None,
        chance: Callable[[], float] = lambda: 0.5,
    ) -> None:
        self.name = name
        self.aor = f"sip:{name}@example.com"
        self.calls: list[Call] = []
        """All calls, the oldest first."""
        self.answers: list[tuple[Request, Response]] = []
        """Final responses to requests outside calls."""
        tokens = count(1)
        self.layer = TransactionLayer(new_token=lambda: f"{name}{next(tokens)}")
        self._tokens = count(1)
        self._settings = settings or SessionSettings(reliable=False)
        self._wire, self._clock, self._transport = wire, clock, transport
        self._digest, self._password = DigestClient(name), password
        self._chance = chance
        self._clients: dict[str, tuple[Call | None, Request, Request, int]] = {}
        """Transaction -> call, request as it was built, request as it was sent, challenges so far."""
        self._servers: dict[str, tuple[Call, Request]] = {}
        wire.attach(name, self._receive)
        clock.drive(self.layer.timer, self._handle_layer_timer)
        clock.drive(self._next_timer, self._handle_timers)

    def call(
        self, to: str, sdp: bytes = b"", *, headers: Iterable[tuple[str, HeaderValue]] = (), target: str | None = None
    ) -> Call:
        """Call the one of this name."""
        number = next(self._tokens)
        invite = initial_request(
            "INVITE",
            target or f"sip:{to}@{to}.invalid",
            from_=NameAddr.make(self.aor, self.name.title(), tag=f"{self.name}-{number}"),
            to=NameAddr.make(f"sip:{to}@example.com"),
            call_id=f"{number}@{self.name}",
            headers=headers,
            body=sdp,
            content_type="application/sdp" if sdp else None,
        )
        call = Call(self, OutgoingInvite(invite, self._settings, chance=self._chance), to)
        self.calls.append(call)
        call.flush()
        return call

    def request(self, request: Request, to: str) -> None:
        """Send a request outside any call; the answer lands in :attr:`answers`."""
        self._send(None, request, to)

    def flush(self, call: Call) -> None:
        """Do what a call wants to be done."""
        for output in call.machine.take_outputs():
            match output:
                case Send(request):
                    self._send(call, request, call.peer)
                case Respond(request, response):
                    self._respond(request, response)
                case Cancel(request):
                    self._cancel(request)
                case _:
                    call.events.append(output)
        self._transmit()

    @property
    def last_call(self) -> Call:
        """The newest call."""
        return self.calls[-1]

    @property
    def is_idle(self) -> bool:
        """Whether no transaction and no timer is left."""
        return not len(self.layer) and self._next_timer() is None

    # Sending.

    def _send(self, call: Call | None, request: Request, to: str, *, challenges: int = 0, cseq: int = 0) -> None:
        sent = request.copy()
        if request.method in _WITH_CONTACT and "Contact" not in sent.headers:
            sent.headers.add("Contact", f"<sip:{self.name}@{self.name}.invalid>")
        if cseq:
            sent.headers.set("CSeq", CSeq(cseq, request.method))
        if self._password is not None:
            self._digest.authorize(sent, self._password)
        flow = MemoryFlow(self.name, to, self._transport)
        if request.method == "ACK":
            self.layer.acknowledge(sent, flow)
        else:
            name = self.layer.request(sent, flow, self._clock.now)
            self._clients[name] = (call, request, sent, challenges)
        self._transmit()

    def _respond(self, request: Request, response: Response) -> None:
        name = next((name for name, (_, one) in self._servers.items() if one is request), None)
        if name is None:
            return
        if request.method in _WITH_CONTACT and 100 < response.code < 300 and "Contact" not in response.headers:
            response.headers.add("Contact", f"<sip:{self.name}@{self.name}.invalid>")
        # It may have been answered in our place at this very moment, and the event is on its way.
        with suppress(LocalProtocolError):
            self.layer.respond(name, response, self._clock.now)

    def _cancel(self, invite: Request) -> None:
        for name, (_, built, _, _) in list(self._clients.items()):
            if built is invite:
                self.layer.cancel(name, self._clock.now)

    def _transmit(self) -> None:
        for flow, data in self.layer.take_transmits():
            if isinstance(flow, MemoryFlow):
                self._wire.send(flow, data)

    # Receiving.

    def _receive(self, data: bytes, flow: MemoryFlow) -> None:
        try:
            message: Message = parse_message(data)
        except SipError:
            return
        self.layer.receive(message, flow, self._clock.now)
        self._dispatch()

    def _dispatch(self) -> None:
        self._transmit()
        for event in self.layer.take_events():
            self._handle(event)
        self._transmit()

    def _handle(self, event: Event) -> None:
        now = self._clock.now
        match event:
            case RequestReceived(name, request, flow):
                self._take_request(name, request, flow.remote[0].removesuffix(".invalid"))
            case AckReceived(_, request, _):
                self._in_call(request, lambda call: call.receive(request, now))
            case CancelReceived(name, request, _):
                self._take_cancel(name, request)
            case ResponseReceived(name, response, _):
                self._take_response(name, response)
            case Timeout(name, _, _) | TransportFailed(name, _, _):
                self._take_failure(name)
            case ServerTimeout(name, _, _) if name in self._servers:
                self._give_up(*self._servers.pop(name))
            case Terminated(name):
                self._servers.pop(name, None)
                self._clients.pop(name, None)
            case AckTimeout(name, _, _) if name in self._servers:
                call, _ = self._servers[name]
                call.do(call.session.ack_timeout)

    def _take_request(self, name: str, request: Request, peer: str) -> None:
        if request.to.tag is None and request.method == "INVITE":
            self._take_invite(name, request, peer)
            return
        call = next((one for one in self.calls if one.session_of(request) is not None), None)
        if call is None:
            code = 200 if request.to.tag is None else 481
            self.layer.respond(name, request.respond(code), self._clock.now)
            return
        self._servers[name] = (call, request)
        call.receive(request, self._clock.now)
        call.flush()

    def _take_invite(self, name: str, request: Request, peer: str) -> None:
        tag = f"{self.name}-{next(self._tokens)}"
        try:
            machine = IncomingInvite(request, tag, self._settings, chance=self._chance)
        except RemoteProtocolError as error:
            self.layer.respond(name, request.respond(error.status, error.reason), self._clock.now)
            return
        call = Call(self, machine, peer)
        self.calls.append(call)
        self._servers[name] = (call, request)
        call.flush()

    def _give_up(self, call: Call, request: Request) -> None:
        if isinstance(call.machine, IncomingInvite) and call.machine.invite is request:
            call.machine.give_up()
        else:
            call.session.give_up(request)
        call.flush()

    def _take_cancel(self, name: str, cancel: Request) -> None:
        if name not in self._servers:
            return
        call, invite = self._servers[name]
        if isinstance(call.machine, IncomingInvite) and call.machine.invite is invite:
            call.machine.receive_cancel(cancel)
        else:
            call.session.receive_cancel(invite)
        call.flush()

    def _take_response(self, name: str, response: Response) -> None:
        if name not in self._clients:
            return
        call, built, sent, challenges = self._clients[name]
        if self._answers_challenge(response, sent, challenges):
            self._send(call, built, self._peer_of(call, built), challenges=challenges + 1, cseq=sent.cseq.number + 1)
            return
        if call is None:
            self.answers += [(built, response)] if response.is_final else []
            return
        call.machine.receive_response(built, response, self._clock.now)
        call.flush()

    def _answers_challenge(self, response: Response, sent: Request, challenges: int) -> bool:
        if response.code not in {401, 407} or self._password is None or challenges >= MAX_CHALLENGES:
            return False
        return self._digest.learn(response, sent) is Outcome.RETRY

    def _take_failure(self, name: str) -> None:
        call, built, _, _ = self._clients.get(name, (None, None, None, 0))
        if call is not None and built is not None:
            call.machine.fail(built, self._clock.now)
            call.flush()

    def _in_call(self, request: Request, then: Callable[[Call], None]) -> None:
        for call in self.calls:
            if call.session_of(request) is not None:
                then(call)
                call.flush()
                return

    def _peer_of(self, call: Call | None, request: Request) -> str:
        return call.peer if call is not None else request.request_uri.host.removesuffix(".invalid")

    # Time.

    def _next_timer(self) -> float | None:
        return min((due for call in self.calls if (due := call.machine.timer) is not None), default=None)

    def _handle_layer_timer(self, now: float) -> None:
        self.layer.handle_timer(now)
        self._dispatch()

    def _handle_timers(self, now: float) -> None:
        for call in list(self.calls):
            due = call.machine.timer
            if due is not None and due <= now:
                call.machine.handle_timer(now)
                call.flush()
