"""Columns from text to their meaning; what cannot be read is a :class:`FieldError` that says what to write.

NULL and blank mean the default that is given. What a value is gets quoted only where it cannot be a secret.
"""

from __future__ import annotations

import json
import re
from typing import cast

_TRUE = frozenset({"true", "t", "1", "yes", "y", "on"})
_FALSE = frozenset({"false", "f", "0", "no", "n", "off"})

# RFC 3261 section 25.1: user = 1*( unreserved / escaped / user-unreserved ).
_USER_CHARACTER = re.compile(r"[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2}")
_PLAIN_USER = re.compile(r"[A-Za-z0-9\-_.+]+")
"""What nearly every user looks like, told at a glance."""
# hostname, with the underscore that names in private DNS and in container networks have.
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)
_IPV6_REFERENCE = re.compile(r"\[[0-9A-Fa-f:.]{2,45}\]")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HOST_PORT = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?")
_PATH = re.compile(r"/[\x21-\x7e]*")

_INT32 = 2**31


class FieldError(ValueError):
    """A column that cannot be used, in words."""


def integer(column: str, text: str | None, default: int, low: int, high: int) -> int:
    """Read a whole number between ``low`` and ``high``."""
    if text is None or not text.strip():
        return default
    try:
        number = int(text)
    except ValueError:
        raise FieldError(f"{column} is {_shown(text)}: write a whole number from {low} to {high}") from None
    if not low <= number <= high:
        raise FieldError(f"{column} is {number}: write a number from {low} to {high}")
    return number


def int32(column: str, text: str | None) -> int:
    """Read a signed 32-bit number, 0 where there is none."""
    return integer(column, text, 0, -_INT32, _INT32 - 1)


def boolean(column: str, text: str | None) -> bool:
    """Read a boolean in any way PostgreSQL writes one; NULL is false."""
    if text is None:
        return False
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if not word or word in _FALSE:
        return False
    raise FieldError(f"{column} is {_shown(word)}: write true or false")


def json_object(column: str, text: str | None) -> dict[str, object]:
    """Read a JSON object; NULL, blank and JSON's null are an empty one."""
    if text is None or not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" (character {error.pos + 1}: {error.msg})" if isinstance(error, json.JSONDecodeError) else ""
        raise FieldError(
            f'{column} is not JSON{where}: write an object such as {{"transport": "udp"}} or {{}}'
        ) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FieldError(f"{column} is JSON, but no object: write it in braces, {{}} where there is nothing to say")
    return cast("dict[str, object]", value)


def word(column: str, fields: dict[str, object], key: str, default: str) -> str:
    """Return a text member of a JSON object."""
    value = fields.get(key, default)
    if value is None:
        return default
    if not isinstance(value, str):
        raise FieldError(f"{column}.{key} is no text: write it in quotes")
    return value.strip() or default


def sip_user(text: str | None) -> str:
    """Check the user part of a SIP URI (RFC 3261 section 19.1.1)."""
    if not text:
        raise FieldError("sip_user is empty: write the user part of the SIP address")
    if not _PLAIN_USER.fullmatch(text) and (rest := _USER_CHARACTER.sub("", text)):
        character = rest[0]
        escaped = "".join(f"%{byte:02X}" for byte in character.encode())
        raise FieldError(
            f"sip_user holds {_shown(character)}, which a SIP address cannot: remove it or write {escaped}"
        )
    return text


def sip_host(text: str | None) -> str:
    """Check the host part of a SIP URI: a name, an IPv4 address or an IPv6 address in brackets."""
    if not text:
        raise FieldError("sip_host is empty: write the name or address of the SIP server")
    if _HOST_NAME.fullmatch(text) or _IPV6_REFERENCE.fullmatch(text):
        return text
    if text.count(":") == 1:
        raise FieldError(f"sip_host is {_shown(text)}: write the port into sip_port")
    if ":" in text and re.fullmatch(r"[0-9A-Fa-f:.]+", text):
        raise FieldError(f"sip_host is {_shown(text)}: write an IPv6 address in brackets, [{text}]")
    raise FieldError(f"sip_host is {_shown(text)}: write a host name, an IPv4 address or an IPv6 address in brackets")


def http_token(column: str, text: str) -> str:
    """Check an HTTP method (RFC 9110 section 9.1)."""
    if not _TOKEN.fullmatch(text):
        raise FieldError(f"{column} is {_shown(text)}: write an HTTP method such as GET")
    return text.upper()


def host_port(column: str, text: str) -> str:
    """Check the value of a Host header (RFC 9110 section 7.2)."""
    if not _HOST_PORT.fullmatch(text):
        raise FieldError(f"{column} is {_shown(text)}: write host or host:port")
    return text


def http_path(column: str, text: str) -> str:
    """Check the path of a websocket handshake (RFC 6455 section 4.1)."""
    if not _PATH.fullmatch(text):
        raise FieldError(f"{column} is {_shown(text)}: write a path that starts with / and has no blanks")
    return text


def _shown(text: str) -> str:
    return repr(text if len(text) <= 64 else text[:61] + "...")
