"""SIP, SIPS and tel URIs (RFC 3261 section 19.1, RFC 3966)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import NO_PARAMS, Params, format_params, parse_host_port, parse_params, parse_port
from dialog_sip.limits import MAX_PARAMS, MAX_URI

DEFAULT_PORTS = {"sip": 5060, "sips": 5061}
"""Port where neither URI nor DNS names one (RFC 3261 section 19.1.2)."""

_USER_UNRESERVED = "-_.!~*'()&=+$,;?/"
_NOT_IN_URI = re.compile(r"[\x00-\x20<>\"\x7f\ud800-\udfff]")
# RFC 3261 section 19.1.4: one of these in one URI only makes the two differ.
_SIGNIFICANT_PARAMS = ("user", "ttl", "method", "maddr", "transport")
# What nearly every URI looks like: no password, no headers, no IPv6. The rest is read step by step.
_COMMON = re.compile(
    r"(sips?):(?:([A-Za-z0-9\-_.!~*'()&=+$,;?/%]++)@)?([A-Za-z0-9\-._]++)(?::([0-9]{1,5}+))?(?:;([!#-;=A-~]*+))?"
)
_PARAM_NAME = re.compile(r"[A-Za-z0-9\-_.!~*'()\[\]/:&+$]+")
# Past the __new__ that NamedTuple makes, which takes longer than the rest of a common value.
_new = tuple.__new__
_VISUAL_SEPARATORS = str.maketrans("", "", "-.()")


class SipUri(NamedTuple):
    """One URI, its parts as they stand on the wire (escapes kept). Equality is that of RFC 3261 section 19.1.4."""

    scheme: str
    """``sip``, ``sips`` or ``tel``, lower case."""
    user: str | None
    """User part, or the number of a ``tel`` URI."""
    host: str
    """Host name or address; IPv6 in brackets. Empty in a ``tel`` URI."""
    port: int | None = None
    params: Params = NO_PARAMS
    headers: str = ""
    """What stands behind ``?``, as it is."""
    password: str | None = None
    """Deprecated by RFC 3261 section 19.1.1 and never shown by ``repr``."""

    @classmethod
    def make(
        cls, user: str | None, host: str, port: int | None = None, *, scheme: str = "sip", **params: str
    ) -> SipUri:
        """Build a URI of unescaped parts: ``SipUri.make("a b", "::1", 5060, transport="tcp")``."""
        bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return cls(scheme, escape_user(user) if user else None, bracketed, port, params)

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Read a URI. Raises :class:`RemoteProtocolError`, with status 416 for a scheme that is not SIP's.

        A URI longer than ``MAX_URI`` is none, with status 414.
        """
        return parse_uri(text)

    @property
    def username(self) -> str:
        """User part with its escapes resolved; empty where there is none."""
        return unquote(self.user) if self.user else ""

    @property
    def address(self) -> str:
        """Host without the brackets of an IPv6 reference, as the socket API takes it.

        A third colon, which the grammar of RFC 3261 lets stand before an IPv4 part, is left out (RFC 5118, 4.10).
        """
        return self.host.strip("[]").replace(":::", "::")

    @property
    def effective_port(self) -> int:
        """The port, or the scheme's default."""
        return self.port or DEFAULT_PORTS.get(self.scheme, 5060)

    @property
    def transport(self) -> str | None:
        """The ``transport`` parameter in lower case."""
        value = self.params.get("transport")
        return value.lower() if value else None

    @property
    def aor(self) -> str:
        """``user@host`` in comparable form: unescaped user, lower-case host, no port and no parameters."""
        return f"{self.username}@{self.host.lower()}" if self.user else self.host.lower()

    def param(self, name: str) -> str | None:
        """Return what a parameter says with its escapes resolved; empty for a flag, None where it is missing."""
        return unquote(self.params[name] or "") if name in self.params else None

    def with_params(self, **params: str | None) -> SipUri:
        """Return a copy with these parameters set besides its own."""
        return self._replace(params={**self.params, **params})

    def __str__(self) -> str:
        return self._text(self.password)

    def __repr__(self) -> str:
        return f"<SipUri {self._text('***' if self.password else self.password)}>"

    def _text(self, password: str | None) -> str:
        if self.scheme == "tel":
            return f"tel:{self.user}{format_params(self.params)}"
        secret = "" if password is None else f":{password}"
        user = "" if self.user is None else f"{self.user}{secret}@"
        port = "" if self.port is None else f":{self.port}"
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{self.host}{port}{format_params(self.params)}{headers}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SipUri):
            return NotImplemented
        return self._identity() == other._identity() and _same_params(self.params, other.params)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        if self.scheme == "tel":
            return "tel", (self.user or "").translate(_VISUAL_SEPARATORS).lower()
        user = None if self.user is None else unquote(self.user)
        password = None if self.password is None else unquote(self.password)
        return self.scheme, user, password, self.host.lower(), self.port, _comparable_headers(self.headers)


