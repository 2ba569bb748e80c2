"""One heap of deadlines for everything that waits, whatever their number.

Setting a key again moves its deadline. What was moved or dropped stays in the heap until it comes up or until stale
entries outnumber live ones, whichever is first; so every operation is O(log n) and the heap never holds more than
twice the keys.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_SLACK = 64


class Timers(Generic[K]):
    """Deadlines by key. Times are seconds of whatever clock the caller uses."""

    __slots__ = ("_due", "_heap", "_serial")

    def __init__(self) -> None:
        self._due: dict[K, tuple[float, int, K]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: K, when: float) -> None:
        """Wake ``key`` at ``when``, and not at whatever was set before."""
        known = self._due.get(key)
        if known is not None and known[0] == when:
            return
        self._serial += 1
        item = self._due[key] = when, self._serial, key
        heapq.heappush(self._heap, item)
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._compact()

    def cancel(self, key: K) -> None:
        """Forget ``key``."""
        self._due.pop(key, None)
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._compact()

    def next(self) -> float | None:
        """Return when the next key is due, or None where nothing waits."""
        heap, due = self._heap, self._due
        while heap and due.get(heap[0][2]) is not heap[0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop(self, now: float) -> K | None:
        """Take one key that is due, the earliest first, or return None."""
        when = self.next()
        if when is None or when > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._due[key]
        return key

    def _compact(self) -> None:
        self._heap = list(self._due.values())
        heapq.heapify(self._heap)
