"""Offer and answer (RFC 3264)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dialog_sip.sdp import (
    Codec,
    Connection,
    Direction,
    Group,
    Media,
    Origin,
    Setup,
    answer_codecs,
    answer_direction,
    answer_session,
    decline,
    is_held,
    parse_sdp,
    with_next_version,
    write_sdp,
)

OPUS = Codec(111, "opus", 48000, 2, "minptime=10;useinbandfec=1", ("transport-cc", "nack"))
PCMU, PCMA = Codec(0, "PCMU", 8000), Codec(8, "PCMA", 8000)
DTMF = Codec(101, "telephone-event", 8000, fmtp="0-16")
ORIGIN = Origin("7", 1, "192.0.2.2")


def test_answer_keeps_the_offers_order_and_payload_types_with_our_parameters() -> None:
    offered = (
        Codec(8, "PCMA", 8000),
        Codec(96, "OPUS", 48000, 2, "stereo=1", ("nack", "x")),
        Codec(97, "telephone-event", 8000),
    )
    assert answer_codecs(offered, (OPUS, PCMU, PCMA, DTMF)) == (
        PCMA,
        Codec(96, "OPUS", 48000, 2, OPUS.fmtp, ("nack",)),
        Codec(97, "telephone-event", 8000, fmtp="0-16"),
    )  # fmt: skip


def test_clock_rate_and_channels_tell_codecs_apart() -> None:
    assert answer_codecs((Codec(110, "telephone-event", 48000), Codec(96, "opus", 48000)), (OPUS, DTMF)) == ()
    assert answer_codecs((Codec(96),), (Codec(96),)) == ()


@pytest.mark.parametrize(
    ("offered", "wanted", "answered"),
    [
        ("sendrecv", "sendrecv", "sendrecv"),
        ("sendonly", "sendrecv", "recvonly"),
        ("recvonly", "sendrecv", "sendonly"),
        ("inactive", "sendrecv", "inactive"),
        ("sendrecv", "sendonly", "sendonly"),
        ("sendonly", "sendonly", "inactive"),
        ("recvonly", "recvonly", "inactive"),
        ("sendrecv", "inactive", "inactive"),
    ],
)
def test_answer_direction(offered: str, wanted: str, answered: str) -> None:
    assert answer_direction(Direction(offered), Direction(wanted)) == answered


@pytest.mark.parametrize("direction", Direction)
def test_a_direction_reversed_twice_is_itself(direction: Direction) -> None:
    assert direction.reversed.reversed is direction


def test_declined_sections_stay_in_their_place() -> None:
    offer = parse_sdp(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE a v\r\na=group:LS v\r\n"
        "m=audio 9 RTP/AVP 0\r\na=mid:a\r\nm=image 5000 udptl t38\r\nm=video 9 RTP/AVP 96\r\na=mid:v\r\n"
    )
    ours = Media("audio", 4000, codecs=(PCMU,), mid="a")
    answer = answer_session(offer, ORIGIN, {0: ours}, Connection.to("192.0.2.2"))
    assert [media.port for media in answer.media] == [4000, 0, 0]
    assert answer.groups == (Group("BUNDLE", ("a",)),)
    assert "m=image 0 udptl t38\r\n" in write_sdp(answer)
    assert decline(offer.media[2]).mid == "v"


@pytest.mark.parametrize(
    ("lines", "held"),
    [
        ("m=audio 5004 RTP/AVP 0\r\n", False),
        ("m=audio 5004 RTP/AVP 0\r\na=sendonly\r\n", True),
        ("m=audio 5004 RTP/AVP 0\r\na=inactive\r\n", True),
        ("m=audio 5004 RTP/AVP 0\r\na=recvonly\r\n", False),
        ("m=audio 5004 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", True),
        ("m=audio 9 RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n", False),
        ("m=audio 0 RTP/AVP 0\r\na=inactive\r\n", False),
    ],
)
def test_hold(lines: str, held: bool) -> None:
    session = parse_sdp("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n" + lines)
    assert is_held(session, session.media[0]) is held


def test_version_grows_only_with_a_change() -> None:
    offer = answer_session(parse_sdp("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"), ORIGIN, {})
    assert with_next_version(offer, offer) == offer
    changed = with_next_version(replace(offer, direction=Direction.SENDONLY), offer)
    assert changed.origin == replace(ORIGIN, version=2)


def test_dtls_roles() -> None:
    assert [setup.answer for setup in Setup] == [Setup.ACTIVE, Setup.PASSIVE, Setup.ACTIVE, Setup.HOLDCONN]
