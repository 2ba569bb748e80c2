"""How large a message and its parts may be: what a peer can make us hold and read (RFC 3261 section 26.3.2.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MAX_MESSAGE = 65535
"""Bytes of the largest message: what fits a UDP datagram, and enough for any SDP."""
MAX_VALUES = 512
"""Values of one list header, such as Via, over all its lines."""
MAX_PARAMS = 128
"""Parameters of one value or one URI, and headers of one URI."""
MAX_URI = 8192
"""Characters of a URI, wherever it stands."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one message: RFC 3261 has the statuses (section 21) and names no bounds.

    What is beyond is answered with the status that is named, where it can be answered.
    """

    message: int = MAX_MESSAGE
    """Bytes of the whole: 513 (RFC 3261 section 21.5.7)."""
    headers: int = 512
    """Header lines, folded ones as one: 513."""
    header: int = 16384
    """Characters of one header line, unfolded or not: 513."""
    uri: int = MAX_URI
    """Characters of the Request-URI: 414 (RFC 3261 section 21.4.12)."""
    body: int = MAX_MESSAGE
    """Bytes of the body: 413 (RFC 3261 section 21.4.11)."""
    harmless: int = field(init=False)
    """Bytes of a message that is too small to break any bound but that of its header lines."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "harmless", min(self.message, self.header, self.uri, self.body))


DEFAULT_LIMITS: Final = Limits()
"""Bounds that fit every peer that was met so far."""
