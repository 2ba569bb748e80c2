"""The flows: one UDP socket or connection for each PBX address, kept open, with transactions on them.

Each flow has a task that opens it, waits until it is lost, and opens it again with growing pauses. A UDP flow binds
the local port that the Contacts of before a restart name, so that bindings which are still valid at the PBX keep
working.
"""

from __future__ import annotations

import asyncio
import random
from typing import Protocol

import structlog
from dialog_runtime.config.modules import Registrar as Config
from dialog_sip import LocalProtocolError, Request, Response, SipUri, escape_user
from dialog_sip.aio import Endpoint, Flow, FlowError, ServerRequest, Trace
from dialog_sip.aio import Failure as Failed
from dialog_sip.aio.express import ExpressLane
from dialog_sip.transactions import TooManyTransactionsError

from dialog_registrar.model.mapping import Server
from dialog_registrar.ports import ClientEvents, ClientTransaction, Failure, FlowDownError, ServerTransaction

log = structlog.get_logger(__name__)

LINGER = 600.0
"""Seconds that a flow without mappings stays, for the calls that are still on it."""
CONNECT_WITHIN = 5.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  compared, not bound
_FAILURES = {Failed.TIMEOUT: Failure.TIMEOUT, Failed.TRANSPORT: Failure.TRANSPORT}


class FlowEvents(Protocol):
    """Who hears of flows and of what comes in on them."""

    def flow_up(self, server: Server, address: str) -> None:
        """Learn of a new flow; ``address`` is ours, as Contacts have it."""

    def flow_down(self, server: Server) -> None:
        """Learn that it is lost."""

    def flow_failed(self, server: Server, why: str) -> None:
        """Learn that it cannot be opened now."""

    def flow_closed(self, server: Server) -> None:
        """Learn that it is closed for good."""

    def request_received(self, server: Server, transaction: ServerTransaction) -> None:
        """Take a request; an ACK comes this way too, with a transaction that takes no answer."""

    def cancel_received(self, transaction: ServerTransaction, cancel: Request) -> None:
        """Learn that an INVITE is cancelled."""

    def ack_timed_out(self, transaction: ServerTransaction) -> None:
        """Learn that a 2xx was never acknowledged."""


class _Transaction:
    """A server transaction as the edge knows it."""

    __slots__ = ("_server", "request")

    def __init__(self, server: ServerRequest) -> None:
        self._server = server
        self.request = server.request

    def respond(self, response: Response) -> None:
        """Answer it."""
        try:
            self._server.send(response)
        except LocalProtocolError as error:
            # It ended meanwhile, or a bridge answers twice: nobody is there to be told.
            log.debug("response not sent", reason=str(error))


class _Ack:
    """An ACK: nothing can be answered."""

    __slots__ = ("request",)

    def __init__(self, request: Request) -> None:
        self.request = request

    def respond(self, _response: Response) -> None:
        """Nothing: an ACK is never answered (RFC 3261 section 17.1.1.3)."""


