"""How a client transaction ends without a final response (RFC 3261 section 8.1.3.1)."""

from __future__ import annotations

from enum import Enum


class Failure(Enum):
    """Why a request got no final response (RFC 3261 section 8.1.3.1)."""

    TIMEOUT = "timeout"
    """The peer is silent: as good as 408 (RFC 3261 section 8.1.3.1)."""
    TRANSPORT = "transport"
    """The flow broke, or the endpoint was closed: as good as 503."""
