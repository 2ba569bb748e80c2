"""The verdict on a request: take it, answer it with a refusal, or drop it (RFC 3261 sections 8.2 and 16.3).

Theory of operation. The parser takes whatever can be told apart into lines; accessors read one header each and are as
liberal as its meaning allows. Here a request is held to the grammar where being liberal would be guessing, and then to
what its receiver can do. The checks stand in the order of RFC 3261 section 8.2, as a table: the first that finds fault
decides. What a check finds is a :class:`RemoteProtocolError`; :func:`refusal` makes a response of it from the lines of
the request, so that even one whose From or Via cannot be read is answered.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from dialog_sip.capabilities import KNOWN_METHODS, Capabilities, covers
from dialog_sip.errors import Layer, RemoteProtocolError
from dialog_sip.grammar import is_token
from dialog_sip.headers import Headers
from dialog_sip.limits import DEFAULT_LIMITS, MAX_MESSAGE, Limits
from dialog_sip.message import Request, Response
from dialog_sip.parser import parse_message
from dialog_sip.status import PHRASES
from dialog_sip.values import MediaType, NameAddr

_ROOM: Final = 512
"""Bytes for the start line, Content-Length and what a transport adds."""
_SINGLE: Final = ("Call-ID", "CSeq", "From", "To", "Max-Forwards", "Content-Type", "Date", "Expires")
"""Headers that stand once (RFC 3261 section 7.3.1)."""
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
    r"\d\d:\d\d:\d\d GMT",
    re.ASCII,
)
_OPAQUE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|<[^>]*+>', re.DOTALL)
_QUOTED = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOTHING_BETWEEN = re.compile(r"[;,][ \t]*[;,]")
_BLANK_IN_BRACKETS = re.compile(r"<[ \t]|[ \t]>")
# Not what is no token, for names are written without quotes everywhere; only what makes them read in two ways.
_AMBIGUOUS_NAME = re.compile(r'[,;"\\]')


class Refusal(NamedTuple):
    """A response to send back (RFC 3261 section 8.2.6), and what was wrong."""

    response: Response
    error: RemoteProtocolError


class Drop(NamedTuple):
    """Nothing is answered, and why: as for a response that is discarded (RFC 3261 section 8.1.3.3)."""

    error: RemoteProtocolError


def admit(
    data: bytes, capabilities: Capabilities | None = None, limits: Limits = DEFAULT_LIMITS
) -> Request | Response | Refusal | Drop:
    """Take any bytes for what they are: a message to act on, a refusal to send back, or nothing to answer.

    The refusals are those of section 8.2.
    """
    try:
        message = parse_message(data, limits)
        if isinstance(message, Response):
            check_response(message)
    except RemoteProtocolError as error:
        return Drop(error) if error.request is None else refusal(error.request, error)
    if isinstance(message, Response):
        return message
    found = verdict(message, capabilities)
    return message if found is None else found


def verdict(request: Request, capabilities: Capabilities | None = None) -> Refusal | Drop | None:
    """Judge a request that was parsed (section 8.2); None: take it. Without capabilities only its form is judged."""
    try:
        check_request(request, capabilities)
    except RemoteProtocolError as error:
        return refusal(request, error)
    return None


def check_request(request: Request, capabilities: Capabilities | None = None) -> None:
    """Raise :class:`RemoteProtocolError` on the first fault of a request (section 8.2)."""
    if capabilities is not None:
        _check_method(request, capabilities)
    for check in _FORM:
        check(request)
    if capabilities is not None and request.method not in {"ACK", "CANCEL"}:
        for able in _PASSING_ON if capabilities.forwards else _TAKING:
            able(request, capabilities)


def check_response(response: Response) -> None:
    """Raise :class:`RemoteProtocolError` for a response that an element discards (sections 8.1.3.3 and 17.1.3)."""
    check_route_back(response)
    _ = (response.cseq, response.call_id, response.from_, response.to)


def check_route_back(response: Response) -> None:
    """Raise :class:`RemoteProtocolError` for a response that would have to go on to somebody else (section 8.1.3.3)."""
    if len(response.vias) > 1:
        # Passing it on blindly is how a broadcast address gets it (RFC 4475 section 3.3.10).
        raise RemoteProtocolError("a response with a second Via is not for us")


def refusal(request: Request, error: RemoteProtocolError) -> Refusal | Drop:
    """Return the answer to a request that is refused.

    Dropped are an ACK (section 17.1.1.3), what has no Via, and what is too large for its lines to be sent back.
    """
    headers = request.headers
    if request.method == "ACK" or "Via" not in headers:
        return Drop(error)
    answer = Headers()
    for name in ("Via", "From", "Call-ID", "CSeq"):
        answer.copy_from(headers, name)
    _add_to(answer, headers)
    for name, value in error.headers:
        answer.add(name, value)
    if len(answer.encode()) > MAX_MESSAGE - _ROOM:
        return Drop(error)
    return Refusal(Response(error.status, error.reason, answer), error)


def _add_to(answer: Headers, headers: Headers) -> None:
    """Add To with a tag, the same for every repetition of the request, for no transaction holds it (section 8.2.7)."""
    to = headers.get("To")
    try:
        untagged = to is not None and NameAddr.parse(to).tag is None
    except RemoteProtocolError:
        untagged = False
    if not untagged or to is None:
        answer.copy_from(headers, "To")
        return
    seen = "\n".join([to, *(headers.get(name) or "" for name in ("Via", "From", "Call-ID", "CSeq"))])
    tag = hashlib.blake2b(seen.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    answer.add("To", f"{to.rstrip('; ')};tag={tag}")


def _fault(status: int, detail: str, *headers: tuple[str, str]) -> RemoteProtocolError:
    return RemoteProtocolError(detail, status=status, reason=PHRASES[status], layer=Layer.CAPABILITY, headers=headers)


# --- what the message has to be, whoever gets it


def _check_mandatory(request: Request) -> None:
    for name in _SINGLE:
        if request.headers.count(name) > 1:
            raise RemoteProtocolError(f"{name} stands twice", reason=f"More Than One {name}")
    for value in (request.via, request.from_, request.to, request.call_id):
        if not value:
            raise RemoteProtocolError("a mandatory header is empty")
    if request.cseq.method != request.method:
        raise RemoteProtocolError("CSeq names another method", reason="CSeq Method Mismatch")


def _check_addresses(request: Request) -> None:
    for name in ("From", "To"):
        value = request.headers.get(name) or ""
        bare = _QUOTED.sub("", value) if '"' in value else value
        shown, bracket, _ = bare.partition("<")
        if bracket and (_BLANK_IN_BRACKETS.search(bare) or _AMBIGUOUS_NAME.search(shown)):
            raise RemoteProtocolError(f"{name} is malformed", reason=f"Bad {name}")


def _check_separators(request: Request) -> None:
    for name in ("Via", "Contact", "From", "To", "Route", "Record-Route"):
        for value in request.headers.get_all(name):
            if _NOTHING_BETWEEN.search(value) and _NOTHING_BETWEEN.search(_OPAQUE.sub("", value)):
                raise RemoteProtocolError(f"{name} has separators with nothing between", reason=f"Bad {name}")


def _check_lists(request: Request) -> None:
    _ = (request.contacts, request.routes, request.record_routes, request.content_type)


def _check_request_uri(request: Request) -> None:
    try:
        uri = request.request_uri
    except RemoteProtocolError as error:
        if error.status == 416:
            return
        raise RemoteProtocolError(str(error), reason="Bad Request-URI", layer=Layer.START_LINE) from error
    if uri.headers:
        raise RemoteProtocolError("Request-URI holds headers", reason="Bad Request-URI", layer=Layer.START_LINE)


def _check_date(request: Request) -> None:
    date = request.headers.get("Date")
    if date is not None and not _DATE.fullmatch(date):
        raise RemoteProtocolError("Date is not in GMT", reason="Bad Date")


_FORM: Final[tuple[Callable[[Request], None], ...]] = (
    _check_mandatory,
    _check_request_uri,
    _check_addresses,
    _check_separators,
    _check_lists,
    _check_date,
)


# --- what the receiver has to be able to do


def _check_method(request: Request, capabilities: Capabilities) -> None:
    if capabilities.forwards or capabilities.methods is None or request.method in capabilities.methods:
        return
    status = 405 if request.method in KNOWN_METHODS else 501
    raise _fault(status, "method is not taken", ("Allow", ", ".join(capabilities.methods)))


def _check_hops(request: Request, _capabilities: Capabilities) -> None:
    if request.max_forwards == 0:
        raise _fault(483, "no hop is left")


def _check_scheme(request: Request, capabilities: Capabilities) -> None:
    scheme = request.uri.partition(":")[0].lower()
    if scheme not in capabilities.schemes:
        raise _fault(416, "scheme of the Request-URI is not taken")


def _check_address_of_record(request: Request, _capabilities: Capabilities) -> None:
    if request.method == "REGISTER" and not _is_sip(request.to.uri_text):
        # Section 10.3, step 5.
        raise RemoteProtocolError("To of a REGISTER is no SIP URI", reason="Bad To")


def _is_sip(uri: str) -> bool:
    return uri.partition(":")[0].lower() in {"sip", "sips"}


def _check_extensions(request: Request, capabilities: Capabilities) -> None:
    name = "Proxy-Require" if capabilities.forwards else "Require"
    if capabilities.extensions is None or name not in request.headers:
        return
    unknown = [tag for tag in request.headers.get_list(name) if tag.lower() not in capabilities.extensions]
    if unknown:
        # What is no option tag is not repeated.
        named = ", ".join(tag for tag in unknown if is_token(tag))
        raise _fault(420, "an extension is required that is not known", ("Unsupported", named))


def _check_demands(request: Request, capabilities: Capabilities) -> None:
    for tag in capabilities.demands if request.method == "INVITE" else ():
        if not request.headers.has_token("Supported", tag) and not request.headers.has_token("Require", tag):
            raise _fault(421, "an extension is not supported", ("Require", tag))


def _check_body(request: Request, capabilities: Capabilities) -> None:
    kind = request.content_type
    if not request.body or kind is None or _may_be_ignored(request):
        return
    coding = request.headers.get("Content-Encoding")
    if coding is not None and coding.lower() != "identity":
        raise _fault(415, "body is encoded", ("Accept-Encoding", "identity"))
    if not covers(capabilities.bodies, kind.essence):
        raise _fault(415, "type of the body is not taken", ("Accept", ", ".join(capabilities.bodies)))


def _may_be_ignored(request: Request) -> bool:
    disposition = request.headers.get("Content-Disposition")
    return disposition is not None and "handling=optional" in disposition.replace(" ", "").lower()


def _check_answers(request: Request, capabilities: Capabilities) -> None:
    if request.method != "INVITE" or "Accept" not in request.headers:
        return
    wanted = tuple(MediaType.parse(value).essence for value in request.headers.get_list("Accept"))
    if wanted and not any(covers(wanted, answer) for answer in capabilities.answers):
        raise _fault(406, "no body of ours would be accepted")


_TAKING: Final[tuple[Callable[[Request, Capabilities], None], ...]] = (
    _check_scheme,
    _check_address_of_record,
    _check_extensions,
    _check_demands,
    _check_body,
    _check_answers,
)
_PASSING_ON: Final = (_check_scheme, _check_hops, _check_extensions)
