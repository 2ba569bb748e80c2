"""All transactions of one endpoint (RFC 3261 section 17), without I/O and with time as an argument.

Use: call ``receive``, ``request``, ``respond``, ``cancel``, ``acknowledge`` or ``handle_timer``; then send what
``take_transmits`` gives and act on what ``take_events`` gives, in this order. Call ``handle_timer`` no later than
``timer`` says.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from dialog_sip.capabilities import Capabilities
from dialog_sip.errors import Layer, LocalProtocolError, RemoteProtocolError
from dialog_sip.message import Message, Request, Response
from dialog_sip.status import PHRASES
from dialog_sip.transactions import matching
from dialog_sip.transactions.engine import Engine
from dialog_sip.transactions.events import (
    AckReceived,
    CancelReceived,
    Event,
    FlowLike,
    RequestReceived,
    ResponseReceived,
    ServerTimeout,
    StraySuccess,
    Transmit,
)
from dialog_sip.transactions.tables import Input, State
from dialog_sip.transactions.timers import Timers
from dialog_sip.transactions.transaction import (
    TooManyTransactionsError,
    Transaction,
    TransactionStore,
    client_machine,
    server_machine,
)
from dialog_sip.validation import Refusal, check_request, check_route_back, refusal
from dialog_sip.values import BRANCH_COOKIE

MAX_TRANSACTIONS = 100_000
"""Default bound on transactions of both sides together."""

MAX_FORKS = 32
"""2xx with different To tags that one INVITE may have; what is beyond is dropped."""

_MERGED = RemoteProtocolError(
    "the request came before by another way", status=482, reason=PHRASES[482], layer=Layer.CAPABILITY
)


def random_token() -> str:
    """Return 80 random bits: enough that names never meet, in one process or in all of them.

    That is what RFC 3261 section 8.1.1.7 asks of a branch.
    """
    return secrets.token_hex(10)


class TransactionLayer:
    """The transactions of one endpoint (section 17). ``new_token`` makes branches and names; tests give their own.

    With ``capabilities``, requests for what they do not name are refused here; without, only malformed ones are.
    """

    def __init__(
        self,
        timers: Timers | None = None,
        *,
        limit: int = MAX_TRANSACTIONS,
        capabilities: Capabilities | None = None,
        new_token: Callable[[], str] = random_token,
    ) -> None:
        self._store = TransactionStore()
        self._engine = Engine(timers or Timers(), self._store, self._deliver)
        self._limit = limit
        self._capabilities = capabilities
        self._new_token = new_token

    def __len__(self) -> int:
        return len(self._store.by_id)

    def receive(self, message: Message, flow: FlowLike, now: float) -> None:
        """Take a message that came in on ``flow``. What breaks the protocol is answered where it can be, or dropped."""
        if isinstance(message, Request):
            self._receive_request(message, flow, now)
        elif isinstance(message, Response):
            self._receive_response(message, flow, now)

    def request(
        self, message: Request, flow: FlowLike, now: float, *, transaction: str | None = None, branch: str = ""
    ) -> str:
        """Send a request other than ACK and CANCEL, with a Via of ours alone. Returns the transaction's name.

        The message is copied, so that it may be changed and sent again as another transaction.

        ``transaction`` is a name that the caller chose. ``branch`` is one that an earlier process may have sent this
        very message with, so that the peer takes it for the same (section 17.2.3); not used where it is taken here.
        Raises :class:`TooManyTransactionsError` at the bound.
        """
        if message.method in {"ACK", "CANCEL"}:
            raise LocalProtocolError(f"{message.method} is not a transaction of its own")
        if len(self._store.by_id) >= self._limit:
            raise TooManyTransactionsError(f"{self._limit} transactions are under way")
        if not branch or matching.client_key(branch, message.method) in self._store.clients:
            branch = BRANCH_COOKIE + self._new_token()
        name = branch if transaction is None else transaction
        if name in self._store.by_id:
            raise LocalProtocolError("a transaction of this name is under way")
        sent = matching.with_own_via(message, flow, branch)
        key = matching.client_key(branch, sent.method)
        started = Transaction(name, key, sent, flow, client_machine(sent.method))
        started.sent = sent.encode()
        self._engine.start(started, now)
        return name

    def acknowledge(self, ack: Request, flow: FlowLike) -> None:
        """Send the ACK for a 2xx, with a Via of ours. It is sent again whenever the 2xx comes again."""
        data = matching.with_own_via(ack, flow, BRANCH_COOKIE + self._new_token()).encode()
        invite = self._store.accepted.get(matching.ack_key(ack, "client"))
        if invite is not None and invite.acks is not None:
            invite.acks[ack.to.tag or ""] = data
        self._engine.transmits.append(Transmit(flow, data))

    def respond(self, transaction: str, response: Response, now: float) -> None:
        """Answer a peer's request. Raises :class:`LocalProtocolError` where it is over, or has its final response.

        Also for a 408, or a provisional response but 100, to what is no INVITE (RFC 4320 section 4).
        """
        found = self._store.by_id.get(transaction)
        if found is None or found.is_client:
            raise LocalProtocolError("no such server transaction, or it is over")
        if found.request.method != "INVITE" and (response.code == 408 or 100 < response.code < 200):
            raise LocalProtocolError(f"{response.code} is no answer to {found.request.method}")
        self._engine.step(found, _tu_input(response), now, response)

    def cancel(self, transaction: str, now: float) -> bool:
        """Cancel an INVITE of ours (RFC 3261 section 9.1); its final response still comes. False: it is over."""
        found = self._store.by_id.get(transaction)
        if found is None:
            return False
        if not found.is_invite_client:
            raise LocalProtocolError("only an INVITE of ours can be cancelled")
        self._engine.step(found, Input.TU_CANCEL, now)
        return True

    def transport_failed(self, flow: FlowLike, now: float) -> None:
        """Take note that ``flow`` is broken: its transactions end."""
        for found in [one for one in self._store.by_id.values() if one.flow is flow]:
            if found.state is not State.TERMINATED:
                self._engine.step(found, Input.TRANSPORT_ERROR, now)

    def abandon(self) -> None:
        """End every transaction without another message, for an endpoint that closes."""
        for found in list(self._store.by_id.values()):
            self._engine.end(found)

    def timer(self) -> float | None:
        """Return when :meth:`handle_timer` has to be called; None: no need."""
        return self._engine.queue.next()

    def handle_timer(self, now: float) -> None:
        """Run the timers that are due."""
        self._engine.fire_due(now)

    @property
    def has_events(self) -> bool:
        """True while :meth:`take_events` would give something."""
        return bool(self._engine.events)

    def take_transmits(self) -> list[Transmit]:
        """Return and forget what is to be sent."""
        taken, self._engine.transmits = self._engine.transmits, []
        return taken

    def take_events(self) -> list[Event]:
        """Return and forget what the TU has to hear of."""
        taken, self._engine.events = self._engine.events, []
        return taken

    def _receive_request(self, request: Request, flow: FlowLike, now: float) -> None:
        try:
            check_request(request, self._capabilities)
        except RemoteProtocolError as error:
            self.refuse(request, error, flow)
            return
        matching.note_source(request, flow)
        if request.method == "ACK":
            self._receive_ack(request, flow, now)
            return
        flow = matching.response_flow(request.via, flow)
        key = matching.server_key(request, request.method)
        known = self._store.servers.get(key)
        if known is not None:
            self._engine.step(known, Input.REQUEST, now)
            return
        merge = matching.merge_key(request)
        first = None if merge is None else self._store.merging.get(merge)
        if first is not None and first.covers_copies:
            self.refuse(request, _MERGED, flow)
            return
        self._make_room(now)
        started = Transaction(self._new_token(), key, request, flow, server_machine(request.method))
        if merge is not None:
            self._store.watch_merging(started, merge)
        self._engine.start(started, now)

    def refuse(self, request: Request, error: RemoteProtocolError, flow: FlowLike) -> None:
        """Answer a request that is refused without a transaction, if it says enough to be answered."""
        try:
            matching.note_source(request, flow)
            flow = matching.response_flow(request.via, flow)
        except RemoteProtocolError:
            # A Via that cannot be read names no better place than where the request came from.
            pass
        found = refusal(request, error)
        if isinstance(found, Refusal):
            self._engine.transmits.append(Transmit(flow, found.response.encode()))

    def _receive_ack(self, ack: Request, flow: FlowLike, now: float) -> None:
        invite = self._store.servers.get(matching.server_key(ack, "INVITE"))
        if invite is None:
            invite = self._store.accepted.get(matching.ack_key(ack, "server"))
        if invite is not None:
            self._engine.step(invite, Input.ACK, now, ack)
        else:
            self._engine.events.append(AckReceived(None, ack, flow))

    def _receive_response(self, response: Response, flow: FlowLike, now: float) -> None:
        try:
            check_route_back(response)
            branch, method = response.via.branch or "", response.cseq.method
            found = self._store.clients.get(matching.client_key(branch, method))
            if found is not None:
                self._engine.step(found, _wire_input(found, response), now, response)
            elif method == "INVITE" and response.is_success:
                self._engine.events.append(StraySuccess(response, flow))
        except RemoteProtocolError:
            # A malformed response cannot be answered; the timers see to the rest.
            return

    def _deliver(self, transaction: Transaction, message: Message, now: float) -> None:
        if isinstance(message, Response):
            self._deliver_response(transaction, message)
        elif isinstance(message, Request):
            if message.method == "ACK":
                self._engine.events.append(AckReceived(transaction.id, message, transaction.flow))
            elif message.method == "CANCEL":
                self._answer_cancel(transaction, message, now)
            else:
                self._engine.events.append(RequestReceived(transaction.id, message, transaction.flow))

    def _deliver_response(self, transaction: Transaction, response: Response) -> None:
        transaction.response = response
        if transaction.state is State.ACCEPTED:
            transaction.acks = {**(transaction.acks or {}), response.to.tag or "": b""}
        if not transaction.is_cancel:
            self._engine.events.append(ResponseReceived(transaction.id, response, transaction.flow))

    def _answer_cancel(self, transaction: Transaction, cancel: Request, now: float) -> None:
        invite = self._store.servers.get(matching.server_key(cancel, "INVITE"))
        if invite is None:
            self._engine.step(transaction, Input.TU_FAILURE, now, cancel.respond(481))
            return
        sent = invite.response.to.tag if invite.response is not None else None
        response = cancel.respond(200, to_tag=sent or invite.request.local_tag)
        self._engine.step(transaction, Input.TU_SUCCESS, now, response)
        if invite.is_unanswered:
            self._engine.events.append(CancelReceived(invite.id, cancel, invite.flow))

    def _make_room(self, now: float) -> None:
        """Give up the oldest of the peers' requests where there are too many: it has waited longest for nothing."""
        oldest = self._store.oldest_server()
        if oldest is None or len(self._store.by_id) < self._limit:
            return
        if oldest.is_unanswered:
            refusal = oldest.request.respond(503, headers=[("Retry-After", 5)])
            # Told first: over a reliable transport a refusal ends the transaction at once.
            self._engine.events.append(ServerTimeout(oldest.id, oldest.request, oldest.flow))
            self._engine.step(oldest, Input.TU_FAILURE, now, refusal)
        if oldest.state is not State.TERMINATED:
            self._engine.end(oldest)


def _tu_input(response: Response) -> Input:
    if response.is_provisional:
        return Input.TU_PROVISIONAL
    return Input.TU_SUCCESS if response.is_success else Input.TU_FAILURE


def _wire_input(transaction: Transaction, response: Response) -> Input:
    if response.is_provisional:
        return Input.PROVISIONAL
    if not response.is_success:
        return Input.FAILURE
    acks = transaction.acks
    seen = acks is not None and ((response.to.tag or "") in acks or len(acks) >= MAX_FORKS)
    return Input.SUCCESS_AGAIN if seen else Input.SUCCESS
