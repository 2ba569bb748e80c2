"""Reception statistics and the reports made of them (RFC 3550)."""

from __future__ import annotations

import struct

from dialog_bridge.adapters.media import rtcp
from dialog_bridge.adapters.media.reception import Reception, ReportBlock
from hypothesis import given
from hypothesis import strategies as st


def received(reception: Reception, *sequences: int, ssrc: int = 1) -> None:
    for sequence in sequences:
        reception.received(ssrc, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, 8000, sequence * 0.02)


def test_nothing_received() -> None:
    reception = Reception()
    assert (reception.packets, reception.lost, reception.report(0.0)) == (0, 0, None)


def test_loss_over_a_wrap() -> None:
    reception = Reception()
    received(reception, 65533, 65534, 65536, 65537, 65539)
    assert (reception.packets, reception.lost) == (5, 2)
    block = reception.report(1.0)
    assert block is not None
    assert (block.highest_sequence, block.lost, block.fraction_lost) == (65536 + 3, 2, 2 * 256 // 7)
    received(reception, 65540)
    again = reception.report(2.0)
    assert again is not None
    assert (again.lost, again.fraction_lost) == (2, 0)


def test_duplicates_do_not_hide_that_nothing_was_lost() -> None:
    reception = Reception()
    received(reception, 1, 2, 2, 3)
    assert (reception.packets, reception.lost) == (4, 0)


def test_late_packets_are_not_lost() -> None:
    reception = Reception()
    received(reception, 1, 4, 2, 3)
    assert reception.lost == 0


def test_a_new_source_keeps_what_the_old_one_lost() -> None:
    reception = Reception()
    received(reception, 1, 3)
    received(reception, 500, 501, ssrc=2)
    assert (reception.packets, reception.lost) == (4, 1)
    block = reception.report(1.0)
    assert block is not None
    assert (block.ssrc, block.lost) == (2, 0)


def test_a_restarted_source_lost_nothing_by_that() -> None:
    reception = Reception()
    received(reception, 1, 2, 40_000, 40_001)
    assert reception.lost == 0


def test_steady_packets_have_no_jitter_and_late_ones_have() -> None:
    steady, late = Reception(), Reception()
    received(steady, 1, 2, 3)
    late.received(1, 1, 160, 8000, 0.02)
    late.received(1, 2, 320, 8000, 0.06)
    blocks = steady.report(1.0), late.report(1.0)
    assert [block and block.jitter for block in blocks] == [0, 160 // 16]


def test_round_trip_fields() -> None:
    reception = Reception()
    received(reception, 1)
    reception.sender_report(ssrc=9, ntp_middle=1, now=0.5)
    block = reception.report(1.0)
    assert block is not None
    assert (block.last_sr, block.delay_since_last_sr) == (0, 0)
    reception.sender_report(ssrc=1, ntp_middle=0x12345678, now=0.5)
    block = reception.report(1.0)
    assert block is not None
    assert (block.last_sr, block.delay_since_last_sr) == (0x12345678, 32768)


def test_sender_report_to_the_byte() -> None:
    block = ReportBlock(0x0A0B0C0D, 128, -2, 0x10005, 7, 0x11223344, 65536)
    sent = rtcp.Sent(wall=1.5, timestamp=3, packets=4, octets=5)
    assert rtcp.compound(0x01020304, "ab", sent, block) == bytes.fromhex(
        "81c8000c 01020304 83aa7e81 80000000 00000003 00000004 00000005"
        "0a0b0c0d 80fffffe 00010005 00000007 11223344 00010000"
        "81ca0003 01020304 0102 6162 00000000"
    )


def test_receiver_report_to_the_byte() -> None:
    assert rtcp.compound(1, "", None, None) == bytes.fromhex("80c90001 00000001 81ca0002 00000001 01000000")


def test_own_sender_report_is_read() -> None:
    packet = rtcp.compound(5, "name", rtcp.Sent(1.5, 0, 0, 0), None)
    assert list(rtcp.sender_reports(packet)) == [(5, (2208988801 & 0xFFFF) << 16 | 0x8000)]
    assert list(rtcp.sender_reports(rtcp.compound(5, "name", None, None))) == []
    bye = struct.pack("!BBHI", 0x81, 203, 1, 5)
    assert list(rtcp.sender_reports(bye + packet)) == list(rtcp.sender_reports(packet))


@given(st.binary(max_size=200))
def test_any_bytes_are_read(packet: bytes) -> None:
    for ssrc, ntp_middle in rtcp.sender_reports(packet):
        assert 0 <= ssrc < 2**32
        assert 0 <= ntp_middle < 2**32


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 65535), st.integers(0, 2**32 - 1)), max_size=50))
def test_any_packets_make_a_report_that_can_be_packed(packets: list[tuple[int, int, int]]) -> None:
    reception = Reception()
    for number, (ssrc, sequence, timestamp) in enumerate(packets):
        reception.received(ssrc, sequence, timestamp, 48000, number * 0.02)
        block = reception.report(number * 0.02)
        assert block is not None
        assert len(rtcp.compound(1, "x", None, block)) % 4 == 0
    assert reception.lost >= 0
