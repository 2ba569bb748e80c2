"""Rewriting of RTP headers, to the byte."""

from __future__ import annotations

import struct

import pytest
from dialog_bridge.adapters.media.rtp import Rewriter, has_extras, is_media, is_rtcp, without_extras

HEADER = struct.Struct("!BBHII")
OURS = 0xAABBCCDD


def packet(sequence: int, timestamp: int, ssrc: int = 1, *, payload: bytes = b"pay", marker: int = 0) -> bytes:
    return HEADER.pack(0x80, marker | 96, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def fields(rewritten: bytes) -> tuple[int, ...]:
    """Marker and payload type, sequence number, timestamp."""
    _, second, sequence, timestamp, ssrc = HEADER.unpack_from(rewritten)
    assert ssrc == OURS
    return second, sequence, timestamp


def test_to_the_byte() -> None:
    rewriter = Rewriter(OURS, sequence=1000, timestamp=5000)
    out = rewriter.rewrite(packet(7, 70), 8, 8000, now=0.0)
    assert out == bytes.fromhex("80 88 03e8 00001388 aabbccdd") + b"pay"
    assert rewriter.rewrite(packet(8, 230), 8, 8000, now=0.02) == bytes.fromhex("80 08 03e9 00001428 aabbccdd") + b"pay"
    assert (rewriter.packets, rewriter.octets) == (2, 6)


def test_padding_bit_and_marker_of_the_source_stay() -> None:
    rewriter = Rewriter(OURS, 0, 0)
    rewriter.rewrite(packet(1, 0), 0, 8000, 0.0)
    padded = bytes((0xA0,)) + packet(2, 160, marker=0x80, payload=b"x\0\0\3")[1:]
    assert rewriter.rewrite(padded, 0, 8000, 0.02)[:2] == bytes((0xA0, 0x80))


def test_numbers_wrap() -> None:
    rewriter = Rewriter(OURS, sequence=0xFFFF, timestamp=0xFFFFFFFF)
    assert fields(rewriter.rewrite(packet(0xFFFF, 0xFFFFFFF0), 0, 8000, 0.0)) == (0x80, 0xFFFF, 0xFFFFFFFF)
    assert fields(rewriter.rewrite(packet(0, 0xFFFFFFF0 + 160), 0, 8000, 0.02)) == (0, 0, 159)


def test_loss_and_disorder_pass_through() -> None:
    rewriter = Rewriter(OURS, 0, 0)
    sequences = [fields(rewriter.rewrite(packet(n, n * 160), 0, 8000, 0.0))[1] for n in (10, 11, 15, 13, 14, 16)]
    assert sequences == [0, 1, 5, 3, 4, 6]


@pytest.mark.parametrize(
    ("sequence", "timestamp", "ssrc"),
    [(500, 9_000_000, 2), (12 + 3000, 9_000_000, 1), ((12 - 101) & 0xFFFF, 9_000_000, 1)],
    ids=["another source", "far ahead", "far behind"],
)
def test_a_source_joins(sequence: int, timestamp: int, ssrc: int) -> None:
    rewriter = Rewriter(OURS, sequence=0, timestamp=0)
    rewriter.rewrite(packet(11, 1000), 0, 8000, now=1.0)
    rewriter.rewrite(packet(12, 1160), 0, 8000, now=1.02)
    # 0.5 s later: the next number, and 4000 clock ticks on from the last timestamp.
    assert fields(rewriter.rewrite(packet(sequence, timestamp, ssrc), 0, 8000, now=1.52)) == (0x80, 2, 160 + 4000)
    assert fields(rewriter.rewrite(packet(sequence + 1, timestamp + 160, ssrc), 0, 8000, now=1.54)) == (0, 3, 4320)


def test_what_is_put_in_between_takes_numbers() -> None:
    rewriter = Rewriter(OURS, sequence=0, timestamp=0)
    rewriter.rewrite(packet(11, 1000), 0, 8000, now=1.0)
    event_at = rewriter.timestamp_at(1.1, 8000)
    assert event_at == 800
    assert (
        rewriter.insert(b"key!", 101, event_at, 1.1, first=True) == bytes.fromhex("80e5000100000320aabbccdd") + b"key!"
    )
    assert rewriter.insert(b"key!", 101, event_at, 1.12, first=False)[:4] == bytes.fromhex("80650002")
    rewriter.rejoin()
    assert fields(rewriter.rewrite(packet(20, 2440), 0, 8000, now=1.2)) == (0x80, 3, 1600)


def test_extras_are_cut_off() -> None:
    body = b"payload"
    extension = struct.pack("!HHII", 0xBEDE, 2, 1, 2)
    with_all = bytes((0x92,)) + packet(1, 2)[1:12] + b"csrc" * 2 + extension + body
    assert has_extras(with_all[0])
    assert without_extras(with_all) == packet(1, 2, payload=body)
    assert without_extras(with_all[:30]) is None
    assert without_extras(bytes((0x90,)) + packet(1, 2)[1:12]) is None
    assert without_extras(bytes((0x8F,)) + packet(1, 2)[1:12]) is None
    assert not has_extras(0x80)


def test_kinds_are_told_apart() -> None:
    assert [is_media(first) for first in (0, 20, 63, 127, 128, 191, 192)] == [False] * 4 + [True, True, False]
    assert [is_rtcp(bytes((0x80, second))) for second in (0, 0x80 | 96, 191, 192, 200, 223, 224)] == [
        *[False] * 3,
        *[True] * 3,
        False,
    ]
