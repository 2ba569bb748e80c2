"""The server's side of digest: issue a challenge, verify an answer.

A nonce is the time of its making with a keyed hash over it, so nothing is stored for it. The clock is an argument.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from enum import Enum

from dialog_sip.digest.algorithm import Algorithm, digest_response
from dialog_sip.digest.challenge import Challenge
from dialog_sip.digest.credentials import Credentials
from dialog_sip.errors import RemoteProtocolError
from dialog_sip.message import Request


class Verdict(Enum):
    """What became of a request's credentials."""

    OK = "ok"
    MISSING = "missing"
    """None for this realm: challenge."""
    STALE = "stale"
    """Right, but the nonce is too old: challenge again, with ``stale``."""
    WRONG = "wrong"
    """Unknown user, wrong password, or not our nonce."""


class DigestServer:
    """Challenges of one realm. ``nonce_life`` is in seconds; ``key`` has to be shared by servers that share nonces."""

    def __init__(
        self,
        realm: str,
        algorithms: Sequence[Algorithm] = (Algorithm.SHA_256, Algorithm.MD5),
        *,
        proxy: bool = False,
        nonce_life: float = 300.0,
        key: bytes | None = None,
    ) -> None:
        self.realm = realm
        self._algorithms = tuple(algorithms)
        self._proxy = proxy
        self._nonce_life = nonce_life
        self._key = key or secrets.token_bytes(16)

    def challenge(self, now: float, *, stale: bool = False) -> list[tuple[str, str]]:
        """Return the headers of a 401 or 407: a challenge for each algorithm (RFC 8760 section 2.3)."""
        name = "Proxy-Authenticate" if self._proxy else "WWW-Authenticate"
        nonce = self._nonce(now)
        offers = [Challenge(self.realm, nonce, algorithm, stale=stale) for algorithm in self._algorithms]
        return [(name, str(offer)) for offer in offers]

    def verify(self, request: Request, password_of: Callable[[str], str | None], now: float) -> Verdict:
        """Check the credentials of ``request``. ``password_of`` gives a user's password, None for an unknown user."""
        credentials = self._find(request)
        if credentials is None:
            return Verdict.MISSING
        password = password_of(credentials.username)
        age = self._age(credentials.nonce, now)
        if password is None or age is None or credentials.uri != request.uri:
            return Verdict.WRONG
        algorithm = credentials.algorithm or Algorithm.MD5
        expected = digest_response(
            algorithm,
            username=credentials.username,
            realm=self.realm,
            password=password,
            method=request.method,
            uri=credentials.uri,
            nonce=credentials.nonce,
            cnonce=credentials.cnonce,
            nc=credentials.nc,
        )
        if algorithm not in self._algorithms or not _same(expected, credentials.response.lower()):
            return Verdict.WRONG
        return Verdict.OK if age <= self._nonce_life else Verdict.STALE

    def _find(self, request: Request) -> Credentials | None:
        for value in request.headers.get_all("Proxy-Authorization" if self._proxy else "Authorization"):
            try:
                credentials = Credentials.parse(value)
            except RemoteProtocolError:
                continue
            if credentials.realm == self.realm:
                return credentials
        return None

    def _nonce(self, now: float) -> str:
        stamp = f"{int(now * 1000):x}.{secrets.token_hex(4)}"
        return f"{stamp}.{self._seal(stamp)}"

    def _age(self, nonce: str, now: float) -> float | None:
        stamp, _, seal = nonce.rpartition(".")
        if not _same(self._seal(stamp), seal):
            return None
        return now - int(stamp.partition(".")[0], 16) / 1000

    def _seal(self, stamp: str) -> str:
        return hmac.new(self._key, stamp.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:32]


def _same(mine: str, theirs: str) -> bool:
    # compare_digest takes text only where it is ASCII.
    return hmac.compare_digest(mine.encode(), theirs.encode("utf-8", "surrogateescape"))