def escape_user(text: str) -> str:
    """Escape what may not stand in the user part of a URI (RFC 3261 section 25.1)."""
    return quote(text, safe=_USER_UNRESERVED)


def parse_uri(text: str) -> SipUri:
    """Do as :meth:`SipUri.parse` (RFC 3261 section 19.1, RFC 3966)."""
    return _parse_cached(text) if len(text) <= _CACHED else _parse_unusual(text)


# The same URIs come again and again: of a registration's Contact, of every message in a SIP dialog. Long ones are left
# out, or a peer could fill memory with them.
_CACHED = 256


@lru_cache(maxsize=4096)
def _parse_cached(text: str) -> SipUri:
    common = _COMMON.fullmatch(text)
    if common is None:
        return _parse_unusual(text)
    scheme, user, host, port, params = common.groups()
    number = None if port is None else parse_port(port)
    return _new(SipUri, (scheme, user, host, number, _params(params) if params else NO_PARAMS, "", None))


def _parse_unusual(text: str) -> SipUri:
    if len(text) > MAX_URI:
        raise RemoteProtocolError("a URI is too long", status=414, reason="Request-URI Too Long")
    if _NOT_IN_URI.search(text):
        raise RemoteProtocolError("a URI holds a character that it may not")
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme in DEFAULT_PORTS:
        return _parse_sip(scheme, rest)
    if scheme == "tel":
        number, _, params = rest.partition(";")
        if not number:
            raise RemoteProtocolError("a tel URI has no number")
        return SipUri("tel", number, "", None, _params(params))
    if colon:
        raise RemoteProtocolError("URI scheme is not sip, sips or tel", status=416, reason="Unsupported URI Scheme")
    raise RemoteProtocolError("not a URI")


def _parse_sip(scheme: str, rest: str) -> SipUri:
    # The user part may hold ";", "?" and ":", so "@" is looked for first; a host never holds one.
    userinfo, at, tail = rest.rpartition("@")
    user: str | None = None
    password: str | None = None
    if at:
        user, colon, secret = userinfo.partition(":")
        if not user or "@" in userinfo:
            raise RemoteProtocolError("user part of a URI is empty or holds an @")
        password = secret if colon else None
    tail, _, headers = tail.partition("?")
    if headers.count("&") > MAX_PARAMS:
        raise RemoteProtocolError("a URI has too many headers")
    hostport, _, params = tail.partition(";")
    host, port = parse_host_port(hostport)
    return SipUri(scheme, user, host, port, _params(params), headers, password)


def _params(text: str) -> Params:
    """Read parameters; a name that is written with escapes is the same name (RFC 3261 section 19.1.4)."""
    params = parse_params(text)
    return {_plain_name(name): value for name, value in params.items()} if "%" in text else params


def _plain_name(name: str) -> str:
    plain = unquote(name)
    return plain.lower() if _PARAM_NAME.fullmatch(plain) else name


def _same_params(mine: Params, theirs: Params) -> bool:
    for name in mine.keys() | theirs.keys():
        if name in mine and name in theirs:
            if unquote(mine[name] or "").lower() != unquote(theirs[name] or "").lower():
                return False
        elif name in _SIGNIFICANT_PARAMS:
            return False
    return True


def _comparable_headers(headers: str) -> frozenset[tuple[str, str]]:
    if not headers:
        return frozenset()
    pairs = (part.partition("=") for part in headers.split("&"))
    return frozenset((unquote(name).lower(), unquote(value)) for name, _, value in pairs)
