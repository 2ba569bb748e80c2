"""Who was wrong: the peer (:class:`RemoteProtocolError`) or this program (:class:`LocalProtocolError`).

The statuses to answer with are those of RFC 3261 section 21.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialog_sip.message import Request


class Layer(StrEnum):
    """Which layer found a message wanting, from the wire (RFC 3261 section 18.3) up to what is done (section 8.2)."""

    FRAMING = "framing"
    """Where the message ends: its size, the end of its head, Content-Length (RFC 3261 section 18.3)."""
    START_LINE = "start line"
    """Method, Request-URI, version or status code (RFC 3261 section 7.1 and 7.2)."""
    HEADER = "header"
    """A header that is missing, doubled or malformed (RFC 3261 section 20)."""
    BODY = "body"
    """The body, such as a session description."""
    CAPABILITY = "capability"
    """A sound request for something that is not done here (RFC 3261 section 8.2)."""


class SipError(Exception):
    """Base of every error that this library raises on purpose. RFC 3261 names statuses (section 21), no errors."""


class RemoteProtocolError(SipError):
    """The peer broke the protocol.

    Answer its request with ``status`` and ``reason`` (RFC 3261 section 21), or drop its message.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int = 400,
        reason: str = "Bad Request",
        request: Request | None = None,
        layer: Layer = Layer.HEADER,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        """Response code that tells the peer (RFC 3261 section 21)."""
        self.reason = reason
        """Reason phrase to send with it; never holds text of the peer's."""
        self.request = request
        """What could be read of the request, enough to answer it; None where it has to be dropped."""
        self.layer = layer
        """Which layer failed."""
        self.headers = tuple(headers)
        """Headers that the answer has to have, such as Allow in a 405."""


class LocalProtocolError(SipError):
    """We asked for something that the protocol (RFC 3261) forbids: a bug on our side, nothing that a peer can cause."""
