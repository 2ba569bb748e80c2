"""Values of structured headers: name-addr, Via, CSeq, media types."""

import pytest
from dialog_sip import CSeq, MediaType, NameAddr, RemoteProtocolError, SipUri, Via
from dialog_sip.values import parse_seconds
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "name", "uri", "params"),
    [
        ("<sip:a@h>", "", "sip:a@h", {}),
        ("sip:a@h", "", "sip:a@h", {}),
        ("sip:a@h;tag=1", "", "sip:a@h", {"tag": "1"}),
        ("<sip:a@h;lr>;tag=1", "", "sip:a@h;lr", {"tag": "1"}),
        ("Alice <sip:a@h>", "Alice", "sip:a@h", {}),
        ("Alice B.<sip:a@h>", "Alice B.", "sip:a@h", {}),
        ('"Alice" <sip:a@h>;tag=1', "Alice", "sip:a@h", {"tag": "1"}),
        (r'"A \"q\" \\ B"<sip:a@h>', r'A "q" \ B', "sip:a@h", {}),
        ('"<sip:x@y>" <sip:a@h>', "<sip:x@y>", "sip:a@h", {}),
        ('"" <sip:a@h>', "", "sip:a@h", {}),
        ('<sip:a@h> ; tag = 1 ; x="a;b"', "", "sip:a@h", {"tag": "1", "x": '"a;b"'}),
        ("< sip:a@h >", "", "sip:a@h", {}),
        ("<tel:+1234>", "", "tel:+1234", {}),
        ('"Żółw" <sip:a@h>', "Żółw", "sip:a@h", {}),
    ],
)
def test_name_addr(text: str, name: str, uri: str, params: dict[str, str]) -> None:
    assert NameAddr.parse(text) == NameAddr(name, uri, params)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<>",
        "<sip:a@h",
        '"Alice <sip:a@h>',
        '"Alice" sip:a@h',
        '"A" x <sip:a@h>',
        "<sip:a@h>x",
        "sip:a@h>",
        "sip:a@h b",
        "sip:a@h?x=1",
        ";tag=1",
    ],
)
def test_what_is_no_name_addr(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        NameAddr.parse(text)


def test_the_uri_of_a_name_addr_is_read_when_asked_for() -> None:
    assert NameAddr.parse("<mailto:a@b>;q=1").params == {"q": "1"}
    with pytest.raises(RemoteProtocolError):
        _ = NameAddr.parse("<mailto:a@b>").uri
    assert NameAddr.parse("<sip:a@h>").uri == SipUri.parse("sip:a@h")


def test_a_name_addr_is_built() -> None:
    built = NameAddr.make(SipUri.make("bob", "h"), 'Bob "B"', tag="x", q="0.5")
    assert str(built) == '"Bob \\"B\\"" <sip:bob@h>;tag=x;q=0.5'
    assert NameAddr.parse(str(built)) == built
    assert str(NameAddr.make("sip:a@h").with_tag("t")) == "<sip:a@h>;tag=t"


@given(st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=40))
def test_any_display_name_survives(name: str) -> None:
    assert NameAddr.parse(str(NameAddr.make("sip:a@h", name))).display_name == name


def test_a_contact_has_an_expiry() -> None:
    assert NameAddr.parse("<sip:a@h>;expires=60").expires == 60
    assert NameAddr.parse("<sip:a@h>;expires=soon").expires is None
    assert NameAddr.parse("<sip:a@h>").expires is None


@pytest.mark.parametrize(
    ("text", "transport", "sent_by", "params"),
    [
        ("SIP/2.0/UDP h:5060;branch=z9hG4bK1", "UDP", "h:5060", {"branch": "z9hG4bK1"}),
        ("SIP/2.0/tcp H", "TCP", "h", {}),
        (
            "SIP / 2.0 / UDP first.example.com : 4000 ;ttl=16 ;branch = z9",
            "UDP",
            "first.example.com:4000",
            {"ttl": "16", "branch": "z9"},
        ),
        ("SIP/2.0/WSS x.invalid;rport", "WSS", "x.invalid", {"rport": None}),
        ("SIP/2.0/UDP [2001:db8::1]:5060", "UDP", "[2001:db8::1]:5060", {}),
        ("sip/2.0/udp under_score.local", "UDP", "under_score.local", {}),
        ("SIP/2.0/UDP h;received=2001:db8::9", "UDP", "h", {"received": "2001:db8::9"}),
    ],
)
def test_via(text: str, transport: str, sent_by: str, params: dict[str, str | None]) -> None:
    via = Via.parse(text)
    assert (via.transport, via.sent_by, via.params) == (transport, sent_by, params)
    assert Via.parse(str(via)) == via


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/3.0/UDP h",
        "SIP/2.0/UDP h:x",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP h x",
        "SIP/2.0/UDP" + " " * 5000,
    ],
)
def test_what_is_no_via(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Via.parse(text)


def test_what_the_server_saw_is_in_the_via() -> None:
    via = Via.parse("SIP/2.0/UDP h;branch=z9hG4bK1;rport=4711;received=192.0.2.1")
    assert (via.branch, via.rport, via.received) == ("z9hG4bK1", 4711, "192.0.2.1")
    assert Via.parse("SIP/2.0/UDP h;rport").rport is None
    assert Via.parse("SIP/2.0/UDP h;rport=x").rport is None
    assert str(Via.parse("SIP/2.0/UDP h;rport").with_params(rport="1")) == "SIP/2.0/UDP h;rport=1"


def test_cseq() -> None:
    assert CSeq.parse("0009  INVITE") == CSeq(9, "INVITE")
    assert str(CSeq(4711, "BYE")) == "4711 BYE"
    assert CSeq.parse(f"{2**32 - 1} ACK").number == 2**32 - 1


@pytest.mark.parametrize(
    "text", ["", "1", "INVITE", "1 IN VITE", "-1 INVITE", f"{2**32} INVITE", "1 IN<VITE", "one INVITE"]
)
def test_what_is_no_cseq(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        CSeq.parse(text)


def test_media_types() -> None:
    parsed = MediaType.parse('Multipart / Mixed ; Boundary="a;b"')
    assert parsed == MediaType("multipart", "mixed", {"boundary": '"a;b"'})
    assert parsed.essence == "multipart/mixed"
    assert str(MediaType("application", "sdp")) == "application/sdp"


@pytest.mark.parametrize("text", ["", "application", "application/", "/sdp", "a b/c", "a/b c"])
def test_what_is_no_media_type(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        MediaType.parse(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("3600", 3600), (None, None), ("", None), ("-1", None), ("1.5", None), ("9" * 40, 2**32 - 1)],
)
def test_seconds_that_are_malformed_count_as_missing(text: str | None, seconds: int | None) -> None:
    assert parse_seconds(text) == seconds
