"""The client's side of digest: answer challenges, and keep a nonce for as long as the server takes it.

Theory of operation: for each realm of servers and of proxies there is one nonce and the number of its uses. A nonce
that worked is used again with a higher ``nc``, so that a refresh is one transaction (RFC 7616 section 3.3). A challenge
brings another nonce; it means a wrong password where it refuses the very first use of one. Servers that say ``stale``
for ever, and requests that were on their way with an older nonce, are told apart by the request that was refused.

Nothing here holds a password: it is an argument of the calls that need it.
"""

from __future__ import annotations

import hmac
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from dialog_sip.digest.algorithm import Algorithm, Qop, digest_response, hashed_username
from dialog_sip.digest.challenge import Challenge, offers_of
from dialog_sip.digest.credentials import Credentials
from dialog_sip.digest.info import AuthenticationInfo, infos_of
from dialog_sip.errors import RemoteProtocolError
from dialog_sip.message import Request, Response

MAX_REALMS = 8
"""Challenges of one response that are answered; a hostile server could send any number."""
MAX_STALE = 3
"""Fresh nonces in a row that a server may call stale on their first use; then it is broken."""

_CREDENTIALS = ("Authorization", "Proxy-Authorization")


class Outcome(Enum):
    """What a 401 or 407 asks for (RFC 3261 sections 22.2 and 22.3)."""

    RETRY = "retry"
    """Send the request again, authorized, with a higher CSeq and a new branch."""
    WRONG_PASSWORD = "wrong-password"  # noqa: S105 - the name of an outcome
    """The very first use of a fresh nonce was refused: trying again cannot help."""
    UNSUPPORTED = "unsupported"
    """No challenge that can be answered."""


class ServerProof(Enum):
    """What ``rspauth`` of a response shows (RFC 7616 section 3.5)."""

    NONE = "none"
    """The server shows nothing, as most do."""
    RIGHT = "right"
    """It knows the password."""
    WRONG = "wrong"
    """It does not, or the response was changed on its way."""


@dataclass(slots=True, eq=False)
class _Nonce:
    terms: Challenge
    """What it came with, its own place empty: one object serves many users."""
    value: str
    stale_in_a_row: int = 0
    uses: int = 0
    session_cnonce: str = ""
    """The cnonce of all uses of a ``-sess`` algorithm: its secret holds the first one (RFC 7616 section 3.4.2)."""

    def renew(self, value: str) -> None:
        self.value = value
        self.uses = self.stale_in_a_row = 0


def _random() -> str:
    return secrets.token_hex(8)


