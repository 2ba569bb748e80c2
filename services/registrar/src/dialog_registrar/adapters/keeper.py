"""Keeps a flow to one PBX open.

Theory of operation. A task opens the flow, waits until it is lost, and opens it again with growing pauses. The PBX's
addresses come from DNS (RFC 3263): one that takes no connection is passed over. One on which a REGISTER or an OPTIONS
meets silence is *suspect*: where there is another, it gets one more OPTIONS, and is left if that is not answered
either. A flow to any but the preferred address is temporary: now and then a better one is opened beside it, and takes
its place once the PBX has answered an OPTIONS there; the old flow stays a while for its calls.

A UDP flow binds the local port that the Contacts of before name, so that bindings which are still valid at the PBX
keep working.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from typing import Final, Protocol

import structlog
from dialog_runtime.config.modules import SipTls
from dialog_schemas.mappings import Transport
from dialog_sip import Request, SipUri
from dialog_sip.aio import Endpoint, Flow, FlowError, Handshake, RequestFailedError, TlsOptions
from dialog_sip.aio.dial import Destination, Dialer, hop_of
from dialog_sip.aio.flow import Address
from dialog_sip.locating import DEFAULT_PORTS, Hop, numeric_host
from dialog_sip.transactions import TooManyTransactionsError

from dialog_registrar.adapters.pinging import ANSWER_WITHIN, Pinger
from dialog_registrar.model.mapping import Server

log = structlog.get_logger(__name__)

CONNECT_WITHIN: Final = 5.0
RETURN_EVERY: Final = 60.0
"""Seconds between looks whether there is a better address than the one in use."""
OLD_FLOW: Final = 600.0
"""Seconds that a flow stays for its calls after a better one took its place."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 15.0
_ANY: Final = "0.0.0.0"  # noqa: S104  PBXs call from outside this machine
_WILDCARDS: Final = frozenset({"", _ANY, "::"})


class Watch(Protocol):
    """Who hears of the flow."""

    def flow_up(self, server: Server, flow: Flow) -> None:
        """Use a flow from now on."""

    def flow_down(self, server: Server, flow: Flow) -> None:
        """Use it no longer."""

    def flow_failed(self, server: Server, why: str) -> None:
        """Learn that none can be opened now."""

    def silence_ended(self, server: Server, seconds: float) -> None:
        """Learn that the PBX answers again, after so long a silence."""


