"""The opening handshake of a websocket for SIP (RFC 7118 section 4, RFC 6455 section 4)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import (
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidStatus,
    InvalidUpgrade,
    NegotiationError,
)
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from dialog_sip.aio.flow import FlowError
from dialog_sip.grammar import is_token, parse_host_port

SUBPROTOCOL: Final = "sip"
"""What both ends say in Sec-WebSocket-Protocol (RFC 7118 section 4.1)."""

_LOCATION = re.compile(r"/[!-~]*")
_HOST = re.compile(r"[A-Za-z0-9\-._\[\]:]+")
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class HandshakeError(FlowError):
    """A websocket could not be opened, although there is a connection (RFC 6455 section 4.1)."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """The request line and Host of the handshake (RFC 6455 section 4.1)."""

    method: str = "GET"
    """Verb; RFC 6455 knows GET alone, some servers want another."""
    host: str = ""
    """Host header; empty: the address that is connected to."""
    location: str = "/"
    """Path, with a query where there is one."""

    @property
    def host_name(self) -> str:
        """Host without its port; empty where none is given. IPv6 keeps its brackets."""
        return parse_host_port(self.host)[0] if self.host else ""


def check_handshake(handshake: Handshake) -> None:
    """Raise :class:`HandshakeError` for what would not be HTTP, or more than one request (RFC 6455 section 4.1)."""
    if not is_token(handshake.method):
        raise HandshakeError(f"method {handshake.method[:32]!r} is no HTTP verb")
    if not _LOCATION.fullmatch(handshake.location):
        raise HandshakeError(f"location {handshake.location[:64]!r} is no path: it starts with / and has no blanks")
    if handshake.host and not _HOST.fullmatch(handshake.host):
        raise HandshakeError(f"host {handshake.host[:64]!r} is no host or host:port")


def request_of(protocol: ClientProtocol, handshake: Handshake) -> Request:
    """Return the handshake request (RFC 7118 section 4.1).

    It is the library's, with the verb, the path and the Host that are wanted.
    """
    request = protocol.connect()
    headers = Headers(request.headers.raw_items())
    if handshake.host:
        del headers["Host"]
        headers["Host"] = handshake.host
    if handshake.method in _WITH_BODY:
        headers["Content-Length"] = "0"
    return replace(request, method=handshake.method, path=handshake.location, headers=headers)


def answer_to(protocol: ServerProtocol, request: Request) -> Response:
    """Return the answer of a server that takes every verb (RFC 6455 section 4.2.2)."""
    return protocol.accept(replace(request, method="GET"))


def handshake_of(request: Request) -> Handshake:
    """Return what a client asked for (RFC 6455 section 4.2.1)."""
    return Handshake(request.method, ", ".join(request.headers.get_all("Host")), request.path)


def handshake_error(error: Exception, handshake: Handshake) -> HandshakeError:
    """Say in words why a handshake failed (RFC 6455 section 4.1)."""
    asked = f"{handshake.method} {handshake.location}"
    match error:
        case InvalidStatus():
            response = error.response
            words = f"it answers {asked} with HTTP {response.status_code} {response.reason_phrase}".rstrip()
        case NegotiationError():
            words = f"it does not speak the subprotocol {SUBPROTOCOL}: {error}"
        case InvalidMessage():
            words = "it does not answer with HTTP: is this the port of its websockets?"
        case InvalidUpgrade() | InvalidHeader() | InvalidHeaderValue():
            words = f"its answer is not that of a websocket server: {error}"
        case _:
            words = str(error) or type(error).__name__
    return HandshakeError(f"no websocket: {words}")
