"""The test phone: registers, calls, is called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from types import TracebackType
from typing import Any

from dialog_sip import RemoteProtocolError, Request
from dialog_sip.aio import Endpoint, ServerRequest
from dialog_sip.registration import RegistrationState
from dialog_sip.sdp import Codec
from pydantic import SecretStr

from dialog_sandbox.media.audio_port import Address, AudioPort
from dialog_sandbox.phone.call import Call, CallKey, CallState
from dialog_sandbox.phone.descriptions import G711
from dialog_sandbox.phone.incoming import IncomingCall
from dialog_sandbox.phone.line import ALLOW, Line
from dialog_sandbox.phone.outgoing import OutgoingCall
from dialog_sandbox.phone.registering import Registering

MAX_CALLS = 1000
"""At a time; one more is busy."""
CLOSING = 5.0
"""Seconds in which the end of a phone hangs up and unregisters."""

Behaviour = Callable[[IncomingCall], Awaitable[None]]
"""What a phone does by itself with a call that comes."""


class RegistrationRefusedError(Exception):
    """The PBX did not take the REGISTER."""


class Phone:
    """A SIP phone behind one PBX: ``async with Phone("434", "secret", ("127.0.0.1", 5060)) as phone``.

    With ``on_call`` it takes calls by itself; else :meth:`wait_call` gives them.
    """

    def __init__(
        self,
        user: str,
        password: SecretStr | str,
        server: Address,
        *,
        transport: str = "udp",
        domain: str | None = None,
        codecs: Sequence[Codec] = G711,
        on_call: Behaviour | None = None,
    ) -> None:
        self.user = user
        self._password = password if isinstance(password, SecretStr) else SecretStr(password)
        self._server = server
        self._transport = transport
        self._domain = domain or server[0]
        self._codecs = codecs
        self._on_call = on_call
        self._line: Line | None = None
        self._registering: Registering | None = None
        self._calls: dict[CallKey, Call] = {}
        self._waiting: asyncio.Queue[IncomingCall] = asyncio.Queue(MAX_CALLS)
        self._taking: set[asyncio.Task[None]] = set()
        """What takes calls that come; ends with the phone."""
        self._closing: set[asyncio.Task[None]] = set()
        """What gives back the resources of calls that have ended; is waited for."""

    async def __aenter__(self) -> Phone:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def line(self) -> Line:
        """Its way to the PBX. Raises :class:`RuntimeError` before :meth:`open`."""
        if self._line is None:
            raise RuntimeError("the phone is not open")
        return self._line

    @property
    def calls(self) -> tuple[Call, ...]:
        """Calls that have not ended."""
        return tuple(self._calls.values())

    async def open(self) -> None:
        """Open the flow to the PBX. Raises :class:`FlowError`."""
        endpoint = Endpoint(self._receive)
        try:
            flow = await endpoint.connect(self._transport, *self._server)
        except BaseException:
            await endpoint.close()
            raise
        self._line = Line(endpoint, flow, self.user, self._password, self._domain)

    async def close(self) -> None:
        """Hang up, unregister and close."""
        if self._line is None:
            return
        for task in self._taking:
            task.cancel()
        await asyncio.gather(*self._taking, return_exceptions=True)
        try:
            async with asyncio.timeout(CLOSING):
                await asyncio.gather(*(call.hangup() for call in self.calls))
        except TimeoutError:
            for call in self.calls:
                call.end(None)
        await self.unregister()
        await self._line.endpoint.close()
        await asyncio.gather(*self._closing, return_exceptions=True)
        self._line = None

    async def register(self, expires: int = 600, within: float = 10.0) -> None:
        """Register and stay registered. Raises :class:`RegistrationRefusedError`, :class:`TimeoutError`."""
        if self._registering is None:
            self._registering = Registering(self.line, expires)
        state = await self._registering.start(within)
        if state is not RegistrationState.REGISTERED:
            raise RegistrationRefusedError(self._registering.registration.reason)

    async def unregister(self, within: float = 2.0) -> None:
        """Unregister, if registered."""
        if self._registering is not None:
            registering, self._registering = self._registering, None
            await registering.stop(within)

    async def call(self, to: str) -> OutgoingCall:
        """Call a user of the PBX, or a SIP URI; wait for what becomes of it at the call."""
        uri = to if to.startswith(("sip:", "sips:", "tel:")) else f"sip:{to}@{self.line.domain}"
        audio = await AudioPort.open(self.line.host[0])
        call = OutgoingCall(self.line, audio, self._codecs, uri)
        self._own(call)
        return call

    async def wait_call(self, within: float = 10.0) -> IncomingCall:
        """Return the next call that comes. Raises :class:`TimeoutError`."""
        async with asyncio.timeout(within):
            return await self._waiting.get()

    def _own(self, call: Call) -> None:
        self._calls[call.key] = call
        call.on_ended = self._ended
        if call.state is CallState.ENDED:
            self._ended(call)

    def _ended(self, call: Call) -> None:
        self._calls.pop(call.key, None)
        self._spawn(call.close(), self._closing)

    def _spawn(self, work: Coroutine[Any, Any, None], owner: set[asyncio.Task[None]]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        owner.add(task)
        task.add_done_callback(owner.discard)

    def _receive(self, server: ServerRequest) -> None:
        """Take a request of the PBX."""
        request = server.request
        if request.to.tag is not None:
            call = self._calls.get((request.call_id, request.to.tag))
            call.receive(server) if call is not None else server.respond(481)
        elif request.method == "INVITE":
            self._spawn(self._take_invite(server), self._taking)
        elif request.method == "OPTIONS":
            server.respond(200, headers=[("Allow", ALLOW)])
        else:
            server.respond(405, headers=[("Allow", ALLOW)])

    async def _take_invite(self, server: ServerRequest) -> None:
        # A CANCEL may come while the sound port is being opened.
        server.on_cancel = partial(_refuse, server)
        audio = await AudioPort.open(self.line.host[0])
        if server.final is not None:
            await audio.close()
            return
        try:
            call = IncomingCall(self.line, audio, self._codecs, server)
        except RemoteProtocolError as error:
            server.respond(error.status, error.reason)
            await audio.close()
            return
        self._own(call)
        if self._on_call is not None:
            await self._on_call(call)
        elif self._waiting.full():
            call.reject(486)
        else:
            self._waiting.put_nowait(call)


def _refuse(server: ServerRequest, _cancel: Request) -> None:
    server.respond(487)
