"""The endpoint: transactions over flows (RFC 3261 sections 17 and 18), driven by the event loop.

Theory of operation. All logic is the transaction layer's; this class feeds it with what flows receive and with the
loop's clock, sends what it wants sent, and turns its events into callbacks. Callbacks run from the event loop only,
never within a call of the application's, so that nobody is called back before a call has returned. A callback that
raises is logged and hurts nothing else. One loop timer serves all transactions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import ParamSpec, Protocol, cast

from dialog_sip.aio.connector import Connector
from dialog_sip.aio.exchange import ClientRequest, Failure, ServerRequest
from dialog_sip.aio.flow import Address, Flow, FlowError, Listener
from dialog_sip.aio.handshake import Handshake
from dialog_sip.aio.keepalives import Keepalives
from dialog_sip.aio.target import target_of
from dialog_sip.aio.tls import TlsOptions
from dialog_sip.aio.trace import Direction, Trace, TraceHook
from dialog_sip.capabilities import Capabilities
from dialog_sip.digest import mask_credentials
from dialog_sip.errors import RemoteProtocolError
from dialog_sip.limits import DEFAULT_LIMITS, Limits
from dialog_sip.message import Request, Response
from dialog_sip.parser import parse_message
from dialog_sip.transactions import (
    AckReceived,
    AckTimeout,
    CancelReceived,
    Event,
    FlowLike,
    RequestReceived,
    ResponseReceived,
    ServerTimeout,
    StraySuccess,
    Terminated,
    Timeout,
    Timers,
    TransactionLayer,
    TransportFailed,
)
from dialog_sip.transactions.layer import MAX_TRANSACTIONS

log = logging.getLogger(__name__)

P = ParamSpec("P")

RequestHandler = Callable[[ServerRequest], object]
"""Takes a peer's request: answers it, or keeps it to answer later. What it returns is ignored."""

_FIRST_LETTER = b"A"
"""What most methods and all responses begin with stands here or behind it; keepalives begin with less."""


class Lane(Protocol):
    """Transactions that an endpoint leaves to somebody else (RFC 3261 section 17).

    See :mod:`dialog_sip.aio.express`.
    """

    def take(self, data: bytes) -> bool:
        """Take a message; False: it is none of the lane's."""

    def flow_failed(self, flow: Flow) -> None:
        """Fail what is under way on a flow."""

    def close(self) -> None:
        """End; the flows are closed."""


