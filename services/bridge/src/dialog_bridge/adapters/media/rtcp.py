"""RTCP (RFC 3550 section 6) as far as a relay that ends it on both sides needs it.

Reports are made here, one conversation per side, since SSRCs, sequence numbers and losses differ between the two.
From what comes in only sender reports matter, for the round trip that the far end computes; BYE and feedback are
ignored.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from dialog_bridge.adapters.media.reception import ReportBlock

SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202

_NTP_EPOCH = 2208988800
"""Seconds from 1900 (NTP) to 1970 (Unix)."""
_HEADER = struct.Struct("!BBH")
_SENDER = struct.Struct("!IIIIII")
_BLOCK = struct.Struct("!IIIIII")
_CNAME_ITEM = 1


@dataclass(frozen=True, slots=True)
class Sent:
    """Sender information of our own source (RFC 3550 section 6.4.1). ``wall`` is Unix time in seconds."""

    wall: float
    timestamp: int
    packets: int
    octets: int


def compound(ssrc: int, cname: str, sent: Sent | None, block: ReportBlock | None) -> bytes:
    """Return a compound packet: SR (RR where nothing was sent) and SDES with our CNAME (RFC 3550 section 6.1)."""
    return _report(ssrc, sent, block) + _description(ssrc, cname)


def sender_reports(packet: bytes) -> Iterator[tuple[int, int]]:
    """Yield SSRC and the middle 32 bits of the NTP time of each SR in a compound packet, whatever else is in there."""
    offset = 0
    while offset + _HEADER.size <= len(packet):
        first, kind, words = _HEADER.unpack_from(packet, offset)
        end = offset + 4 * (words + 1)
        if first >> 6 != 2 or end > len(packet):
            return
        if kind == SENDER_REPORT and end - offset >= _HEADER.size + _SENDER.size:
            ssrc, seconds, fraction = struct.unpack_from("!III", packet, offset + _HEADER.size)
            yield ssrc, (seconds & 0xFFFF) << 16 | fraction >> 16
        offset = end


def _report(ssrc: int, sent: Sent | None, block: ReportBlock | None) -> bytes:
    body = b"" if block is None else _packed(block)
    count = 0 if block is None else 1
    if sent is None:
        return _framed(RECEIVER_REPORT, count, ssrc.to_bytes(4, "big") + body)
    seconds = int(sent.wall)
    fraction = int((sent.wall - seconds) * 2**32)
    info = _SENDER.pack(
        ssrc,
        (seconds + _NTP_EPOCH) & 0xFFFFFFFF,
        fraction,
        sent.timestamp,
        sent.packets & 0xFFFFFFFF,
        sent.octets & 0xFFFFFFFF,
    )
    return _framed(SENDER_REPORT, count, info + body)


def _packed(block: ReportBlock) -> bytes:
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | (block.lost & 0xFFFFFF),
        block.highest_sequence & 0xFFFFFFFF,
        block.jitter,
        block.last_sr,
        block.delay_since_last_sr,
    )


def _description(ssrc: int, cname: str) -> bytes:
    text = cname.encode()[:255]
    chunk = ssrc.to_bytes(4, "big") + bytes((_CNAME_ITEM, len(text))) + text + b"\0"
    return _framed(SOURCE_DESCRIPTION, 1, chunk + bytes(-len(chunk) % 4))


def _framed(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(2 << 6 | count, kind, len(body) // 4) + body
