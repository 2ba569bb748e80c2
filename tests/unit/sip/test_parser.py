"""Bytes to messages: odd but legal dress, what has to be refused, and anything at all."""

import pytest
from dialog_sip import DEFAULT_LIMITS, Framer, RemoteProtocolError, Request, Response, SipError, parse_message
from dialog_sip.parser import _parse_with_care
from hypothesis import example, given, settings
from hypothesis import strategies as st

HEAD = (
    b"Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"
)
OPTIONS = b"OPTIONS sip:b@h SIP/2.0\r\n" + HEAD + b"Content-Length: 0\r\n\r\n"

# After the ideas of RFC 4475 section 3.1.1: legal, and seen in the wild.
TORTURE = (
    b"INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n"
    b"TO :\r\n"
    b" sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n"
    b'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r\n'
    b"  ;\r\n"
    b"  tag = 98asjd8\r\n"
    b"MaX-fOrWaRdS: 0068\r\n"
    b"Call-ID: wsinv.ndaksdj@192.0.2.1\r\n"
    b"Content-Length   : 150\r\n"
    b"cseq: 0009\r\n"
    b"  INVITE\r\n"
    b"Via  : SIP  /   2.0\r\n"
    b" /UDP\r\n"
    b"    192.0.2.2;branch=390skdjuw\r\n"
    b"s :\r\n"
    b"NewFangledHeader:   newfangled value\r\n"
    b" continued newfangled value\r\n"
    b"UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Route:\r\n"
    b" <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
    b"v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n"
    b"  branch  =   z9hG4bK9ikj8  ,\r\n"
    b" SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n"
    b" z9hG4bK30239\r\n"
    b'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =\r\n'
    b"      newvalue ;\r\n"
    b"  secondparam ; q = 0.33\r\n"
    b"\r\n" + b"x" * 150
)


def test_a_tortuous_message() -> None:
    message = parse_message(TORTURE)
    assert isinstance(message, Request)
    assert message.to.tag == "1918181833n"
    assert (message.from_.display_name, message.from_.tag) == ('J Rosenberg \\"', "98asjd8")
    assert message.max_forwards == 68
    assert message.cseq == (9, "INVITE")
    assert [(via.transport, via.branch) for via in message.vias] == [
        ("UDP", "390skdjuw"),
        ("TCP", "z9hG4bK9ikj8"),
        ("UDP", "z9hG4bK30239"),
    ]
    assert message.headers.get("Subject") == ""
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.headers.get("unknownheaderwithunusualvalue") == ";;,,;;,;"
    assert message.routes[0].uri.params == {"lr": None, "unknownwith": "value", "unknown-no-value": None}
    contact = message.contacts[0]
    assert contact.display_name == 'Quoted string ""'
    assert contact.params == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert message.encode() == TORTURE


def test_a_response() -> None:
    message = parse_message(b"SIP/2.0 486 Besetzt \xc3\xbc\r\n" + HEAD + b"\r\n")
    assert isinstance(message, Response)
    assert (message.code, message.phrase) == (486, "Besetzt ü")


@pytest.mark.parametrize("line", [b"SIP/2.0 200 ", b"SIP/2.0 200", b"sip/2.0 200 OK"])
def test_status_lines_with_less(line: bytes) -> None:
    message = parse_message(line + b"\r\n\r\n")
    assert isinstance(message, Response)
    assert message.code == 200


def test_empty_lines_before_the_message_are_skipped() -> None:
    assert parse_message(b"\r\n\r\n" + OPTIONS).encode() == OPTIONS


def test_without_content_length_a_datagram_is_all_body() -> None:
    assert parse_message(b"OPTIONS sip:h SIP/2.0\r\n\r\nbody").body == b"body"


def test_what_is_beyond_content_length_is_dropped() -> None:
    assert parse_message(OPTIONS.replace(b"Length: 0", b"Length: 2") + b"abcd").body == b"ab"


def test_unknown_methods_and_schemes_are_no_error_yet() -> None:
    message = parse_message(b"NEWMETHOD!. nobodyknows:this SIP/2.0\r\n\r\n")
    assert isinstance(message, Request)
    assert message.method == "NEWMETHOD!."
    with pytest.raises(RemoteProtocolError) as caught:
        _ = message.request_uri
    assert caught.value.status == 416