class Keeper:
    """The flow of one PBX.

    ``local`` is the address that sockets bind to, None for any; ``ping`` the seconds between two OPTIONS, 0 for none.
    """

    def __init__(
        self,
        server: Server,
        dialer: Dialer,
        endpoint: Endpoint,
        watch: Watch,
        local: str | None,
        tls: TlsOptions,
        *,
        ping: float = 0.0,
    ) -> None:
        self._server = server
        self._dialer = dialer
        self._endpoint = endpoint
        self._watch = watch
        self._local = local
        self._destination = destination_of(server, tls)
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._suspects: set[Hop] = set()
        self._flow: Flow | None = None
        self._old: dict[Flow, asyncio.TimerHandle] = {}
        self._ping = ping

    def start(self, port: int | None) -> None:
        """Keep a flow from now on, from local ``port`` where that is free."""
        self._task = asyncio.create_task(self._run(port), name=f"flow {self._server}")

    def end(self) -> None:
        """Keep it no longer; whoever has the flow closes it. Those of before are closed here."""
        for old in list(self._old):
            self._close_old(old)
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Keep it no longer, and wait until nothing runs."""
        self.end()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def suspect(self, flow: Flow) -> None:
        """Leave the address of a flow, where there is another: nothing is heard of it."""
        self._suspects.add(hop_of(flow))
        self._news.set()

    async def _run(self, port: int | None) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep(port))
            if self._ping and self._server.transport is Transport.UDP:
                pinger = Pinger(lambda: self._flow, self._is_there, self.suspect, self._is_back, every=self._ping)
                tasks.create_task(pinger.run())

    def _is_back(self, seconds: float) -> None:
        log.warning("the PBX answers again", server=str(self._server), silent_for=round(seconds, 1))
        self._watch.silence_ended(self._server, seconds)

    async def _keep(self, port: int | None) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                flow = await self._connect(port)
            except FlowError as error:
                self._watch.flow_failed(self._server, str(error))
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  jitter, no secret
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            flow = await self._hold(flow)
            port = flow.local[1] if flow.transport == "udp" else None

    async def _connect(self, port: int | None) -> Flow:
        if port is not None:
            try:
                return await self._dialer.connect(
                    self._destination, local=(self._local or _ANY, port), within=CONNECT_WITHIN
                )
            except FlowError as error:
                log.info("the port of before is not free", server=str(self._server), port=port, reason=str(error))
        return await self._dialer.connect(self._destination, local=self._any_port(), within=CONNECT_WITHIN)

    async def _hold(self, flow: Flow) -> Flow:
        """Have a flow, and those that take its place, until one is lost. Returned is the last."""
        self._use(flow)
        while not flow.closed:
            if await self._told():
                await self._leave_suspect(flow)
            else:
                flow = await self._better(flow)
        self._watch.flow_down(self._server, flow)
        return flow

    def _use(self, flow: Flow) -> None:
        flow.on_closed.append(lambda _flow: self._news.set())
        self._suspects.clear()
        self._flow = flow
        self._watch.flow_up(self._server, flow)

    async def _told(self) -> bool:
        """Wait for news of the flow; False: it is time to look for a better one."""
        try:
            async with asyncio.timeout(RETURN_EVERY):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    async def _leave_suspect(self, flow: Flow) -> None:
        if flow.closed or hop_of(flow) not in self._suspects:
            return
        self._suspects.clear()
        with contextlib.suppress(FlowError):
            other = await self._dialer.alternative(flow, self._destination)
            if other is None:
                return
            heard = flow.heard
            if not await self._answers(flow) and flow.heard == heard and not flow.closed:
                log.warning("the PBX is silent, its next address is tried", server=str(self._server), next=other.host)
                self._dialer.failed(flow)
                flow.close()

    async def _better(self, flow: Flow) -> Flow:
        """Return the flow that is to be used: to a preferred address, where that answers."""
        try:
            hop = await self._dialer.preferred(flow, self._destination)
            if hop is None:
                return flow
            found = await self._dialer.connect_to(hop, self._destination, local=self._any_port(), within=CONNECT_WITHIN)
        except FlowError as error:
            log.info("no better address now", server=str(self._server), reason=str(error))
            return flow
        try:
            there = await self._answers(found)
        except asyncio.CancelledError:
            found.close()
            raise
        if not there:
            self._dialer.failed(found)
            found.close()
            return flow
        self._dialer.worked(found)
        self._watch.flow_down(self._server, flow)
        self._old[flow] = asyncio.get_running_loop().call_later(OLD_FLOW, self._close_old, flow)
        self._use(found)
        return found

    def _close_old(self, flow: Flow) -> None:
        self._old.pop(flow).cancel()
        flow.close()

    async def _answers(self, flow: Flow) -> bool:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return await self._is_there(flow)
        except TimeoutError:
            return False

    async def _is_there(self, flow: Flow) -> bool:
        try:
            await self._endpoint.request(self._options(), flow).final()
        except (RequestFailedError, FlowError, TooManyTransactionsError):
            return False
        return True

    def _options(self) -> Request:
        uri = SipUri.make(None, self._server.host)
        headers = [
            ("Max-Forwards", "70"),
            ("From", f"<{uri}>;tag={secrets.token_hex(4)}"),
            ("To", f"<{uri}>"),
            ("Call-ID", secrets.token_hex(12)),
            ("CSeq", "1 OPTIONS"),
        ]
        return Request("OPTIONS", uri, headers)

    def _any_port(self) -> Address | None:
        return None if self._local is None else (self._local, 0)


def destination_of(server: Server, tls: TlsOptions) -> Destination:
    """Return where a PBX is.

    The table always has a port; that of the transport counts as none, so that the SRV records of a domain are found.
    """
    is_domain = "." in server.host and numeric_host(server.host) is None
    named = not is_domain or server.port != DEFAULT_PORTS[server.transport]
    return Destination(
        server.host,
        server.transport.value,
        server.port if named else None,
        tls,
        Handshake(server.method, server.handshake_host, server.location or "/"),
        # Requests that come in belong to the server of their flow, so two domains on one PBX have a flow each.
        repr(server),
    )


def tls_options(config: SipTls) -> TlsOptions:
    """Return the options of the configuration."""
    return TlsOptions(config.ca_file, config.cert_file, config.key_file, config.verify)


def local_address(host: str) -> str | None:
    """Return the address that sockets bind to, or None where it is any."""
    return None if host in _WILDCARDS else host
