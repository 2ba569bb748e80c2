"""The flows: one UDP socket or connection for each PBX, kept open by its keeper, with transactions on them."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from hashlib import blake2b

import structlog
from dialog_runtime.config.modules import Registrar as Config
from dialog_sip import Capabilities, Request, Response
from dialog_sip.aio import Endpoint, Flow, FlowError, ServerRequest, Trace
from dialog_sip.aio.dial import Dialer
from dialog_sip.aio.dns import SystemDns
from dialog_sip.aio.express import ExpressLane
from dialog_sip.aio.resolve import Dns, Resolver
from dialog_sip.registration import Register
from dialog_sip.transactions import Failure, TooManyTransactionsError
from dialog_sip.values import BRANCH_COOKIE

from dialog_registrar.adapters.flow_events import Ack, FlowEvents, Transaction
from dialog_registrar.adapters.keeper import Keeper, local_address, tls_options
from dialog_registrar.model.incoming import ACCEPT
from dialog_registrar.model.mapping import Server
from dialog_registrar.ports import (
    ClientEvents,
    ClientTransaction,
    FlowDownError,
    RegisterEvents,
    RegisterTransaction,
)

log = structlog.get_logger(__name__)

LINGER = 600.0
"""Seconds that a flow without mappings stays, for the calls that are still on it."""
_BODIES = (
    *(ACCEPT, "multipart/*", "message/*", "text/*"),
    *("application/dtmf-relay", "application/dtmf", "application/media_control+xml"),
)
# Methods are looked up in the table of ``model.incoming``; what an INVITE may require is for the bridges to judge.
_CAPABILITIES = Capabilities(methods=None, extensions=None, bodies=_BODIES, answers=(ACCEPT,))
_WEBSOCKETS = frozenset({"ws", "wss"})


class SipFlows:
    """Every flow of this process; a part of the service. Make it in a running loop."""

    def __init__(self, config: Config, events: FlowEvents, *, trace_level: int = 0, dns: Dns | None = None) -> None:
        self._config = config
        self._events = events
        self._endpoint = Endpoint(
            self._received,
            keepalive=config.keepalive.total_seconds(),
            trace=_trace if trace_level >= TRACE_MESSAGES else None,
            on_stray_ack=self._ack_received,
            on_stray_success=self._success_received,
            capabilities=_CAPABILITIES,
        )
        if trace_level >= TRACE_EVERYTHING:
            logging.getLogger("dialog_sip").setLevel(logging.DEBUG)
        self._lane = ExpressLane(self._endpoint, on_unheard=self._unheard)
        rng = random.Random(secrets.randbits(64))  # noqa: S311  weights of DNS and jitter, no secret
        self._dialer = Dialer(self._endpoint, Resolver(dns or SystemDns(), rng=rng))
        self._tls = tls_options(config.tls)
        self._flows: dict[Server, Flow] = {}
        self._servers: dict[str, Server] = {}
        self._nicknames: dict[Server, str] = {}
        self._keepers: dict[Server, Keeper] = {}
        self._closing: dict[Server, asyncio.TimerHandle] = {}
        self._outbound: dict[Flow, int | None] = {}
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

    @property
    def malformed(self) -> int:
        """Messages of PBXs that could not be read, and were dropped or refused."""
        return self._endpoint.malformed

    def open(self, server: Server, port: int | None) -> None:
        """Keep a flow to ``server`` from now on, from local ``port`` where that is free."""
        closing = self._closing.pop(server, None)
        if closing is not None:
            closing.cancel()
        if server not in self._keepers:
            local = local_address(self._config.local_host)
            self._keepers[server] = Keeper(
                server, self._dialer, self._endpoint, self, local, self._tls,
                ping=self._config.options_interval.total_seconds(),
            )  # fmt: skip
            self._keepers[server].start(port)

    def close(self, server: Server) -> None:
        """Keep it no longer than the calls on it may need."""
        if server in self._keepers and server not in self._closing:
            self._closing[server] = asyncio.get_running_loop().call_later(LINGER, self._close, server)

    def contact(self, server: Server, user: str) -> str | None:
        """Return the URI under which ``user`` is reached on the flow, or None while that is down."""
        flow = self._flows.get(server)
        if flow is None:
            return None
        # What begins a SIP dialog asks for its later requests over the flow (RFC 5626 section 4.3).
        return str(flow.contact_uri(user, host=self._host(server, flow), outbound=flow in self._outbound))

    def keep_alive(self, server: Server, flow_timer: int | None) -> None:
        """Keep a flow as outbound has it: the PBX binds it, and may have said how often it wants to hear of it."""
        flow = self._flows.get(server)
        if flow is not None and self._outbound.get(flow, 0) != flow_timer:
            self._outbound[flow] = flow_timer
            self._endpoint.keep_alive(flow, flow_timer)

    def flow_name(self, server: Server) -> str:
        """Return the flow's name for traces."""
        flow = self._flows.get(server)
        return str(server) if flow is None else flow.id

    def send(self, server: Server, request: Request, events: ClientEvents) -> ClientTransaction:
        """Start a client transaction. Raises :class:`FlowDownError`."""
        try:
            flow = self._flow(server)
            on_failure = self._on_failure(flow, events)
            return self._endpoint.request(
                request, flow, branch=_branch_of(request), on_response=events.received, on_failure=on_failure
            )
        except (FlowError, TooManyTransactionsError) as error:
            raise FlowDownError(str(error)) from error

    def register(self, server: Server, register: Register, events: RegisterEvents) -> RegisterTransaction:
        """Send a REGISTER on the express lane. Raises :class:`FlowDownError`."""
        try:
            return self._lane.send(register, self._flow(server), events)
        except FlowError as error:
            raise FlowDownError(str(error)) from error

    def _on_failure(self, flow: Flow, events: ClientEvents) -> Callable[[Failure], None]:
        heard = flow.heard

        def failed(failure: Failure) -> None:
            if flow.heard == heard:
                self._unheard(flow)
            events.failed(failure)

        return failed

    def _unheard(self, flow: Flow) -> None:
        """Learn that not a word came in all the time that a request waited: it may be the address."""
        server = self._servers.get(flow.id)
        if server is not None and server in self._keepers:
            self._keepers[server].suspect(flow)

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
        await asyncio.gather(*(keeper.stop() for keeper in self._keepers.values()))
        await self._endpoint.close()

    def flow_up(self, server: Server, flow: Flow) -> None:
        """Use a flow from now on (called by its keeper)."""
        self._flows[server] = flow
        self._servers[flow.id] = server
        flow.on_closed.append(self._forget)
        log.info("flow is up", flow=flow.id, server=str(server), local=f"{flow.local[0]}:{flow.local[1]}")
        self._events.flow_up(server, self._address(server, flow))

    def flow_down(self, server: Server, flow: Flow) -> None:
        """Use a flow no longer (called by its keeper); what comes in on it is taken while it is open."""
        if self._flows.get(server) is flow:
            del self._flows[server]
            log.warning("flow is lost", flow=flow.id, server=str(server), reason=flow.reason)
            self._events.flow_down(server)

    def flow_failed(self, server: Server, why: str) -> None:
        """Say that a flow cannot be opened now (called by its keeper)."""
        self._events.flow_failed(server, why)

    def silence_ended(self, server: Server, seconds: float) -> None:
        """Say that the PBX answers again (called by its keeper)."""
        self._events.silence_ended(server, seconds)

    def _forget(self, flow: Flow) -> None:
        self._servers.pop(flow.id, None)
        self._outbound.pop(flow, None)

    def _flow(self, server: Server) -> Flow:
        flow = self._flows.get(server)
        if flow is None:
            raise FlowDownError(f"no flow to {server}")
        return flow

    def _close(self, server: Server) -> None:
        del self._closing[server]
        self._keepers.pop(server).end()
        self._nicknames.pop(server, None)
        flow = self._flows.pop(server, None)
        if flow is not None:
            flow.close()
        self._events.flow_closed(server)

    def _address(self, server: Server, flow: Flow) -> str:
        """Return host, port and transport of our Contacts on a flow."""
        return str(flow.contact_uri(None, host=self._host(server, flow))).removeprefix("sip:")

    def _host(self, server: Server, flow: Flow) -> str:
        """Return the host of our Contacts on a flow; empty: its own address."""
        if flow.transport in _WEBSOCKETS:
            # Nobody can connect to a websocket's client, and every PBX knows what .invalid means (RFC 7118 section 5).
            # It stays the same over reconnections, so the binding is replaced and not doubled.
            return f"{self._nicknames.setdefault(server, secrets.token_hex(6))}.invalid"
        return self._config.advertised_host

    def _received(self, server_request: ServerRequest) -> None:
        server = self._servers.get(server_request.flow.id)
        if server is None:
            server_request.respond(503)
            return
        transaction = Transaction(server_request)
        server_request.on_ack = lambda ack: self._events.request_received(server, Ack(ack))
        server_request.on_cancel = lambda cancel: self._events.cancel_received(transaction, cancel)
        server_request.on_ack_timeout = lambda: self._events.ack_timed_out(transaction)
        self._events.request_received(server, transaction)

    def _success_received(self, response: Response, flow: Flow) -> None:
        server = self._servers.get(flow.id)
        if server is not None:
            self._events.success_received(server, response)

    def _ack_received(self, ack: Request, flow: Flow) -> None:
        server = self._servers.get(flow.id)
        if server is not None:
            self._events.request_received(server, Ack(ack))


def _branch_of(request: Request) -> str:
    """Return the same for the same INVITE, also in the next process: sent again, it is the first one to the PBX.

    Nobody can guess it, as nobody can the Call-ID. Inside a SIP dialog there is nothing to win by it.
    """
    if request.method != "INVITE" or request.to.tag is not None:
        return ""
    parts = (request.call_id, request.from_.tag or "", str(request.cseq.number))
    return BRANCH_COOKIE + blake2b("\0".join(parts).encode(errors="replace"), digest_size=12).hexdigest()


TRACE_MESSAGES = 16
"""``modules.sip.trace-level`` from which SIP messages are logged."""
TRACE_EVERYTHING = 32
"""That from which what the stack does with them is logged as well: what could not be read or sent, and why."""


def _trace(trace: Trace) -> None:
    log.info(
        "sip",
        direction=trace.direction.value,
        flow=trace.flow.id,
        remote=f"{trace.flow.remote[0]}:{trace.flow.remote[1]}",
        message=trace.data.decode("utf-8", "replace"),
    )
