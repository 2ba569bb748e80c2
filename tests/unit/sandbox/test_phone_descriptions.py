"""What the test phones offer and answer."""

from __future__ import annotations

import pytest
from dialog_sandbox.media.audio_port import AudioFormat
from dialog_sandbox.media.g711 import Law
from dialog_sandbox.phone.descriptions import ECHOABLE, G711, agreed, answer, describe, read
from dialog_sip.sdp import Direction, Origin, SdpError, parse_sdp, write_sdp

LOCAL, ORIGIN = ("192.0.2.2", 4000), Origin("7", 1, "192.0.2.2")
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
OPUS_FIRST = (
    "m=audio 5004 RTP/AVP 96 8 97 98\r\na=rtpmap:96 opus/48000/2\r\n"
    "a=rtpmap:97 telephone-event/48000\r\na=rtpmap:98 telephone-event/8000\r\n"
)


def test_an_offer_is_answered_by_its_own_writer() -> None:
    offer = describe(LOCAL, ORIGIN, G711, Direction.SENDRECV)
    session, ours = answer(parse_sdp(write_sdp(offer)), ("192.0.2.3", 5000), ORIGIN, G711, Direction.SENDRECV)
    assert ours.remote == LOCAL
    theirs = agreed(session, G711, Direction.SENDRECV)
    assert theirs.audio == ours.audio == AudioFormat(0, Law.PCMU, 101)
    assert theirs.remote == ("192.0.2.3", 5000)


def test_an_echo_takes_the_first_codec_of_the_offer() -> None:
    session, ours = answer(parse_sdp(HEAD + OPUS_FIRST), LOCAL, ORIGIN, ECHOABLE, Direction.SENDRECV)
    assert ours.audio == AudioFormat(96, None, 97, 48000)
    assert [codec.payload_type for codec in session.media[0].codecs] == [96, 8, 97, 98]


def test_a_phone_that_hears_takes_what_it_can_hear() -> None:
    _, ours = answer(parse_sdp(HEAD + OPUS_FIRST), LOCAL, ORIGIN, G711, Direction.SENDRECV)
    assert ours.audio == AudioFormat(8, Law.PCMA, 98)


def test_video_and_fax_are_declined() -> None:
    offer = parse_sdp(HEAD + "m=video 5006 RTP/AVP 96\r\nm=image 5008 udptl t38\r\nm=audio 5004 RTP/AVP 0\r\n")
    session, _ = answer(offer, LOCAL, ORIGIN, G711, Direction.SENDRECV)
    assert [media.port for media in session.media] == [0, 0, 4000]


@pytest.mark.parametrize(
    "lines", ["", "m=audio 0 RTP/AVP 0\r\n", "m=audio 5004 RTP/AVP 18 101\r\na=rtpmap:101 telephone-event/8000\r\n"]
)
def test_nothing_in_common(lines: str) -> None:
    with pytest.raises(SdpError):
        answer(parse_sdp(HEAD + lines), LOCAL, ORIGIN, G711, Direction.SENDRECV)
    with pytest.raises(SdpError):
        agreed(parse_sdp(HEAD + lines), G711, Direction.SENDRECV)


def test_hold() -> None:
    offer = parse_sdp(HEAD + "m=audio 5004 RTP/AVP 0\r\na=sendonly\r\n")
    session, ours = answer(offer, LOCAL, ORIGIN, G711, Direction.SENDRECV)
    assert (session.media[0].direction, ours.direction) == (Direction.RECVONLY, Direction.RECVONLY)
    old = parse_sdp(HEAD.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0") + "m=audio 5004 RTP/AVP 0\r\n")
    assert answer(old, LOCAL, ORIGIN, G711, Direction.SENDRECV)[1].remote is None


def test_an_empty_body_is_no_description() -> None:
    assert read(b"") is None
    assert read(b"\r\n") is None
    with pytest.raises(SdpError):
        read(b"x")
