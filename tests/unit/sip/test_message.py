"""Requests and responses: accessors, building, answering."""

import pytest
from dialog_sip import (
    CSeq,
    Headers,
    LocalProtocolError,
    MediaType,
    NameAddr,
    RemoteProtocolError,
    Request,
    Response,
    SipUri,
    Via,
    parse_message,
    phrase_of,
)

INVITE = (
    b"INVITE sip:bob@biloxi.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP a.com;branch=z9hG4bK1;received=192.0.2.1, SIP/2.0/TCP b.com\r\n"
    b"v: SIP/2.0/UDP c.com\r\n"
    b"Max-Forwards: 70\r\n"
    b"Record-Route: <sip:p2;lr>, <sip:p1;lr>\r\n"
    b"Route: <sip:p3;lr>\r\n"
    b"t: Bob <sip:bob@biloxi.com>\r\n"
    b"f: Alice <sip:alice@a.com>;tag=88sja8x\r\n"
    b"i: 843817637684230@998sdasdh09\r\n"
    b"CSeq: 1826 INVITE\r\n"
    b"m: <sip:alice@1.2.3.4>;expires=60, <sip:alice@h2>\r\n"
    b"Expires: 120\r\n"
    b"Timestamp: 54\r\n"
    b"c: application/sdp\r\n"
    b"l: 4\r\n"
    b"\r\n"
    b"v=0\n"
)


def invite() -> Request:
    message = parse_message(INVITE)
    assert isinstance(message, Request)
    return message


def test_every_accessor() -> None:
    message = invite()
    assert message.method == "INVITE"
    assert message.request_uri == SipUri.parse("sip:bob@biloxi.com")
    assert [via.host for via in message.vias] == ["a.com", "b.com", "c.com"]
    assert message.via.received == "192.0.2.1"
    assert message.from_ == NameAddr("Alice", "sip:alice@a.com", {"tag": "88sja8x"})
    assert message.to.tag is None
    assert message.call_id == "843817637684230@998sdasdh09"
    assert message.cseq == CSeq(1826, "INVITE")
    assert [contact.expires for contact in message.contacts] == [60, None]
    assert [route.uri_text for route in message.record_routes] == ["sip:p2;lr", "sip:p1;lr"]
    assert [route.uri_text for route in message.routes] == ["sip:p3;lr"]
    assert (message.max_forwards, message.expires) == (70, 120)
    assert message.content_type == MediaType("application", "sdp")
    assert message.body == b"v=0\n"


def test_what_is_optional_may_be_missing() -> None:
    message = Request("OPTIONS", "sip:h")
    assert message.contacts == message.routes == message.record_routes == ()
    assert message.max_forwards is message.expires is message.content_type is None
    assert not message.is_contact_wildcard


@pytest.mark.parametrize("name", ["via", "vias", "from_", "to", "call_id", "cseq"])
def test_what_is_mandatory_may_not(name: str) -> None:
    with pytest.raises(RemoteProtocolError):
        getattr(Request("OPTIONS", "sip:h"), name)


