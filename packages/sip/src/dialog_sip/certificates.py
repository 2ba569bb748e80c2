"""For which SIP domain a certificate stands (RFC 5922), and for which websocket host (RFC 6125).

The certificate is what :meth:`ssl.SSLSocket.getpeercert` gives, its chain already verified: this module only compares
names. SIP is stricter than the web: a name has to match as a whole, and ``*.example.com`` stands for nothing
(RFC 5922 section 7.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.locating import numeric_host
from dialog_sip.uri import SipUri

Certificate = Mapping[str, Any]
"""As ``getpeercert()`` gives it: ``subject`` and ``subjectAltName``."""


def sip_domains(certificate: Certificate) -> tuple[str, ...]:
    """Return the SIP domains of a certificate, lower case (RFC 5922 section 7.1).

    SIP URIs without a user part; only where there is none of these, DNS names; only where there is no subjectAltName
    at all, the common name.
    """
    names = _alternative_names(certificate)
    uris = [host for kind, value in names if kind == "URI" and (host := _uri_host(value))]
    if uris:
        return tuple(uris)
    return _dns_names(names) if names else tuple(_common_names(certificate))


def web_hosts(certificate: Certificate) -> tuple[str, ...]:
    """Return the DNS names of a certificate, lower case and with wildcards (RFC 6125 section 6.4)."""
    return _dns_names(_alternative_names(certificate))


def stands_for_domain(certificate: Certificate, domain: str) -> bool:
    """Tell whether a certificate stands for a SIP domain, or for an address given as one (RFC 5922 section 7.2)."""
    if (address := numeric_host(domain)) is not None:
        return address in _addresses(certificate)
    return _normal(domain) in sip_domains(certificate)


def stands_for_web_host(certificate: Certificate, host: str) -> bool:
    """Tell whether a certificate stands for a websocket host; ``*`` is one leftmost label (RFC 6125 section 6.4.3)."""
    if (address := numeric_host(host)) is not None:
        return address in _addresses(certificate)
    name = _normal(host)
    return any(_matches_wildcard(pattern, name) for pattern in web_hosts(certificate))


def names_in(certificate: Certificate) -> str:
    """Return all that a certificate stands for (RFC 5280 section 4.2.1.6), for people."""
    names = [f"{kind.removesuffix(' Address')}:{value}" for kind, value in _alternative_names(certificate)]
    names = names or [f"CN:{name}" for name in _common_names(certificate)]
    return ", ".join(names[:8]) or "nothing"


def _alternative_names(certificate: Certificate) -> tuple[tuple[str, str], ...]:
    names: tuple[tuple[str, str], ...] = certificate.get("subjectAltName", ())
    return names


def _dns_names(names: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(_normal(value) for kind, value in names if kind == "DNS")


def _addresses(certificate: Certificate) -> set[str | None]:
    return {numeric_host(value.strip()) for kind, value in _alternative_names(certificate) if kind == "IP Address"}


def _common_names(certificate: Certificate) -> list[str]:
    parts = (pair for part in certificate.get("subject", ()) for pair in part)
    return [_normal(value) for key, value in parts if key == "commonName"]


def _uri_host(text: str) -> str | None:
    """Return the host of a SIP URI that names a domain; a ``sips`` URI or a user's is no domain's."""
    try:
        uri = SipUri.parse(text)
    except RemoteProtocolError:
        return None
    return _normal(uri.host) if uri.scheme == "sip" and uri.user is None else None


def _normal(name: str) -> str:
    return name.lower().removesuffix(".")


def _matches_wildcard(pattern: str, name: str) -> bool:
    if not pattern.startswith("*."):
        return pattern == name
    _, dot, parent = name.partition(".")
    return bool(dot) and "." in parent and pattern[2:] == parent
