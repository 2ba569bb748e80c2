"""A WebRTC client made of packets: no codec, no jitter buffer, so that a measurement is not one of the client."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from dialog_sip.sdp import Codec, Setup

from dialog_bridge.adapters.media.certificate import SharedCertificate
from dialog_bridge.adapters.media.ice import IceShared
from dialog_bridge.adapters.media.rtp import HEADER, MARKER, VERSION_2
from dialog_bridge.adapters.media.settings import MediaSettings
from dialog_bridge.adapters.media.sip_sdp import origin_at
from dialog_bridge.adapters.media.web_leg import Role, WebLeg
from dialog_bridge.adapters.media.web_sdp import WebAnswer, WebDescription, WebSource


class WebPeer:
    """Calls with the engine's own client leg. ``received`` gets each RTP packet, decrypted."""

    def __init__(
        self, settings: MediaSettings, certificate: SharedCertificate, received: Callable[[bytes], None]
    ) -> None:
        self._leg = WebLeg(IceShared.of(settings), certificate, self)
        self._received = received
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.ssrc = secrets.randbits(32)
        self.sequence = secrets.randbits(16)
        self.timestamp = secrets.randbits(32)
        self.reports: list[bytes] = []
        """The last RTCP packets that came."""

    async def offer(self, codecs: tuple[Codec, ...]) -> str:
        """Return the description of a call with ``codecs``."""
        await self._leg.prepare()
        await self._leg.gathered()
        said = WebAnswer(self._leg.local, WebSource(self.ssrc, "peer"), codecs)
        return str(said.offer(origin_at("127.0.0.1", 1)))

    def accept(self, sdp: str) -> None:
        """Take the answer and connect."""
        answer = WebDescription.read(sdp)
        self._leg.add_candidates(answer.candidates)
        self._leg.start(answer.transport, Role.OFFERER, dtls_active=answer.setup is Setup.PASSIVE)

    async def connected(self, within: float) -> None:
        """Wait until packets flow. Raises :class:`ConnectionError` and :class:`TimeoutError`."""
        reason = await asyncio.wait_for(asyncio.shield(self._ended), within)
        if reason:
            raise ConnectionError(reason)

    def send(self, payload_type: int, payload: bytes, *, step: int, marker: bool = False) -> None:
        """Send one packet; ``step`` is how far the timestamp moves after it."""
        second = payload_type | (MARKER if marker else 0)
        header = HEADER.pack(VERSION_2, second, self.sequence, self.timestamp, self.ssrc)
        self._leg.send_rtp(header + payload)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + step) & 0xFFFFFFFF

    def send_raw(self, packet: bytes) -> None:
        """Send an RTP packet as it is."""
        self._leg.send_rtp(packet)

    def send_rtcp(self, packet: bytes) -> None:
        """Send an RTCP packet as it is."""
        self._leg.send_rtcp(packet)

    async def close(self) -> None:
        """Hang up."""
        await self._leg.close()
        self._ended.cancel()

    def rtp_from_web(self, packet: bytes) -> None:
        """Pass it on."""
        self._received(packet)

    def rtcp_from_web(self, packet: bytes) -> None:
        """Keep it."""
        self.reports = [*self.reports[-9:], packet]

    def web_connected(self) -> None:
        """Let :meth:`connected` go on."""
        self._end("")

    def web_lost(self, reason: str) -> None:
        """Let :meth:`connected` fail."""
        self._end(reason)

    def _end(self, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)
