"""SDP of PBXs and browsers in full: SDES, T.38, BUNDLE, events, ICE and DTLS to the last attribute."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from dialog_sip.sdp import (
    BundlePolicy,
    Codec,
    CryptoKey,
    Group,
    Media,
    Msid,
    Origin,
    SdpError,
    Session,
    T38Parameters,
    answer_bundle,
    answer_codecs,
    answer_crypto,
    answer_t38,
    event_codec,
    event_codec_for,
    events_of,
    fax_section,
    is_bundled,
    is_fax,
    keys_of,
    make_crypto,
    matching_crypto,
    offer_bundle,
    offer_cryptos,
    parse_sdp,
    t38_of,
    transport_of,
    write_sdp,
)
from dialog_sip.sdp.sdes import SUITES
from dialog_sip.sdp.values import Crypto
from hypothesis import given
from hypothesis import strategies as st

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"


def media(*lines: str) -> Media:
    return parse_sdp(HEAD + "\r\n".join(lines) + "\r\n").media[0]


class TestSdes:
    LINE = "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32"

    def test_a_line_of_rfc_4568(self) -> None:
        crypto = Crypto.parse(self.LINE)
        [key] = keys_of(crypto)
        assert (len(key.secret), key.lifetime, key.mki, key.mki_length) == (30, 1 << 20, 1, 32)
        assert str(key) == crypto.keys
        assert "d0Rm" not in repr(crypto)
        assert "secret" not in repr(key)

    def test_several_keys(self) -> None:
        text = ";".join(str(CryptoKey(bytes([number]) * 30, 1000, number, 1)) for number in (1, 2))
        assert [key.mki for key in keys_of(Crypto(1, "F8_128_HMAC_SHA1_80", text, "FEC_ORDER=FEC_SRTP"))] == [1, 2]

    @pytest.mark.parametrize(
        "keys",
        [
            "inline:AAAA", "inline:?", "uri:x", "inline:" + "A" * 40 + "|2^49", "inline:" + "A" * 40 + "|0",
            "inline:" + "A" * 40 + "|x:1", "inline:" + "A" * 40 + "|1:129", "inline:" + "A" * 40 + "|2^x",
            "inline:" + "A" * 40 + ";inline:" + "B" * 40,
        ],
    )  # fmt: skip
    def test_keys_that_cannot_be_used(self, keys: str) -> None:
        with pytest.raises(SdpError) as caught:
            keys_of(Crypto(1, "AES_CM_128_HMAC_SHA1_80", keys))
        assert "AAAA" not in str(caught.value)

    def test_a_key_without_padding(self) -> None:
        assert len(CryptoKey.parse("inline:" + base64.b64encode(bytes(32)).decode().rstrip("=")).secret) == 32

    @pytest.mark.parametrize("suite", SUITES)
    def test_every_suite(self, suite: str) -> None:
        [key] = keys_of(make_crypto(1, suite, bytes))
        assert len(key.secret) == SUITES[suite].length

    def test_offer_and_answer(self) -> None:
        offered = offer_cryptos(lambda count: b"o" * count)
        chosen = answer_crypto(offered[::-1], lambda count: b"a" * count)
        assert chosen is not None
        theirs, ours = chosen
        # The offer's order counts, and its tag (RFC 4568 section 5.1.2).
        assert (theirs.suite, ours.tag, ours.suite) == ("AES_CM_128_HMAC_SHA1_32", 2, "AES_CM_128_HMAC_SHA1_32")
        assert matching_crypto(offered, [ours]) == (offered[1], ours)
        assert matching_crypto(offered, []) is None
        assert matching_crypto(offered, [replace(ours, tag=1)]) is None

    def test_parameters_that_may_not_be_ignored(self) -> None:
        good = Crypto.parse(self.LINE)
        assert answer_crypto([replace(good, parameters="UNENCRYPTED_SRTP")], bytes) is None
        assert answer_crypto([replace(good, parameters="WSH=60 -foo=bar")], bytes) is not None
        assert answer_crypto([replace(good, suite="OTHER"), replace(good, keys="inline:AA")], bytes) is None


class TestT38:
    SECTION = (
        "m=image 4000 udptl t38", "a=T38FaxVersion:0", "a=T38MaxBitRate:14400", "a=T38FaxFillBitRemoval:0",
        "a=T38FaxTranscodingMMR", "a=t38faxrateManagement:transferredTCF", "a=T38FaxMaxBuffer:x",
        "a=T38FaxMaxDatagram:400", "a=T38FaxUdpEC:t38UDPRedundancy",
    )  # fmt: skip

    def test_what_a_pbx_sends(self) -> None:
        section = media(*self.SECTION)
        assert is_fax(section)
        assert t38_of(section) == T38Parameters(
            0, 14400, transcoding_mmr=True, rate_management="transferredTCF", max_datagram=400,
            error_correction="t38UDPRedundancy",
        )  # fmt: skip
        assert not is_fax(media("m=audio 4000 RTP/AVP 0"))

    def test_it_survives_and_is_written(self) -> None:
        session = parse_sdp(HEAD + "\r\n".join(self.SECTION) + "\r\n")
        assert parse_sdp(write_sdp(session)) == session
        ours = fax_section(5000, t38_of(session.media[0]))
        assert t38_of(parse_sdp(write_sdp(Session(Origin("1"), (ours,)))).media[0]) == t38_of(session.media[0])

    def test_an_answer(self) -> None:
        offered = T38Parameters(3, 33600, fill_bit_removal=True, error_correction="t38UDPFEC")
        ours = T38Parameters(0, 14400, max_buffer=200)
        assert answer_t38(offered, ours) == T38Parameters(0, 14400, max_buffer=200, error_correction="t38UDPFEC")


class TestBundle:
    def offer(self) -> Session:
        sections = tuple(
            Media(kind, 9, "UDP/TLS/RTP/SAVPF", mid=mid, ice_ufrag=f"u{mid}", ice_pwd="p" * 22)
            for kind, mid in (("audio", "0"), ("video", "1"), ("video", "2"))
        )
        return Session(Origin("1"), sections)

    @pytest.mark.parametrize(
        ("policy", "ports"),
        [
            (BundlePolicy.BALANCED, [9, 9, 0]),
            (BundlePolicy.MAX_BUNDLE, [9, 0, 0]),
            (BundlePolicy.MAX_COMPAT, [9, 9, 9]),
        ],
    )
    def test_policies(self, policy: BundlePolicy, ports: list[int]) -> None:
        offer = offer_bundle(self.offer(), policy)
        assert [section.port for section in offer.media] == ports
        assert offer.groups == (Group("BUNDLE", ("0", "1", "2")),)
        assert all((section.ice_ufrag is None) is section.bundle_only for section in offer.media)
        assert parse_sdp(write_sdp(offer)) == offer

    def test_a_peer_that_bundles(self) -> None:
        offer = offer_bundle(self.offer())
        answer = answer_bundle(offer, replace(offer, groups=()))
        assert is_bundled(answer, ["0", "1", "2"])
        assert transport_of(answer, answer.media[2]) is answer.media[0]

    def test_a_peer_that_does_not(self) -> None:
        offer = offer_bundle(self.offer())
        answer = answer_bundle(offer, replace(offer, groups=()), accept=False)
        assert answer.groups == ()
        assert [section.is_declined for section in answer.media] == [False, False, True]
        assert transport_of(answer, answer.media[1]) is answer.media[1]

    def test_a_section_that_is_declined_leaves_the_group(self) -> None:
        offer = offer_bundle(self.offer(), BundlePolicy.MAX_COMPAT)
        declined = replace(offer, media=(offer.media[0], replace(offer.media[1], port=0), offer.media[2]))
        assert answer_bundle(offer, declined).bundled() == ("0", "2")


class TestEvents:
    @pytest.mark.parametrize(
        ("fmtp", "events"),
        [
            ("0-15", set(range(16))), ("0-16", set(range(17))), ("", set(range(16))),
            ("0-11,66, 70", {*range(12), 66, 70}),
            ("events=0-3", {0, 1, 2, 3}), ("x", set(range(16))), ("250-999", set(range(250, 256))),
        ],
    )  # fmt: skip
    def test_read(self, fmtp: str, events: set[int]) -> None:
        assert events_of(Codec(101, "telephone-event", 8000, fmtp=fmtp)) == events

    def test_written(self) -> None:
        assert event_codec(101, events=[0, 1, 2, 5, 66]).fmtp == "0-2,5,66"
        assert event_codec(101).fmtp == "0-15"

    def test_the_clock_rate_of_the_audio_counts(self) -> None:
        codecs = [event_codec(101), event_codec(102, 48000)]
        assert event_codec_for(codecs, Codec(111, "opus", 48000, 2)) == codecs[1]
        assert event_codec_for(codecs, Codec(9, "G722", 16000)) == codecs[0]
        assert event_codec_for([], Codec(0, "PCMU", 8000)) is None


class TestTheRest:
    def test_feedback_for_all(self) -> None:
        section = media("m=video 9 RTP/AVPF 96", "a=rtpmap:96 VP8/90000", "a=rtcp-fb:* nack", "a=rtcp-fb:96 nack pli")
        assert section.feedback_of(section.codecs[0]) == ("nack pli", "nack")
        ours = [Codec(96, "VP8", 90000, feedback=("nack", "ccm fir"))]
        [answered] = answer_codecs(section.codecs, ours, section.feedback)
        assert answered.feedback == ("nack",)
        assert "a=rtcp-fb:* nack\r\n" in write_sdp(Session(Origin("1"), (section,)))

    def test_streams(self) -> None:
        section = media("m=audio 9 RTP/AVP 0", "a=msid:s1 t1", "a=msid:s2 t1", "a=msid:-")
        assert section.streams == (Msid("s1", "t1"), Msid("s2", "t1"), Msid("-"))

    @pytest.mark.parametrize(
        ("line", "address"),
        [
            ("a=rtcp:53020", (53020, None)), ("a=rtcp:53020 IN IP4 192.0.2.9", (53020, "192.0.2.9")),
            ("a=rtcp:x", None), ("a=rtcp:99999", None), ("a=x", None),
        ],
    )  # fmt: skip
    def test_rtcp(self, line: str, address: tuple[int, str | None] | None) -> None:
        assert media("m=audio 9 RTP/AVP 0", line).rtcp_address == address

    def test_every_attribute_of_ice_and_dtls(self) -> None:
        text = (
            HEAD + "a=ice-lite\r\na=ice-pacing:50\r\na=ice-options:ice2 trickle\r\na=tls-id:abc\r\n"
            "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef012345\r\n"
            "a=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=tls-id:def\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n"
            "a=candidate:1 1 UDP 1 192.0.2.1 1 typ host\r\na=remote-candidates:1 192.0.2.3 4\r\na=ice-mismatch\r\n"
        )
        session = parse_sdp(text)
        section = session.media[0]
        assert (session.ice_pacing, session.tls_id, section.tls_id) == (50, "abc", "def")
        assert (section.remote_candidates, section.ice_mismatch, section.rtcp_mux_only) == ("1 192.0.2.3 4", True, True)
        assert session.attributes == section.attributes == ()
        assert parse_sdp(write_sdp(session)) == session

    @pytest.mark.parametrize(
        ("address", "is_name"), [("media.example.com", True), ("192.0.2.1", False), ("2001:db8::1", False)]
    )
    def test_names_as_addresses(self, address: str, is_name: bool) -> None:
        kind = "IP6" if ":" in address else "IP4"
        session = parse_sdp(HEAD + f"m=audio 9 RTP/AVP 0\r\nc=IN {kind} {address}\r\n")
        connection = session.connection_of(session.media[0])
        assert connection is not None
        assert connection.is_name is is_name


WORD = st.text(alphabet="abcXYZ0159:;/|^=-*. ", max_size=60)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", "i", "k", "x"]), WORD), max_size=12))
def test_lines_that_nobody_knows_survive(lines: list[tuple[str, str]]) -> None:
    text = HEAD + "m=audio 9 RTP/AVP 0 96\r\n" + "".join(f"{letter}={value}\r\n" for letter, value in lines)
    try:
        session = parse_sdp(text)
    except SdpError:
        return
    written = write_sdp(session)
    assert parse_sdp(written) == session
    before = sorted(line for line in text.split("\r\n") if line.startswith(("x=", "b=", "i=", "k=")))
    after = sorted(line for line in written.split("\r\n") if line.startswith(("x=", "b=", "i=", "k=")))
    assert before == after


@given(WORD)
def test_any_key_is_read_or_refused(text: str) -> None:
    try:
        key = CryptoKey.parse("inline:" + text)
    except SdpError:
        return
    assert CryptoKey.parse(str(key)) == key
