"""The pieces of RFC 3261 section 25 that many headers share."""

import pytest
from dialog_sip import LocalProtocolError, RemoteProtocolError
from dialog_sip.grammar import (
    format_params,
    is_token,
    parse_host_port,
    parse_params,
    parse_uint,
    quote,
    readable,
    split_outside,
    unquote,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("text", ["INVITE", "x-y.z!%*_+`'~", "1"])
def test_tokens(text: str) -> None:
    assert is_token(text)


@pytest.mark.parametrize("text", ["", "a b", "a:b", "a\r", "ä", "a/b", '"a"'])
def test_what_is_no_token(text: str) -> None:
    assert not is_token(text)


@given(st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])))
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    assert unquote(quote(text)) == text


def test_a_line_break_cannot_be_quoted() -> None:
    with pytest.raises(LocalProtocolError):
        quote("a\r\nb")


def test_text_without_quotes_is_left_alone() -> None:
    assert unquote("plain") == "plain"
    assert unquote('"') == '"'


def test_bytes_that_were_not_utf8_become_readable() -> None:
    assert readable(b"caf\xe9".decode("utf-8", "surrogateescape")) == "caf\ufffd"
    assert readable("café") == "café"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ["a"]),
        ("a, b ,c", ["a", "b", "c"]),
        ("", [""]),
        (",", ["", ""]),
        ('"a,b", c', ['"a,b"', "c"]),
        (r'"a\",b", c', [r'"a\",b"', "c"]),
        (r'"a\\", c', [r'"a\\"', "c"]),
        ("<sip:a,b>, <sip:c>", ["<sip:a,b>", "<sip:c>"]),
        ('"<", <sip:a>', ['"<"', "<sip:a>"]),
        ('<sip:a;x=",">, c', ['<sip:a;x=",">', "c"]),
    ],
)
def test_lists_are_split_outside_quotes_and_brackets(text: str, parts: list[str]) -> None:
    assert split_outside(text, ",") == parts


@pytest.mark.parametrize("text", ['"a, b', "<sip:a, b", r'"a\", b', '"a" <b, c'])
def test_what_is_never_closed_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        split_outside(text, ",")


def test_splitting_a_long_hostile_line_is_linear() -> None:
    # Quadratic work on this would take minutes.
    assert len(split_outside("<>," * 500, ",")) == 501
    with pytest.raises(RemoteProtocolError):
        split_outside("<>," * 100_000, ",")
    with pytest.raises(RemoteProtocolError):
        split_outside("," + "<" * 300_000, ",")


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", {}),
        (";lr", {"lr": None}),
        ("a=1;b", {"a": "1", "b": None}),
        (" ; A = 1 ; b = ", {"a": "1", "b": ""}),
        (';t="a;b=c";x', {"t": '"a;b=c"', "x": None}),
        (";a=1;A=2", {"a": "1"}),
        (";;;", {}),
        (";=x", {}),
    ],
)
def test_parameters(text: str, params: dict[str, str | None]) -> None:
    assert parse_params(text) == params


def test_parameters_are_written_back() -> None:
    assert format_params({"a": "1", "lr": None}) == ";a=1;lr"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("example.com", "example.com", None),
        ("example.com:5070", "example.com", 5070),
        ("[::1]", "[::1]", None),
        ("[2001:db8::1]:5061", "[2001:db8::1]", 5061),
        ("h:00005060", "h", 5060),
    ],
)
def test_host_and_port(text: str, host: str, port: int | None) -> None:
    assert parse_host_port(text) == (host, port)


@pytest.mark.parametrize("text", ["", ":5060", "h:", "h:x", "h:65536", "[::1", "[::1]x", "höst", "h:-1", "h:٣"])
def test_what_is_no_host_and_port(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_host_port(text)


def test_numbers_are_bounded() -> None:
    assert parse_uint("0070", 255, "Max-Forwards") == 70
    for text in ("256", "", "-1", "1e3", "9" * 5000, "²"):
        with pytest.raises(RemoteProtocolError):
            parse_uint(text, 255, "Max-Forwards")
