"""The client's leg: ICE, DTLS and SRTP. Packets come in by the tap of :mod:`ice`; nothing is queued."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog
from dialog_sip.sdp import Candidate, Fingerprint

from dialog_bridge.adapters.media.certificate import SharedCertificate
from dialog_bridge.adapters.media.dtls import Association, Link
from dialog_bridge.adapters.media.ice import IceGeneration, IceShared
from dialog_bridge.adapters.media.latch import Address
from dialog_bridge.adapters.media.rtp import is_rtcp
from dialog_bridge.adapters.media.srtp import Srtp

log = structlog.get_logger(__name__)

OVERLAP = 2.0
"""Seconds for which the sockets of before an ICE restart still listen: the client moves over a little later than we."""


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """What the client's description says of its transport."""

    ufrag: str
    pwd: str
    fingerprints: tuple[Fingerprint, ...]
    lite: bool = False


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """What our description says of ours."""

    ufrag: str
    pwd: str
    fingerprint: Fingerprint
    candidates: tuple[Candidate, ...]


class Role(StrEnum):
    """Who made the offer that this transport was agreed by."""

    OFFERER = "offerer"
    ANSWERER = "answerer"


class WebListener(Protocol):
    """Who owns the leg. None of these may raise."""

    def rtp_from_web(self, packet: bytes) -> None:
        """Take a decrypted RTP packet."""

    def rtcp_from_web(self, packet: bytes) -> None:
        """Take a decrypted RTCP packet."""

    def web_connected(self) -> None:
        """Learn that packets flow; once per ICE generation."""

    def web_lost(self, reason: str) -> None:
        """Learn that the client is gone for good. At most once."""


