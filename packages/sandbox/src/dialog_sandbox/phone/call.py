"""What incoming and outgoing calls of a phone have in common: state, sound, and requests in the SIP dialog.

Theory of operation: a call goes *calling* -> *ringing* -> *talking* -> *ended* and never back; it may skip any but the
last. Its sound port is opened before the first description is written and closed when it has ended. Whoever waits for a
state waits with a deadline and is woken by each change.
"""

from __future__ import annotations

import abc
import asyncio
import secrets
from collections.abc import Callable, Sequence
from enum import IntEnum

from dialog_sip import RemoteProtocolError, Request, Response
from dialog_sip.aio import FlowError, RequestFailedError, ServerRequest
from dialog_sip.sdp import (
    Codec,
    Direction,
    Origin,
    SdpError,
    Session,
    is_held,
    with_next_version,
    write_sdp,
)
from dialog_sip.sip_dialog import SipDialog

from dialog_sandbox.media.audio_port import AudioPort
from dialog_sandbox.phone import descriptions
from dialog_sandbox.phone.line import Line

SDP = "application/sdp"


class CallState(IntEnum):
    """Where a call stands; it only ever goes up."""

    CALLING = 0
    RINGING = 1
    TALKING = 2
    ENDED = 3


class CallEndedError(Exception):
    """The call ended before what was waited for."""


CallKey = tuple[str, str | None]
"""Call-ID and our tag: what requests in a SIP dialog are told apart by, even where a phone calls itself."""


