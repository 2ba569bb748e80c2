"""The small pieces of RFC 3261 section 25 that many headers share: tokens, quoted strings, parameters, lists.

Every function is linear in its input: a peer chooses the input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from dialog_sip.errors import LocalProtocolError, RemoteProtocolError
from dialog_sip.limits import MAX_PARAMS, MAX_VALUES

Params = Mapping[str, str | None]
"""Parameters by lower-case name, in order. None: a flag without ``=``. Quoted values keep their quotes."""

NO_PARAMS: Params = {}
"""No parameters."""

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
"""``token`` of RFC 3261 section 25.1."""

# One element of a list; separators may stand in quotes or brackets. Possessive throughout: nothing is tried twice.
_ELEMENTS = {
    separator: re.compile(
        rf'((?:[^"<{separator}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"|<[^>]*+>)*+)({separator}|\Z)', re.DOTALL
    )
    for separator in (",", ";")
}
_ESCAPES = str.maketrans({chr(code): f"\\{chr(code)}" for code in (*range(0x20), 0x7F, 0x22, 0x5C) if code != 0x09})
# What stands between the backslashes that escape; findall() is several times faster than sub().
_UNESCAPED = re.compile(r"\\?(.[^\\]*)", re.DOTALL)


def is_token(text: str) -> bool:
    """Tell whether all of ``text`` is one ``token`` (section 25.1)."""
    return TOKEN.fullmatch(text) is not None


def quote(text: str) -> str:
    """Return ``text`` as a ``quoted-string`` (section 25.1). Raises :class:`LocalProtocolError` on a line break."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    if "\r" in text or "\n" in text:
        raise LocalProtocolError("a quoted string cannot hold a line break")
    return f'"{text.translate(_ESCAPES)}"'


def unquote(text: str) -> str:
    """Return what a ``quoted-string`` (section 25.1) says; text that is not quoted comes back as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return "".join(_UNESCAPED.findall(inner)) if "\\" in inner else inner


def readable(text: str) -> str:
    """Return ``text`` fit for JSON and logs.

    Without the lone surrogates that stand for bytes that were not UTF-8, the character set of RFC 3261 section 7.
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def split_outside(text: str, separator: str) -> list[str]:
    """Split at ``,`` or ``;`` outside quoted strings and angle brackets; parts are stripped (section 7.3.1).

    Raises :class:`RemoteProtocolError` where a quote or a bracket stays open, or where there are too many parts.
    """
    if separator not in text:
        return [text.strip()]
    if '"' not in text and text.count(separator) < MAX_VALUES:
        parts = text.split(separator)
        if "<" not in text or all(part.count("<") == part.count(">") for part in parts):
            return [part.strip() for part in parts]
    return _split_marked(text, separator)


def _split_marked(text: str, separator: str) -> list[str]:
    element = _ELEMENTS[separator]
    parts: list[str] = []
    position = 0
    while (found := element.match(text, position)) is not None:
        parts.append(found.group(1).strip())
        position = found.end()
        if not found.group(2):
            return parts
        if len(parts) > MAX_VALUES:
            raise RemoteProtocolError("a header has too many values")
    raise RemoteProtocolError("a quote or a bracket is never closed")


def parse_params(text: str) -> Params:
    """Read ``;name=value;flag`` (section 7.3.1), with or without the first semicolon.

    Of a repeated name the first counts.
    """
    if not text:
        return NO_PARAMS
    if '"' in text or " " in text or "\t" in text:
        return _parse_unusual_params(text)
    parts = text.split(";")
    if not parts[0]:
        del parts[0]
    if len(parts) > MAX_PARAMS:
        raise RemoteProtocolError("too many parameters")
    plain: dict[str, str | None] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        plain[name.lower()] = value if equals else None
    return plain if len(plain) == len(parts) and "" not in plain else _parse_unusual_params(text)


def _parse_unusual_params(text: str) -> Params:
    """Read parameters with blanks or quotes, or with a name twice."""
    params: dict[str, str | None] = {}
    for part in text.split(";") if '"' not in text else _split_marked(text, ";"):
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if name and name not in params:
            params[name] = value.strip() if equals else None
            if len(params) > MAX_PARAMS:
                raise RemoteProtocolError("too many parameters")
    return params


def format_params(params: Params) -> str:
    """Return ``;name=value`` for every parameter (section 25.1), ready to be appended."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params.items()])


def parse_host_port(text: str) -> tuple[str, int | None]:
    """Read ``hostport`` (section 25.1): host (IPv6 keeps its brackets) and port, None where there is none."""
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if not bracket or (rest and rest[0] != ":"):
            raise RemoteProtocolError("not an IPv6 reference")
        host, port = host + bracket, rest[1:]
        colon = bool(rest)
    else:
        host, separator, port = text.partition(":")
        colon = bool(separator)
    if not host or not host.isascii():
        raise RemoteProtocolError("host is missing or not ASCII")
    return host, parse_port(port) if colon else None


@lru_cache(maxsize=1024)
def parse_port(text: str) -> int:
    """Read a port (section 25.1). Raises :class:`RemoteProtocolError`."""
    return parse_uint(text, 65535, "port")


def parse_uint(text: str, maximum: int, what: str) -> int:
    """Read a decimal number of at most ``maximum`` (section 25.1). Raises :class:`RemoteProtocolError`."""
    # isdigit() alone takes digits of other scripts; the length bound keeps int() cheap.
    if text.isdigit() and text.isascii() and len(text) <= 20:
        number = int(text)
        if number <= maximum:
            return number
    raise RemoteProtocolError(f"{what} is not a number of at most {maximum}")
