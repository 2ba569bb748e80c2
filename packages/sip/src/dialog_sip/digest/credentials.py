"""Credentials: Authorization and Proxy-Authorization (RFC 3261 sections 20.7 and 20.28), and how traces hide them."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote as percent_decode

from dialog_sip.digest.algorithm import Algorithm, Qop
from dialog_sip.digest.challenge import auth_params, plain_params
from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import quote, split_outside

_SCHEME = "digest "
_MASKED = re.compile(
    rb"^((?:proxy-)?authorization[ \t]*:[ \t]*)[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*", re.IGNORECASE | re.MULTILINE
)
# Looked for once in each run of characters between delimiters: what comes before the first "sip:" is never tried again.
_URI_PASSWORD = re.compile(rb"(?<![^\s@<>;])((?>[^\s@<>;]*?[sS][iI][pP][sS]?:)[^\s:@<>;]++):[^\s@<>;]++@")
_NC = re.compile(r"[0-9A-Fa-f]{8}")
_REQUIRED = frozenset({"username", "realm", "nonce", "uri", "response"})
# Past the __new__ that NamedTuple makes: 1 us less.
_new = tuple.__new__


class Credentials(NamedTuple):
    """The answer to one challenge (RFC 7616 section 3.4).

    Its ``repr`` shows no digest: with the realm one can guess passwords against it.
    """

    username: str
    """The name, or with :attr:`userhash` the hash of it."""
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: Algorithm | None = None
    opaque: str | None = None
    cnonce: str | None = None
    nc: str | None = None
    """Use of the nonce, eight hexadecimal digits; None without qop (RFC 2069)."""
    qop: Qop = Qop.AUTH
    """Means something where there is an :attr:`nc`."""
    userhash: bool = False

    @classmethod
    def parse(cls, value: str) -> Credentials:
        """Read a header's value. Raises :class:`RemoteProtocolError`."""
        params = plain_params(value)
        if params is None:
            if value[: len(_SCHEME)].lower() != _SCHEME:
                raise RemoteProtocolError("credentials are not those of digest")
            params = auth_params(split_outside(value[len(_SCHEME) :], ","))
            if "username" not in params and "username*" in params:
                params["username"] = _extended(params["username*"])
        said = params.get
        algorithm, qop, nc, cnonce = (
            Algorithm.of(said("algorithm")),
            Qop.of(said("qop", "auth")),
            said("nc"),
            said("cnonce"),
        )
        if not params.keys() >= _REQUIRED or algorithm is None or qop is None:
            raise RemoteProtocolError("credentials are incomplete or of an unknown kind")
        if ("qop" in params) != (nc is not None) or (nc is not None and not _NC.fullmatch(nc)):
            raise RemoteProtocolError("qop and nc do not go together, or nc is no count")
        if cnonce is None and (nc is not None or algorithm.is_session):
            raise RemoteProtocolError("cnonce is missing")
        return _new(
            cls,
            (
                params["username"],
                params["realm"],
                params["nonce"],
                params["uri"],
                params["response"],
                algorithm if "algorithm" in params else None,
                said("opaque"),
                cnonce,
                nc,
                qop,
                said("userhash", "").lower() == "true",
            ),
        )

    @property
    def use(self) -> int:
        """:attr:`nc` as a number; 0 without one."""
        return 0 if self.nc is None else int(self.nc, 16)

    def __str__(self) -> str:
        parts = [f"Digest username={quote(self.username)}", f"realm={quote(self.realm)}", f"nonce={quote(self.nonce)}"]
        parts += [f"uri={quote(self.uri)}", f'response="{self.response}"']
        if self.algorithm is not None:
            parts.append(f"algorithm={self.algorithm.wire}")
        if self.cnonce is not None:
            parts.append(f"cnonce={quote(self.cnonce)}")
        if self.nc is not None:
            parts += [f"qop={self.qop}", f"nc={self.nc}"]
        if self.opaque is not None:
            parts.append(f"opaque={quote(self.opaque)}")
        if self.userhash:
            parts.append("userhash=true")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"<Credentials {self.username!r} for {self.realm!r}>"


def mask_credentials(data: bytes) -> bytes:
    """Return a message with the values of its credentials, and passwords within URIs, replaced by ``***``.

    A password in a URI is clear text, which RFC 3261 section 19.1.1 advises against.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    return _URI_PASSWORD.sub(rb"\1:***@", _MASKED.sub(rb"\1***", head)) + end + body


def _extended(value: str) -> str:
    """Read ``UTF-8''J%C3%A4s%C3%B8n`` (RFC 7616 section 3.4, RFC 8187)."""
    charset, _, rest = value.partition("'")
    _, quote_mark, encoded = rest.partition("'")
    if charset.upper() != "UTF-8" or not quote_mark:
        raise RemoteProtocolError("username* is not in UTF-8")
    return percent_decode(encoded)
