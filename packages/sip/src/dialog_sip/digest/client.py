"""The client's side of digest: answer challenges, and keep a nonce for as long as the server takes it.

A nonce that worked is used again with a higher ``nc``, so that a refresh is one transaction (RFC 7616 section 3.3).
Nothing here holds a password: it is an argument of the one call that needs it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import Enum

from dialog_sip.digest.algorithm import digest_response
from dialog_sip.digest.challenge import Challenge, auth_params, challenges_of
from dialog_sip.digest.credentials import Credentials
from dialog_sip.grammar import split_outside
from dialog_sip.message import Request, Response

MAX_REALMS = 8
"""Challenges of one response that are answered; a hostile server could send any number."""


class Outcome(Enum):
    """What a 401 or 407 asks for."""

    RETRY = "retry"
    """Send the request again, authorized, with a higher CSeq and a new branch."""
    WRONG_PASSWORD = "wrong-password"  # noqa: S105 - the name of an outcome
    """The very first use of a fresh nonce was refused: trying again cannot help."""
    UNSUPPORTED = "unsupported"
    """No challenge that can be answered."""


@dataclass(slots=True)
class _Nonce:
    challenge: Challenge
    uses: int = 0


class DigestClient:
    """Digest state of one user at one server."""

    __slots__ = ("_nonces", "username")

    def __init__(self, username: str) -> None:
        self.username = username
        """User name of the credentials."""
        self._nonces: dict[tuple[bool, str], _Nonce] = {}

    def learn(self, response: Response) -> Outcome:
        """Take the challenges of a 401 or 407 to the last authorized request."""
        challenges = challenges_of(response)[:MAX_REALMS]
        if not challenges:
            return Outcome.UNSUPPORTED
        if any(self._refused(challenge) for challenge in challenges):
            self._nonces.clear()
            return Outcome.WRONG_PASSWORD
        for challenge in challenges:
            self._nonces.pop((challenge.proxy, challenge.realm), None)
            self._nonces[challenge.proxy, challenge.realm] = _Nonce(challenge)
        while len(self._nonces) > MAX_REALMS:
            del self._nonces[next(iter(self._nonces))]
        return Outcome.RETRY

    def note_success(self, response: Response) -> None:
        """Take the next nonce from a 2xx that names one (RFC 7616 section 3.5)."""
        value = response.headers.get("Authentication-Info")
        if value is None or '"' not in value:
            return
        following = auth_params(split_outside(value, ",")).get("nextnonce")
        for nonce in self._nonces.values():
            if following and not nonce.challenge.proxy:
                nonce.challenge = nonce.challenge._replace(nonce=following)
                nonce.uses = 0

    def authorize(self, request: Request, password: str) -> bool:
        """Put credentials for every known challenge into ``request``; False where none is known yet."""
        request.headers.remove("Authorization")
        request.headers.remove("Proxy-Authorization")
        for nonce in self._nonces.values():
            nonce.uses += 1
            name = "Proxy-Authorization" if nonce.challenge.proxy else "Authorization"
            request.headers.add(name, str(self._answer(nonce, request, password)))
        return bool(self._nonces)

    def _refused(self, challenge: Challenge) -> bool:
        known = self._nonces.get((challenge.proxy, challenge.realm))
        return known is not None and known.uses == 1 and not challenge.stale

    def _answer(self, nonce: _Nonce, request: Request, password: str) -> Credentials:
        challenge = nonce.challenge
        cnonce = secrets.token_hex(8) if challenge.qop_auth else None
        nc = f"{nonce.uses:08x}" if challenge.qop_auth else None
        response = digest_response(
            challenge.algorithm,
            username=self.username,
            realm=challenge.realm,
            password=password,
            method=request.method,
            uri=request.uri,
            nonce=challenge.nonce,
            cnonce=cnonce,
            nc=nc,
        )
        algorithm = challenge.algorithm if challenge.names_algorithm else None
        return Credentials(
            self.username,
            challenge.realm,
            challenge.nonce,
            request.uri,
            response,
            algorithm,
            challenge.opaque,
            cnonce,
            nc,
        )
