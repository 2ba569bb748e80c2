"""Legal messages in odd dress, made from the grammar of RFC 3261 section 25: read right, and written as they came."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from dialog_sip import Request, Response, admit, parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

_TOKEN = st.text(alphabet="abcXYZ0189-.!%*_+`'~", min_size=1, max_size=8)
_WORD = st.text(alphabet="abcXYZ019-.!%*_+`'~()<>:\\/\"[]?{}", min_size=1, max_size=12)
# LWS and SWS of section 25.1: blanks, folded or not.
_LWS = st.sampled_from([" ", "\t", "  ", "\r\n ", " \r\n\t", "\t \r\n  "])
_SWS = st.one_of(st.just(""), _LWS)
_TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12)
_QUOTED_PAIR = st.sampled_from(["\\\\", '\\"', "\\a", "\\\0", "\\\x7f", "\\;"])
_QUOTED = st.lists(st.one_of(_TEXT.map(lambda text: text.replace("\\", "").replace('"', "")), _QUOTED_PAIR), max_size=3)
_HOST = st.sampled_from(["mill.test", "192.0.2.1", "[2001:db8::1]", "[::ffff:192.0.2.1]", "a-b.c.test."])
_PORT = st.one_of(st.none(), st.integers(1, 65535))
_USER = st.text(alphabet="abcXYZ09-_.!~*'()&=+$,;?/", min_size=1, max_size=8)
_ESCAPED = st.sampled_from(["", "%00", "%40", "%3B", "%C3%A4"])


@st.composite
def uris(draw: st.DrawFn) -> str:
    """A SIP or SIPS URI, or one of tel."""
    if draw(st.integers(0, 9)) == 0:
        return "tel:+49-30" + draw(st.sampled_from(["", ";ext=1", ";phone-context=mill.test"]))
    user = draw(st.one_of(st.just(""), st.builds("{}{}@".format, _USER, _ESCAPED), st.just("a:pass@")))
    port = draw(_PORT)
    params = draw(
        st.sampled_from(["", ";lr", ";transport=tcp", ";maddr=192.0.2.9;ttl=3", ";%6Cr;x=%41", ";unknown=a:b"])
    )
    scheme = draw(st.sampled_from(["sip", "sips", "SIP"]))
    return f"{scheme}:{user}{draw(_HOST)}{'' if port is None else f':{port}'}{params}"


@dataclass(frozen=True)
class Dressed:
    """What is written, and what it says."""

    text: str
    value: object


@st.composite
def params(draw: st.DrawFn) -> Dressed:
    """``;name=value`` with blanks and folds between."""
    names = draw(st.lists(_TOKEN.map(str.lower), max_size=3, unique=True))
    text, value = "", {}
    for name in names:
        said = draw(st.one_of(st.none(), _TOKEN))
        text += f"{draw(_SWS)};{draw(_SWS)}{name}"
        if said is not None:
            text += f"{draw(_SWS)}={draw(_SWS)}{said}"
        value[name] = said
    return Dressed(text, value)


@st.composite
def addresses(draw: st.DrawFn) -> Dressed:
    """A name-addr and its display name, URI and parameters."""
    uri, more = draw(uris()), draw(params())
    match draw(st.integers(0, 2)):
        case 0:
            shown, name = "", ""
        case 1:
            words = draw(st.lists(_TOKEN, min_size=1, max_size=3))
            shown, name = " ".join(words) + draw(_SWS), " ".join(words)
        case _:
            pieces = draw(_QUOTED)
            shown = f'"{"".join(pieces)}"{draw(_SWS)}'
            name = "".join(piece[1:] if len(piece) == 2 and piece[0] == "\\" else piece for piece in pieces)
    return Dressed(f"{shown}<{uri}>{more.text}", (name, uri, more.value))


@st.composite
def vias(draw: st.DrawFn) -> Dressed:
    """A via-parm."""
    transport, host, port = draw(st.sampled_from(["UDP", "TCP", "tls", "PIGEON"])), draw(_HOST), draw(_PORT)
    slashes = [f"{draw(_SWS)}/{draw(_SWS)}" for _ in range(2)]
    colon = "" if port is None else f"{draw(_SWS)}:{draw(_SWS)}{port}"
    more = draw(params())
    text = f"SIP{slashes[0]}2.0{slashes[1]}{transport}{draw(_LWS)}{host}{colon}{more.text}"
    return Dressed(text, (transport.upper(), host, port, more.value))


@st.composite
def dressed_messages(draw: st.DrawFn) -> tuple[bytes, dict[str, object]]:
    """A message as bytes, and what its fields say."""
    hops, sender, target = draw(st.lists(vias(), min_size=1, max_size=3)), draw(addresses()), draw(addresses())
    contacts = draw(st.lists(addresses(), max_size=2))
    method, number, call_id = draw(st.one_of(st.just("INVITE"), _TOKEN)), draw(st.integers(0, 2**31 - 1)), draw(_WORD)
    body = draw(st.binary(max_size=30))
    named = [
        (("From", "f", "FROM"), sender.text),
        (("To", "t", "tO"), target.text),
        (("Call-ID", "i"), call_id),
        (("CSeq", "cseq"), f"{draw(st.sampled_from(['', '00']))}{number}{draw(_LWS)}{method}"),
        (("Max-Forwards",), "70"),
        (("X-Unknown", "unknown-!.%*"), draw(_TEXT)),
    ]
    separator = draw(st.sampled_from([",", " ,\r\n ", ", "]))
    if draw(st.booleans()):
        named += [(("Via", "v"), hop.text) for hop in hops]
    else:
        named.append((("VIA", "v"), separator.join(hop.text for hop in hops)))
    if contacts:
        named.append((("Contact", "m"), separator.join(contact.text for contact in contacts)))
    if draw(st.booleans()):
        named.append((("Content-Length", "l"), f"{draw(st.sampled_from(['', '000']))}{len(body)}"))
    lines = [
        f"{draw(st.sampled_from(names))}{draw(st.sampled_from(['', ' ', chr(9)]))}:{draw(_SWS)}{value}{draw(_SWS)}"
        for names, value in named
    ]
    start = draw(
        st.sampled_from(
            [f"{method} {draw(uris())} SIP/2.0", "SIP/2.0 180 ", "SIP/2.0 200 Всё в порядке", "sip/2.0 603 No"]
        )
    )
    said = {
        "vias": tuple(hop.value for hop in hops), "from_": sender.value, "to": target.value, "call_id": call_id,
        "cseq": (number, method), "contacts": tuple(contact.value for contact in contacts), "max_forwards": 70,
        "body": body,
    }  # fmt: skip
    return ("\r\n".join([start, *lines]) + "\r\n\r\n").encode() + body, said


@settings(max_examples=300, deadline=None)
@given(dressed_messages())
def test_what_is_not_touched_is_written_as_it_was_read(dressed: tuple[bytes, dict[str, object]]) -> None:
    data, said = dressed
    message = parse_message(data)
    for name, value in said.items():
        assert getattr(message, name) == value, name
    start = data.partition(b"\r\n")[0]
    if start.upper().startswith(b"SIP/2.0") and not start.startswith(b"SIP/2.0"):
        # Only the case of the version is not kept.
        data = b"SIP/2.0" + data[7:]
    assert message.encode() == data


@settings(max_examples=150, deadline=None)
@given(dressed_messages())
def test_what_is_legal_is_taken(dressed: tuple[bytes, dict[str, object]]) -> None:
    data, said = dressed
    found = admit(data)
    if isinstance(said["vias"], tuple) and len(said["vias"]) > 1 and data[:4].upper() == b"SIP/":
        return  # a response for somebody else
    assert isinstance(found, Request | Response), found


@pytest.mark.parametrize("length", [b"l: 003", b"Content-Length:3", b"L\t:\r\n 3"])
def test_a_length_is_kept_as_it_was_said(length: bytes) -> None:
    data = b"OPTIONS sip:h SIP/2.0\r\n" + length + b"\r\n\r\nabc"
    assert parse_message(data).encode() == data
