"""The hash algorithms and the one computation (RFC 7616 section 3.4)."""

from __future__ import annotations

import hashlib
from enum import Enum


class Algorithm(Enum):
    """Hash algorithms by their names on the wire, the strongest first."""

    SHA_512_256 = "SHA-512-256"
    SHA_256 = "SHA-256"
    MD5 = "MD5"

    @property
    def strength(self) -> int:
        """Higher is better."""
        return -list(Algorithm).index(self)

    def hash(self, text: str) -> str:
        """Return the hexadecimal digest of ``text`` in UTF-8."""
        data = text.encode("utf-8", "surrogateescape")
        if self is Algorithm.MD5:
            # What most PBXs still ask for (RFC 8760 section 2); the name tells FIPS builds that it is no signature.
            return hashlib.md5(data, usedforsecurity=False).hexdigest()
        return hashlib.new(_HASHLIB_NAMES[self], data).hexdigest()

    @classmethod
    def of(cls, name: str | None) -> Algorithm | None:
        """Return the algorithm of this name, MD5 for none at all (RFC 7616 section 3.3), None for an unknown one."""
        if name is None:
            return cls.MD5
        return _BY_NAME.get(name.upper())


_HASHLIB_NAMES = {Algorithm.SHA_256: "sha256", Algorithm.SHA_512_256: "sha512_256"}
_BY_NAME = {algorithm.value: algorithm for algorithm in Algorithm}


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
) -> str:
    """Return ``response`` (RFC 7616 section 3.4.1): with qop ``auth`` where a cnonce is given, else as RFC 2069 did."""
    secret = algorithm.hash(f"{username}:{realm}:{password}")
    action = algorithm.hash(f"{method}:{uri}")
    middle = nonce if cnonce is None else f"{nonce}:{nc}:{cnonce}:auth"
    return algorithm.hash(f"{secret}:{middle}:{action}")
