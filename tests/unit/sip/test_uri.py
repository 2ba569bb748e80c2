"""SIP, SIPS and tel URIs (RFC 3261 section 19.1)."""

import pytest
from dialog_sip import RemoteProtocolError, SipUri, escape_user
from hypothesis import given
from hypothesis import strategies as st

EVERY_FORM = [
    "sip:alice@atlanta.com",
    "sip:alice:secretword@atlanta.com;transport=tcp",
    "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
    "sip:+1-212-555-1212:1234@gateway.com;user=phone",
    "sips:1212@gateway.com",
    "sip:alice@192.0.2.4",
    "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
    "sip:alice;day=tuesday@atlanta.com",
    "sip:[2001:db8::10]:5070;lr",
    "sip:1@[::1]",
    "sip:a?b@host",
    "sip:a;b:c;d@host;e",
    "tel:+358-555-1234567;postd=pp22",
    "tel:7042;phone-context=example.com",
]


@pytest.mark.parametrize("text", EVERY_FORM)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(SipUri.parse(text)) == text


def test_the_parts_of_a_uri() -> None:
    uri = SipUri.parse("sips:al%20ice:pw@Example.COM:5062;Transport=TCP;lr?Subject=x")
    assert (uri.scheme, uri.user, uri.username, uri.password) == ("sips", "al%20ice", "al ice", "pw")
    assert (uri.host, uri.port, uri.effective_port) == ("Example.COM", 5062, 5062)
    assert (uri.transport, uri.params, uri.headers) == ("tcp", {"transport": "TCP", "lr": None}, "Subject=x")
    assert uri.aor == "al ice@example.com"


def test_defaults() -> None:
    assert SipUri.parse("sip:h").effective_port == 5060
    assert SipUri.parse("SIPS:h").effective_port == 5061
    assert SipUri.parse("sip:h").username == ""
    assert SipUri.parse("sip:H").aor == "h"
    assert SipUri.parse("sip:h").transport is None


def test_an_ipv6_address_loses_its_brackets_for_the_socket() -> None:
    uri = SipUri.parse("sip:1@[2001:db8::1]:5060")
    assert (uri.host, uri.address, uri.port) == ("[2001:db8::1]", "2001:db8::1", 5060)


def test_a_uri_is_built_of_unescaped_parts() -> None:
    assert str(SipUri.make("a b@c", "::1", 5070, transport="tcp")) == "sip:a%20b%40c@[::1]:5070;transport=tcp"
    assert str(SipUri.make(None, "example.com", scheme="sips")) == "sips:example.com"


def test_parameters_are_added_to_a_copy() -> None:
    uri = SipUri.parse("sip:a@h;lr")
    assert str(uri.with_params(transport="tcp")) == "sip:a@h;lr;transport=tcp"
    assert str(uri) == "sip:a@h;lr"


def test_the_password_is_not_shown() -> None:
    shown = repr(SipUri.parse("sip:alice:secretword@h"))
    assert "secretword" not in shown
    assert "alice" in shown


# RFC 3261 section 19.1.4 and the torture tests it inspired.
EQUAL = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
    ("SIP:a@h", "sip:a@h"),
    ("tel:+1-201-555-0123", "tel:+1(201)555.0123"),
]
DIFFERENT = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:a@h", "sips:a@h"),
    ("sip:a:b@h", "sip:a@h"),
    ("sip:h", "sip:@h".replace("@", "a@")),
    ("tel:1", "sip:1@h"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_uris(one: str, other: str) -> None:
    assert SipUri.parse(one) == SipUri.parse(other)
    assert hash(SipUri.parse(one)) == hash(SipUri.parse(other))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_uris(one: str, other: str) -> None:
    assert SipUri.parse(one) != SipUri.parse(other)


def test_a_uri_is_no_text() -> None:
    assert SipUri.parse("sip:a@h") != "sip:a@h"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a@h:",
        "sip:a@h:99999",
        "sip:a b@h",
        "sip:a@@h",
        "alice",
        "sip:a@[::1",
        "sip:\udce9@h",
        "sip:a@h\r\n",
        "sip:a@h>",
        "tel:",
        "tel:;phone-context=+1",
    ],
)
def test_what_is_no_uri(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        SipUri.parse(text)
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["http://example.com", "mailto:a@b", "urn:service:sos"])
def test_other_schemes_have_their_own_status(text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        SipUri.parse(text)
    assert (caught.value.status, caught.value.reason) == (416, "Unsupported URI Scheme")


@given(st.text(max_size=60))
def test_any_user_name_survives_a_uri(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    if name:
        assert SipUri.parse(str(SipUri.make(name, "example.com"))).username == name


@given(st.text(max_size=80))
def test_any_text_is_a_uri_or_a_typed_error(text: str) -> None:
    try:
        uri = SipUri.parse("sip:" + text)
    except RemoteProtocolError:
        return
    assert SipUri.parse(str(uri)) == uri


def test_long_uris_are_read_and_not_remembered() -> None:
    text = f"sip:{'a' * 1000}@h"
    assert SipUri.parse(text).username == "a" * 1000
    assert SipUri.parse(text) is not SipUri.parse(text)
    assert SipUri.parse("sip:a@h") is SipUri.parse("sip:a@h")


def test_what_may_stand_in_a_user_part_is_not_escaped() -> None:
    assert escape_user("*21#;x=1") == "*21%23;x=1"