UNANSWERABLE = [
    b"",
    b"\r\n\r\n",
    b"hello",
    b"OPTIONS sip:h\r\n\r\n",
    b"OPT(IONS sip:h SIP/2.0\r\n\r\n",
    b"OPTIONS sip:h HTTP/1.1\r\n\r\n",
    b"OPTIONS sip:h\x00 SIP/2.0\r\n\r\n",
    b"SIP/2.0 99 Low\r\n\r\n",
    b"SIP/2.0 099 Low\r\n\r\n",
    b"SIP/2.0 700 High\r\n\r\n",
    b"SIP/2.0 2000 OK\r\n\r\n",
    b"SIP/2.0 abc OK\r\n\r\n",
    b"SIP/2.0 200 O\rK\r\n\r\n",
    b"SIP/3.0 200 OK\r\n\r\n",
    # What an answer would have to repeat is not answered.
    OPTIONS.replace(b"branch=", b"branch=\nInjected: x"),
    OPTIONS.replace(b"branch=", b"branch=\r"),
    OPTIONS.replace(b"branch=", b"branch=\0"),
    OPTIONS.replace(b"\r\n", b"\n").rstrip(b"\n"),
    OPTIONS.replace(b"\r\n", b"\n", 3),
    OPTIONS.replace(b"\r\n", b"\n").replace(b"branch=", b"branch=\r"),
    OPTIONS.replace(b"\r\n", b"\n").replace(b"branch=", b"branch=\0"),
    OPTIONS.replace(b"<sip:b@h>", b'"a\0b" <sip:b@h>'),
    b"x" * 70000,
]


def test_a_head_of_lf_alone_is_one_of_crlf() -> None:
    body = b"a\n\nb\r\nc"
    whole = OPTIONS.replace(b"Content-Length: 0\r\n", b"Subject: a\r\n b\r\nContent-Length: %d\r\n" % len(body)) + body
    head, _, _ = whole.partition(b"\r\n\r\n")
    message = parse_message(head.replace(b"\r\n", b"\n") + b"\n\n" + body)
    assert message == parse_message(whole)
    assert message.encode() == whole


def test_on_a_stream_a_head_of_lf_alone_never_ends() -> None:
    framer = Framer()
    assert framer.feed(OPTIONS.replace(b"\r\n", b"\n")) == []
    with pytest.raises(RemoteProtocolError) as caught:
        parse_message(framer.feed(OPTIONS)[0])
    assert caught.value.request is None


@pytest.mark.parametrize("data", UNANSWERABLE)
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_message(data)
    assert caught.value.request is None


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia", 505),
        (b"Content-Length: 0", b"Content-Length: 5", 400),
        (b"Content-Length: 0", b"Content-Length: -1", 400),
        (b"Content-Length: 0", b"Content-Length: nine", 400),
        (b"Content-Length: 0", b"Content-Length: " + b"9" * 50, 400),
        (b"To: <", b"To <", 400),
        (b"To: <sip:b@h>", b"To: <sip:b@h>\r\n: x", 400),
        (b"To: <sip:b@h>", b"To: <sip:b@h>\r\nt", 400),
        (b"OPTIONS sip:b@h ", b"OPTIONS  sip:b@h ", 400),
        (b"OPTIONS sip:b@h ", b"OPTIONS sip:b@h; lr ", 400),
        (b"SIP/2.0\r\nVia", b"SIP/2.0 \r\nVia", 400),
        (b"SIP/2.0\r\nVia", b"SIP/2.x\r\nVia", 400),
        (b"Length: 0\r\n\r\n", b"Length: 0\r\n", 400),
        (b"Length: 0\r\n", b"Length: 0\r\nl: 1\r\n", 400),
        (b"To: <sip:b@h>", b"To: <sip:b@h>\r\nX Y: x", 400),
    ],
)
def test_a_malformed_request_can_be_answered(old: bytes, new: bytes, status: int) -> None:
    assert old in OPTIONS
    with pytest.raises(RemoteProtocolError) as caught:
        parse_message(OPTIONS.replace(old, new))
    assert caught.value.status == status
    request = caught.value.request
    assert request is not None
    assert request.call_id == "c"