class SipFlows:
    """Every flow of this process; a part of the service. Make it in a running loop."""

    def __init__(self, config: Config, events: FlowEvents, *, trace_level: int = 0) -> None:
        self._config = config
        self._events = events
        self._endpoint = Endpoint(
            self._received,
            keepalive=config.keepalive.total_seconds(),
            trace=_trace if trace_level >= TRACE_MESSAGES else None,
            on_stray_ack=self._ack_received,
        )
        self._lane = ExpressLane(self._endpoint)
        self._flows: dict[Server, Flow] = {}
        self._servers: dict[str, Server] = {}
        self._keepers: dict[Server, asyncio.Task[None]] = {}
        self._closing: dict[Server, asyncio.TimerHandle] = {}
        self._stopping = asyncio.Event()

    @property
    def wanted(self) -> int:
        """Flows that should be open."""
        return len(self._keepers)

    @property
    def up(self) -> int:
        """Flows that are."""
        return len(self._flows)

    @property
    def transactions(self) -> int:
        """Transactions that are under way."""
        return self._endpoint.transactions + len(self._lane)

    def open(self, server: Server, port: int | None) -> None:
        """Keep a flow to ``server`` from now on, from local ``port`` where that is free."""
        closing = self._closing.pop(server, None)
        if closing is not None:
            closing.cancel()
        if server not in self._keepers:
            self._keepers[server] = asyncio.create_task(self._keep(server, port), name=f"flow {server}")

    def close(self, server: Server) -> None:
        """Keep it no longer than the calls on it may need."""
        if server in self._keepers and server not in self._closing:
            self._closing[server] = asyncio.get_running_loop().call_later(LINGER, self._close, server)

    def contact(self, server: Server, user: str) -> str | None:
        """Return the URI under which ``user`` is reached on the flow, or None while that is down."""
        flow = self._flows.get(server)
        return None if flow is None else f"sip:{escape_user(user)}@{self._address(flow)}"

    def flow_name(self, server: Server) -> str:
        """Return the flow's name for traces."""
        flow = self._flows.get(server)
        return str(server) if flow is None else flow.id

    def send(self, server: Server, request: Request, events: ClientEvents) -> ClientTransaction:
        """Start a client transaction. Raises :class:`FlowDownError`."""
        try:
            if request.method == "REGISTER":
                return self._register(server, request, events)
            return self._endpoint.request(
                request,
                self._flow(server),
                on_response=events.received,
                on_failure=lambda failure: events.failed(_FAILURES[failure]),
            )
        except (FlowError, TooManyTransactionsError) as error:
            raise FlowDownError(str(error)) from error

    def _register(self, server: Server, request: Request, events: ClientEvents) -> ClientTransaction:
        flow = self._flow(server)
        return self._lane.send(request, flow, events.received, lambda failure: events.failed(_FAILURES[failure]))

    def send_ack(self, server: Server, ack: Request) -> None:
        """Send the ACK for a 2xx. Raises :class:`FlowDownError`."""
        try:
            self._endpoint.acknowledge(ack, self._flow(server))
        except FlowError as error:
            raise FlowDownError(str(error)) from error

    def stop(self) -> None:
        """Close all flows and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Live until stopped."""
        await self._stopping.wait()
        for timer in self._closing.values():
            timer.cancel()
        keepers = list(self._keepers.values())
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        await self._endpoint.close()

    def _flow(self, server: Server) -> Flow:
        flow = self._flows.get(server)
        if flow is None:
            raise FlowDownError(f"no flow to {server}")
        return flow

    def _close(self, server: Server) -> None:
        del self._closing[server]
        self._keepers.pop(server).cancel()
        flow = self._flows.pop(server, None)
        if flow is not None:
            flow.close()
        self._events.flow_closed(server)

    async def _keep(self, server: Server, port: int | None) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                flow = await self._connect(server, port)
            except FlowError as error:
                self._events.flow_failed(server, str(error))
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  jitter, no secret
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            port = flow.local[1] if server.transport == "udp" else None
            await self._hold(server, flow)

    async def _hold(self, server: Server, flow: Flow) -> None:
        """Have a flow until it is lost."""
        lost = asyncio.Event()
        flow.on_closed.append(lambda _flow: lost.set())
        self._flows[server] = flow
        self._servers[flow.id] = server
        log.info("flow is up", flow=flow.id, server=str(server), local=f"{flow.local[0]}:{flow.local[1]}")
        self._events.flow_up(server, self._address(flow))
        try:
            await lost.wait()
        finally:
            del self._servers[flow.id]
            self._flows.pop(server, None)
        log.warning("flow is lost", flow=flow.id, server=str(server))
        self._events.flow_down(server)

    async def _connect(self, server: Server, port: int | None) -> Flow:
        host = self._config.local_host
        if port is not None:
            try:
                return await self._endpoint.connect(
                    server.transport, server.host, server.port, local=(host, port), within=CONNECT_WITHIN
                )
            except FlowError as error:
                log.info("the port of before is not free", server=str(server), port=port, reason=str(error))
        local = None if host in _WILDCARDS else (host, 0)
        return await self._endpoint.connect(
            server.transport, server.host, server.port, local=local, within=CONNECT_WITHIN
        )

    def _address(self, flow: Flow) -> str:
        host, port = flow.local
        uri = SipUri.make(None, self._config.advertised_host or host, port)
        suffix = "" if flow.transport == "udp" else f";transport={flow.transport}"
        return f"{uri.host}:{port}{suffix}"

    def _received(self, server_request: ServerRequest) -> None:
        server = self._servers.get(server_request.flow.id)
        if server is None:
            server_request.respond(503)
            return
        transaction = _Transaction(server_request)
        server_request.on_ack = lambda ack: self._events.request_received(server, _Ack(ack))
        server_request.on_cancel = lambda cancel: self._events.cancel_received(transaction, cancel)
        server_request.on_ack_timeout = lambda: self._events.ack_timed_out(transaction)
        self._events.request_received(server, transaction)

    def _ack_received(self, ack: Request, flow: Flow) -> None:
        server = self._servers.get(flow.id)
        if server is not None:
            self._events.request_received(server, _Ack(ack))


TRACE_MESSAGES = 16
"""``modules.sip.trace-level`` from which SIP messages are logged."""


def _trace(trace: Trace) -> None:
    log.info(
        "sip",
        direction=trace.direction.value,
        flow=trace.flow.id,
        remote=f"{trace.flow.remote[0]}:{trace.flow.remote[1]}",
        message=trace.data.decode("utf-8", "replace"),
    )