class DigestClient:
    """Digest state of one user at one server (RFC 3261 section 22.4).

    ``new_cnonce`` makes client nonces; tests give their own.
    """

    __slots__ = ("_new_cnonce", "_nonces", "username")

    def __init__(self, username: str, *, new_cnonce: Callable[[], str] = _random) -> None:
        self.username = username
        """User name of the credentials."""
        self._new_cnonce = new_cnonce
        # A tuple of one, nearly always: a dictionary takes five times the memory, in each of 100,000 registrations.
        self._nonces: tuple[_Nonce, ...] = ()

    def learn(self, response: Response, request: Request | None = None) -> Outcome:
        """Take the challenges of a 401 or 407 to the last authorized request.

        ``request`` is the one that was refused, with its credentials. Give it where several may be on their way at a
        time: one that was refused for an older nonce than the present one says nothing of the password.
        """
        offers = offers_of(response)[:MAX_REALMS]
        if not offers:
            return Outcome.UNSUPPORTED
        if any(self._refused(terms, request) for terms, _ in offers):
            self._nonces = ()
            return Outcome.WRONG_PASSWORD
        for terms, value in offers:
            known = self._known(terms.proxy, terms.realm)
            again = 0 if known is None or not terms.stale else known.stale_in_a_row + (known.uses <= 1)
            others = (one for one in self._nonces if one is not known)
            self._nonces = (*others, _Nonce(terms, value, again))[-MAX_REALMS:]
        return Outcome.RETRY

    def note_success(self, response: Response) -> None:
        """Take the next nonce from a 2xx that names one (RFC 7616 section 3.5)."""
        for nonce in self._nonces:
            nonce.stale_in_a_row = 0
        for proxy, info in infos_of(response):
            for nonce in self._nonces:
                if info.next_nonce and nonce.terms.proxy is proxy and info.next_nonce != nonce.value:
                    nonce.renew(info.next_nonce)

    def proof(self, request: Request, response: Response, password: str) -> ServerProof:
        """Check ``rspauth`` of a response to a request that :meth:`authorize` filled in."""
        verdicts = {
            _check(info, credentials, self._user_of(credentials, password, proxy=proxy), response.body)
            for proxy, info in infos_of(response)
            if info.rspauth is not None
            for credentials in _credentials(request, proxy=proxy)
        }
        if not verdicts:
            return ServerProof.NONE
        return ServerProof.RIGHT if verdicts == {True} else ServerProof.WRONG

    def authorize(self, request: Request, password: str) -> bool:
        """Put credentials for every known challenge into ``request``; False where none is known yet."""
        for name in _CREDENTIALS:
            if name in request.headers:
                request.headers.remove(name)
        for name, value in self.credentials(request.method, request.uri, password, request.body):
            request.headers.add(name, value)
        return bool(self._nonces)

    def credentials(self, method: str, uri: str, password: str, body: bytes = b"") -> list[tuple[str, str]]:
        """Return header and value of the answer to every known challenge; each call is one use of the nonces."""
        return [
            (_CREDENTIALS[nonce.terms.proxy], str(self._answer(nonce, method, uri, password, body)))
            for nonce in self._nonces
        ]

    def _known(self, proxy: bool, realm: str) -> _Nonce | None:
        for one in self._nonces:
            if one.terms.realm == realm and one.terms.proxy is proxy:
                return one
        return None

    def _refused(self, terms: Challenge, request: Request | None) -> bool:
        known = self._known(terms.proxy, terms.realm)
        if known is None or known.uses != 1 or (request is not None and not _used(request, known)):
            return False
        return not terms.stale or known.stale_in_a_row >= MAX_STALE

    def _answer(self, nonce: _Nonce, method: str, uri: str, password: str, body: bytes) -> Credentials:
        nonce.uses += 1
        terms = nonce.terms
        algorithm, qop = terms.algorithm, terms.qop
        cnonce = None
        if qop is not None or algorithm.is_session:
            cnonce = nonce.session_cnonce or self._new_cnonce()
            nonce.session_cnonce = cnonce if algorithm.is_session else ""
        nc = None if qop is None else f"{nonce.uses:08x}"
        username, password = self._normalized(password, utf8=terms.utf8)
        response = digest_response(
            algorithm,
            username=username,
            realm=terms.realm,
            password=password,
            method=method,
            uri=uri,
            nonce=nonce.value,
            cnonce=cnonce,
            nc=nc,
            qop=qop or Qop.AUTH,
            body=body,
        )
        return Credentials(
            hashed_username(algorithm, username, terms.realm) if terms.userhash else username,
            terms.realm,
            nonce.value,
            uri,
            response,
            algorithm if terms.names_algorithm else None,
            terms.opaque,
            cnonce,
            nc,
            qop or Qop.AUTH,
            terms.userhash,
        )

    def _normalized(self, password: str, *, utf8: bool) -> tuple[str, str]:
        if not utf8 or (self.username.isascii() and password.isascii()):
            return self.username, password
        return unicodedata.normalize("NFC", self.username), unicodedata.normalize("NFC", password)

    def _user_of(self, credentials: Credentials, password: str, *, proxy: bool) -> tuple[str, str]:
        known = self._known(proxy, credentials.realm)
        return self._normalized(password, utf8=known is not None and known.terms.utf8)


def _used(request: Request, nonce: _Nonce) -> bool:
    found = _credentials(request, proxy=nonce.terms.proxy)
    return any((one.realm, one.nonce) == (nonce.terms.realm, nonce.value) for one in found)


def _credentials(request: Request, *, proxy: bool) -> list[Credentials]:
    values = request.headers.get_all("Proxy-Authorization" if proxy else "Authorization")
    found = []
    for value in values:
        try:
            found.append(Credentials.parse(value))
        except RemoteProtocolError:
            continue
    return found


def _check(info: AuthenticationInfo, used: Credentials, user: tuple[str, str], body: bytes) -> bool:
    username, password = user
    expected = digest_response(
        used.algorithm or Algorithm.MD5,
        username=username,
        realm=used.realm,
        password=password,
        method="",
        uri=used.uri,
        nonce=used.nonce,
        cnonce=used.cnonce,
        nc=used.nc,
        qop=info.qop or used.qop,
        body=body,
    )
    same_use = info.cnonce in {None, used.cnonce} and (info.nc is None or info.nc.lower() == used.nc)
    given = (info.rspauth or "").lower().encode("utf-8", "surrogateescape")
    return hmac.compare_digest(expected.encode(), given) and same_use
