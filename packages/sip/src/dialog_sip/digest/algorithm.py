"""The hash algorithms, the qualities of protection and the one computation (RFC 7616 section 3.4, RFC 8760)."""

from __future__ import annotations

import hashlib
from enum import Enum, StrEnum
from functools import lru_cache


class Algorithm(Enum):
    """Algorithms by their names on the wire (RFC 7616 section 3.3), the strongest first.

    With ``-sess`` the secret is one of a session.
    """

    SHA_512_256 = "SHA-512-256"
    SHA_512_256_SESS = "SHA-512-256-sess"
    SHA_256 = "SHA-256"
    SHA_256_SESS = "SHA-256-sess"
    MD5 = "MD5"
    MD5_SESS = "MD5-sess"

    def __init__(self, wire: str) -> None:
        # Kept, not computed: a digest of a REGISTER asks for them five times.
        self.wire = wire
        """Name on the wire."""
        self._hash_name = wire.removesuffix("-sess")
        self.is_session = self._hash_name != wire
        """Whether nonce and cnonce go into the secret (RFC 7616 section 3.4.2)."""

    @property
    def strength(self) -> int:
        """Higher is better; ``-sess`` is as strong as its hash."""
        return _STRENGTHS[self._hash_name]

    def hash(self, data: str | bytes) -> str:
        """Return the hexadecimal digest of text in UTF-8, or of bytes."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        if self._hash_name == "MD5":
            # What most PBXs still ask for (RFC 8760 section 2); the name tells FIPS builds that it is no signature.
            return hashlib.md5(raw, usedforsecurity=False).hexdigest()
        return hashlib.new(_HASHLIB_NAMES[self._hash_name], raw).hexdigest()

    @classmethod
    def of(cls, name: str | None) -> Algorithm | None:
        """Return the algorithm of this name, MD5 for none at all (RFC 7616 section 3.3), None for an unknown one."""
        if name is None:
            return cls.MD5
        return _BY_NAME.get(name) or _BY_NAME.get(name.upper())


_HASHLIB_NAMES = {"SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_STRENGTHS = {"MD5": 0, "SHA-256": 1, "SHA-512-256": 2}
_BY_NAME = {algorithm.value.upper(): algorithm for algorithm in Algorithm}


class Qop(StrEnum):
    """What the digest protects (RFC 7616 section 3.3)."""

    AUTH = "auth"
    """Method and URI."""
    AUTH_INT = "auth-int"
    """The body as well. Whatever rewrites SDP on the way makes it fail."""

    @classmethod
    def of(cls, name: str) -> Qop | None:
        """Return the quality of this name, None for an unknown one."""
        return _QOPS.get(name) or _QOPS.get(name.strip().lower())


_QOPS = {qop.value: qop for qop in Qop}


def digest_response(
    algorithm: Algorithm,
    *,
    username: str,
    realm: str,
    password: str,
    method: str,
    uri: str,
    nonce: str,
    cnonce: str | None = None,
    nc: str | None = None,
    qop: Qop = Qop.AUTH,
    body: bytes = b"",
) -> str:
    """Return ``response`` (RFC 7616 section 3.4.1): with ``qop`` where an nc is given, else as RFC 2069 did.

    ``body`` counts for ``auth-int`` alone. With an empty ``method`` the result is ``rspauth``, by which the server
    shows that it knows the password too (section 3.5).
    """
    secret = algorithm.hash(f"{username}:{realm}:{password}")
    if algorithm.is_session:
        secret = algorithm.hash(f"{secret}:{nonce}:{cnonce or ''}")
    action = f"{method}:{uri}"
    if nc is not None and qop is Qop.AUTH_INT:
        action += f":{algorithm.hash(body)}"
    middle = nonce if nc is None else f"{nonce}:{nc}:{cnonce}:{qop}"
    return algorithm.hash(f"{secret}:{middle}:{_hash_of_action(algorithm, action)}")


@lru_cache(maxsize=128)
def _hash_of_action(algorithm: Algorithm, action: str) -> str:
    """Return a hash that is the same for all users that register at one server."""
    return algorithm.hash(action)


def hashed_username(algorithm: Algorithm, username: str, realm: str) -> str:
    """Return what stands for the user name where the challenge says ``userhash`` (RFC 7616 section 3.4.4)."""
    return algorithm.hash(f"{username}:{realm}")
