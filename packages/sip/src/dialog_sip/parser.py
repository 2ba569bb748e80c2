"""Bytes to messages (RFC 3261 sections 7 and 25).

Total: any bytes give a message or a :class:`RemoteProtocolError`. The head is cut into lines once; nothing within a
line is looked at but the header's name. Line ends are CRLF and nothing else: a lone CR or LF inside a value would mean
one thing here and another at the next hop.
"""

from __future__ import annotations

from typing import cast

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import is_token, parse_uint
from dialog_sip.headers import KEYS, Headers, key_of
from dialog_sip.message import VERSION, Message, Request, Response
from dialog_sip.status import PHRASES

MAX_MESSAGE = 65535
"""Bytes of the largest message: what fits a UDP datagram, and enough for any SDP."""


def parse_message(data: bytes) -> Request | Response:
    """Read one whole message, such as a datagram. Empty lines before it are skipped (RFC 3261 section 7.5).

    Raises :class:`RemoteProtocolError`; its ``request`` is set where enough was understood to answer.
    """
    if data[:2] == b"\r\n":
        data = data.lstrip(b"\r\n")
    if len(data) > MAX_MESSAGE:
        raise RemoteProtocolError("message is too large", status=513, reason="Message Too Large")
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        raise RemoteProtocolError("header section has no end")
    start, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
        # Not even answered: an answer would have to repeat some of it.
        raise RemoteProtocolError("the header section holds a lone CR, LF or NUL")
    headers, fault = _headers(lines)
    message = _start_line(start, headers)
    fault = _cut_body(message, body) or fault
    if fault:
        raise RemoteProtocolError(fault, request=message if isinstance(message, Request) else None)
    return message


def _headers(lines: list[str]) -> tuple[Headers, str]:
    """Return what is usable, and what was wrong with the rest."""
    keys = [KEYS.get(line.partition(":")[0]) for line in lines]
    if None not in keys:
        return Headers().adopt(cast("list[str]", keys), lines), ""
    return _unusual_headers(lines)


def _unusual_headers(lines: list[str]) -> tuple[Headers, str]:
    """Do the same where lines are folded, or have names that are spelled in an unusual way."""
    keys: list[str] = []
    kept: list[str] = []
    fault = ""
    for line in lines:
        if line[:1] in {" ", "\t"} and kept:
            kept[-1] += "\r\n" + line
            continue
        name, colon, _ = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not is_token(name):
            fault = "a header line has no name"
            continue
        keys.append(key_of(name))
        kept.append(line)
    return Headers().adopt(keys, kept), fault


def _start_line(line: str, headers: Headers) -> Request | Response:
    if line.startswith("SIP/2.0 ") or line[:8].upper() == "SIP/2.0 ":
        return _status_line(line, headers)
    parts = line.split(" ")
    if len(parts) != 3 or not is_token(parts[0]) or not parts[1] or not line.isprintable():
        raise RemoteProtocolError("start line is neither that of a request nor of a response")
    method, uri, version = parts
    request = Request(method, uri, headers)
    if version.upper() == VERSION:
        return request
    if version.upper().startswith("SIP/"):
        raise RemoteProtocolError("not SIP/2.0", status=505, reason=PHRASES[505], request=request)
    raise RemoteProtocolError("start line names no SIP version")


def _status_line(line: str, headers: Headers) -> Response:
    code, _, phrase = line[8:].partition(" ")
    if len(code) != 3:
        raise RemoteProtocolError("status line is malformed")
    number = parse_uint(code, 699, "status code")
    if number < 100:
        raise RemoteProtocolError("status code is below 100")
    return Response(number, phrase, headers)


def _cut_body(message: Message, body: bytes) -> str:
    """Apply RFC 3261 section 18.3: what is beyond Content-Length is dropped, what lacks is an error."""
    text = message.headers.get("Content-Length")
    if text is None:
        message.body = body
        return ""
    if not text.isdigit() or not text.isascii() or len(text) > 10:
        message.body = b""
        return "Content-Length is not a number"
    length = int(text)
    message.body = body if length == len(body) else body[:length]
    return "body is shorter than Content-Length" if length > len(body) else ""
