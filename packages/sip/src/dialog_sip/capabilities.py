"""What an element takes, so that what it does not take is refused in the words of RFC 3261 section 8.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KNOWN_METHODS: Final = frozenset(
    {
        *("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "SUBSCRIBE"),
        *("NOTIFY", "PUBLISH", "INFO", "REFER", "MESSAGE", "UPDATE"),
    }
)
"""Methods that IANA lists: one of them that is not taken is answered 405, any other 501."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The methods, extensions and contents of one element (RFC 3261 section 8.2)."""

    methods: tuple[str, ...] | None = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS")
    """Methods that are taken, in the order of Allow (section 8.2.1); None leaves the judgement to others."""
    extensions: tuple[str, ...] | None = ()
    """Option tags, in lower case, that a Require may name (section 8.2.2.3); None leaves the judgement to others."""
    demands: tuple[str, ...] = ()
    """Option tags that every INVITE has to support, else 421 (section 21.4.17)."""
    schemes: tuple[str, ...] = ("sip", "sips", "tel")
    """Schemes of a Request-URI (section 8.2.2.1)."""
    bodies: tuple[str, ...] = ("application/sdp",)
    """Media types of a body that are understood: ``type/subtype``, ``type/*`` or ``*/*`` (section 8.2.3)."""
    answers: tuple[str, ...] = ("application/sdp",)
    """Media types of the bodies that answers have: one of them has to be in the Accept of an INVITE."""
    forwards: bool = False
    """Whether requests are passed on, as a proxy does: then Max-Forwards and Proxy-Require count, and neither methods
    nor contents (section 16.3)."""


def covers(ranges: tuple[str, ...], essence: str) -> bool:
    """Tell whether a media type is in one of the ranges (RFC 3261 section 20.1)."""
    return any(name in {essence, "*/*"} or (name.endswith("/*") and essence.startswith(name[:-1])) for name in ranges)