def test_a_malformed_response_cannot() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_message(b"SIP/2.0 200 OK\r\n" + HEAD + b"Content-Length: x\r\n\r\n")
    assert caught.value.request is None


def test_a_fold_before_any_header_is_malformed() -> None:
    with pytest.raises(RemoteProtocolError):
        parse_message(b"OPTIONS sip:h SIP/2.0\r\n folded\r\nTo: x\r\n\r\n")


def _read_everything(data: bytes) -> None:
    """Read all there is in a message; only errors of the SipError family may come out of it."""
    message = parse_message(data)
    for name in ("vias", "from_", "to", "call_id", "cseq", "contacts", "routes", "record_routes", "content_type"):
        try:
            value = getattr(message, name)
            for item in value if isinstance(value, tuple) else ():
                _ = getattr(item, "uri", None)
        except RemoteProtocolError:
            continue
    _ = (message.max_forwards, message.expires, list(message.headers.items()), repr(message))
    again = parse_message(message.encode())
    assert again.encode() == message.encode()


@settings(max_examples=400)
@given(st.binary(max_size=300))
@example(b"SIP/2.0 200 \xff\r\nVia: \xff\r\n\r\n")
def test_any_bytes_are_a_message_or_a_typed_error(data: bytes) -> None:
    try:
        _read_everything(data)
    except SipError:
        return


@settings(max_examples=400)
@given(st.data())
def test_a_damaged_message_is_a_message_or_a_typed_error(data: st.DataObject) -> None:
    source = bytearray(TORTURE)
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(source) - 1))
        end = min(len(source), start + data.draw(st.integers(0, 4)))
        source[start:end] = data.draw(
            st.sampled_from([b"", b"\r\n", b'"', b"<", b">", b",", b";", b"\\", b"\xff", b"\0", b":", b" "])
        )
    try:
        _read_everything(bytes(source))
    except SipError:
        return


_PIECES = st.sampled_from(
    [
        "",
        "\r\n",
        "\r",
        "\n",
        "\r\n\r\n",
        "\r\n ",
        " ",
        ":",
        "\0",
        "\\\0",
        "\x0b",
        "\x85",
        "\u2028",
        "X-A: b\r\n",
    ]
)


@settings(max_examples=400)
@given(st.data())
def test_the_short_way_of_a_message_says_what_the_long_way_says(data: st.DataObject) -> None:
    text = OPTIONS.decode()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(2, len(text)))
        text = text[:start] + data.draw(_PIECES) + text[start + data.draw(st.integers(0, 3)) :]
    outcomes: list[object] = []
    for read in (parse_message, _parse_with_care):
        try:
            message = read(text.encode(), DEFAULT_LIMITS)
        except RemoteProtocolError as error:
            outcomes.append((str(error), error.status, error.request and error.request.encode()))
        else:
            outcomes.append((list(message.headers.texts()), message.start_line, message.body, message.encode()))
    assert outcomes[0] == outcomes[1]


_TOKEN = st.text(alphabet="abcXYZ019-.", min_size=1, max_size=12)
_VALUE = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc"]), max_size=40)


@given(
    method=_TOKEN,
    headers=st.lists(st.tuples(_TOKEN, _VALUE), max_size=12),
    body=st.binary(max_size=60),
)
def test_what_is_read_is_written_byte_for_byte(method: str, headers: list[tuple[str, str]], body: bytes) -> None:
    lines = [f"{name}: {value}" for name, value in headers if name.lower() not in {"l", "content-length"}]
    head = "\r\n".join([f"{method} sip:h SIP/2.0", *lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n"
    data = head.encode() + body
    assert parse_message(data).encode() == data


def test_a_hostile_message_costs_linear_time() -> None:
    # Quadratic work on any of these would take minutes.
    for filler in (b"<" * 60000, b'"' * 60001, b"," * 60000, b";" * 60000, b" " * 60000, b"a=b;" * 15000):
        for name in (b"Via: SIP/2.0/UDP h;", b"To: ", b"Contact: ", b"Route: ", b"From: x"):
            try:
                _read_everything(b"OPTIONS sip:h SIP/2.0\r\n" + name + filler + b"\r\n\r\n")
            except SipError:
                continue
