"""SRTP with the keys of a DTLS association (RFC 5764)."""

from __future__ import annotations

import pylibsrtp
from aiortc import RTCDtlsTransport

MAX_PACKET = 1356
"""Bytes that pylibsrtp takes: its buffer of 1,500 less the trailer."""


class Srtp:
    """The sessions of one association. A packet that does not pass gives None: forged, repeated, or too long."""

    def __init__(self, dtls: RTCDtlsTransport) -> None:
        # aiortc exports the keys and makes the sessions; it has no public name for them.
        received, sent = dtls._rx_srtp, dtls._tx_srtp  # noqa: SLF001
        self._unprotect, self._unprotect_rtcp = received.unprotect, received.unprotect_rtcp
        self._protect, self._protect_rtcp = sent.protect, sent.protect_rtcp
        self.refused = 0

    def unprotect(self, packet: bytes) -> bytes | None:
        """Return the RTP packet in an SRTP packet."""
        try:
            return self._unprotect(packet)
        except (pylibsrtp.Error, ValueError):
            self.refused += 1
            return None

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """Return the RTCP packet in an SRTCP packet."""
        try:
            return self._unprotect_rtcp(packet)
        except (pylibsrtp.Error, ValueError):
            self.refused += 1
            return None

    def protect(self, packet: bytes) -> bytes | None:
        """Return the SRTP packet of an RTP packet."""
        try:
            return self._protect(packet)
        except (pylibsrtp.Error, ValueError):
            self.refused += 1
            return None

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """Return the SRTCP packet of an RTCP packet."""
        try:
            return self._protect_rtcp(packet)
        except (pylibsrtp.Error, ValueError):
            self.refused += 1
            return None
