"""A SIP dialog (RFC 3261 section 12) as plain data, fit to be stored and taken up by another process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DialogRecord:
    """State of a SIP dialog (RFC 3261 section 12). URIs are as on the wire."""

    call_id: str
    local_tag: str
    remote_tag: str | None
    """None for a peer that sends none (RFC 2543)."""
    local_uri: str
    remote_uri: str
    remote_target: str | None = None
    """URI of the peer's Contact."""
    route_set: tuple[str, ...] = ()
    """Routes as ``<uri>;params``, the next hop first."""
    local_cseq: int = 0
    """Of the last request that we sent."""
    remote_cseq: int | None = None
    """Of the last request that came."""
