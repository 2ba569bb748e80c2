"""Who was wrong: the peer (:class:`RemoteProtocolError`) or this program (:class:`LocalProtocolError`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dialog_sip.message import Request


class SipError(Exception):
    """Base of every error that this library raises on purpose."""


class RemoteProtocolError(SipError):
    """The peer broke the protocol. Answer its request with ``status`` and ``reason``, or drop its message."""

    def __init__(
        self, detail: str, *, status: int = 400, reason: str = "Bad Request", request: Request | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        """Response code that tells the peer (RFC 3261 section 21)."""
        self.reason = reason
        """Reason phrase to send with it; never holds text of the peer's."""
        self.request = request
        """What could be read of the request, enough to answer it; None where it has to be dropped."""


class LocalProtocolError(SipError):
    """We asked for something that the protocol forbids: a bug on our side, nothing that a peer can cause."""