class Endpoint:
    """SIP over any number of flows (RFC 3261 sections 17 and 18).

    Make it in a running loop and end it with :meth:`close`.

    ``limit`` bounds the transactions and ``limits`` a message; requests for what ``capabilities`` does not name are
    refused before the application hears of them; ``keepalive`` is the seconds between pings on the flows that we
    opened, None for none; ``on_flow`` hears of flows that peers open, ``on_stray_ack`` of ACKs whose 2xx is not known
    here, ``on_stray_success`` of 2xx whose INVITE is not.
    """

    def __init__(
        self,
        on_request: RequestHandler,
        *,
        timers: Timers | None = None,
        limit: int = MAX_TRANSACTIONS,
        capabilities: Capabilities | None = None,
        limits: Limits = DEFAULT_LIMITS,
        keepalive: float | None = 25.0,
        trace: TraceHook | None = None,
        on_stray_ack: Callable[[Request, Flow], object] | None = None,
        on_stray_success: Callable[[Response, Flow], object] | None = None,
        on_flow: Callable[[Flow], object] | None = None,
    ) -> None:
        self.trace = trace
        """Called with every message; None costs nothing."""
        self.lane: Lane | None = None
        """Sees every message first, and keeps what is its own."""
        self._on_request = on_request
        self._on_stray_ack = on_stray_ack
        self._on_stray_success = on_stray_success
        self._on_flow = on_flow
        self.malformed = 0
        """Messages that could not be read."""
        self._loop = asyncio.get_running_loop()
        self._layer = TransactionLayer(timers, limit=limit, capabilities=capabilities)
        self._limits = limits
        self._connector = Connector(self)
        self._clients: dict[str, ClientRequest] = {}
        self._servers: dict[str, ServerRequest] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._dispatching = False
        self._closed = False
        self._keepalives = Keepalives(lambda: self._connector.flows, self.flow_failed, keepalive)

    @property
    def transactions(self) -> int:
        """Transactions that are under way, of both sides."""
        return len(self._layer)

    async def connect(
        self,
        transport: str,
        host: str,
        port: int,
        *,
        local: Address | None = None,
        domain: str | None = None,
        tls: TlsOptions | None = None,
        handshake: Handshake | None = None,
        name: str = "",
        within: float = 5.0,
    ) -> Flow:
        """Return a flow to a peer: the one that is open, or a new one.

        ``domain`` is for whom a certificate has to stand where that is not ``host``; ``handshake`` is that of ws and
        wss. Flows of different ``name`` are not shared. Raises :class:`FlowError`, within ``within`` seconds.
        """
        self._check_open()
        target = target_of(transport, (host, port), local, domain, tls, handshake, name)
        return await self._connector.connect(target, within)

    async def listen(self, transport: str, host: str, port: int = 0, *, tls: TlsOptions | None = None) -> Listener:
        """Bind a socket at which peers open flows; port 0 takes a free one; tls and wss need a certificate in ``tls``.

        Raises :class:`FlowError`.
        """
        self._check_open()
        return await self._connector.listen(transport, (host, port), tls)

    def keep_alive(self, flow: Flow, flow_timer: int | None = None) -> None:
        """Keep a flow as RFC 5626 section 4.4 has it, because the registrar does outbound; dead flows are closed.

        ``flow_timer``: the Flow-Timer of its 2xx, in seconds; call this again with every 2xx. Of a dead flow
        ``Flow.on_closed`` tells, and ``Flow.reason`` says why.
        """
        self._check_open()
        self._keepalives.keep(flow, flow_timer)

    def request(
        self,
        message: Request,
        flow: Flow,
        *,
        transaction: str | None = None,
        branch: str = "",
        on_response: Callable[[Response], object] | None = None,
        on_failure: Callable[[Failure], object] | None = None,
    ) -> ClientRequest:
        """Send a request other than ACK and CANCEL; its Via is added to a copy. ``transaction`` is a name of one's own.

        ``branch`` is that of an earlier process. Raises :class:`FlowError` on a closed flow and
        :class:`TooManyTransactionsError` at the bound.
        """
        self._check_open()
        if flow.closed:
            raise FlowError("the flow is closed")
        client = ClientRequest(message, flow, self)
        client.on_response, client.on_failure = on_response, on_failure
        client.id = self._layer.request(message, flow, self._loop.time(), transaction=transaction, branch=branch)
        self._clients[client.id] = client
        self._settle()
        return client

    def acknowledge(self, ack: Request, flow: Flow) -> None:
        """Send the ACK for a 2xx to an INVITE, and again whenever that 2xx comes again. Raises :class:`FlowError`."""
        self._check_open()
        if flow.closed:
            raise FlowError("the flow is closed")
        self._layer.acknowledge(ack, flow)
        self._settle()

    def respond(self, server: ServerRequest, response: Response) -> None:
        """Answer a peer's request. Raises :class:`LocalProtocolError` where it is over or answered."""
        self._layer.respond(server.id, response, self._loop.time())
        if response.is_final:
            server.final = response
        self._settle()

    def cancel(self, client: ClientRequest) -> bool:
        """CANCEL an INVITE of ours, as soon as that may be done. False: it was over before."""
        cancelled = self._layer.cancel(client.id, self._loop.time())
        self._settle()
        return cancelled

    async def close(self) -> None:
        """End everything: requests under way fail, flows and listeners close. Nothing runs after it."""
        if self._closed:
            return
        self._closed = True
        self._keepalives.close()
        if self._timer is not None:
            self._timer.cancel()
        await self._connector.close()
        if self.lane is not None:
            self.lane.close()
        self._layer.abandon()
        self._dispatch()

    def message_received(self, flow: Flow, data: bytes) -> None:
        """Take what came in on a flow (called by the flow)."""
        if data < _FIRST_LETTER and self._keepalives.take(flow, data):
            return
        if self.trace is not None:
            self._call(self.trace, Trace(self._loop.time(), Direction.RECEIVED, flow, mask_credentials(data)))
        if self.lane is not None and self.lane.take(data):
            return
        try:
            self._layer.receive(parse_message(data, self._limits), flow, self._loop.time())
        except RemoteProtocolError as error:
            self.malformed += 1
            log.debug("malformed message on %s: %s", flow.id, error)
            if error.request is not None:
                self._layer.refuse(error.request, error, flow)
        self._transmit()
        self._dispatch()

    def flow_opened(self, flow: Flow) -> None:
        """Learn of a flow that a peer opened (called by the listener)."""
        if self._on_flow is not None:
            self._call(self._on_flow, flow)

    def flow_failed(self, flow: Flow) -> None:
        """Fail what is under way on a flow that stays (called by the flow)."""
        self._layer.transport_failed(flow, self._loop.time())
        self._settle()
        if self.lane is not None:
            self.lane.flow_failed(flow)

    def flow_closed(self, flow: Flow) -> None:
        """Fail what is under way on a flow that is gone (called by the flow)."""
        self.flow_failed(flow)

    def _check_open(self) -> None:
        if self._closed:
            raise FlowError("the endpoint is closed")

    def _settle(self) -> None:
        """Send what is to be sent, and have the events handled once the caller has returned."""
        self._transmit()
        if self._layer.has_events and not self._dispatching:
            self._loop.call_soon(self._dispatch)

    def _transmit(self) -> None:
        broken: list[FlowLike] = []
        for flow, data in self._layer.take_transmits():
            try:
                cast("Flow", flow).send(data)
            except FlowError as error:
                log.debug("cannot send: %s", error)
                broken.append(flow)
                continue
            if self.trace is not None:
                now = self._loop.time()
                self._call(self.trace, Trace(now, Direction.SENT, cast("Flow", flow), mask_credentials(data)))
        for flow in broken:
            self._layer.transport_failed(flow, self._loop.time())
        self._plan_timer()

    def _dispatch(self) -> None:
        if self._dispatching:
            return
        self._dispatching = True
        try:
            while events := self._layer.take_events():
                for event in events:
                    self._handle(event)
                self._transmit()
        finally:
            self._dispatching = False

    def _plan_timer(self) -> None:
        due = self._layer.timer()
        if due is None or self._closed:
            return
        if self._timer is not None:
            # A timer that fires too early only looks and plans again, which is cheaper than one for each change.
            if self._timer_due <= due:
                return
            self._timer.cancel()
        # uvloop gives a plain handle, without when(), for a time that has passed.
        self._timer_due = due
        self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._layer.handle_timer(self._loop.time())
        self._transmit()
        self._dispatch()

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived(name, request, flow):
                self._take_request(ServerRequest(name, request, cast("Flow", flow), self))
            case ResponseReceived(name, response, _):
                if (client := self._clients.get(name)) is not None:
                    self._call(client.take, response)
            case Timeout(name, _, _):
                self._fail(name, Failure.TIMEOUT)
            case TransportFailed(name, _, _):
                self._fail(name, Failure.TRANSPORT)
            case AckReceived(None, request, flow):
                self._call(self._on_stray_ack, request, cast("Flow", flow))
            case StraySuccess(response, flow):
                self._call(self._on_stray_success, response, cast("Flow", flow))
            case Terminated(name):
                self._clients.pop(name, None)
                self._end(name)
            case _:
                self._handle_server(event)

    def _handle_server(self, event: Event) -> None:
        server = self._servers.get(event.transaction or "")
        if server is None:
            return
        match event:
            case AckReceived(_, request, _):
                self._call(server.on_ack, request)
            case CancelReceived(_, request, _):
                self._cancel(server, request)
            case AckTimeout():
                self._call(server.on_ack_timeout)
            case ServerTimeout():
                self._end(server.id)

    def _cancel(self, server: ServerRequest, cancel: Request) -> None:
        if server.on_cancel is not None:
            self._call(server.on_cancel, cancel)
        elif server.final is None:
            server.respond(487)

    def _take_request(self, server: ServerRequest) -> None:
        self._servers[server.id] = server
        if not self._call(self._on_request, server) and server.final is None:
            server.respond(500)

    def _fail(self, name: str, failure: Failure) -> None:
        if (client := self._clients.get(name)) is not None:
            self._call(client.fail, failure)

    def _end(self, name: str) -> None:
        if (server := self._servers.pop(name, None)) is not None:
            self._call(server.on_end)

    def _call(self, callback: Callable[P, object] | None, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Run a callback of the application's; False where it raised."""
        if callback is None:
            return True
        try:
            callback(*args, **kwargs)
        except Exception:
            log.exception("a callback raised; only its own message suffers")
            return False
        return True
