"""Credentials: Authorization and Proxy-Authorization (RFC 3261 sections 20.7 and 20.28), and how traces hide them."""

from __future__ import annotations

import re
from typing import NamedTuple

from dialog_sip.digest.algorithm import Algorithm
from dialog_sip.digest.challenge import auth_params
from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import quote, split_outside

_SCHEME = "digest "
_MASKED = re.compile(
    rb"^((?:proxy-)?authorization[ \t]*:[ \t]*)[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", re.IGNORECASE | re.MULTILINE
)
_URI_PASSWORD = re.compile(rb"(sips?:[^\s:@<>;]{1,256}):[^\s@<>;]{1,256}@", re.IGNORECASE)


class Credentials(NamedTuple):
    """The answer to one challenge. Its ``repr`` shows no digest: with the realm one can guess passwords against it."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: Algorithm | None = None
    opaque: str | None = None
    cnonce: str | None = None
    nc: str | None = None

    @classmethod
    def parse(cls, value: str) -> Credentials:
        """Read a header's value. Raises :class:`RemoteProtocolError`."""
        if value[: len(_SCHEME)].lower() != _SCHEME:
            raise RemoteProtocolError("credentials are not those of digest")
        params = auth_params(split_outside(value[len(_SCHEME) :], ","))
        missing = [name for name in ("username", "realm", "nonce", "uri", "response") if name not in params]
        algorithm = Algorithm.of(params.get("algorithm"))
        if missing or algorithm is None or params.get("qop", "auth") != "auth" or ("qop" in params) != ("nc" in params):
            raise RemoteProtocolError("credentials are incomplete or of an unknown kind")
        return cls(
            username=params["username"],
            realm=params["realm"],
            nonce=params["nonce"],
            uri=params["uri"],
            response=params["response"],
            algorithm=algorithm if "algorithm" in params else None,
            opaque=params.get("opaque"),
            cnonce=params.get("cnonce"),
            nc=params.get("nc"),
        )

    def __str__(self) -> str:
        parts = [f"Digest username={quote(self.username)}", f"realm={quote(self.realm)}", f"nonce={quote(self.nonce)}"]
        parts += [f"uri={quote(self.uri)}", f'response="{self.response}"']
        if self.algorithm is not None:
            parts.append(f"algorithm={self.algorithm.value}")
        if self.cnonce is not None:
            parts += [f'cnonce="{self.cnonce}"', "qop=auth", f"nc={self.nc}"]
        if self.opaque is not None:
            parts.append(f"opaque={quote(self.opaque)}")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"<Credentials {self.username!r} for {self.realm!r}>"


def mask_credentials(data: bytes) -> bytes:
    """Return a message with the values of its credentials, and passwords within URIs, replaced by ``***``."""
    head, end, body = data.partition(b"\r\n\r\n")
    return _URI_PASSWORD.sub(rb"\1:***@", _MASKED.sub(rb"\1***", head)) + end + body
