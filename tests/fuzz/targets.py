"""What is fuzzed. A target takes any bytes and raises only where the library breaks a promise.

The promises: errors are of the library's own kinds; what was read is written as it was; what is written can be read
again and means the same; a stream means the same however it is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from dialog_sip import (
    DEFAULT_LIMITS,
    Capabilities,
    Framer,
    Limits,
    LocalProtocolError,
    NameAddr,
    Refusal,
    RemoteProtocolError,
    Request,
    Response,
    SipUri,
    admit,
    parse_message,
)
from dialog_sip.digest import DigestClient, mask_credentials
from dialog_sip.digest.challenge import challenges_of
from dialog_sip.digest.credentials import Credentials
from dialog_sip.sdp import SdpError, parse_sdp, write_sdp
from dialog_sip.sdp.reader import MAX_LINES

Target = Callable[[bytes], None]

_CAPABILITIES = Capabilities(extensions=("100rel",), demands=("replaces",))
_ANYTHING = Limits(message=1 << 20, headers=1 << 16, header=1 << 20)
_ROUND_TRIP: Final = 16_384
"""Bytes up to which what was written is read again; beyond, time is that of one reading."""
_ACCESSORS = (
    *("vias", "from_", "to", "call_id", "cseq", "contacts", "routes", "record_routes", "content_type"),
    *("max_forwards", "expires", "is_contact_wildcard"),
)


class BrokenPromiseError(Exception):
    """The library did what it must not."""


def _expect(kept: bool, promise: str) -> None:
    if not kept:
        raise BrokenPromiseError(promise)


def messages(data: bytes) -> None:
    """Read a datagram, judge it, answer it, write it again."""
    found = admit(data, _CAPABILITIES)
    if isinstance(found, Refusal):
        answer = found.response.encode()
        _expect(parse_message(answer, _ANYTHING).encode() == answer, "a refusal is a message")
    try:
        message = parse_message(data)
    except RemoteProtocolError as error:
        _expect(not isinstance(found, Request | Response), "admit takes what can be parsed")
        _expect(error.status in range(400, 700) and bool(error.layer), "an error says what to answer")
        return
    _read_all(message)
    written = message.encode()
    if len(data) > _ROUND_TRIP:
        return
    again = parse_message(written)
    _expect(again.encode() == written, "what was written is read as it was")
    _expect(type(again) is type(message), "and is what it was")


def _read_all(message: Request | Response) -> None:
    for name in _ACCESSORS:
        try:
            value = getattr(message, name)
        except RemoteProtocolError:
            continue
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, NameAddr):
                _address(item)
    _ = (list(message.headers.items()), repr(message))


def _address(value: NameAddr) -> None:
    _expect(NameAddr.parse(str(value)).uri_text == value.uri_text, "an address is written as it is read")
    try:
        _ = (value.uri.aor, value.expires, value.tag)
    except RemoteProtocolError:
        return


def sdp(data: bytes) -> None:
    """Read a session description and write it again."""
    try:
        session = parse_sdp(data)
    except SdpError:
        return
    text = write_sdp(session)
    if len(data) > _ROUND_TRIP or text.count("\n") > MAX_LINES:
        # What is left to default is written out, and so may be more than is taken.
        return
    again = parse_sdp(text)
    _expect(again == session, "a description means the same when it is read again")
    _expect(write_sdp(again) == text, "and is written the same")


def uris(data: bytes) -> None:
    """Read a URI, and an address with it."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        uri = SipUri.parse(text)
        again = SipUri.parse(str(uri))
    except RemoteProtocolError:
        uri = again = None
    if uri is not None and again is not None:
        _expect(uri == again and hash(uri) == hash(again), "a URI is equal to itself")
        _ = (uri.aor, uri.username, uri.address, uri.effective_port, uri.transport, repr(uri), uri.param("lr"))
    try:
        _address(NameAddr.parse(text))
    except (RemoteProtocolError, LocalProtocolError):
        # A line break, which no header line hands over, cannot be written.
        return


def digest(data: bytes) -> None:
    """Take challenges, answer them, read the answers."""
    # No header line is longer.
    text = data.decode("utf-8", "surrogateescape").replace("\r", " ").replace("\n", " ")[: DEFAULT_LIMITS.header]
    _ = mask_credentials(b"Authorization: " + data)
    with suppress(RemoteProtocolError):
        Credentials.parse(text)
    response = Response(401, headers=[("WWW-Authenticate", text), ("Proxy-Authenticate", text)])
    client = DigestClient("grist")
    client.learn(response)
    request = Request("REGISTER", "sip:mill.test", [("CSeq", "1 REGISTER")])
    if client.authorize(request, "secret"):
        for value in request.headers.get_all("Authorization"):
            Credentials.parse(value)
    client.note_success(Response(200, headers=[("Authentication-Info", text)]))
    _expect(len(challenges_of(response)) < len(data) + 2, "challenges come from somewhere")


def streams(data: bytes) -> None:
    """Cut a stream whole and in pieces; the first bytes say how large these are."""
    sizes, stream = data[:4], data[4:]
    whole = Framer()
    frames = whole.feed(stream)
    pieces = Framer()
    cut: list[bytes] = []
    position = turn = 0
    while position < len(stream):
        # Never less than a 64th of the whole, so that time is that of the framing and not of the calls.
        size = max(1, len(stream) // 64, sizes[turn % len(sizes)])
        cut += pieces.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
    _expect(cut == frames, "a stream means the same however it is cut")
    _expect((pieces.error is None) == (whole.error is None), "and fails the same")


TARGETS: Final[Mapping[str, Target]] = {
    "messages": messages,
    "sdp": sdp,
    "uris": uris,
    "digest": digest,
    "streams": streams,
}

READS: Final[Mapping[str, int]] = {"streams": 2}
"""How often a target has its whole input read, where more than once: the time for one input is that part of it."""
