"""The header section of a message: lines kept as they came, values read on demand.

A line that nobody touches is written out byte for byte, folding and odd spelling included. Names compare without
regard to case, and compact forms (RFC 3261 section 7.3.3) are the same header as the long ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, TypeVar

from dialog_sip.errors import LocalProtocolError, RemoteProtocolError
from dialog_sip.grammar import is_token, split_outside
from dialog_sip.limits import MAX_VALUES
from dialog_sip.uri import SipUri
from dialog_sip.values import CSeq, MediaType, NameAddr, Via

T = TypeVar("T")
_UNREAD: Final = object()

HeaderValue = str | int | SipUri | NameAddr | Via | CSeq | MediaType
"""What may be given as the value of a header; it is written as ``str(value)``."""

COMPACT_FORMS: Final = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition", "e": "content-encoding",
    "f": "from", "i": "call-id", "j": "reject-contact", "k": "supported", "l": "content-length", "m": "contact",
    "o": "event", "r": "refer-to", "s": "subject", "t": "to", "u": "allow-events", "v": "via", "x": "session-expires",
    "y": "identity",
}  # fmt: skip
"""Compact form -> key (RFC 3261, 3265, 3515, 3841, 3892, 4028, 8224)."""

_SPELLINGS = (
    "Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Route", "Record-Route", "Expires",
    "Min-Expires", "Content-Type", "Content-Length", "Content-Encoding", "Content-Disposition", "User-Agent",
    "Server", "Allow", "Supported", "Require", "Proxy-Require", "Unsupported", "Authorization",
    "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Retry-After",
    "Date", "Accept", "Session-Expires", "Min-SE", "Reason", "P-Asserted-Identity", "P-Preferred-Identity",
    "Privacy", "Path", "Service-Route", "Allow-Events", "Event", "Subscription-State", "Refer-To",
    "Referred-By", "Replaces", "RSeq", "RAck", "Timestamp", "Warning", "Subject", "Accept-Encoding",
)  # fmt: skip
# Spelling as it usually stands on the wire -> key; a look-up here saves lower() and the check for a token.
KEYS: Final = (
    {name: name.lower() for name in _SPELLINGS} | {name.lower(): name.lower() for name in _SPELLINGS} | COMPACT_FORMS
)
"""Name as it is written -> key; those that are met often."""

_NAMES = {name.lower(): name for name in _SPELLINGS}
# Characters of a list that is remembered: Allow and Supported of one peer never change.
_CACHED = 256


def key_of(name: str) -> str:
    """Return the one form under which a header name is compared (RFC 3261 sections 7.3.1 and 7.3.3)."""
    key = KEYS.get(name)
    if key is None:
        key = name.lower()
        key = COMPACT_FORMS.get(key, key)
    return key


class Headers:
    """Ordered multimap of header lines (RFC 3261 section 7.3).

    What was not UTF-8 holds surrogate escapes: see ``grammar.readable``.
    """

    __slots__ = ("_cache", "_keys", "_lines")

    def __init__(
        self,
        items: Iterable[tuple[str, HeaderValue]] = (),
        keys: list[str] | None = None,
        lines: list[str] | None = None,
    ) -> None:
        """Begin with these headers; the parser gives lines as they came, without their ends, and the key of each."""
        self._keys = [] if keys is None else keys
        self._lines = [] if lines is None else lines
        self._cache: dict[str, Any] = {}
        for name, value in items:
            self.add(name, value)

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of the first line of this name, unfolded and stripped."""
        key = KEYS.get(name) or key_of(name)
        if key not in self._keys:
            return default
        return _value(self._lines[self._keys.index(key)])

    def get_all(self, name: str) -> list[str]:
        """Return the value of every line of this name. A line may hold a list: see :meth:`get_list`."""
        key, keys = KEYS.get(name) or key_of(name), self._keys
        count = keys.count(key)
        if count == 0:
            return []
        found: list[str] = []
        at = -1
        for _ in range(count):
            at = keys.index(key, at + 1)
            found.append(_value(self._lines[at]))
        return found

    def count(self, name: str) -> int:
        """Return how many lines have this name."""
        return self._keys.count(KEYS.get(name) or key_of(name))

    def get_list(self, name: str) -> list[str]:
        """Return every element of a comma-separated header, over all its lines (RFC 3261 section 7.3.1).

        Raises :class:`RemoteProtocolError` where a quote stays open, or for more than ``MAX_VALUES`` elements.
        """
        values = self.get_all(name)
        if len(values) == 1:
            value = values[0]
            if "," not in value:
                return values if value else []
            return list(split_values(value))
        return _split(values)

    def has_token(self, name: str, token: str) -> bool:
        """Tell whether a list header such as Supported names this token, without regard to case."""
        return token.lower() in (part.lower() for part in self.get_list(name))

    def add(self, name: str, value: HeaderValue) -> None:
        """Append a line. Raises :class:`LocalProtocolError` where name or value would break the message."""
        self.insert(len(self._lines), name, value)

    def prepend(self, name: str, value: HeaderValue) -> None:
        """Put a line before all others, as a Via or a Record-Route wants."""
        self.insert(0, name, value)

    def insert(self, index: int, name: str, value: HeaderValue) -> None:
        """Put a line before the line at ``index``."""
        line, key = _line(name, value), key_of(name)
        self._lines.insert(index, line)
        self._keys.insert(index, key)
        self._cache.pop(key, None)

    def set(self, name: str, value: HeaderValue) -> None:
        """Replace every line of this name by one, in the place of the first."""
        key = key_of(name)
        if self._keys.count(key) > 1:
            index = self._keys.index(key)
            self.remove(name)
            self.insert(index, name, value)
        else:
            self.set_first(name, value)

    def set_first(self, name: str, value: HeaderValue) -> None:
        """Replace the first line of this name and leave the others, as the topmost Via wants."""
        key = key_of(name)
        if key not in self._keys:
            self.add(name, value)
            return
        self._lines[self._keys.index(key)] = _line(name, value)
        self._cache.pop(key, None)

    def remove(self, name: str) -> None:
        """Drop every line of this name, if there is one."""
        key = key_of(name)
        found = self._keys.count(key)
        if found == 1:
            index = self._keys.index(key)
            del self._keys[index], self._lines[index]
        elif found:
            kept = [index for index, own in enumerate(self._keys) if own != key]
            self._lines = [self._lines[index] for index in kept]
            self._keys = [self._keys[index] for index in kept]
        self._cache.pop(key, None)

    def copy_from(self, other: Headers, name: str) -> None:
        """Append every line of this name as it stands in ``other``."""
        key = key_of(name)
        for own, line in zip(other._keys, other._lines, strict=True):
            if own == key:
                self._keys.append(key)
                self._lines.append(line)
        self._cache.pop(key, None)

    def read(self, key: str, parse: Callable[[str], T]) -> T | None:
        """Return what ``parse`` makes of the first line under ``key``, None where there is none.

        It is remembered until such a line changes, as is what :meth:`read_required` and :meth:`read_list` return.
        """
        value: T | None = self._cache.get(key, _UNREAD)
        if value is _UNREAD:
            keys = self._keys
            value = parse(_value(self._lines[keys.index(key)])) if key in keys else None
            self._cache[key] = value
        return value

    def read_required(self, key: str, parse: Callable[[str], T]) -> T:
        """Do as :meth:`read`. Raises :class:`RemoteProtocolError` where the header is missing or empty."""
        value: T = self._cache.get(key, _UNREAD)
        if value is _UNREAD:
            keys = self._keys
            text = _value(self._lines[keys.index(key)]) if key in keys else ""
            if not text:
                raise RemoteProtocolError(f"{_NAMES[key]} is missing", reason=f"Missing {_NAMES[key]}")
            value = self._cache[key] = parse(text)
        return value

    def read_list(self, key: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """Return what ``parse`` makes of every element under ``key``: see :meth:`get_list`."""
        known = self._cache.get(key, _UNREAD)
        # Not one variable for both: compiled, the sentinel would be refused as no tuple.
        values: tuple[T, ...] = (
            tuple([parse(text) for text in _split(self.get_all(key))]) if known is _UNREAD else known
        )
        self._cache[key] = values
        return values

    def texts(self) -> Iterable[tuple[str, str]]:
        """Return key and value of every line in order, values unfolded and stripped."""
        # As _value() does it, without a call for each line.
        values = [line.partition(":")[2].strip(" \t\r\n") for line in self._lines]
        if "\n" in "".join(values):
            values = [_unfolded(value) if "\n" in value else value for value in values]
        return zip(self._keys, values, strict=True)

    def items(self) -> Iterator[tuple[str, str]]:
        """Iterate over the lines in order: name as it is spelled, value unfolded and stripped."""
        return iter([_item(line) for line in self._lines])

    def copy(self) -> Headers:
        """Return an independent copy."""
        return Headers((), self._keys.copy(), self._lines.copy())

    def encode(self) -> str:
        """Return the lines, each with its line end."""
        return "\r\n".join(self._lines) + "\r\n" if self._lines else ""

    def has_any(self, keys: frozenset[str]) -> bool:
        """Tell whether one of these headers is there; they are given as :func:`key_of` has them."""
        return not keys.isdisjoint(self._keys)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and key_of(name) in self._keys

    def __len__(self) -> int:
        return len(self._lines)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._lines == other._lines

    __hash__ = None  # type: ignore[assignment]  # mutable


def _value(line: str) -> str:
    value = line[line.index(":") + 1 :].strip(" \t\r\n")
    return _unfolded(value) if "\n" in value else value


def split_values(text: str) -> tuple[str, ...]:
    """Return the elements of one line of a list header (RFC 3261 section 7.3.1), none that is empty.

    See :meth:`Headers.get_list`.
    """
    return _split_short(text) if len(text) <= _CACHED else tuple(_split([text]))


def _split(values: list[str]) -> list[str]:
    found = [part for value in values for part in (split_outside(value, ",") if "," in value else (value,)) if part]
    if len(found) > MAX_VALUES:
        raise RemoteProtocolError("a header has too many values")
    return found


@lru_cache(maxsize=1024)
def _split_short(value: str) -> tuple[str, ...]:
    return tuple(_split([value]))


def _item(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    value = value.strip(" \t\r\n")
    return name.rstrip(" \t"), _unfolded(value) if "\n" in value else value


def _unfolded(value: str) -> str:
    # A fold with the blanks round it is one space (RFC 3261 section 7.3.1).
    parts = [part.strip(" \t") for part in value.split("\r\n")]
    return " ".join([part for part in parts if part])


def _line(name: str, value: HeaderValue) -> str:
    text = str(value)
    if "\r" in text or "\n" in text:
        raise LocalProtocolError(f"value of {name} holds a line break")
    if name not in KEYS and not is_token(name):
        raise LocalProtocolError(f"{name!r} is not a header name")
    return f"{name}: {text}"
