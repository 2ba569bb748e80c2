"""Which of several addresses to use: away from those that failed, and back to the preferred one after a time.

RFC 3263 section 4.3 says to go to the next address where one fails. Going back is left to the implementation: here an
address is avoided for a while that doubles with each failure in a row, and then tried again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from dialog_sip.locating import Hop

AVOID: Final = 60.0
"""Seconds that an address is avoided after its first failure."""
LONGEST: Final = 900.0
"""Seconds that an address is avoided at most."""
MAX_REMEMBERED: Final = 10_000
"""Failed addresses that are remembered; of more the oldest are forgotten."""


class _Failure(NamedTuple):
    until: float
    times: int


class Failover:
    """What is known of addresses (RFC 3263 section 4.3). Times are seconds of any one clock."""

    def __init__(self, *, avoid: float = AVOID, longest: float = LONGEST) -> None:
        self._avoid = avoid
        self._longest = longest
        self._failures: dict[Hop, _Failure] = {}

    def order(self, hops: Iterable[Hop], now: float) -> list[Hop]:
        """Return all hops: first the good ones as they came, then the avoided ones, whose time is up soonest first."""
        return sorted(hops, key=lambda hop: self._until(hop, now))

    def failed(self, hop: Hop, now: float, *, told: float | None = None) -> None:
        """Avoid an address from now on, for as long as it ``told`` (Retry-After of a 503) where it did."""
        before = self._failures.pop(hop, None)
        times = 1 if before is None else before.times + 1
        wait = min(self._avoid * 2 ** min(times - 1, 16) if told is None else told, self._longest)
        self._failures[hop] = _Failure(now + wait, times)
        if len(self._failures) > MAX_REMEMBERED:
            del self._failures[next(iter(self._failures))]

    def avoids(self, hop: Hop, now: float) -> bool:
        """Tell whether an address is avoided now."""
        return self._until(hop, now) > 0

    def worked(self, hop: Hop) -> None:
        """Forget the failures of an address that answers."""
        self._failures.pop(hop, None)

    def preferred(self, current: Hop, hops: Iterable[Hop], now: float) -> Hop | None:
        """Return the address to go back to, or None where ``current`` is the best now."""
        best = next(iter(self.order(hops, now)), None)
        return None if best is None or best == current or self._until(best, now) else best

    def _until(self, hop: Hop, now: float) -> float:
        failure = self._failures.get(hop)
        return 0.0 if failure is None or failure.until <= now else failure.until
