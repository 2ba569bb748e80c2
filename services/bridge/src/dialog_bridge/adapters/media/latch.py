"""Where packets for the SIP side go: symmetric RTP, with a lock.

Policy. Until something arrives, packets go where the description says. The first packet of an agreed payload type
teaches the real address, since the peer may sit behind a NAT, and locks it: nobody else can pull the media over, or
put sound in, by sending packets to our port. A description is the peer's own word and stands above what was learnt:

- a packet from the described address takes the lock from a stranger that was faster;
- a new address in a new description starts anew, and the described address that was left (another branch of a forked
  call, which sends until its CANCEL arrives) is not learnt again.
"""

from __future__ import annotations

Address = tuple[str, int]
"""Host (an IP literal) and port."""


class Latch:
    """The address of one remote port. :attr:`target` is where to send, None while nothing is known."""

    __slots__ = ("_described", "_left", "_locked", "target")

    def __init__(self) -> None:
        self._described: Address | None = None
        self._left: Address | None = None
        self._locked = False
        self.target: Address | None = None

    def describe(self, address: Address) -> None:
        """Take the address of a description. The same one again changes nothing."""
        if address == self._described:
            return
        self._left = self._described
        self._described = self.target = address
        self._locked = False

    def accepts(self, source: Address) -> bool:
        """Return whether a packet from ``source`` is the peer's; may lock on to it."""
        if source == self.target:
            self._locked = True
            return True
        if source != self._described and (self._locked or source == self._left):
            return False
        self.target = source
        self._locked = True
        return True
