"""What PBXs and browsers really send is read, and survives being written again."""

from __future__ import annotations

import pytest
from dialog_sip.sdp import (
    Attribute,
    Candidate,
    Codec,
    Direction,
    Fingerprint,
    Group,
    Line,
    SdpError,
    Session,
    Setup,
    parse_sdp,
    write_sdp,
)
from hypothesis import given
from hypothesis import strategies as st

HEAD = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

BROWSER = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS stream
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0 8 110
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1467250027 1 udp 2122260223 10.0.0.5 46243 typ host generation 0 network-id 1
a=candidate:1853887674 1 udp 1518280447 198.51.100.7 36768 typ srflx raddr 10.0.0.5 rport 46243 generation 0
a=end-of-candidates
a=ice-ufrag:4ZcD
a=ice-pwd:2/1muCWoOi3uLifh0NuRHlhz
a=ice-options:trickle
a=fingerprint:sha-256 7b:8b:f0:65:5f:78:e2:51:3b:ac:6f:f3:3f:46:1b:35:dc:b8:5f:64:1a:24:c2:43:f0:a1:58:d0:a1:2c:19:08
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/sendonly http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=sendrecv
a=msid:stream track
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=rtcp-fb:111 nack
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:110 telephone-event/48000
a=ssrc:1001 cname:abc
a=ssrc:1001 msid:stream track
a=ptime:20
m=video 0 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:1
a=bundle-only
a=inactive
a=rtpmap:96 VP8/90000
a=rtcp-fb:* ccm fir
"""

PBX_TEXTS = {
    "port pair": HEAD + "m=audio 5004/2 RTP/AVP 0\r\n",
    "declined video without formats": HEAD + "m=audio 5004 RTP/AVP 8\r\nm=video 0 RTP/AVP\r\n",
    "T.38": HEAD + "m=image 5006 udptl t38\r\na=T38FaxVersion:0\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n",
    "old hold": HEAD + "m=audio 5004 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n",
    "host name": HEAD.replace("c=IN IP4 192.0.2.1", "c=IN IP4 media.example.com") + "m=audio 5004 RTP/AVP 0\r\n",
    "fmtp without rtpmap": HEAD + "m=audio 5004 RTP/AVP 0 101\r\na=fmtp:101 0-15\r\na=fmtp:99 x=1\r\n",
    "SDES": HEAD + "m=audio 5004 RTP/SAVP 0\r\n"
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20|1:4 UNENCRYPTED_SRTCP\r\n",
    "lines of every kind": HEAD.replace("c=IN IP4 192.0.2.1\r\nt=0 0", "i=x\r\nu=http://example.com\r\ne=a@x\r\np=1\r\n"
                                        "c=IN IP4 192.0.2.1\r\nb=AS:84\r\n"
                                        "t=1 2\r\nr=1 1 0\r\nt=3 4\r\nz=0 0\r\nk=clear:x\r\ny=odd")
    + "m=audio 5004 RTP/AVP 0\r\ni=title\r\nb=TIAS:64000\r\nb=RR:0\r\ny=odd\r\n"
    "c=IN IP4 192.0.2.9\r\nc=IN IP4 192.0.2.10\r\n",
    "readers refuse": HEAD + "m=audio 5004 RTP/AVP 0\r\na=ptime:soon\r\na=ptime:20\r\na=ptime:30\r\na=candidate:x\r\n"
    "a=setup:x\r\na=mid:\r\na=rtcp-mux:yes\r\na=rtpmap:0\r\na=rtpmap:777 x/1\r\na=fmtp:0\r\na=crypto:x y z\r\n"
    "a=sendonly\r\na=recvonly\r\na=ssrc:x\r\n",
    "line feeds only, odd spaces": HEAD.replace("\r\n", "\n") + "\n\nm=audio  5004  RTP/AVP  0\n",
    "no media": HEAD,
    "no time": "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nm=audio 5004 RTP/AVP 0\r\n",
}  # fmt: skip


@pytest.mark.parametrize("text", [*PBX_TEXTS.values(), BROWSER], ids=[*PBX_TEXTS, "browser"])
def test_survives_a_round_trip(text: str) -> None:
    session = parse_sdp(text)
    assert parse_sdp(write_sdp(session)) == session
    assert parse_sdp(text.encode()) == session


@pytest.mark.parametrize("text", [BROWSER, PBX_TEXTS["readers refuse"], PBX_TEXTS["lines of every kind"]])
def test_loses_no_line(text: str) -> None:
    # What is case-folded on the way is the same line still.
    def lines(sdp: str) -> list[str]:
        return sorted(line.lower() for line in sdp.splitlines())

    written = lines(write_sdp(parse_sdp(text)))
    assert [line for line in written if not line.startswith("a=rtpmap:0 pcmu")] == [
        line for line in lines(text) if not line.startswith("a=rtpmap:0 pcmu")
    ]


def test_reads_a_browser() -> None:
    session = parse_sdp(BROWSER)
    audio, video = session.media
    assert session.groups == (Group("BUNDLE", ("0", "1")),)
    assert Attribute("extmap-allow-mixed") in session.attributes
    assert audio.codecs[0] == Codec(
        111, "opus", 48000, 2, "minptime=10;useinbandfec=1", feedback=("transport-cc", "nack")
    )
    assert audio.codecs[0].parameters == {"minptime": "10", "useinbandfec": "1"}
    assert session.ice_of(audio) == ("4ZcD", "2/1muCWoOi3uLifh0NuRHlhz")
    assert audio.setup is Setup.ACTPASS
    assert audio.fingerprints[0][0] == "sha-256"
    assert audio.fingerprints[0].value.startswith("7B:8B")
    assert audio.candidates[1] == Candidate(
        "1853887674", 1, "udp", 1518280447, "198.51.100.7", 36768, "srflx", "10.0.0.5", 46243, (("generation", "0"),)
    )
    assert audio.end_of_candidates
    assert audio.rtcp_mux
    assert audio.extmaps[1].direction == "sendonly"
    assert (audio.ssrcs[1].name, audio.ssrcs[1].value) == ("msid", "stream track")
    assert audio.ptime == 20
    assert video.bundle_only
    assert not video.is_declined
    assert video.direction is Direction.INACTIVE


def test_session_level_counts_where_the_section_is_silent() -> None:
    session = parse_sdp(
        HEAD + "a=sendonly\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\na=setup:active\r\na=fingerprint:SHA-1 ab\r\n"
        "m=audio 5004 RTP/AVP 0\r\nm=audio 5006 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\na=recvonly\r\n"
    )
    first, second = session.media
    assert session.direction_of(first) is Direction.SENDONLY
    assert session.direction_of(second) is Direction.RECVONLY
    assert session.ice_of(first) == ("u", "p")
    assert session.setup_of(first) is Setup.ACTIVE
    assert session.fingerprints_of(first) == (Fingerprint("sha-1", "AB"),)
    assert str(session.connection_of(first)) == "IN IP4 192.0.2.1"
    assert str(session.connection_of(second)) == "IN IP6 2001:db8::1"


def test_static_payload_types_need_no_rtpmap() -> None:
    media = parse_sdp(HEAD + "m=audio 5004 RTP/AVP 0 8 9 18 101\r\na=fmtp:101 0-15\r\n").media[0]
    assert [codec.name for codec in media.codecs] == ["PCMU", "PCMA", "G722", "G729", ""]
    assert media.codecs[-1].fmtp == "0-15"


def test_keeps_formats_that_are_no_payload_type() -> None:
    data = parse_sdp(HEAD + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=sctp-port:5000\r\n").media[0]
    assert data.formats == ("webrtc-datachannel",)
    assert data.attributes == (Attribute("sctp-port", "5000"),)


def test_keeps_other_lines_in_their_place() -> None:
    text = write_sdp(parse_sdp(PBX_TEXTS["lines of every kind"]))
    assert "".join(line[0] for line in text.splitlines()) == "vosiuepcbtrtzkymiccbbya"
    assert Line("y", "odd") in parse_sdp(text).other


def test_secrets_stay_out_of_repr() -> None:
    assert "c2VjcmV0" not in repr(parse_sdp(PBX_TEXTS["SDES"]))
    assert "2/1muCWoOi3uLifh0NuRHlhz" not in repr(parse_sdp(BROWSER))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=1\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
        "v=0\r\ns=-\r\n",
        "v=0\r\no=- 1 x IN IP4 192.0.2.1\r\n",
        "v=0\r\no=- 1 1 IN\r\n",
        HEAD + "m=audio\r\n",
        HEAD + "m=audio 70000 RTP/AVP 0\r\n",
        HEAD + "m=audio x RTP/AVP 0\r\n",
        HEAD + "m=audio 5004/ RTP/AVP 0\r\n",
        HEAD + "c=IN\r\nnonsense\r\n",
        HEAD + "m=audio \u0665 RTP/AVP 0\r\n",
        HEAD + "m=audio 9 RTP/AVP 0\r\n" * 200,
        "v=0\r\n" + "a=x\r\n" * 100_000,
    ],
)
def test_refuses_with_a_typed_error(text: str) -> None:
    with pytest.raises(SdpError):
        parse_sdp(text)


LINE = st.one_of(
    st.sampled_from(BROWSER.splitlines() + [line for text in PBX_TEXTS.values() for line in text.splitlines()]),
    st.builds("{}={}".format, st.sampled_from("vosiuepcbtrzkamxy"), st.text(max_size=40)),
    st.builds(
        "a={}:{}".format,
        st.sampled_from(["rtpmap", "fmtp", "rtcp-fb", "candidate", "ssrc", "extmap", "group", "crypto", "mid", "rtcp"]),
        st.text(alphabet="0123456789 /abcd=;:*-", max_size=30),
    ),
)


@given(st.lists(LINE, max_size=30))
def test_any_lines_give_a_session_or_a_typed_error(lines: list[str]) -> None:
    text = HEAD + "".join(f"{line}\r\n" for line in lines)
    try:
        session = parse_sdp(text)
    except SdpError:
        return
    assert isinstance(session, Session)
    assert parse_sdp(write_sdp(session)) == session


@given(st.one_of(st.text(), st.binary()))
def test_any_text_gives_a_session_or_a_typed_error(text: str | bytes) -> None:
    try:
        parse_sdp(text)
    except SdpError:
        return


@pytest.mark.parametrize(
    ("text", "mdns"),
    [
        ("candidate:1 1 udp 2113937151 8f3c.local 55555 typ host generation 0 ufrag abcd", True),
        ("a=candidate:1 1 tcp 1518280447 2001:db8::1 9 typ host tcptype active", False),
    ],
)
def test_trickled_candidates(text: str, mdns: bool) -> None:
    candidate = Candidate.parse(text)
    assert candidate.is_mdns is mdns
    assert candidate.trickled() == text.removeprefix("a=")
