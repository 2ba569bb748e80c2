"""RTP packets (RFC 3550 section 5.1), as much of them as a test phone needs."""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass, field
from typing import NamedTuple

_FIXED = struct.Struct("!BBHII")
_VERSION = 2 << 6
FRAME = 0.02
"""Seconds of sound in a packet."""


class RtpPacket(NamedTuple):
    """One packet, without CSRCs and extensions: they are skipped on reading."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def encode(self) -> bytes:
        """Return the packet for the wire."""
        second = self.payload_type | (0x80 if self.marker else 0)
        return _FIXED.pack(_VERSION, second, self.sequence, self.timestamp, self.ssrc) + self.payload

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket | None:
        """Read a packet; None for anything else: STUN, RTCP, noise."""
        if len(data) < _FIXED.size or data[0] >> 6 != 2 or 192 <= data[1] <= 223:
            return None
        first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(data)
        start = _FIXED.size + 4 * (first & 0x0F)
        if first & 0x10:
            if len(data) < start + 4:
                return None
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
        end = len(data) - (data[-1] if first & 0x20 else 0)
        if start > end:
            return None
        return cls(second & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(second & 0x80))


@dataclass(slots=True)
class RtpSender:
    """Numbers packets of one source."""

    ssrc: int = field(default_factory=lambda: secrets.randbits(32))
    sequence: int = field(default_factory=lambda: secrets.randbits(16))
    timestamp: int = field(default_factory=lambda: secrets.randbits(32))

    def packet(self, payload_type: int, payload: bytes, *, at: int | None = None, marker: bool = False) -> RtpPacket:
        """Return the next packet. ``at``: its timestamp, where it is not that of the frame at hand."""
        self.sequence = (self.sequence + 1) & 0xFFFF
        timestamp = self.timestamp if at is None else at
        return RtpPacket(payload_type, self.sequence, timestamp, self.ssrc, payload, marker)

    def advance(self, samples: int) -> None:
        """Go on to the frame that is ``samples`` later."""
        self.timestamp = (self.timestamp + samples) & 0xFFFFFFFF