class Call(abc.ABC):
    """One call of a phone."""

    def __init__(self, line: Line, audio: AudioPort, codecs: Sequence[Codec], peer: str) -> None:
        self.audio = audio
        """Its sound."""
        self.peer = peer
        """URI of the other side."""
        self.state = CallState.CALLING
        self.code: int | None = None
        """Code of the response that ended it, 200 for BYE; None without one."""
        self.held = False
        """Whether the other side put us on hold."""
        self.sip_dialog: SipDialog | None = None
        self.on_ended: Callable[[Call], None] | None = None
        self._line = line
        self._codecs = codecs
        self._direction = Direction.SENDRECV
        self._session: Session | None = None
        self._origin = Origin(str(secrets.randbits(48)), 1, audio.local[0])
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    @abc.abstractmethod
    def key(self) -> CallKey:
        """What its SIP dialog is known by."""

    async def talking(self, within: float = 10.0) -> None:
        """Return once both sides talk. Raises :class:`TimeoutError`, :class:`CallEndedError`."""
        await self._reach(CallState.TALKING, within)

    async def ringing(self, within: float = 10.0) -> None:
        """Return once it rings, or more. Raises :class:`TimeoutError`, :class:`CallEndedError`."""
        await self._reach(CallState.RINGING, within)

    async def ended(self, within: float = 10.0) -> int | None:
        """Return the code once it is over. Raises :class:`TimeoutError`."""
        await self._wait(lambda: self.state is CallState.ENDED, within)
        return self.code

    async def was_held(self, *, held: bool, within: float = 10.0) -> None:
        """Return once the other side has put us on hold, or taken us off it. Raises :class:`TimeoutError`."""
        await self._wait(lambda: self.held is held, within)

    async def hangup(self) -> None:
        """End it with BYE. Subclasses add what is right before it is answered."""
        dialog = self.sip_dialog
        if self.state is CallState.ENDED or dialog is None:
            return
        bye = dialog.request("BYE")
        self.end(200)
        try:
            await self._line.transact(bye)
        except (FlowError, RequestFailedError):
            # The other side is gone, which is what was wanted.
            return

    async def hold(self) -> None:
        """Put the other side on hold (RFC 3264 section 8.4). Raises :class:`CallEndedError` where it refuses."""
        await self._reoffer(Direction.SENDONLY)

    async def resume(self) -> None:
        """Take the other side off hold."""
        await self._reoffer(Direction.SENDRECV)

    async def send_digits(self, digits: str, duration_ms: int = 100) -> None:
        """Press keys (RFC 4733)."""
        await self.audio.send_digits(digits, duration_ms)

    async def close(self) -> None:
        """Give back what an ended call held."""
        await self.audio.close()

    def receive(self, server: ServerRequest) -> None:
        """Take a request in the SIP dialog."""
        if self.sip_dialog is None:
            server.respond(481)
            return
        try:
            self.sip_dialog.receive(server.request)
        except RemoteProtocolError as error:
            server.respond(error.status, error.reason)
            return
        if server.request.method == "INVITE":
            self._receive_reinvite(server, self.sip_dialog)
        elif server.request.method == "BYE":
            server.respond(200)
            self.end(200)
        else:
            server.respond(200 if server.request.method in {"INFO", "UPDATE", "OPTIONS"} else 501)

    def move(self, state: CallState) -> None:
        """Go on to a state; never back."""
        if state > self.state:
            self.state = state
            self._wake()

    def end(self, code: int | None) -> None:
        """Note that it is over."""
        if self.state is CallState.ENDED:
            return
        self.code = code
        self.move(CallState.ENDED)
        if self.on_ended is not None:
            self.on_ended(self)

    def _offer(self, direction: Direction) -> bytes:
        """Write an offer, or a new one, and remember it."""
        self._direction = direction
        session = descriptions.describe(self.audio.local, self._origin, self._codecs, direction)
        return self._remember(session)

    def _answer(self, offer: Session) -> bytes:
        """Write the answer to an offer and begin to speak as it says. Raises :class:`SdpError`."""
        session, agreed = descriptions.answer(offer, self.audio.local, self._origin, self._codecs, self._direction)
        self._agree(offer, agreed)
        return self._remember(session)

    def _take_answer(self, body: bytes) -> None:
        """Begin to speak as the answer to our offer says. Raises :class:`SdpError`."""
        session = descriptions.read(body)
        if session is None:
            raise SdpError("an answer is missing")
        self._agree(session, descriptions.agreed(session, self._codecs, self._direction))

    def _agree(self, remote: Session, agreed: descriptions.Agreed) -> None:
        section = remote.section("audio")
        self.audio.connect(agreed.remote, agreed.audio)
        self.audio.sends = agreed.direction.sends
        self.held = section is not None and is_held(remote, section)
        self._wake()

    def _remember(self, session: Session) -> bytes:
        self._session = session if self._session is None else with_next_version(session, self._session)
        return write_sdp(self._session).encode()

    async def _reoffer(self, direction: Direction) -> None:
        dialog = self.sip_dialog
        if dialog is None or self.state is not CallState.TALKING:
            raise CallEndedError("there is no call to change")
        before = self._direction
        request = dialog.request("INVITE", body=self._offer(direction), content_type=SDP)
        response = await self._line.transact(request)
        dialog.receive_response(response)
        if not response.is_success:
            self._direction = before
            raise CallEndedError(f"the other side answered {response.code}")
        self._line.endpoint.acknowledge(dialog.ack(response.cseq.number), self._line.flow)
        self._take_answer(response.body)

    def _receive_reinvite(self, server: ServerRequest, dialog: SipDialog) -> None:
        try:
            offer = descriptions.read(server.request.body)
            body = self._offer(self._direction) if offer is None else self._answer(offer)
        except SdpError:
            self._respond(server, dialog.respond(server.request, 488))
            return
        if offer is None:
            server.on_ack = self._take_late_answer
        self._respond(server, dialog.respond(server.request, 200, body=body, content_type=SDP))

    def _take_late_answer(self, ack: Request) -> None:
        """Take the answer that comes with the ACK, to an offer of ours in a 2xx (RFC 3261 section 13.2.1)."""
        try:
            self._take_answer(ack.body)
        except SdpError:
            # The call goes on as it was; there is nobody to answer.
            return

    def _respond(self, server: ServerRequest, response: Response) -> None:
        if 100 < response.code < 300 and server.request.method == "INVITE":
            response.headers.set("Contact", f"<{self._line.contact}>")
        server.send(response)

    async def _reach(self, state: CallState, within: float) -> None:
        await self._wait(lambda: self.state >= state, within)
        if self.state is CallState.ENDED:
            raise CallEndedError(f"the call ended with {self.code}")

    async def _wait(self, holds: Callable[[], bool], within: float) -> None:
        async with asyncio.timeout(within):
            while not holds():
                waiter = asyncio.get_running_loop().create_future()
                self._waiters.add(waiter)
                try:
                    await waiter
                finally:
                    self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