class WebLeg:
    """Transport to the client over one or more ICE generations. Open it with :meth:`prepare`."""

    def __init__(self, ice: IceShared, certificate: SharedCertificate, listener: WebListener) -> None:
        self._ice = ice
        self._certificate = certificate
        self._listener = listener
        self._link = Link(self._send_datagram)
        self._dtls = Association(self._link, certificate, lambda: self._fail("the client closed the DTLS association"))
        self._srtp: Srtp | None = None
        self._current: IceGeneration | None = None
        """The generation that packets are sent on."""
        self._next: IceGeneration | None = None
        """The generation that is prepared or being checked."""
        self._gathering: asyncio.Task[None] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._handshake: asyncio.Task[Srtp | None] | None = None
        self._retired: dict[IceGeneration, asyncio.Task[None]] = {}
        """Generations that were replaced, each with the task that closes it."""
        self._controlling: bool | None = None
        """Our ICE role, once it is settled."""
        self._failed = False

    async def prepare(self) -> None:
        """Begin a new generation: the first one, or an ICE restart. Its sockets are there when it is gathered."""
        if self._next is not None:
            await self._stop_connecting()
            await self._stop_gathering()
            abandoned, self._next = self._next, None
            await abandoned.close()
        self._next = IceGeneration(self._ice, self._media, self._dtls_datagram, self._consent_lost)
        # Its own task: servers may take seconds to answer, and a cancelled one would leave sockets that nobody knows.
        self._gathering = asyncio.create_task(self._next.gather())

    async def gathered(self) -> None:
        """Wait until the candidates of the newest generation are known."""
        if self._gathering is not None:
            await asyncio.shield(self._gathering)

    @property
    def local(self) -> LocalTransport:
        """Our side of the newest generation."""
        newest = self._next or self._current
        if newest is None:
            raise RuntimeError("the leg is not prepared")
        ufrag, pwd = newest.credentials
        return LocalTransport(ufrag, pwd, self._certificate.fingerprint, newest.candidates)

    def start(self, remote: RemoteTransport, role: Role, *, dtls_active: bool) -> None:
        """Connect the prepared generation. Returns at once; the listener hears of the end."""
        if self._next is None or (self._connecting is not None and not self._connecting.done()):
            return
        self._connecting = asyncio.create_task(self._connect(self._next, remote, role, dtls_active=dtls_active))

    def add_candidates(self, candidates: Sequence[Candidate]) -> None:
        """Take candidates of the client for the newest generation."""
        newest = self._next or self._current
        for candidate in candidates:
            if newest is not None:
                newest.add_candidate(candidate)

    def send_rtp(self, packet: bytes) -> None:
        """Encrypt and send; dropped while the leg is not connected."""
        if self._srtp is not None and self._current is not None:
            protected = self._srtp.protect(packet)
            if protected is not None:
                self._current.send(protected)

    def send_rtcp(self, packet: bytes) -> None:
        """Encrypt and send; dropped while the leg is not connected."""
        if self._srtp is not None and self._current is not None:
            protected = self._srtp.protect_rtcp(packet)
            if protected is not None:
                self._current.send(protected)

    async def close(self) -> None:
        """End tasks and close sockets. Safe to call twice."""
        self._failed = True
        await self._stop_gathering()
        await self._stop_connecting()
        if self._handshake is not None:
            self._handshake.cancel()
            await asyncio.gather(self._handshake, return_exceptions=True)
        retired = await self._stop_retiring()
        generations = [it for it in (self._current, self._next, *retired) if it is not None]
        await _closed(self._dtls.close())
        self._srtp = self._current = self._next = None
        for generation in generations:
            await _closed(generation.close())

    async def _connect(
        self, generation: IceGeneration, remote: RemoteTransport, role: Role, *, dtls_active: bool
    ) -> None:
        try:
            async with asyncio.timeout(self._ice.settings.connect_timeout):
                reason = await self._connected(generation, remote, role, dtls_active=dtls_active)
        except TimeoutError:
            reason = "the client did not connect in time"
        except Exception:
            log.exception("connecting the client failed")
            reason = "internal error while connecting the client"
        if reason:
            self._fail(reason)

    async def _connected(
        self, generation: IceGeneration, remote: RemoteTransport, role: Role, *, dtls_active: bool
    ) -> str:
        """Connect, and return what went wrong or nothing."""
        if self._controlling is None:
            # Browsers keep the role of the first offer over ICE restarts. Taken anew, it would be in conflict with
            # theirs whenever the called side restarts, and who gives way then is chance (RFC 8445 section 7.3.1.1).
            self._controlling = role is Role.OFFERER
        controlling = self._controlling or remote.lite
        if not await generation.connect(remote.ufrag, remote.pwd, controlling=controlling, lite=remote.lite):
            return "ICE found no way to the client"
        previous, self._current, self._next = self._current, generation, None
        if self._handshake is None:
            # Its own task, since an ICE restart meanwhile must not cancel it.
            self._handshake = asyncio.create_task(self._dtls.handshake(remote.fingerprints, active=dtls_active))
        self._srtp = await asyncio.shield(self._handshake)
        if self._srtp is None:
            return "the DTLS handshake with the client failed"
        self._listener.web_connected()
        if previous is not None:
            self._retired[previous] = asyncio.create_task(self._retire(previous))
        return ""

    async def _stop_gathering(self) -> None:
        if self._gathering is not None:
            await asyncio.gather(self._gathering, return_exceptions=True)

    async def _retire(self, generation: IceGeneration) -> None:
        """Close a generation that was replaced, once nothing is on its way to it any more."""
        await asyncio.sleep(OVERLAP)
        del self._retired[generation]
        await _closed(generation.close())

    async def _stop_retiring(self) -> list[IceGeneration]:
        retired, self._retired = self._retired, {}
        for task in retired.values():
            task.cancel()
        await asyncio.gather(*retired.values(), return_exceptions=True)
        return list(retired)

    async def _stop_connecting(self) -> None:
        task, self._connecting = self._connecting, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _media(self, datagram: bytes, _source: Address) -> None:
        srtp = self._srtp
        if srtp is None or len(datagram) < 2:
            return
        if is_rtcp(datagram):
            packet = srtp.unprotect_rtcp(datagram)
            if packet is not None:
                self._listener.rtcp_from_web(packet)
            return
        packet = srtp.unprotect(datagram)
        if packet is not None:
            self._listener.rtp_from_web(packet)

    def _dtls_datagram(self, datagram: bytes, _source: Address) -> None:
        self._link.feed(datagram)

    def _send_datagram(self, datagram: bytes) -> bool:
        return self._current is not None and self._current.send(datagram)

    def _consent_lost(self) -> None:
        # A restart that is under way is there to heal just this.
        if self._next is None:
            self._fail("the client stopped answering (ICE consent expired)")

    def _fail(self, reason: str) -> None:
        if not self._failed:
            self._failed = True
            self._listener.web_lost(reason)


async def _closed(closing: Coroutine[None, None, None]) -> None:
    """Wait for one part to close. A part that cannot must not keep the others open."""
    try:
        await closing
    except Exception:
        log.warning("a part of the client's leg did not close", exc_info=True)
