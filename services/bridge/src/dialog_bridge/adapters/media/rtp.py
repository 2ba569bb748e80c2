"""RTP packets (RFC 3550 section 5.1) and how one direction of a call is rewritten.

Theory of operation. Each side of a call sees one steady source: its SSRC never changes, its sequence numbers run on,
its timestamps never jump. What really sends may change (a fork answers, the PBX moves from an announcement to the
callee, the client comes back from hold). So a packet leaves as it came, plus two offsets modulo 2^16 and 2^32. The
offsets are chosen anew whenever a source *joins*: another SSRC, a sequence number further away than RFC 3550 appendix
A.1 calls the same source, or after :meth:`Rewriter.rejoin`. At a join the next sequence number follows the last one
sent, the timestamp has moved by the time that has passed, and the marker bit tells the receiver to resynchronise.
Between joins loss and reordering pass through unchanged, so the far end counts what was really lost.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct("!BBHII")
"""V/P/X/CC, M/PT, sequence number, timestamp, SSRC."""
HEADER_SIZE = HEADER.size
VERSION_2 = 0x80
MARKER = 0x80

MAX_DROPOUT = 3000
"""A jump forward by this much is a source that restarted (RFC 3550 appendix A.1)."""
MAX_MISORDER = 100
"""A packet late by more than this is a source that restarted (RFC 3550 appendix A.1)."""

_EXTENSION = 0x10
_CSRC_COUNT = 0x0F
_EXTRAS = _EXTENSION | _CSRC_COUNT
_PLAIN = 0xFF ^ _EXTRAS


def is_media(first_byte: int) -> bool:
    """Tell RTP and RTCP from STUN and DTLS by the first byte of a datagram (RFC 7983 section 7)."""
    return 127 < first_byte < 192


def is_rtcp(packet: bytes) -> bool:
    """Tell RTCP from RTP on one port by the payload type (RFC 5761 section 4). ``packet`` has two bytes at least."""
    return 192 <= packet[1] <= 223


def without_extras(packet: bytes) -> bytes | None:
    """Drop CSRCs and the header extension, whose ids were agreed with one side only. None: the packet is cut short."""
    size = HEADER_SIZE + 4 * (packet[0] & _CSRC_COUNT)
    if packet[0] & _EXTENSION:
        if len(packet) < size + 4:
            return None
        size += 4 + 4 * int.from_bytes(packet[size + 2 : size + 4], "big")
    if len(packet) < size:
        return None
    return bytes((packet[0] & _PLAIN,)) + packet[1:HEADER_SIZE] + packet[size:]


def has_extras(first_byte: int) -> bool:
    """Return whether CSRCs or a header extension follow the fixed header."""
    return bool(first_byte & _EXTRAS)


class Rewriter:
    """One direction of a call, seen from the side that receives it.

    ``ssrc``, ``sequence`` and ``timestamp`` are random (RFC 3550 section 5.1): our source, and where its numbers start.
    Times are seconds of a monotonic clock.
    """

    __slots__ = (
        "_highest",
        "_sent_at",
        "_sequence_offset",
        "_source",
        "_timestamp_offset",
        "octets",
        "packets",
        "sequence",
        "ssrc",
        "timestamp",
    )

    def __init__(self, ssrc: int, sequence: int, timestamp: int) -> None:
        self.ssrc = ssrc
        self.sequence = (sequence - 1) & 0xFFFF
        """The highest sequence number sent."""
        self.timestamp = timestamp
        """The timestamp that went with it."""
        self.packets = 0
        self.octets = 0
        self._sent_at: float | None = None
        self._source: int | None = None
        self._highest = 0
        self._sequence_offset = 0
        self._timestamp_offset = 0

    def rewrite(self, packet: bytes, payload_type: int, clock_rate: int, now: float) -> bytes:
        """Return ``packet`` (12 bytes at least, no extras) as our source sends it."""
        first, second, sequence, timestamp, source = HEADER.unpack_from(packet)
        step = (sequence - self._highest) & 0xFFFF
        marker = second & MARKER
        if source != self._source or MAX_DROPOUT <= step <= 0xFFFF - MAX_MISORDER:
            self._join(source, sequence, timestamp, self.timestamp_at(now, clock_rate))
            marker = MARKER
            step = 1
        sequence_out = (sequence + self._sequence_offset) & 0xFFFF
        timestamp_out = (timestamp + self._timestamp_offset) & 0xFFFFFFFF
        if 0 < step < MAX_DROPOUT:
            self._highest = sequence
            self._sent_at = now
            self.sequence = sequence_out
            self.timestamp = timestamp_out
        self.packets += 1
        self.octets += len(packet) - HEADER_SIZE
        return HEADER.pack(first, marker | payload_type, sequence_out, timestamp_out, self.ssrc) + packet[HEADER_SIZE:]

    def insert(self, payload: bytes, payload_type: int, timestamp: int, now: float, *, first: bool) -> bytes:
        """Return a packet of our own that follows the last one; ``first`` starts a talkspurt (marker) at ``timestamp``.

        :meth:`rejoin` comes before the source's next packet.
        """
        self.sequence = (self.sequence + 1) & 0xFFFF
        if first:
            self.timestamp = timestamp
            self._sent_at = now
        self.packets += 1
        self.octets += len(payload)
        second = payload_type | (MARKER if first else 0)
        return HEADER.pack(VERSION_2, second, self.sequence, timestamp, self.ssrc) + payload

    def rejoin(self) -> None:
        """Treat the next packet as that of a source that joins: some were held back or put in between."""
        self._source = None

    def timestamp_at(self, now: float, clock_rate: int) -> int:
        """Return what our source's timestamp is at ``now``."""
        if self._sent_at is None:
            return self.timestamp
        return (self.timestamp + round((now - self._sent_at) * clock_rate)) & 0xFFFFFFFF

    def _join(self, source: int, sequence: int, timestamp: int, timestamp_out: int) -> None:
        self._source = source
        self._sequence_offset = self.sequence + 1 - sequence
        self._timestamp_offset = timestamp_out - timestamp
