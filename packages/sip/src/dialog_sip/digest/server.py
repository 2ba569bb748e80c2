"""The server's side of digest (RFC 7616, RFC 8760): challenges, their answers, the proof that the password is known.

A nonce is the time of its making with a keyed hash over it, so nothing is stored for it; only where replays are to be
noticed is the highest ``nc`` of each nonce kept, within a bound. The clock is an argument.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from enum import Enum

from dialog_sip.digest.algorithm import Algorithm, Qop, digest_response
from dialog_sip.digest.challenge import Challenge
from dialog_sip.digest.credentials import Credentials
from dialog_sip.digest.info import HEADERS, AuthenticationInfo
from dialog_sip.errors import RemoteProtocolError
from dialog_sip.message import Request


class Verdict(Enum):
    """What became of a request's credentials (RFC 7616 section 3.6)."""

    OK = "ok"
    MISSING = "missing"
    """None for this realm: challenge."""
    STALE = "stale"
    """Right, but the nonce is too old, not ours (as after a restart), or this use of it was seen before: challenge
    again, with ``stale`` (RFC 7616 section 3.3)."""
    WRONG = "wrong"
    """Unknown user, or wrong password."""


class ReplayGuard:
    """The highest ``nc`` of each nonce (RFC 7616 section 5.5); of too many the oldest is forgotten."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._counts: dict[str, int] = {}

    def takes(self, nonce: str, count: int) -> bool:
        """Note a use; False where it is not above the last one."""
        if count <= self._counts.get(nonce, 0):
            return False
        self._counts[nonce] = count
        if len(self._counts) > self._limit:
            del self._counts[next(iter(self._counts))]
        return True


class DigestServer:
    """Challenges of one realm (RFC 7616 section 3.3).

    ``nonce_life`` is in seconds; ``key`` has to be shared by servers that share nonces.
    """

    def __init__(
        self,
        realm: str,
        algorithms: Sequence[Algorithm] = (Algorithm.SHA_256, Algorithm.MD5),
        *,
        proxy: bool = False,
        nonce_life: float = 300.0,
        key: bytes | None = None,
        qops: Sequence[Qop] = (Qop.AUTH,),
        name_of_hash: Callable[[Algorithm, str], str | None] | None = None,
        guard: ReplayGuard | None = None,
    ) -> None:
        """Make one. ``name_of_hash`` finds the user of a hashed name, and turns ``userhash`` on."""
        self.realm = realm
        self._algorithms = tuple(algorithms)
        self._proxy = proxy
        self._nonce_life = nonce_life
        self._key = key or secrets.token_bytes(16)
        self._qops = tuple(qops)
        self._name_of_hash = name_of_hash
        self._guard = guard

    def challenge(self, now: float, *, stale: bool = False) -> list[tuple[str, str]]:
        """Return the headers of a 401 or 407: a challenge for each algorithm (RFC 8760 section 2.3)."""
        name = "Proxy-Authenticate" if self._proxy else "WWW-Authenticate"
        nonce, userhash = self._nonce(now), self._name_of_hash is not None
        offers = [
            Challenge(self.realm, nonce, algorithm, self._qops, stale=stale, userhash=userhash, utf8=userhash)
            for algorithm in self._algorithms
        ]
        return [(name, str(offer)) for offer in offers]

    def verify(self, request: Request, password_of: Callable[[str], str | None], now: float) -> Verdict:
        """Check the credentials of ``request``. ``password_of`` gives a user's password, None for an unknown user."""
        credentials = self._find(request)
        if credentials is None:
            return Verdict.MISSING
        age = self._age(credentials.nonce, now)
        expected = self._expected(credentials, password_of, request.method, request.body)
        if expected is None or credentials.uri != request.uri:
            return Verdict.WRONG
        if not _same(expected, credentials.response.lower()):
            return Verdict.WRONG
        if age is None or age > self._nonce_life or not self._is_new(credentials):
            return Verdict.STALE
        return Verdict.OK

    def info(
        self,
        request: Request,
        password_of: Callable[[str], str | None],
        body: bytes = b"",
        *,
        next_nonce_at: float | None = None,
    ) -> list[tuple[str, str]]:
        """Return the header of a 2xx to a request that :meth:`verify` took (RFC 7616 section 3.5).

        ``body``: that of the response, for ``auth-int``. ``next_nonce_at``: the time now, to change the nonce with it.
        """
        credentials = self._find(request)
        rspauth = None if credentials is None else self._expected(credentials, password_of, "", body)
        if credentials is None or rspauth is None:
            return []
        following = None if next_nonce_at is None else self._nonce(next_nonce_at)
        qop = None if credentials.nc is None else credentials.qop
        value = AuthenticationInfo(following, rspauth, credentials.cnonce, credentials.nc, qop)
        return [(HEADERS[self._proxy], str(value))]

    def _expected(
        self, credentials: Credentials, password_of: Callable[[str], str | None], method: str, body: bytes
    ) -> str | None:
        """Return the digest that is right; None for an unknown user, or what was not offered."""
        algorithm = credentials.algorithm or Algorithm.MD5
        username = self._username(credentials, algorithm)
        password = None if username is None else password_of(username)
        offered = algorithm in self._algorithms and (credentials.nc is None or credentials.qop in self._qops)
        if username is None or password is None or not offered:
            return None
        return digest_response(
            algorithm,
            username=username,
            realm=self.realm,
            password=password,
            method=method,
            uri=credentials.uri,
            nonce=credentials.nonce,
            cnonce=credentials.cnonce,
            nc=credentials.nc,
            qop=credentials.qop,
            body=body,
        )

    def _username(self, credentials: Credentials, algorithm: Algorithm) -> str | None:
        if not credentials.userhash:
            return credentials.username
        return None if self._name_of_hash is None else self._name_of_hash(algorithm, credentials.username)

    def _is_new(self, credentials: Credentials) -> bool:
        if self._guard is None or credentials.nc is None:
            return True
        return self._guard.takes(credentials.nonce, credentials.use)

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
