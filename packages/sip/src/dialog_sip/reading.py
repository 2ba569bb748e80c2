"""Every header of a message (RFC 3261 section 20) at once, each as the value that says most: for consoles and traces.

The accessors of a message look for one header each; who wants all of them reads the lines once here, which takes about
a quarter less time. What is malformed raises what its accessor raises.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, cast

from dialog_sip.digest import Credentials
from dialog_sip.fields.session_expires import SessionExpires
from dialog_sip.headers import split_values
from dialog_sip.message import Message
from dialog_sip.values import CSeq, MediaType, NameAddr, Via, parse_call_id, parse_seconds

# Every phone of a make says the same; a peer that says another each time pushes out its own.
_session_expires = lru_cache(maxsize=64)(SessionExpires.parse)

_SINGLE: Final[dict[str, Callable[[str], object]]] = {
    "from": NameAddr.parse,
    "to": NameAddr.parse,
    "call-id": parse_call_id,
    "cseq": CSeq.parse,
    "max-forwards": parse_seconds,
    "expires": parse_seconds,
    "min-expires": parse_seconds,
    "content-length": parse_seconds,
    "content-type": MediaType.parse,
    "session-expires": _session_expires,
    "authorization": Credentials.parse,
    "proxy-authorization": Credentials.parse,
}
"""Headers that stand once; of several the first counts, as it does for accessors."""


def _each(read: Callable[[str], object]) -> Callable[[str], tuple[object, ...]]:
    """Return what reads one line of a list."""

    def elements(text: str) -> tuple[object, ...]:
        if "," in text:
            return tuple([read(part) for part in split_values(text)])
        return (read(text),) if text else ()

    return elements


_LISTS: Final[dict[str, Callable[[str], tuple[object, ...]]]] = {
    "via": _each(Via.parse),
    **dict.fromkeys(("contact", "route", "record-route", "path", "service-route"), _each(NameAddr.parse)),
    **dict.fromkeys(("allow", "supported", "require", "proxy-require", "unsupported", "allow-events"), split_values),
}
"""Headers whose lines are one list (RFC 3261 section 7.3.1)."""
_READERS: Final[dict[str, Callable[[str], object]]] = {**_SINGLE, **_LISTS}


def _text(text: str) -> tuple[object, ...]:
    return (text,)


def read_all(message: Message) -> dict[str, object]:
    """Return the values by key, the long name in lower case (section 20). Raises :class:`RemoteProtocolError`.

    A value is that of the accessor: an address for From, a tuple of them for Contact, a number for Max-Forwards (None
    where it is malformed). Headers of which nothing more is known than their text are tuples of text, one a line.
    """
    values: dict[str, object] = {}
    more: dict[str, list[object]] = {}
    for key, text in message.headers.texts():
        if key not in values:
            values[key] = _READERS.get(key, _text)(text)
        elif key not in _SINGLE:
            more.setdefault(key, []).extend(_LISTS.get(key, _text)(text))
    for key, found in more.items():
        values[key] = (*cast("tuple[object, ...]", values[key]), *found)
    return values
