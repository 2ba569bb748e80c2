"""Challenges: WWW-Authenticate and Proxy-Authenticate (RFC 3261 sections 20.27 and 20.44)."""

from __future__ import annotations

from typing import NamedTuple

from dialog_sip.digest.algorithm import Algorithm
from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import quote, split_outside, unquote
from dialog_sip.message import Response

_SCHEME = "digest "
_HEADERS = (("WWW-Authenticate", False), ("Proxy-Authenticate", True))


class Challenge(NamedTuple):
    """One digest challenge that can be answered."""

    realm: str
    nonce: str
    algorithm: Algorithm = Algorithm.MD5
    qop_auth: bool = True
    """The server offers qop ``auth``; without, it speaks RFC 2069."""
    opaque: str | None = None
    stale: bool = False
    """The credentials were right, their nonce was too old (RFC 7616 section 3.3)."""
    proxy: bool = False
    """From Proxy-Authenticate: answered in Proxy-Authorization."""
    names_algorithm: bool = True
    """False where the challenge left the algorithm out; then the answer does too."""

    def __str__(self) -> str:
        parts = [f"Digest realm={quote(self.realm)}", f"nonce={quote(self.nonce)}"]
        if self.opaque is not None:
            parts.append(f"opaque={quote(self.opaque)}")
        if self.stale:
            parts.append("stale=true")
        if self.names_algorithm:
            parts.append(f"algorithm={self.algorithm.value}")
        if self.qop_auth:
            parts.append('qop="auth"')
        return ", ".join(parts)


def challenges_of(response: Response) -> list[Challenge]:
    """Return the strongest challenge of each realm that can be answered; others are left out (RFC 8760 section 2.4)."""
    best: dict[tuple[bool, str], Challenge] = {}
    for name, proxy in _HEADERS:
        for value in response.headers.get_all(name):
            for challenge in _parse(value, proxy=proxy):
                rival = best.get((proxy, challenge.realm))
                if rival is None or challenge.algorithm.strength > rival.algorithm.strength:
                    best[proxy, challenge.realm] = challenge
    return list(best.values())


def auth_params(parts: list[str]) -> dict[str, str]:
    """Read ``name=value`` pairs, quotes removed, names in lower case. Of a repeated name the first counts."""
    params: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if equals:
            params.setdefault(name.strip().lower(), unquote(value.strip()))
    return params


def _parse(value: str, *, proxy: bool) -> list[Challenge]:
    try:
        parts = split_outside(value, ",")
    except RemoteProtocolError:
        return []
    groups: list[list[str]] = []
    for part in parts:
        # Strictly a line holds one challenge; several in a row are told apart by their scheme.
        if part[: len(_SCHEME)].lower() == _SCHEME:
            groups.append([part[len(_SCHEME) :]])
        elif " " in part.partition("=")[0].strip():
            groups.append([])
        elif groups:
            groups[-1].append(part)
    return [found for group in groups if (found := _challenge(auth_params(group), proxy=proxy)) is not None]


def _challenge(params: dict[str, str], *, proxy: bool) -> Challenge | None:
    algorithm = Algorithm.of(params.get("algorithm"))
    qops = {qop.strip().lower() for qop in params["qop"].split(",")} if "qop" in params else set()
    if algorithm is None or "realm" not in params or "nonce" not in params or (qops and "auth" not in qops):
        return None
    return Challenge(
        realm=params["realm"],
        nonce=params["nonce"],
        algorithm=algorithm,
        qop_auth=bool(qops),
        opaque=params.get("opaque"),
        stale=params.get("stale", "").lower() == "true",
        proxy=proxy,
        names_algorithm="algorithm" in params,
    )
