"""All headers at once, against the accessors that read them one by one."""

from __future__ import annotations

import pytest
from dialog_sip import Message, NameAddr, RemoteProtocolError, SipUri, parse_message, read_all
from dialog_sip.uri import _parse_unusual, parse_uri
from dialog_sip.values import CSeq, Via
from hypothesis import given
from hypothesis import strategies as st
from torture.cases import CASES

INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1, SIP/2.0/TCP h:5070;branch=z9hG4bK2\r\n"
    b"v: SIP/2.0/UDP 192.0.2.3:5060;rport\r\n"
    b'From: "A, B" <sip:a@example.com>;tag=1\r\nTo:\r\n <sip:bob@example.com>\r\n'
    b"Call-ID: x@y\r\nCSeq: 3 INVITE\r\nMax-Forwards: 70\r\nExpires: soon\r\n"
    b"Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.1>;q=0.1\r\nAllow: INVITE, ACK,\r\nSupported:\r\n"
    b"X-Two: 1\r\nx-two: 2, 3\r\nSession-Expires: 90;refresher=uac\r\nContent-Length: 0\r\n\r\n"
)


def test_every_header_is_there_as_its_accessor_reads_it() -> None:
    message = parse_message(INVITE)
    values = read_all(message)
    assert values["via"] == message.vias
    assert values["from"] == message.from_
    assert values["to"] == message.to
    assert values["cseq"] == CSeq(3, "INVITE")
    assert values["call-id"] == "x@y"
    assert values["contact"] == message.contacts
    assert (values["max-forwards"], values["expires"], values["content-length"]) == (70, None, 0)
    assert values["allow"] == ("INVITE", "ACK")
    assert values["supported"] == ()
    assert values["x-two"] == ("1", "2, 3")
    assert set(values) == {key for key, _ in message.headers.texts()}


def test_what_an_accessor_refuses_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        read_all(parse_message(INVITE.replace(b"CSeq: 3 INVITE", b"CSeq: three")))


@pytest.mark.parametrize("name", ["vias", "from_", "to", "call_id", "cseq", "contacts", "record_routes", "routes"])
def test_a_message_of_the_wild_reads_the_same(name: str) -> None:
    key = {"vias": "via", "from_": "from", "call_id": "call-id", "contacts": "contact", "routes": "route"}.get(
        name, name.replace("record_routes", "record-route")
    )
    seen = 0
    for data in _corpus():
        message = _message(data)
        try:
            wanted = None if message is None else getattr(message, name)
            values = {} if message is None else read_all(message)
        except RemoteProtocolError:
            continue
        if message is not None and key in message.headers and not message.is_contact_wildcard:
            seen += 1
            assert values[key] == wanted, data
    assert seen


def _corpus() -> list[bytes]:
    return [INVITE, *(case.message for case in CASES)]


def _message(data: bytes) -> Message | None:
    try:
        return parse_message(data)
    except RemoteProtocolError as error:
        return error.request


_URI_TEXT = st.text(st.sampled_from("sipSIP:@;=.-_%&?a1Z[]:<> +,/$~"), max_size=24)


@given(st.one_of(_URI_TEXT, st.builds("sip:{}@{}".format, _URI_TEXT, _URI_TEXT)))
def test_the_short_way_of_a_uri_says_what_the_long_way_says(text: str) -> None:
    outcomes: list[SipUri | None] = []
    for read in (parse_uri, _parse_unusual):
        try:
            outcomes.append(read(text))
        except RemoteProtocolError:
            outcomes.append(None)
    short, long = outcomes
    if long is not None:
        assert short is not None
        assert tuple(short) == tuple(long)


@given(st.text(st.sampled_from("SIP/2.0 UDPtcp:;=-h1"), max_size=30))
def test_a_via_in_common_dress_is_one_in_any_dress(text: str) -> None:
    value = f"SIP/2.0/UDP {text}"
    try:
        found = Via.parse(value)
    except RemoteProtocolError:
        return
    assert tuple(Via.parse(value.replace(" ", "  ", 1))) == tuple(found)


@given(st.text(st.sampled_from('"<>;=a b,'), max_size=20))
def test_an_address_in_common_dress_is_one_in_any_dress(text: str) -> None:
    value = f"<sip:a@h>{text}"
    try:
        found = NameAddr.parse(value)
    except RemoteProtocolError:
        return
    assert tuple(NameAddr.parse(f"< sip:a@h >{text}")) == tuple(found)
