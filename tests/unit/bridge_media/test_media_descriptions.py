"""Descriptions of both sides: what is read, and what is written."""

from __future__ import annotations

from dialog_bridge.adapters.media.codecs import EVENTS_8000, PCMU
from dialog_bridge.adapters.media.sip_sdp import SipDescription, SipOffer, origin_at
from dialog_bridge.adapters.media.web_leg import LocalTransport
from dialog_bridge.adapters.media.web_sdp import WebAnswer, WebDescription, WebSource
from dialog_sip.sdp import Candidate, Direction, Fingerprint, Setup, parse_sdp

PBX = """v=0
o=- 1 1 IN IP4 192.0.2.1
s=PBX
c=IN IP4 192.0.2.1
t=0 0
m=video 6000 RTP/AVP 96
a=rtpmap:96 VP8/90000
m=audio 4000 RTP/SAVP 0
m=audio 4000 RTP/AVP 0 18 101
a=rtpmap:101 telephone-event/8000
a=ptime:30
"""
BROWSER = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE v a
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:v
a=rtpmap:96 VP8/90000
m=audio 9 UDP/TLS/RTP/SAVPF 111 0
c=IN IP4 0.0.0.0
a=mid:a
a=ice-ufrag:abcd
a=ice-pwd:0123456789012345678901
a=fingerprint:sha-256 AB:CD
a=setup:actpass
a=rtcp-mux
a=recvonly
a=rtpmap:111 opus/48000/2
a=candidate:1 1 udp 2130706431 192.0.2.9 5000 typ host
"""
ORIGIN = origin_at("192.0.2.7", 5)


def sip(text: str = PBX) -> SipDescription:
    return SipDescription.read(text.encode())


def answer() -> WebAnswer:
    candidates = (
        Candidate("h", 1, "udp", 2130706431, "192.0.2.7", 7000, "host"),
        Candidate("s", 1, "udp", 1694498815, "203.0.113.7", 7001, "srflx", "192.0.2.7", 7000),
    )
    local = LocalTransport("ufra", "p" * 22, Fingerprint("sha-256", "AA:BB"), candidates)
    return WebAnswer(local, WebSource(1234, "name"), (PCMU, EVENTS_8000), ptime=30)


def test_the_usable_section_of_the_pbx() -> None:
    seen = sip()
    assert (seen.index, seen.rtp, seen.rtcp, seen.mux, seen.ptime) == (
        2, ("192.0.2.1", 4000), ("192.0.2.1", 4001), False, 30,
    )  # fmt: skip
    assert seen.direction is Direction.SENDRECV


def test_rtcp_address() -> None:
    assert sip(PBX + "a=rtcp:4711\n").rtcp == ("192.0.2.1", 4711)
    assert sip(PBX + "a=rtcp:4711 IN IP4 192.0.2.3\n").rtcp == ("192.0.2.3", 4711)
    assert sip(PBX + "a=rtcp:nonsense\n").rtcp == ("192.0.2.1", 4001)
    assert sip(PBX + "a=rtcp:99999\n").rtcp == ("192.0.2.1", 4001)
    assert sip(PBX + "a=rtcp-mux\n").rtcp == ("192.0.2.1", 4000)


def test_hold_of_both_kinds() -> None:
    assert sip(PBX + "a=sendonly\n").direction is Direction.SENDONLY
    old = sip(PBX.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0"))
    assert (old.rtp, old.rtcp, old.direction) == (None, None, Direction.SENDONLY)


def test_answer_to_the_pbx() -> None:
    offer = sip()
    said = SipOffer("192.0.2.7", 20000, (PCMU,), Direction.SENDRECV, ptime=30).session(ORIGIN, offer)
    assert str(said) == (
        "v=0\r\no=- 5 0 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
        "m=audio 0 RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        "m=audio 20000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:30\r\na=sendrecv\r\n"
    )


def test_ipv6() -> None:
    said = SipOffer("2001:db8::7", 20000, (PCMU,), Direction.SENDRECV).session(origin_at("2001:db8::7", 5))
    assert "o=- 5 0 IN IP6 2001:db8::7\r\n" in str(said)
    assert "c=IN IP6 2001:db8::7\r\n" in str(said)


def test_the_usable_section_of_the_browser() -> None:
    seen = WebDescription.read(BROWSER)
    assert (seen.index, seen.mid, seen.setup, seen.direction) == (1, "a", Setup.ACTPASS, Direction.RECVONLY)
    assert (seen.transport.ufrag, seen.transport.lite, len(seen.candidates)) == ("abcd", False, 1)


def test_answer_to_the_browser() -> None:
    said = parse_sdp(str(answer().answer(ORIGIN, WebDescription.read(BROWSER), Setup.ACTIVE)))
    video, audio = said.media
    assert video.is_declined
    assert said.bundled() == ("a",)
    assert (audio.mid, audio.setup, audio.direction, audio.rtcp_mux) == ("a", Setup.ACTIVE, Direction.SENDONLY, True)
    assert audio.end_of_candidates
    # The default address is the one most likely to be reached.
    assert (audio.port, audio.connection and audio.connection.address) == (7001, "203.0.113.7")
    assert [codec.payload_type for codec in audio.codecs] == [0, 101]
    assert audio.ptime == 30


def test_answer_to_a_browser_that_does_not_bundle() -> None:
    alone = BROWSER.replace("a=group:BUNDLE v a\n", "")
    said = parse_sdp(str(answer().answer(ORIGIN, WebDescription.read(alone), Setup.PASSIVE)))
    assert said.groups == ()
    assert [media.is_declined for media in said.media] == [True, False]
    assert said.media[1].setup is Setup.PASSIVE


def test_offer_for_the_browser() -> None:
    text = str(answer().offer(ORIGIN))
    said = parse_sdp(text)
    (audio,) = said.media
    assert (audio.mid, audio.setup, audio.direction) == ("0", Setup.ACTPASS, Direction.SENDRECV)
    assert said.bundled() == ("0",)
    assert audio.msid == "name name-audio"
    assert "a=msid-semantic: WMS name\r\n" in text
    assert "a=ssrc:1234 msid:name name-audio\r\n" in text
