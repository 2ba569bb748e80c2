"""Telephone events (RFC 4733) by the clock of the test."""

from __future__ import annotations

import pytest
from dialog_bridge.adapters.media.dtmf import (
    MAX_QUEUED,
    Event,
    KeyPacket,
    KeyReader,
    KeyWriter,
    Pressed,
    rescaled,
)
from hypothesis import given
from hypothesis import strategies as st


def played(writer: KeyWriter) -> list[tuple[float, KeyPacket]]:
    """Run the writer's own clock and return its packets with their times."""
    packets = []
    while writer.next_at is not None:
        now = writer.next_at
        packets += [(round(now, 3), packet) for packet in writer.poll(now)]
    return packets


def test_a_key_to_the_byte() -> None:
    writer = KeyWriter(8000)
    writer.press("#", 60, now=0.0)
    assert [(at, packet.payload.hex(), packet.first) for at, packet in played(writer)] == [
        (0.00, "0b0a00a0", True),
        (0.02, "0b0a0140", False),
        (0.04, "0b8a01e0", False),
        (0.04, "0b8a01e0", False),
        (0.04, "0b8a01e0", False),
    ]


def test_keys_follow_each_other_with_a_pause() -> None:
    writer = KeyWriter(8000)
    writer.press("12", 40, now=0.0)
    starts = [at for at, packet in played(writer) if packet.first]
    assert starts == [0.0, pytest.approx(0.08)]
    writer.press("3", 40, now=5.0)
    assert writer.next_at == 5.0


def test_keys_pressed_meanwhile_wait() -> None:
    writer = KeyWriter(8000)
    writer.press("1", 40, now=0.0)
    writer.poll(0.0)
    writer.press("2", 40, now=0.01)
    assert writer.poll(0.01) == []
    assert [packet.payload[0] for _, packet in played(writer) if packet.first] == [2]


def test_what_is_no_key_is_left_out_and_the_queue_is_bounded() -> None:
    writer = KeyWriter(8000)
    writer.press("x1,a", 40, now=0.0)
    assert [packet.payload[0] for _, packet in played(writer) if packet.first] == [1, 12]
    writer.press("9" * (MAX_QUEUED + 5), 40, now=0.0)
    assert sum(packet.first for _, packet in played(writer)) == MAX_QUEUED
    writer.press("", 40, now=0.0)
    assert writer.next_at is None


def test_a_key_is_read_once() -> None:
    reader = KeyReader()
    assert reader.take(100, Event(5, ended=False, duration=160), 8000, 0.0) == []
    assert reader.take(100, Event(5, ended=True, duration=800), 8000, 0.1) == [Pressed("5", 100)]
    assert reader.take(100, Event(5, ended=True, duration=800), 8000, 0.1) == []
    assert reader.take(100, Event(5, ended=False, duration=640), 8000, 0.1) == []
    assert reader.take(900, Event(5, ended=True, duration=800), 8000, 0.2) == [Pressed("5", 100)]


def test_lost_ends() -> None:
    reader = KeyReader()
    reader.take(100, Event(1, ended=False, duration=400), 8000, 0.0)
    assert reader.take(900, Event(2, ended=False, duration=160), 8000, 0.2) == [Pressed("1", 50)]
    assert reader.expire(1.1) == []
    assert reader.expire(1.3) == [Pressed("2", 20)]
    assert reader.expire(9.0) == []
    assert reader.take(900, Event(2, ended=True, duration=800), 8000, 9.0) == []


def test_events_that_are_no_keys_are_not_reported() -> None:
    reader = KeyReader()
    assert reader.take(1, Event(16, ended=True, duration=1), 8000, 0.0) == []


def test_other_clocks() -> None:
    assert rescaled(b"\x05\x8a\x03\x20", 48000, 8000) == b"\x05\x8a\x12\xc0"
    assert rescaled(b"\x05\x8a\x12\xc0", 8000, 48000) == b"\x05\x8a\x03\x20"
    assert rescaled(b"\x05\x8a\xff\xff", 48000, 8000) == b"\x05\x8a\xff\xff"
    reader = KeyReader()
    assert reader.take(1, Event(0, ended=True, duration=4800), 48000, 0.0) == [Pressed("0", 100)]


@given(st.integers(0, 255), st.booleans(), st.integers(0, 65535), st.integers(0, 63))
def test_payloads_round_trip(code: int, ended: bool, duration: int, volume: int) -> None:
    event = Event(code, ended, duration, volume)
    assert Event.parse(event.pack()) == event


def test_cut_payload() -> None:
    assert Event.parse(b"\x01\x8a\x00") is None
