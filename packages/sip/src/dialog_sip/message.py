"""SIP requests and responses (RFC 3261 section 7).

A header is read when it is asked for, and what it said is remembered until the header changes; so a registrar that only
passes a message on pays for the few headers it looks at.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import NoReturn

from dialog_sip.errors import LocalProtocolError, RemoteProtocolError
from dialog_sip.grammar import split_outside
from dialog_sip.headers import Headers, HeaderValue
from dialog_sip.status import phrase_of
from dialog_sip.uri import SipUri
from dialog_sip.values import CSeq, MediaType, NameAddr, Via, parse_call_id, parse_seconds

VERSION = "SIP/2.0"
"""What requests end with and responses begin with (RFC 3261 section 7)."""

Items = Headers | Iterable[tuple[str, HeaderValue]]
"""Headers to build a message of."""


class Message:
    """What requests and responses have in common (RFC 3261 section 7).

    Accessors raise :class:`RemoteProtocolError` on malformed headers.
    """

    __slots__ = ("body", "ends_with_datagram", "headers")

    def __init__(self, headers: Items = (), body: bytes = b"") -> None:
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        """All header lines; changes to them are seen by the accessors."""
        self.body = body
        """The body; Content-Length follows it when the message is written."""
        self.ends_with_datagram = False
        """True where it came without Content-Length, as it may in a datagram (RFC 3261 section 18.3), and is written
        so again."""

    @property
    def vias(self) -> tuple[Via, ...]:
        """Every Via, topmost first (RFC 3261 section 20.42)."""
        return self.headers.read_list("via", Via.parse) or _no_via()

    @property
    def via(self) -> Via:
        """The topmost Via."""
        return self.vias[0]

    @via.setter
    def via(self, value: Via) -> None:
        line = split_outside(self.headers.get("Via", "") or "", ",")
        self.headers.set_first("Via", ", ".join([str(value), *line[1:]]))

    @property
    def from_(self) -> NameAddr:
        """From: who sent the request (RFC 3261 section 20.20)."""
        return self.headers.read_required("from", NameAddr.parse)

    @property
    def to(self) -> NameAddr:
        """To: whom the request is for (RFC 3261 section 20.39)."""
        return self.headers.read_required("to", NameAddr.parse)

    @property
    def call_id(self) -> str:
        """Call-ID (RFC 3261 section 20.8)."""
        return self.headers.read_required("call-id", parse_call_id)

    @property
    def cseq(self) -> CSeq:
        """CSeq (RFC 3261 section 20.16)."""
        return self.headers.read_required("cseq", CSeq.parse)

    @property
    def contacts(self) -> tuple[NameAddr, ...]:
        """Every Contact (RFC 3261 section 20.10); empty for ``Contact: *``, see :attr:`is_contact_wildcard`."""
        values = self.headers.read_list("contact", NameAddr.parse)
        return () if values and values[0].uri_text == "*" and self.is_contact_wildcard else values

    @property
    def is_contact_wildcard(self) -> bool:
        """True for ``Contact: *``, which removes all bindings (RFC 3261 section 10.2.2)."""
        return self.headers.get("Contact") == "*"

    @property
    def routes(self) -> tuple[NameAddr, ...]:
        """Every Route, the next hop first (RFC 3261 section 20.34)."""
        return self.headers.read_list("route", NameAddr.parse)

    @property
    def record_routes(self) -> tuple[NameAddr, ...]:
        """Every Record-Route in the order of the message (RFC 3261 section 20.30)."""
        return self.headers.read_list("record-route", NameAddr.parse)

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards (RFC 3261 section 20.22); None where it is missing or malformed."""
        return parse_seconds(self.headers.get("Max-Forwards"))

    @property
    def expires(self) -> int | None:
        """Expires in seconds (RFC 3261 section 20.19); None where it is missing or malformed."""
        return parse_seconds(self.headers.get("Expires"))

    @property
    def content_type(self) -> MediaType | None:
        """Content-Type (RFC 3261 section 20.15)."""
        return self.headers.read("content-type", MediaType.parse)

    @property
    def start_line(self) -> str:
        """The first line, without its line end."""
        raise NotImplementedError

    def encode(self) -> bytes:
        """Return the message for the wire, with the Content-Length of its body (RFC 3261 section 20.14)."""
        start = self.start_line
        if "\r" in start or "\n" in start:
            raise LocalProtocolError("start line holds a line break")
        length = str(len(self.body))
        said = self.headers.get("Content-Length")
        if said != length and not (said is None and self.ends_with_datagram) and not _says(said, length):
            self.headers.set("Content-Length", length)
        return f"{start}\r\n{self.headers.encode()}\r\n".encode("utf-8", "surrogateescape") + self.body

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self.encode() == other.encode()

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.start_line!r}>"


