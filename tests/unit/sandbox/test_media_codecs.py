"""G.711, tones, RTP and telephone events of the test phones."""

from __future__ import annotations

import numpy as np
import pytest
from dialog_sandbox.media import tone
from dialog_sandbox.media.g711 import Law
from dialog_sandbox.media.rtp import RtpPacket, RtpSender
from dialog_sandbox.media.telephone_events import END_REPEATS, DigitReceiver, digit_packets
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("law", "codes", "values"),
    [(Law.PCMU, b"\xff\x80\x00\xe7", [0, 32124, -32124, 260]), (Law.PCMA, b"\xd5\x55\xaa\x2a", [8, -8, 32256, -32256])],
)
def test_g711_values_of_the_standard(law: Law, codes: bytes, values: list[int]) -> None:
    assert list(law.decode(codes)) == values
    assert law.decode(law.encode(np.array(values, np.int16))).tolist() == values


@pytest.mark.parametrize("law", Law)
def test_g711_keeps_a_tone(law: Law) -> None:
    samples = tone.sine(440, 0, 1600)
    heard = law.decode(law.encode(samples))
    noise = samples.astype(float) - heard
    assert 10 * np.log10(np.mean(samples.astype(float) ** 2) / np.mean(noise**2)) > 35


def test_a_tone_is_told_from_others_and_from_silence() -> None:
    samples = np.concatenate([tone.sine(440, start, 160) for start in range(0, 1600, 160)])
    assert tone.goertzel(samples, 440) > 0.99
    assert tone.goertzel(samples, 880) < 0.01
    assert tone.loudest_frequency(samples) == pytest.approx(440)
    assert tone.level(samples) == pytest.approx(-12, abs=0.1)
    silence = np.zeros(1600, np.int16)
    assert (tone.level(silence), tone.goertzel(silence, 440), tone.loudest_frequency(silence)) == (-96, 0, None)
    assert (tone.level(silence[:0]), tone.goertzel(silence[:0], 440)) == (-96, 0)


@pytest.mark.parametrize("hertz", [433.0, 440.0, 447.5, 1004.9])
def test_a_tone_between_two_lines_of_a_short_spectrum_is_found(hertz: float) -> None:
    assert tone.loudest_frequency(tone.sine(hertz, 0, 800)) == pytest.approx(hertz, abs=1)


@given(st.builds(RtpPacket, st.integers(0, 63), st.integers(0, 65535), st.integers(0, 2**32 - 1),
                 st.integers(0, 2**32 - 1), st.binary(max_size=200), st.booleans()))  # fmt: skip
def test_rtp_round_trip(packet: RtpPacket) -> None:
    assert RtpPacket.parse(packet.encode()) == packet


@given(st.binary(max_size=60))
def test_any_datagram_is_a_packet_or_none(data: bytes) -> None:
    for start in (data, b"\x90\x00" + data, b"\xa0\x00" + data, b"\x8f\x00" + data):
        parsed = RtpPacket.parse(start)
        assert parsed is None or len(parsed.payload) <= len(start)


def test_rtp_skips_what_it_does_not_read() -> None:
    csrc_extension_padding = bytes.fromhex("b1000001 00000002 00000003 0000000a bede0001 01020304".replace(" ", ""))
    assert RtpPacket.parse(csrc_extension_padding + b"sound" + b"\x00\x02") == RtpPacket(0, 1, 2, 3, b"sound")
    assert RtpPacket.parse(b"\x80\xc8" + bytes(20)) is None


def test_a_digit_arrives_once() -> None:
    sender, receiver = RtpSender(), DigitReceiver()
    frames = [*digit_packets(sender, 101, "5", 100, 160), *digit_packets(sender, 101, "5", 60, 160)]
    packets = [packet for frame in frames for packet in frame]
    assert packets[0].marker
    assert len({packet.timestamp for packet in packets}) == 2
    assert len(frames[4]) == END_REPEATS
    # Any loss but that of all three ends.
    arrived = [receiver.receive(packet) for packet in packets[1:] if packet is not frames[4][0]]
    assert [(digit.digit, digit.duration_ms) for digit in arrived if digit] == [("5", 100), ("5", 60)]
    assert receiver.receive(RtpPacket(101, 1, 1, 1, b"\x01")) is None
    with pytest.raises(ValueError, match="substring"):
        list(digit_packets(sender, 101, "x", 100, 160))
