"""Requests outside any SIP dialog (RFC 3261 section 8.1.1)."""

from __future__ import annotations

from collections.abc import Iterable

from dialog_sip.headers import HeaderValue
from dialog_sip.message import Request
from dialog_sip.uri import SipUri
from dialog_sip.values import CSeq, MediaType, NameAddr

MAX_FORWARDS = 70
"""RFC 3261 section 8.1.1.6."""


def initial_request(
    method: str,
    target: SipUri | str,
    *,
    from_: NameAddr,
    to: NameAddr,
    call_id: str,
    cseq: int = 1,
    headers: Iterable[tuple[str, HeaderValue]] = (),
    body: bytes = b"",
    content_type: MediaType | str | None = None,
) -> Request:
    """Build a request (RFC 3261 section 8.1.1). ``from_`` carries our tag, ``to`` none."""
    items: list[tuple[str, HeaderValue]] = [
        ("Max-Forwards", MAX_FORWARDS),
        ("From", from_),
        ("To", to),
        ("Call-ID", call_id),
        ("CSeq", CSeq(cseq, method)),
        *headers,
    ]
    if content_type is not None:
        items.append(("Content-Type", content_type))
    return Request(method, target, items, body)