class Request(Message):
    """A request (RFC 3261 section 7.1)."""

    __slots__ = ("_tag", "method", "uri")

    def __init__(self, method: str, uri: SipUri | str, headers: Items = (), body: bytes = b"") -> None:
        # Not by way of the base: one call less for each message that is read.
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body
        self.ends_with_datagram = False
        self.method = method
        """Method, in the case of the wire: methods are case-sensitive."""
        self.uri = str(uri)
        """Request-URI as it stands on the wire."""
        self._tag: str | None = None

    @property
    def request_uri(self) -> SipUri:
        """Request-URI, read. Raises :class:`RemoteProtocolError`, with status 416 for other schemes."""
        return SipUri.parse(self.uri)

    @property
    def start_line(self) -> str:
        """``METHOD uri SIP/2.0``."""
        return f"{self.method} {self.uri} {VERSION}"

    def copy(self) -> Request:
        """Return an independent copy."""
        return Request(self.method, self.uri, self.headers.copy(), self.body)

    def respond(
        self,
        code: int,
        phrase: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Iterable[tuple[str, HeaderValue]] = (),
        body: bytes = b"",
        content_type: MediaType | str | None = None,
    ) -> Response:
        """Build a response (RFC 3261 section 8.2.6; section 12.1.1 for Record-Route).

        Where To has no tag yet every response but 100 gets one: ``to_tag``, or one that all responses to this object
        share.
        """
        answer = Headers()
        for name in ("Via", "From"):
            answer.copy_from(self.headers, name)
        if self.to.tag is None and code > 100:
            # As it came, for a display name may be written in many ways.
            to = (self.headers.get("To") or "").rstrip("; \t")
            answer.add("To", f"{to};tag={to_tag or self.local_tag}")
        else:
            answer.copy_from(self.headers, "To")
        for name in ("Call-ID", "CSeq", *(("Timestamp",) if code == 100 else ())):
            answer.copy_from(self.headers, name)
        if self.method in {"INVITE", "SUBSCRIBE"} and 100 < code < 300:
            answer.copy_from(self.headers, "Record-Route")
        for name, value in headers:
            answer.add(name, value)
        if content_type is not None:
            answer.add("Content-Type", content_type)
        return Response(code, phrase, answer, body)

    @property
    def local_tag(self) -> str:
        """The To tag of the responses that are built from this object; random, made when first asked for."""
        if self._tag is None:
            self._tag = secrets.token_hex(8)
        return self._tag


class Response(Message):
    """A response (RFC 3261 section 7.2)."""

    __slots__ = ("code", "phrase")

    def __init__(self, code: int, phrase: str | None = None, headers: Items = (), body: bytes = b"") -> None:
        if not 100 <= code <= 699:
            raise LocalProtocolError(f"{code} is not a response code")
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body
        self.ends_with_datagram = False
        self.code = code
        """Status code, 100 to 699."""
        self.phrase = phrase_of(code) if phrase is None else phrase
        """Reason phrase; for people only."""

    @property
    def start_line(self) -> str:
        """``SIP/2.0 code phrase``."""
        return f"{VERSION} {self.code} {self.phrase}"

    @property
    def is_provisional(self) -> bool:
        """True for 1xx."""
        return self.code < 200

    @property
    def is_final(self) -> bool:
        """True for 2xx and above."""
        return self.code >= 200

    @property
    def is_success(self) -> bool:
        """True for 2xx."""
        return 200 <= self.code < 300

    def copy(self) -> Response:
        """Return an independent copy."""
        return Response(self.code, self.phrase, self.headers.copy(), self.body)


def _says(said: str | None, length: str) -> bool:
    # With leading zeros it is the same number.
    return said is not None and said.lstrip("0") == length.lstrip("0") and said.isdigit()


def _no_via() -> NoReturn:
    raise RemoteProtocolError("Via is missing", reason="Missing Via")
