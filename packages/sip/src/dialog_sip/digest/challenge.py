"""Challenges: WWW-Authenticate and Proxy-Authenticate (RFC 3261 sections 20.27 and 20.44, RFC 7616 section 3.3)."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import NamedTuple

from dialog_sip.digest.algorithm import Algorithm, Qop
from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import quote, split_outside, unquote
from dialog_sip.message import Response

_SCHEME = "digest "
_HEADERS = (("WWW-Authenticate", False), ("Proxy-Authenticate", True))

# A parameter in its common dress, nothing escaped or blank where it need not be; else the whole rest, in one piece, so
# that nothing is tried twice.
_PARAM = re.compile(r'([a-z]++)=(?:"([^"\\]*+)"|([^\s",=]++))(?:, ?|$)|.++', re.DOTALL)
_NONCE = 'nonce="'
_ANY_NONCE = "\0"
"""Stands for the nonce where what is round it is read."""
_USUAL = 512
"""Characters of a challenge that is remembered without its nonce."""


class Challenge(NamedTuple):
    """One digest challenge that can be answered (RFC 7616 section 3.3)."""

    realm: str
    nonce: str
    algorithm: Algorithm = Algorithm.MD5
    qops: tuple[Qop, ...] = (Qop.AUTH,)
    """What the server takes; empty: it speaks RFC 2069."""
    opaque: str | None = None
    stale: bool = False
    """The credentials were right, their nonce was too old (RFC 7616 section 3.3)."""
    proxy: bool = False
    """From Proxy-Authenticate: answered in Proxy-Authorization."""
    names_algorithm: bool = True
    """False where the challenge left the algorithm out; then the answer does too."""
    userhash: bool = False
    """The server finds users by a hash of their names (RFC 7616 section 3.4.4)."""
    utf8: bool = False
    """``charset=UTF-8``: names and passwords are hashed as normalized UTF-8 (RFC 7616 section 4)."""

    @property
    def qop(self) -> Qop | None:
        """The quality to answer with: ``auth`` where it is taken, for bodies are rewritten on their way."""
        return Qop.AUTH if Qop.AUTH in self.qops else next(iter(self.qops), None)

    def __str__(self) -> str:
        parts = [f"Digest realm={quote(self.realm)}", f"nonce={quote(self.nonce)}"]
        if self.opaque is not None:
            parts.append(f"opaque={quote(self.opaque)}")
        if self.stale:
            parts.append("stale=true")
        if self.names_algorithm:
            parts.append(f"algorithm={self.algorithm.wire}")
        if self.qops:
            parts.append(f'qop="{", ".join(self.qops)}"')
        if self.utf8:
            parts.append("charset=UTF-8")
        if self.userhash:
            parts.append("userhash=true")
        return ", ".join(parts)


def challenges_of(response: Response) -> list[Challenge]:
    """Return the strongest challenge of each realm that can be answered; of equals the first (RFC 8760 section 2.4)."""
    return [terms._replace(nonce=nonce) for terms, nonce in offers_of(response)]


Offer = tuple[Challenge, str]
"""A challenge without its nonce, mostly the same object for all users of a server; and the nonce."""


def offers_of(response: Response) -> list[Offer]:
    """Do as :func:`challenges_of`, for who keeps a challenge for each of many users (RFC 8760 section 2.4)."""
    best: dict[tuple[bool, str], Offer] = {}
    for name, proxy in _HEADERS:
        for value in response.headers.get_all(name):
            for offer in _parse(value, proxy=proxy):
                terms = offer[0]
                rival = best.get((proxy, terms.realm))
                if rival is None or terms.algorithm.strength > rival[0].algorithm.strength:
                    best[proxy, terms.realm] = offer
    return list(best.values())


def auth_params(parts: list[str]) -> dict[str, str]:
    """Read ``name=value`` pairs (RFC 7235 section 2.1), quotes removed, names in lower case.

    Of a repeated name the first counts.
    """
    params: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if equals:
            params.setdefault(name.strip().lower(), unquote(value.strip()))
    return params


def plain_params(value: str) -> dict[str, str] | None:
    """Read what follows ``Digest`` (RFC 7616 section 3.3) in its common dress, names in lower case.

    None: it has to be read with more care.
    """
    if not value.startswith("Digest "):
        return None
    pairs = _PARAM.findall(value, len(_SCHEME))
    params = {name: quoted or word for name, quoted, word in pairs}
    # The rest that is not plain has no name.
    return params if len(params) == len(pairs) and "" not in params else None


def _parse(value: str, *, proxy: bool) -> list[Offer]:
    before, found, rest = value.partition(_NONCE)
    nonce, quote_mark, after = rest.partition('"')
    if found and quote_mark and "\\" not in nonce and len(value) <= _USUAL:
        same = _but_for_nonce(before, after, proxy)
        if same is not None:
            return [(same, nonce)]
    return [(challenge._replace(nonce=""), challenge.nonce) for challenge in _parse_any(value, proxy=proxy)]


@lru_cache(maxsize=256)
def _but_for_nonce(before: str, after: str, proxy: bool) -> Challenge | None:
    """Read a challenge in its common dress round its nonce: the rest is the same for all users of a server."""
    params = plain_params(f'{before}{_NONCE}{_ANY_NONCE}"{after}')
    if params is None or params.get("nonce") != _ANY_NONCE or _ANY_NONCE in before + after:
        return None
    return _challenge(params | {"nonce": ""}, proxy=proxy)


def _parse_any(value: str, *, proxy: bool) -> list[Challenge]:
    params = plain_params(value)
    if params is None:
        return _parse_unusual(value, proxy=proxy)
    found = _challenge(params, proxy=proxy)
    return [] if found is None else [found]


def _parse_unusual(value: str, *, proxy: bool) -> list[Challenge]:
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
    named = params["qop"].split(",") if params.get("qop", "").strip() else []
    qops = tuple(qop for name in named if (qop := Qop.of(name)) is not None)
    if algorithm is None or "realm" not in params or "nonce" not in params or (named and not qops):
        return None
    return Challenge(
        realm=sys.intern(params["realm"]),
        nonce=params["nonce"],
        algorithm=algorithm,
        qops=qops,
        opaque=params.get("opaque"),
        stale=_is_true(params, "stale"),
        proxy=proxy,
        names_algorithm="algorithm" in params,
        userhash=_is_true(params, "userhash"),
        utf8=params.get("charset", "").upper() == "UTF-8",
    )


def _is_true(params: dict[str, str], name: str) -> bool:
    return params.get(name, "").lower() == "true"
