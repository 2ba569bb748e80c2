"""Authentication-Info and Proxy-Authentication-Info: what a server says of credentials it took (RFC 7616 3.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dialog_sip.digest.algorithm import Qop
from dialog_sip.digest.challenge import auth_params
from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import quote, split_outside
from dialog_sip.headers import key_of
from dialog_sip.message import Response

HEADERS = {False: "Authentication-Info", True: "Proxy-Authentication-Info"}
"""Header by whether a proxy says it (RFC 7615 section 4)."""
_KEYS = frozenset(key_of(name) for name in HEADERS.values())


class AuthenticationInfo(NamedTuple):
    """The header's value (RFC 7616 section 3.5)."""

    next_nonce: str | None = None
    """The nonce to use from now on."""
    rspauth: str | None = None
    """The server's own digest: it knows the password too."""
    cnonce: str | None = None
    nc: str | None = None
    qop: Qop | None = None

    @classmethod
    def parse(cls, value: str) -> AuthenticationInfo:
        """Read the value. Raises :class:`RemoteProtocolError`."""
        params = auth_params(split_outside(value, ","))
        return cls(
            params.get("nextnonce"), params.get("rspauth"), params.get("cnonce"), params.get("nc"),
            Qop.of(params.get("qop", "")),
        )  # fmt: skip

    def __str__(self) -> str:
        parts = []
        if self.next_nonce is not None:
            parts.append(f"nextnonce={quote(self.next_nonce)}")
        if self.qop is not None:
            parts.append(f"qop={self.qop}")
        if self.rspauth is not None:
            parts.append(f'rspauth="{self.rspauth}"')
        if self.cnonce is not None:
            parts.append(f"cnonce={quote(self.cnonce)}")
        if self.nc is not None:
            parts.append(f"nc={self.nc}")
        return ", ".join(parts)


def infos_of(response: Response) -> Iterator[tuple[bool, AuthenticationInfo]]:
    """Iterate over what a response says (RFC 7615): whether a proxy says it, and what.

    What cannot be read is left out.
    """
    if not response.headers.has_any(_KEYS):
        return
    for proxy, name in HEADERS.items():
        value = response.headers.get(name)
        if value is None:
            continue
        try:
            yield proxy, AuthenticationInfo.parse(value)
        except RemoteProtocolError:
            continue
