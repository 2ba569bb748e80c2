"""DTMF digits as RTP telephone events (RFC 4733)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from dialog_sandbox.media.rtp import RtpPacket, RtpSender

DIGITS = "0123456789*#ABCD"
"""Digit -> event code by its place (RFC 4733 section 3.2)."""
END_REPEATS = 3
"""The end is sent so often, because it matters and may be lost (RFC 4733 section 2.5.1.4)."""

_EVENT = struct.Struct("!BBH")
_END, _VOLUME = 0x80, 10


class Digit(NamedTuple):
    """A key that was pressed and let go."""

    digit: str
    duration_ms: float


def digit_packets(
    sender: RtpSender, payload_type: int, digit: str, duration_ms: int, frame: int, clock_rate: int = 8000
) -> Iterator[list[RtpPacket]]:
    """Yield the packets of each frame of a digit, the repeated end included; the sender is moved on past it.

    ``frame`` is the length of a frame in samples. Raises :class:`ValueError` for what is no digit.
    """
    code = DIGITS.index(digit)
    began, total = sender.timestamp, duration_ms * clock_rate // 1000
    for elapsed in range(frame, total, frame):
        event = _EVENT.pack(code, _VOLUME, elapsed)
        yield [sender.packet(payload_type, event, at=began, marker=elapsed == frame)]
        sender.advance(frame)
    event = _EVENT.pack(code, _END | _VOLUME, min(total, 0xFFFF))
    yield [sender.packet(payload_type, event, at=began) for _ in range(END_REPEATS)]
    sender.advance(frame)


class DigitReceiver:
    """Reads digits. Each counts once, however often its end is repeated."""

    def __init__(self, clock_rate: int = 8000) -> None:
        self._clock_rate = clock_rate
        self._last: tuple[int, int] | None = None

    def receive(self, packet: RtpPacket) -> Digit | None:
        """Take a packet of the event's payload type; return the digit that it ends."""
        if len(packet.payload) < _EVENT.size:
            return None
        code, flags, duration = _EVENT.unpack_from(packet.payload)
        event = (packet.ssrc, packet.timestamp)
        if not flags & _END or code >= len(DIGITS) or event == self._last:
            return None
        self._last = event
        return Digit(DIGITS[code], duration * 1000 / self._clock_rate)
