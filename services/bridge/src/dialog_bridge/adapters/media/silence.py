"""How long each side of a call has been silent. No I/O; times are seconds of a monotonic clock.

Anything counts as a word of a side: RTP of whatever payload type (comfort noise, DTX frames), and RTCP, which goes on
where a side has nothing to say. A side that is not to send, on hold say, is never silent.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Silence:
    """One side, by the number of packets that came from it: it costs nothing a packet, and is looked at now and then.

    ``seconds`` is how long it has been silent as of the last look.
    """

    expected: bool = False
    """Whether it is to send."""
    seconds: float = 0.0
    _since: float | None = None
    _count: int = 0
    _told: bool = False

    def expect(self, *, expected: bool) -> None:
        """Set whether the side is to send from now on."""
        if expected is not self.expected:
            self.expected, self._since = expected, None

    def break_off(self) -> None:
        """Begin anew: the side gave a sign of life in another way."""
        self._since = None

    def look(self, count: int, now: float) -> None:
        """Take the number of packets that have come so far."""
        if not self.expected or self._since is None or count != self._count:
            self._count, self._since, self._told = count, now, False
        self.seconds = now - self._since

    def is_news(self, after: float) -> bool:
        """Tell, once each silence, that it lasts for ``after`` seconds."""
        if self._told or self.seconds < after:
            return False
        self._told = True
        return True
