"""The sandbox PBX: registrar, proxy and phones behind one port of UDP and TCP, and one of websockets."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from dialog_sip import RemoteProtocolError, Request
from dialog_sip.aio import Endpoint, Flow, FlowError, Listener, ServerRequest, TraceHook
from dialog_sip.aio.udp import UdpListener
from dialog_sip.digest import Algorithm
from pydantic import SecretStr

from dialog_sandbox.errors import SandboxError
from dialog_sandbox.pbx import memory
from dialog_sandbox.pbx.accounts import Accounts
from dialog_sandbox.pbx.dialing import Dialer, Order
from dialog_sandbox.pbx.location import Bound, Location
from dialog_sandbox.pbx.memory import Remembered
from dialog_sandbox.pbx.phones import BUILT_IN
from dialog_sandbox.pbx.proxy import Proxy
from dialog_sandbox.pbx.registrar import Registrar
from dialog_sandbox.phone.phone import Phone

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE, MESSAGE, NOTIFY, REFER, PRACK"
OK = 200
PORT_ATTEMPTS = 20
"""Free UDP ports that are tried until their TCP twin is free as well."""
PHONE_EXPIRES = 3600
REMEMBERS_AFTER = 0.05
"""Seconds from a change of the bindings until it is in the file."""


@dataclass(frozen=True, slots=True)
class PbxOptions:
    """How to run a PBX."""

    accounts: Accounts = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 5060
    """Of UDP and TCP; 0 takes a free one."""
    realm: str | None = None
    """Of digest, and the host of AORs; the host where it is not given."""
    grant: int = 3600
    """The longest Expires that is granted, in seconds."""
    minimum: int = 0
    """A shorter Expires is answered 423."""
    algorithms: tuple[Algorithm, ...] = (Algorithm.MD5,)
    """Of digest challenges, the preferred one first."""
    phones: bool = True
    """Bring the built-in phones."""
    memory: Path | None = None
    """A file that keeps the bindings of UDP peers over a restart."""
    ws_port: int | None = None
    """Take websockets (RFC 7118) at this port as well; 0 takes a free one."""


class Pbx:
    """A small PBX, for tests and demonstrations: ``async with Pbx(options) as pbx``.

    ``trace`` is told every SIP message that it sends or receives.
    """

    def __init__(self, options: PbxOptions, trace: TraceHook | None = None) -> None:
        self._options = options
        self._trace = trace
        self._realm = options.realm or options.host
        self._location: Location[Flow] = Location()
        self._registrar: Registrar[Flow] = Registrar(
            self._realm, options.accounts, self._location, options.grant, options.minimum, options.algorithms
        )
        self._endpoint: Endpoint | None = None
        self._proxy: Proxy | None = None
        self._udp: Listener | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._phones: dict[str, Phone] = {}
        self.dialer = Dialer()
        """Calls of its phones."""
        self.address = (options.host, options.port)
        """Where it listens, once it is open."""
        self.ws_address: tuple[str, int] | None = None
        """Where it takes websockets, if it does."""

    async def __aenter__(self) -> Pbx:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def phones(self) -> tuple[Phone, ...]:
        """The phones that it brings."""
        return tuple(self._phones.values())

    async def open(self) -> None:
        """Listen and register the phones. Raises :class:`FlowError` where the port is taken."""
        self._endpoint = Endpoint(self._receive, on_stray_ack=self._receive_ack, on_flow=self._watch, trace=self._trace)
        self.address = await self._listen(self._endpoint)
        self._recall()
        if self._options.ws_port is not None:
            listener = await self._endpoint.listen("ws", self._options.host, self._options.ws_port)
            self.ws_address = listener.address
        self._proxy = Proxy(self._endpoint)
        if self._options.phones:
            await self._open_phones()

    async def close(self) -> None:
        """Hang up, unregister the phones and close."""
        if self._writing is not None:
            self._remember()
        await self.dialer.close()
        await asyncio.gather(*(phone.close() for phone in self._phones.values()))
        self._phones.clear()
        if self._endpoint is not None:
            await self._endpoint.close()

    def bindings(self) -> dict[str, list[dict[str, object]]]:
        """Return who is registered, as JSON: user -> bindings."""
        now = self._now()
        return {
            user: [
                {"contact": bound.uri, "expires": round(bound.expires_at - now, 1), "transport": bound.flow.transport}
                for bound in found
            ]
            for user, found in self._location.items(now)
        }

    async def call(self, order: Order) -> str:
        """Let a phone call somebody; return the call's name. Raises :class:`LookupError` for an unknown phone."""
        return await self.dialer.dial(self._phones[order.user], order)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _listen(self, endpoint: Endpoint) -> tuple[str, int]:
        """Listen on one port of UDP and TCP, and return the address."""
        host, wanted = self._options.host, self._options.port
        for attempt in range(PORT_ATTEMPTS):
            udp = await endpoint.listen("udp", host, wanted)
            try:
                await endpoint.listen("tcp", *udp.address)
            except FlowError:
                udp.close()
                if wanted or attempt == PORT_ATTEMPTS - 1:
                    raise
                continue
            self._udp = udp
            return udp.address
        raise FlowError("no free port")

    def _recall(self) -> None:
        """Take the bindings of a PBX that was here before."""
        if self._options.memory is None or not isinstance(self._udp, UdpListener):
            return
        ahead = self._now() - time.time()
        for kept in memory.read(self._options.memory):
            flow = self._udp.flow_to((kept.host, kept.port))
            bound: Bound[Flow] = Bound(kept.uri, flow, kept.expires_at + ahead, kept.call_id, kept.cseq)
            self._location.bind(kept.user, bound, self._now())

    def _remember_soon(self) -> None:
        """Write the bindings once for many that come together."""
        if self._options.memory is not None and self._writing is None:
            self._writing = asyncio.get_running_loop().call_later(REMEMBERS_AFTER, self._remember)

    def _remember(self) -> None:
        """Write the bindings for a PBX that comes after."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        if self._options.memory is None:
            return
        ahead = self._now() - time.time()
        memory.write(
            self._options.memory,
            (
                Remembered(user, bound.uri, *bound.flow.remote, bound.expires_at - ahead, bound.call_id, bound.cseq)
                for user, found in self._location.items(self._now())
                for bound in found
                if bound.flow.transport == "udp" and user not in self._phones
            ),
        )

    async def _open_phones(self) -> None:
        for built_in in BUILT_IN:
            password = self._options.accounts.password_of(built_in.user)
            if password is None:
                raise SandboxError(f"the accounts have no user {built_in.user}, and no common password")
            phone = Phone(
                built_in.user,
                SecretStr(password),
                self.address,
                domain=self._realm,
                codecs=built_in.codecs,
                on_call=built_in.behaviour,
            )
            await phone.open()
            self._phones[built_in.user] = phone
        await asyncio.gather(*(phone.register(PHONE_EXPIRES) for phone in self._phones.values()))

    def _watch(self, flow: Flow) -> None:
        """Let bindings end with their connection; a UDP peer may come back."""
        if flow.reliable:
            flow.on_closed.append(self._location.drop_flow)

    def _receive_ack(self, ack: Request, _flow: Flow) -> None:
        if self._proxy is not None:
            self._proxy.forward_ack(ack)

    def _receive(self, server: ServerRequest) -> None:
        try:
            self._route(server)
        except RemoteProtocolError as error:
            server.respond(error.status, error.reason)

    def _route(self, server: ServerRequest) -> None:
        request = server.request
        if self._proxy is None:
            server.respond(503)
        elif request.to.tag is not None:
            self._proxy.forward_in_dialog(server)
        elif request.method == "REGISTER":
            response = self._registrar.register(request, server.flow, self._now())
            server.send(response)
            if response.code == OK:
                self._remember_soon()
        elif request.method == "OPTIONS" and not request.request_uri.username:
            server.respond(200, headers=[("Allow", ALLOW)])
        else:
            self._route_to_user(server, self._proxy)

    def _route_to_user(self, server: ServerRequest, proxy: Proxy) -> None:
        """Forward to where the user registered last."""
        refusal = self._registrar.refuse(server.request, self._now())
        if refusal is not None:
            server.send(refusal)
            return
        user = server.request.request_uri.username
        bindings = self._location.find(user, self._now())
        if bindings:
            proxy.forward_new(server, bindings[-1].uri, bindings[-1].flow)
        else:
            server.respond(480 if self._location.knows(user) else 404)
