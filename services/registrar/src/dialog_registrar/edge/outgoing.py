"""Requests of bridges, on their way to the PBX.

Theory of operation. A relayed request is dressed (``model/dress.py``) and becomes a client transaction on the
mapping's flow.

==========  =============================  ==========================================================================
state       event                          what happens
==========  =============================  ==========================================================================
held        the mapping has a way          sent -> *waiting*
held        the mapping is not ours        a 503 of our own -> gone
held        too long                       sent if it can be, else a 503 of our own -> gone
held        cancel                         a 487 of our own -> gone
waiting     100                            nothing: a bridge never sees it (RFC 3261 section 8.1.3.2)
waiting     101-199                        passed on
waiting     401, 407                       sent again with credentials and the next CSeq; still *waiting*
waiting     401, 407 to fresh credentials  a 403 of our own: the bridge cannot answer a challenge either -> gone
waiting     422 with a longer interval     sent again with that and the next CSeq; still *waiting* (RFC 4028 7.3)
waiting     2xx to INVITE                  passed on -> *accepted*
waiting     any other final response       passed on -> gone
waiting     cancel                         CANCEL, and no second attempt -> *cancelled*
waiting     no response, no way            a 408 or 503 of our own -> gone
cancelled   401, 407                       a 487 of our own -> gone
cancelled   anything else                  as when waiting
accepted    2xx again, from another fork   passed on (RFC 3261 section 13.2.2.4)
accepted    anything else                  nothing
==========  =============================  ==========================================================================

A nonce that a PBX took is used again, with a higher ``nc``, by what the mapping sends next: that is challenged only
where the nonce is too old by then. The challenge is answered as if there had been no credentials.

*Held* is a request whose mapping, password or flow is not there (``edge/waiting.py``). The mapping is not ours once
all of this registrar's partitions are here, and it is in none of them. *Accepted* ends by age. A
request that comes twice (the bus delivers at least once) is known by its transaction and dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto

from dialog_schemas.relay import Relay, RelayKind
from dialog_sip import Request, Response
from dialog_sip.digest import DigestClient, Outcome
from dialog_sip.transactions import Failure

from dialog_registrar.edge.context import Edge
from dialog_registrar.edge.interval import with_longer_interval
from dialog_registrar.edge.waiting import Waiting
from dialog_registrar.model.accounts import Account
from dialog_registrar.model.dress import copy_credentials, dress_request, retried
from dialog_registrar.model.expiring import Expiring
from dialog_registrar.model.mapping import Server
from dialog_registrar.ports import ClientTransaction, FlowDownError

ACCEPTED_FOR = 64.0
"""Seconds that a transaction is remembered after its last message: twice 64*T1."""
LIMIT = 50_000
"""Transactions that are remembered at a time."""
MAX_ATTEMPTS = 4
"""Times that one request is sent: plain, with credentials, and again where a nonce was stale."""
PROVEN_FOR = 300.0
"""Seconds that a nonce is used again after its last use; PBXs take theirs for half a minute to some minutes."""
ABANDONED_AFTER = 600.0
"""Seconds after which a transaction without a final response is forgotten; far beyond Timer C (RFC 3261 section
16.6)."""

_LOCAL = {Failure.TIMEOUT: (408, None), Failure.TRANSPORT: (503, "The way to the PBX is broken")}


class _State(Enum):
    WAITING = auto()
    CANCELLED = auto()
    ACCEPTED = auto()
    GONE = auto()


@dataclass(slots=True)
class _Sent:
    """One relayed request and how far it is. The events of its transaction come here."""

    owner: Outgoing
    relay: Relay
    account: Account
    request: Request
    state: _State = _State.WAITING
    attempts: int = 0
    digest: DigestClient | None = None
    transaction: ClientTransaction | None = None

    def received(self, response: Response) -> None:
        """Take a response of the PBX."""
        self.owner.received(self, response)

    def failed(self, failure: Failure) -> None:
        """Learn that none will come."""
        code, phrase = _LOCAL[failure]
        self.owner.answer_locally(self, code, phrase)


@dataclass(slots=True)
class Outgoing:
    """Every relayed request that is under way."""

    edge: Edge
    _sent: Expiring[str, _Sent] = field(default_factory=lambda: Expiring(ABANDONED_AFTER, LIMIT))
    _done: Expiring[str, None] = field(default_factory=lambda: Expiring(ACCEPTED_FOR, LIMIT))
    _invites: Expiring[tuple[str, int], Request] = field(default_factory=lambda: Expiring(ACCEPTED_FOR, LIMIT))
    """Call-ID and CSeq of an INVITE with credentials: its ACK carries the same."""
    _proven: Expiring[tuple[str, Server], DigestClient] = field(default_factory=lambda: Expiring(PROVEN_FOR, LIMIT))
    """Nonces that a PBX took from a mapping."""
    _waiting: Waiting = field(default_factory=Waiting)

    def __len__(self) -> int:
        return len(self._sent) + len(self._waiting)

    def request(self, relay: Relay, request: Request) -> None:
        """Send a bridge's request to the PBX of its mapping, as soon as there is a way."""
        now = self.edge.now()
        if self._is_known(relay.transaction, now):
            return
        self.edge.routes.learn(request.call_id, relay.sender, now)
        if self._waiting.is_full or (self._is_due(relay, request) and not self._waiting.has_of(request.call_id)):
            self._dispatch(relay, request)
        else:
            self._waiting.put(relay, request, now)

    def next(self) -> float | None:
        """Return when :meth:`expire` has something to do, or None."""
        return self._waiting.next()

    def expire(self, now: float) -> None:
        """Send what waited for a way that is there by now; end what waits in vain, or can wait no longer."""
        for waiter in self._waiting.over(now, self._is_due):
            self._dispatch(waiter.relay, waiter.request)

    def _is_known(self, transaction: str, now: float) -> bool:
        sent = self._sent.get(transaction, now)
        return sent is not None or transaction in self._done or transaction in self._waiting

    def _is_due(self, relay: Relay, request: Request) -> bool:
        """Tell whether nothing is to be waited for: there is a way, or the mapping is another registrar's."""
        account = self.edge.accounts.account(relay.aor)
        if account is None:
            return not self.edge.taking()
        if account.password is None and request.method == "INVITE":
            # It may be challenged. Nothing else waits for a password: an outage of the table may hold it back for long.
            return False
        return self.edge.sip.contact(account.server, account.user) is not None

    def _dispatch(self, relay: Relay, request: Request) -> None:
        account = self.edge.accounts.account(relay.aor)
        if account is None:
            self._refuse(relay, request, 503, "This registrar does not hold the mapping")
        elif request.method == "ACK":
            self._acknowledge(account, request)
        else:
            self._start(_Sent(self, _without_sip(relay), account, request))

    def cancel(self, relay: Relay) -> None:
        """CANCEL a bridge's INVITE."""
        if (waiter := self._waiting.take(relay.transaction)) is not None:
            self._refuse(waiter.relay, waiter.request, 487)
        sent = self._sent.get(relay.transaction, self.edge.now())
        if sent is None or sent.state is not _State.WAITING:
            return
        sent.state = _State.CANCELLED
        if sent.transaction is not None:
            sent.transaction.cancel()

    def received(self, sent: _Sent, response: Response) -> None:
        """Do what the table says to a response."""
        if sent.state is _State.GONE or response.code == 100:
            return
        self.edge.meters.relay_response(sent.request.method, response.code)
        if response.code in {401, 407} and sent.state is not _State.ACCEPTED:
            self._challenged(sent, response)
        elif response.code == 422 and sent.state is _State.WAITING and self._asked_longer(sent, response):
            self._send(sent)
        elif sent.state is not _State.ACCEPTED or (response.is_success and sent.request.method == "INVITE"):
            self._pass_on(sent, response)

    def answer_locally(self, sent: _Sent, code: int, phrase: str | None = None) -> None:
        """Give the bridge a final response of our own, unless it had one."""
        if sent.state in {_State.WAITING, _State.CANCELLED}:
            self._finish(sent)
            self._refuse(sent.relay, sent.request, code, phrase)

    def sweep(self, now: float) -> None:
        """Forget what is too old; who still waits is told 408."""
        for _, sent in self._sent.expired(now):
            self.answer_locally(sent, 408)
        for table in (self._done, self._invites, self._proven):
            for _ in table.expired(now):
                pass

    def _start(self, sent: _Sent) -> None:
        contact = self.edge.sip.contact(sent.account.server, sent.account.user)
        if contact is None:
            self._refuse(sent.relay, sent.request, 503, "No connection to the PBX")
            return
        dress_request(sent.request, contact, self.edge.user_agent, sent.account.service_routes)
        self._authorize(sent)
        self._sent.put(sent.relay.transaction, sent, self.edge.now())
        self._send(sent)

    def _authorize(self, sent: _Sent) -> None:
        """Use a nonce again that the PBX took before, if there is one."""
        account = sent.account
        proven = self._proven.get((account.aor, account.server), self.edge.now())
        if proven is not None and account.password is not None:
            proven.authorize(sent.request, account.password.get_secret_value())

    def _send(self, sent: _Sent) -> None:
        sent.attempts += 1
        self.edge.meters.relay_request(sent.request.method)
        try:
            sent.transaction = self.edge.sip.send(sent.account.server, sent.request, sent)
        except FlowDownError:
            self.answer_locally(sent, 503, "No connection to the PBX")

    def _challenged(self, sent: _Sent, response: Response) -> None:
        if sent.state is _State.CANCELLED:
            self.answer_locally(sent, 487)
            return
        password = sent.account.password
        if password is None:
            self.answer_locally(sent, 503, "The password of the mapping is not known yet")
            return
        # One nonce for one transaction: of two calls at a time neither may take the other's challenge for a refusal.
        sent.digest = sent.digest or DigestClient(sent.account.user)
        if sent.attempts >= MAX_ATTEMPTS or sent.digest.learn(response) is not Outcome.RETRY:
            self.answer_locally(sent, 403, "The PBX does not accept the password of the mapping")
            return
        sent.request = retried(sent.request)
        sent.digest.authorize(sent.request, password.get_secret_value())
        self._send(sent)

    def _asked_longer(self, sent: _Sent, response: Response) -> bool:
        longer = with_longer_interval(sent.request, response)
        if longer is None or sent.attempts >= MAX_ATTEMPTS:
            return False
        sent.request, password = longer, sent.account.password
        if sent.digest is not None and password is not None:
            sent.digest.authorize(longer, password.get_secret_value())
        else:
            self._authorize(sent)
        return True

    def _pass_on(self, sent: _Sent, response: Response) -> None:
        if response.is_final:
            self._finish(sent)
            if sent.digest is not None:
                self._proven.put((sent.account.aor, sent.account.server), sent.digest, self.edge.now())
            if response.is_success and sent.request.method == "INVITE":
                self._accept(sent)
        self.edge.to_bridge(sent.relay.sender, self._response(sent.relay, response))

    def _accept(self, sent: _Sent) -> None:
        sent.state = _State.ACCEPTED
        self._invites.put((sent.request.call_id, sent.request.cseq.number), sent.request, self.edge.now())

    def _finish(self, sent: _Sent) -> None:
        sent.state = _State.GONE
        self._sent.drop(sent.relay.transaction)
        self._done.put(sent.relay.transaction, None, self.edge.now())

    def _acknowledge(self, account: Account, ack: Request) -> None:
        contact = self.edge.sip.contact(account.server, account.user)
        if contact is None:
            return
        dress_request(ack, contact, self.edge.user_agent)
        invite = self._invites.get((ack.call_id, ack.cseq.number), self.edge.now())
        if invite is not None:
            copy_credentials(invite, ack)
        try:
            self.edge.sip.send_ack(account.server, ack)
        except FlowDownError:
            # The PBX sends its 2xx again, or ends the call: nobody waits for anything here.
            self.edge.meters.relay_dropped("ack")

    def _refuse(self, relay: Relay, request: Request, code: int, phrase: str | None = None) -> None:
        if request.method == "ACK":
            return
        response = self._response(relay, request.respond(code, phrase))
        self.edge.to_bridge(relay.sender, replace(response, local=True))

    def _response(self, relay: Relay, response: Response) -> Relay:
        return replace(relay, kind=RelayKind.RESPONSE, sip=response.encode(), sender=self.edge.instance)


def _without_sip(relay: Relay) -> Relay:
    """Keep the envelope only: the message is held once, parsed."""
    return replace(relay, sip=b"")
