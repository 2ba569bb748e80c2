"""Numbers and words as SDP writes them (RFC 8866 section 9), and the one error of this package."""

from __future__ import annotations

from dialog_sip.errors import Layer, RemoteProtocolError

MAX_NUMBER_DIGITS = 20
"""A 64-bit number needs no more (RFC 8866 section 5.2); longer ones cost time and mean nothing."""


class SdpError(RemoteProtocolError, ValueError):
    """The text is no session description that can be used. The peer is to blame: answer 488 or drop the event.

    RFC 3261 section 21.4.26 has the code.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail, status=488, reason="Not Acceptable Here", layer=Layer.BODY)


def number(text: str, maximum: int = 2**64 - 1) -> int:
    """Read an unsigned decimal number in ASCII digits (RFC 8866 section 9). Raises :class:`SdpError`."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER_DIGITS):
        raise SdpError(f"{text[:32]!r} is not a number")
    value = int(text)
    if value > maximum:
        raise SdpError(f"{value} is above {maximum}")
    return value


def words(text: str, at_least: int) -> list[str]:
    """Split at white space into at least so many words (RFC 8866 section 5). Raises :class:`SdpError`."""
    parts = text.split()
    if len(parts) < at_least:
        raise SdpError(f"{text[:64]!r} has too few fields")
    return parts


def token(text: str) -> str:
    """Return a value that is not empty and holds no white space (RFC 8866 section 9). Raises :class:`SdpError`."""
    if not text or text.split() != [text]:
        raise SdpError(f"{text[:32]!r} is not a token")
    return text
