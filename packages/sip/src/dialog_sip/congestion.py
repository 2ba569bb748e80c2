"""Which transport a request takes because of its size (RFC 3261 section 18.1.1)."""

from __future__ import annotations

from typing import Final

LARGEST_DATAGRAM: Final = 1300
"""Bytes of a request that go over UDP where the path MTU is not known."""
MTU_MARGIN: Final = 200
"""Bytes that stay free below a known path MTU, for the response that is larger than its request."""


def transport_for(size: int, transport: str, *, path_mtu: int | None = None) -> str:
    """Return the transport for a request of ``size`` bytes: TCP instead of UDP where it is too large for a datagram.

    Who sends over TCP because of this, and finds that the peer takes no TCP, is to try UDP after all (section 18.1.1).
    """
    limit = LARGEST_DATAGRAM if path_mtu is None else path_mtu - MTU_MARGIN
    return "tcp" if transport == "udp" and size > limit else transport
