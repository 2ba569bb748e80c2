"""Whom a call is for: from what the dialog server says to a request URI."""

from __future__ import annotations

import re

from dialog_schemas.mappings import MappingUpserted
from dialog_sip import RemoteProtocolError, SipUri

DEFAULT_PORT = 5060

_SEPARATORS = re.compile(r"[\s().\-/]+")
_NUMBER = re.compile(r"^\+?[0-9*#]+$")


class UnusableTargetError(ValueError):
    """Nobody can be called by these words."""


def request_uri(to: str, mapping: MappingUpserted) -> SipUri:
    """Return the request URI for ``to``: a number, ``user``, ``user@host``, a SIP or tel URI.

    What names no host is somebody at the mapping's PBX. A host that is named stays: it is the PBX's to route (the next
    hop is the mapping's flow in any case), and rewriting it would ring somebody else. Raises
    :class:`UnusableTargetError`.
    """
    text = to.strip()
    try:
        if re.match(r"^(sips?|tel):", text, re.IGNORECASE):
            return _of_uri(SipUri.parse(text), mapping)
        if "@" in text:
            return _of_uri(SipUri.parse(f"sip:{text}"), mapping)
    except RemoteProtocolError as error:
        raise UnusableTargetError(str(error)) from error
    return at_pbx(_dialled(text), mapping)


def at_pbx(user: str, mapping: MappingUpserted) -> SipUri:
    """Return the URI of ``user`` at the mapping's PBX."""
    if not user:
        raise UnusableTargetError("nobody is named")
    return SipUri.make(user, mapping.sip_host, _port(mapping))


def own_uri(mapping: MappingUpserted) -> SipUri:
    """Return the mapping's address of record as a URI (RFC 3261 section 10)."""
    return SipUri.make(mapping.sip_user, mapping.sip_host)


def number_of(uri: str) -> str:
    """Return the number, or the user, that a URI of the PBX names; empty where it cannot be read."""
    try:
        parsed = SipUri.parse(uri)
    except RemoteProtocolError:
        return ""
    return parsed.username.partition(";")[0]


def _of_uri(uri: SipUri, mapping: MappingUpserted) -> SipUri:
    if uri.scheme == "tel":
        return at_pbx(_dialled(uri.user or ""), mapping)
    if not uri.user:
        raise UnusableTargetError("the URI names a host and nobody there")
    # RFC 3261 section 19.1.1: a Request-URI holds no headers; a password has no place on the wire.
    uri = uri._replace(headers="", password=None)
    if uri.address.lower() == mapping.sip_host.strip("[]").lower() and uri.port is None:
        return uri._replace(port=_port(mapping))
    return uri


def _dialled(text: str) -> str:
    """Return a number without the separators that people write (RFC 3966 section 5.1.1); a name as it is."""
    bare = _SEPARATORS.sub("", text)
    return bare if _NUMBER.match(bare) else text


def _port(mapping: MappingUpserted) -> int | None:
    return None if mapping.sip_port == DEFAULT_PORT else mapping.sip_port