@pytest.mark.parametrize("value", ["a b", "a\u00e9", ""])
def test_a_call_id_is_one_word(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        _ = Request("OPTIONS", "sip:h", [("Call-ID", value)]).call_id


def test_a_change_of_a_header_is_seen() -> None:
    message = invite()
    assert message.cseq.number == 1826
    message.headers.set("CSeq", CSeq(1827, "INVITE"))
    assert message.cseq.number == 1827


def test_the_topmost_via_is_replaced_within_its_line() -> None:
    message = invite()
    message.via = message.via.with_params(rport="5")
    assert [via.host for via in message.vias] == ["a.com", "b.com", "c.com"]
    assert message.via.rport == 5
    assert b";received=192.0.2.1;rport=5, SIP/2.0/TCP b.com\r\nv: SIP/2.0/UDP c.com\r\n" in message.encode()


def test_a_via_is_put_where_there_is_none() -> None:
    message = Request("OPTIONS", "sip:h")
    message.via = Via("UDP", "h")
    assert message.via == Via("UDP", "h")


def test_contact_wildcard() -> None:
    message = Request("REGISTER", "sip:h", [("Contact", "*")])
    assert message.is_contact_wildcard
    assert message.contacts == ()


def test_content_length_follows_the_body() -> None:
    message = invite()
    message.body = b"longer body"
    assert b"Content-Length: 11\r\n" in message.encode()
    assert b"l: 4" not in message.encode()
    assert Request("OPTIONS", "sip:h").encode() == b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 0\r\n\r\n"


def test_untouched_lines_are_written_byte_for_byte() -> None:
    odd = INVITE.replace(b"Max-Forwards: 70", b"MAX-forwards \t:  70  ").replace(b"t: Bob", b"t: Bob\xe9\r\n\t x")
    message = parse_message(odd)
    assert message.max_forwards == 70
    assert message.to.display_name == "Bob\ufffd x"
    assert message.encode() == odd


def test_start_lines_that_break_the_message_are_refused() -> None:
    for broken in (Request("OPTIONS", "sip:h\r\nX: 1"), Request("OPT\nIONS", "sip:h"), Response(200, "OK\r\nX: 1")):
        with pytest.raises(LocalProtocolError):
            broken.encode()


def test_copies_are_independent() -> None:
    message = invite()
    copy = message.copy()
    copy.headers.remove("Via")
    copy.uri = "sip:other"
    assert message.encode() == INVITE
    response = message.respond(200)
    other = response.copy()
    assert other == response
    other.headers.set("To", "x")
    assert other != response
    assert response != "SIP/2.0 200 OK"


def test_a_response_takes_over_what_section_8_2_6_says() -> None:
    response = invite().respond(404)
    assert response.start_line == "SIP/2.0 404 Not Found"
    assert [via.host for via in response.vias] == ["a.com", "b.com", "c.com"]
    assert response.from_.tag == "88sja8x"
    assert response.call_id == "843817637684230@998sdasdh09"
    assert response.cseq == CSeq(1826, "INVITE")
    assert response.to.tag
    assert response.record_routes == ()
    assert "Timestamp" not in response.headers


def test_all_responses_to_a_request_have_one_to_tag() -> None:
    message = invite()
    assert message.respond(180).to.tag == message.respond(200).to.tag == message.local_tag
    assert message.respond(200, to_tag="mine").to.tag == "mine"
    assert invite().respond(200).to.tag != message.local_tag


def test_a_to_tag_that_is_there_stays() -> None:
    message = invite()
    message.headers.set("To", "<sip:bob@biloxi.com>;tag=theirs")
    assert message.respond(200, to_tag="mine").to.tag == "theirs"


def test_100_has_no_tag_and_the_timestamp() -> None:
    response = invite().respond(100)
    assert response.to.tag is None
    assert response.headers.get("Timestamp") == "54"


@pytest.mark.parametrize(("code", "count"), [(100, 0), (180, 2), (200, 2), (300, 0), (486, 0)])
def test_record_route_is_copied_where_a_dialog_may_begin(code: int, count: int) -> None:
    assert len(invite().respond(code).record_routes) == count


def test_a_response_with_a_body() -> None:
    response = invite().respond(
        200, "Fine", headers=[("Contact", "<sip:b@h>")], body=b"v=0", content_type="application/sdp"
    )
    data = response.encode()
    assert data.startswith(b"SIP/2.0 200 Fine\r\n")
    assert b"Contact: <sip:b@h>\r\nContent-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0" in data


def test_classes_of_responses() -> None:
    ringing, ok, busy = Response(180), Response(200), Response(486)
    assert (ringing.is_provisional, ringing.is_final, ringing.is_success) == (True, False, False)
    assert (ok.is_provisional, ok.is_final, ok.is_success) == (False, True, True)
    assert (busy.is_provisional, busy.is_final, busy.is_success) == (False, True, False)


@pytest.mark.parametrize("code", [0, 99, 700])
def test_codes_have_three_digits(code: int) -> None:
    with pytest.raises(LocalProtocolError):
        Response(code)


def test_phrases() -> None:
    assert phrase_of(486) == "Busy Here"
    assert phrase_of(499) == "Bad Request"
    assert phrase_of(199) == "Early Dialog Terminated"
    assert phrase_of(150) == "Trying"
    assert Response(200, "").start_line == "SIP/2.0 200 "


def test_headers_may_be_given_as_they_are() -> None:
    headers = Headers([("To", "<sip:a@h>")])
    assert Request("OPTIONS", SipUri.parse("sip:h"), headers).headers is headers


def test_repr_shows_no_headers() -> None:
    assert repr(invite()) == "<Request 'INVITE sip:bob@biloxi.com SIP/2.0'>"
