"""The PBX's leg: a pair of UDP ports with plain RTP and RTCP, symmetric (see :mod:`latch`)."""

from __future__ import annotations

from typing import Protocol

from dialog_bridge.adapters.media.latch import Address, Latch
from dialog_bridge.adapters.media.rtp import is_media, is_rtcp
from dialog_bridge.adapters.media.sockets import PortPool, RtpSocket


class SipListener(Protocol):
    """Who owns the leg. None of these may raise."""

    def is_rtp_of_sip(self, packet: bytes) -> bool:
        """Return whether it is RTP of an agreed payload type: only such a packet may teach an address."""

    def rtp_from_sip(self, packet: bytes) -> None:
        """Take an RTP packet."""

    def rtcp_from_sip(self, packet: bytes) -> None:
        """Take an RTCP packet."""


class SipLeg:
    """Ports towards the PBX. ``host`` is what they are bound to.

    Raises :class:`PortsExhaustedError` and :class:`OSError`.
    """

    def __init__(self, ports: PortPool, host: str, listener: SipListener) -> None:
        self._listener = listener
        self._ports = ports
        self._rtp_latch = Latch()
        self._rtcp_latch = Latch()
        self._mux = False
        self._silenced = False
        self.port, rtp, rtcp = ports.bind(host)
        self._rtp = RtpSocket(rtp, self._rtp_received)
        self._rtcp = RtpSocket(rtcp, self._rtcp_received)

    def describe(self, rtp: Address | None, rtcp: Address | None, *, mux: bool) -> None:
        """Take the addresses of a description; with ``mux`` RTCP goes the way of RTP (RFC 5761).

        None is hold by ``c=0.0.0.0``: nothing is sent, RTCP neither, while the peer may go on sending (RFC 3264
        section 8.4).
        """
        self._mux = mux
        self._silenced = rtp is None or rtcp is None
        if rtp is not None and rtcp is not None:
            self._rtp_latch.describe(rtp)
            self._rtcp_latch.describe(rtcp)

    def send_rtp(self, packet: bytes) -> None:
        """Send to the PBX; dropped while no address is known."""
        if self._rtp_latch.target is not None and not self._silenced:
            self._rtp.send(packet, self._rtp_latch.target)

    def send_rtcp(self, packet: bytes) -> None:
        """Send to the PBX; dropped while no address is known."""
        if self._mux:
            self.send_rtp(packet)
        elif self._rtcp_latch.target is not None and not self._silenced:
            self._rtcp.send(packet, self._rtcp_latch.target)

    def close(self) -> None:
        """Free the ports. Safe to call twice."""
        self._rtp.close()
        self._rtcp.close()
        self._ports.free(self.port)

    def _rtp_received(self, packet: bytes, source: Address) -> None:
        if len(packet) < 2 or not is_media(packet[0]):
            return
        if is_rtcp(packet):
            self._take_rtcp(packet, source, self._rtp_latch)
        elif self._is_from_peer(packet, source):
            self._listener.rtp_from_sip(packet)

    def _is_from_peer(self, packet: bytes, source: Address) -> bool:
        if source != self._rtp_latch.target and not self._listener.is_rtp_of_sip(packet):
            return False
        return self._rtp_latch.accepts(source)

    def _rtcp_received(self, packet: bytes, source: Address) -> None:
        if len(packet) >= 2 and is_media(packet[0]) and is_rtcp(packet):
            self._take_rtcp(packet, source, self._rtcp_latch)

    def _take_rtcp(self, packet: bytes, source: Address, latch: Latch) -> None:
        if latch.accepts(source):
            self._listener.rtcp_from_sip(packet)
