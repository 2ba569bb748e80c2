"""Requests of the PBX, on their way to bridges.

Theory of operation. ``model/incoming.py`` decides who takes a request. One that goes to a bridge is in one of three
states, and each has a deadline, so that the PBX is never met with silence (RFC 3261 section 8.2, RFC 4320 for what is
not INVITE).

=========  ====================================  ====================================================================
state      event                                 what happens
=========  ====================================  ====================================================================
offered    1xx of a bridge                       passed on; the request is that bridge's -> *taken*
offered    final response of a bridge            passed on -> *answered*
offered    deadline                              503 with Retry-After to INVITE, else 500 -> *answered*; who takes it
                                                 later finds a CANCEL behind the INVITE
offered    CANCEL                                to whomever may have taken it
taken      1xx, final response of that bridge    passed on; *taken* or *answered*
taken      response of any other bridge          dropped: the first one has it
taken      deadline (the bridge is gone)         503 with Retry-After to INVITE, else 500 -> *answered*
taken      CANCEL                                to that bridge, which answers the INVITE with 487
answered   no ACK came                           ``ack-timeout`` to that bridge
answered   2xx of a bridge                       ``ack-timeout`` to it: nobody is there to acknowledge it
answered   anything else                         dropped
=========  ====================================  ====================================================================

A CANCEL and an ``ack-timeout`` carry the transaction name of their INVITE.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto

from dialog_schemas.relay import Relay, RelayKind
from dialog_sip import Request, Response

from dialog_registrar.edge.context import Edge
from dialog_registrar.model.accounts import Account
from dialog_registrar.model.dress import cancel_of, dress_response
from dialog_registrar.model.expiring import Expiring
from dialog_registrar.model.incoming import Decision, Drop, Reply, ToAnyBridge, ToBridge
from dialog_registrar.model.timers import Timers
from dialog_registrar.ports import ServerTransaction

TAKE_WITHIN = 4.0
"""Seconds for a bridge to take a request."""
TAKEN_INVITE_FOR = 200.0
"""Seconds for the next response of the bridge that has an INVITE; longer than it lets a phone ring."""
TAKEN_OTHER_FOR = 24.0
"""The same for any other request: the PBX itself gives up after 64*T1."""
ANSWERED_FOR = 64.0
"""Seconds that an answered INVITE is remembered for its ACK timeout."""
RETRY_AFTER = 2
"""Seconds after which the PBX may try again: a bridge takes over in less."""
LIMIT = 20_000
"""Requests that are under way at a time; more are answered 503."""


class _State(Enum):
    OFFERED = auto()
    TAKEN = auto()
    ANSWERED = auto()


@dataclass(slots=True)
class _Received:
    """One request of the PBX and how far it is."""

    name: str
    transaction: ServerTransaction
    account: Account | None
    state: _State
    bridge: str | None
    """Whose inbox it goes to; None: ``sip.requests``."""

    @property
    def request(self) -> Request:
        return self.transaction.request


@dataclass(slots=True)
class Incoming:
    """Every request of the PBX that a bridge has to answer."""

    edge: Edge
    _open: dict[str, _Received] = field(default_factory=dict)
    _names: dict[ServerTransaction, str] = field(default_factory=dict)
    _deadlines: Timers[str] = field(default_factory=Timers)
    _answered: Expiring[ServerTransaction, _Received] = field(default_factory=lambda: Expiring(ANSWERED_FOR, LIMIT))

    def __len__(self) -> int:
        return len(self._open)

    def act(self, decision: Decision, name: str, transaction: ServerTransaction, account: Account | None) -> None:
        """Do what was decided about a request. ``name`` is unique; an ACK has no transaction to answer."""
        request = transaction.request
        self.edge.meters.sip_request(request.method)
        match decision:
            case Reply(code, headers):
                self._reply(transaction, code, headers)
            case ToBridge(instance):
                self._offer(_Received(name, transaction, account, _State.OFFERED, instance))
            case ToAnyBridge():
                self._offer(_Received(name, transaction, account, _State.OFFERED, None))
            case Drop():
                self.edge.meters.relay_dropped(request.method)

    def respond(self, relay: Relay, response: Response) -> None:
        """Pass a bridge's response on to the PBX."""
        received = self._open.get(relay.transaction)
        if received is None or (received.state is _State.TAKEN and received.bridge != relay.sender):
            self._too_late(relay, response)
            return
        received.bridge = relay.sender
        received.state = _State.TAKEN
        self.edge.routes.learn(received.request.call_id, relay.sender, self.edge.now())
        if response.is_final:
            self._close(received)
        else:
            self._watch(received)
        account = received.account
        contact = None if account is None else self.edge.sip.contact(account.server, account.user)
        received.transaction.respond(dress_response(response, received.request, contact, self.edge.user_agent))

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """Tell the bridge that the PBX has cancelled its INVITE; the CANCEL itself is answered already."""
        received = self._open.get(self._names.get(transaction, ""))
        if received is not None:
            self._to_bridge(received, replace(self._relay(received), sip=cancel.encode()))

    def ack_timed_out(self, transaction: ServerTransaction) -> None:
        """Tell the bridge that its 2xx was never acknowledged (RFC 3261 section 13.3.1.4)."""
        received = self._answered.drop(transaction)
        if received is not None:
            self._to_bridge(received, replace(self._relay(received), kind=RelayKind.ACK_TIMEOUT, sip=b""))

    def next(self) -> float | None:
        """Return when :meth:`expire` has something to do, or None."""
        return self._deadlines.next()

    def expire(self, now: float) -> None:
        """Answer what no bridge has answered in time."""
        while (name := self._deadlines.pop(now)) is not None:
            received = self._open[name]
            self.edge.meters.relay_timed_out(received.request.method)
            self._close(received)
            self._unavailable(received.transaction)
            if received.request.method == "INVITE":
                self._to_bridge(received, replace(self._relay(received), sip=cancel_of(received.request).encode()))

    def sweep(self, now: float) -> None:
        """Forget what is too old."""
        for _ in self._answered.expired(now):
            pass

    def _offer(self, received: _Received) -> None:
        request = received.request
        if request.method != "ACK":
            if len(self._open) >= LIMIT:
                self._unavailable(received.transaction)
                return
            self._open[received.name] = received
            self._names[received.transaction] = received.name
            self._watch(received)
        if request.method == "INVITE":
            received.transaction.respond(request.respond(100))
        relay = replace(self._relay(received), sip=request.encode())
        if not self._to_bridge(received, relay) and request.method != "ACK":
            self._close(received)
            self._unavailable(received.transaction)

    def _too_late(self, relay: Relay, response: Response) -> None:
        self.edge.meters.relay_dropped("response")
        if response.is_success and response.cseq.method == "INVITE":
            self.edge.to_bridge(
                relay.sender, replace(relay, kind=RelayKind.ACK_TIMEOUT, sip=b"", sender=self.edge.instance)
            )

    def _watch(self, received: _Received) -> None:
        self._deadlines.set(received.name, self.edge.now() + self._patience(received))

    @staticmethod
    def _patience(received: _Received) -> float:
        if received.state is _State.OFFERED:
            return TAKE_WITHIN
        return TAKEN_INVITE_FOR if received.request.method == "INVITE" else TAKEN_OTHER_FOR

    def _close(self, received: _Received) -> None:
        received.state = _State.ANSWERED
        del self._open[received.name]
        del self._names[received.transaction]
        self._deadlines.cancel(received.name)
        if received.request.method == "INVITE" and received.bridge is not None:
            self._answered.put(received.transaction, received, self.edge.now())

    def _to_bridge(self, received: _Received, relay: Relay) -> bool:
        return self.edge.to_bridge_or_any(received.bridge, received.request.call_id, relay)

    def _relay(self, received: _Received) -> Relay:
        account = received.account
        return Relay(
            kind=RelayKind.REQUEST,
            transaction=received.name,
            aor="" if account is None else account.aor,
            sender=self.edge.instance,
            flow=None if account is None else self.edge.sip.flow_name(account.server),
        )

    def _reply(self, transaction: ServerTransaction, code: int, headers: tuple[tuple[str, str], ...]) -> None:
        named = (*headers, ("Server", self.edge.user_agent))
        transaction.respond(transaction.request.respond(code, headers=named))

    def _unavailable(self, transaction: ServerTransaction) -> None:
        invite = transaction.request.method == "INVITE"
        self._reply(transaction, *((503, (("Retry-After", str(RETRY_AFTER)),)) if invite else (500, ())))
