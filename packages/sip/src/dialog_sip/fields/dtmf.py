"""Digits in INFO: the packages of RFC 6086, and what came before them (``application/dtmf-relay``, ``dtmf``)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.headers import HeaderValue
from dialog_sip.message import Message, Request

RELAY = "application/dtmf-relay"
"""Body of INFO with a digit and its length, older than RFC 6086."""
PLAIN = "application/dtmf"
"""Body of INFO with a digit and nothing more."""
PACKAGE = "dtmf"
"""Info-Package by which some gateways say the same (RFC 6086 section 4)."""
DEFAULT_DURATION = 160
"""Milliseconds, where nothing is said."""
MAX_DURATION = 10_000
"""Milliseconds; longer ones are cut."""

_DIGITS: Final = frozenset("0123456789*#ABCD!")
"""``!`` is a hook flash (event 16 of RFC 4733)."""
_BY_EVENT: Final = {str(number): digit for number, digit in enumerate("0123456789*#ABCD!")}
_BY_NAME: Final = {"STAR": "*", "HASH": "#", "POUND": "#", "FLASH": "!"}
_SIGNAL = re.compile(r"^\s*Signal\s*=\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_DURATION = re.compile(r"^\s*Duration\s*=\s*([0-9]{1,6})", re.IGNORECASE | re.MULTILINE)


class Digit(NamedTuple):
    """One key; the digits are those of RFC 4733 section 3.2."""

    digit: str
    """``0``-``9``, ``*``, ``#``, ``A``-``D``, ``!`` for a hook flash."""
    duration: int = DEFAULT_DURATION
    """Milliseconds."""

    def relay(self) -> bytes:
        """Return the body as ``application/dtmf-relay``."""
        return f"Signal={self.digit}\r\nDuration={self.duration}\r\n".encode()


def digit_of(info: Request) -> Digit | None:
    """Return the key that an INFO brings; None where it brings none (RFC 6086 appendix A names both old bodies).

    Raises :class:`RemoteProtocolError`, with status 415 or 400, for a body that should be one and is not.
    """
    content = info.content_type
    package = info.headers.get("Info-Package")
    if content is None:
        return None
    text = info.body[:1024].decode("utf-8", "replace")
    if content.essence == RELAY:
        return _relay(text)
    if content.essence == PLAIN:
        return Digit(_key(text.strip()))
    if package is not None and package.partition(";")[0].strip().lower() == PACKAGE:
        raise RemoteProtocolError("a DTMF package of another type", status=415, reason="Unsupported Media Type")
    return None


def dtmf_headers(*, package: bool = False) -> list[tuple[str, HeaderValue]]:
    """Return the headers of an INFO (RFC 6086 section 4.2) with :meth:`Digit.relay` in it.

    ``package`` where the peer's Recv-Info has it.
    """
    if not package:
        return []
    return [("Info-Package", PACKAGE), ("Content-Disposition", "Info-Package")]


def takes_package(message: Message, package: str = PACKAGE) -> bool:
    """Tell whether a peer takes this package: its Recv-Info says so (RFC 6086 section 5.2.3)."""
    return message.headers.has_token("Recv-Info", package)


def _relay(text: str) -> Digit:
    signal, duration = _SIGNAL.search(text), _DURATION.search(text)
    if signal is None:
        raise RemoteProtocolError("dtmf-relay without Signal")
    length = DEFAULT_DURATION if duration is None else min(int(duration.group(1)), MAX_DURATION)
    return Digit(_key(signal.group(1)), length)


def _key(text: str) -> str:
    """Read a key: itself, its name, or its number as an event of RFC 4733."""
    upper = text.upper()
    if upper in _DIGITS:
        return upper
    found = _BY_EVENT.get(upper) or _BY_NAME.get(upper)
    if found is None:
        raise RemoteProtocolError("no key of a telephone")
    return found
