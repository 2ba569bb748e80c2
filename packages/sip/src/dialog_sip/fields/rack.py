"""RSeq and RAck: numbers of reliable provisional responses (RFC 3262 section 7)."""

from __future__ import annotations

from typing import NamedTuple

from dialog_sip.errors import RemoteProtocolError
from dialog_sip.grammar import is_token, parse_uint
from dialog_sip.message import Request, Response
from dialog_sip.values import MAX_CSEQ

MAX_RSEQ = 2**32 - 1
"""Largest RSeq (RFC 3262 section 7.1)."""
MAX_FIRST_RSEQ = 2**31 - 1
"""The first number is chosen below (RFC 3262 section 3)."""
TAG = "100rel"
"""Option tag."""


class RAck(NamedTuple):
    """What a PRACK acknowledges (RFC 3262 section 7.2)."""

    rseq: int
    cseq: int
    method: str

    @classmethod
    def parse(cls, value: str) -> RAck:
        """Read the value. Raises :class:`RemoteProtocolError`."""
        parts = value.split()
        if len(parts) != 3 or not is_token(parts[2]):
            raise RemoteProtocolError("RAck is not two numbers and a method", reason="Bad RAck")
        return cls(parse_uint(parts[0], MAX_RSEQ, "RSeq"), parse_uint(parts[1], MAX_CSEQ, "CSeq"), parts[2])

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


def rack_of(prack: Request) -> RAck:
    """Return RAck of a PRACK (RFC 3262 section 7.2). Raises :class:`RemoteProtocolError`."""
    value = prack.headers.get("RAck")
    if value is None:
        raise RemoteProtocolError("PRACK without RAck", reason="Missing RAck", request=prack)
    return RAck.parse(value)


def rseq_of(response: Response) -> int | None:
    """Return RSeq (RFC 3262 section 7.1) of a provisional response that wants a PRACK; None for an ordinary one.

    Raises :class:`RemoteProtocolError` where it asks for one and gives no number.
    """
    if not 100 < response.code < 200 or not response.headers.has_token("Require", TAG):
        return None
    return parse_uint((response.headers.get("RSeq") or "").strip(), MAX_RSEQ, "RSeq")
