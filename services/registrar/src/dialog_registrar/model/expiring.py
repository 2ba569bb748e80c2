"""A table that forgets: entries live for a fixed time after they were last used, and the oldest go when it is full."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Expiring(Generic[K, V]):
    """At most ``limit`` entries, each for ``lifetime`` seconds since its last use."""

    __slots__ = ("_entries", "_lifetime", "_limit")

    def __init__(self, lifetime: float, limit: int) -> None:
        self._lifetime = lifetime
        self._limit = limit
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        """Tell whether the key is remembered; as old as it may be until the next :meth:`expired`."""
        return key in self._entries

    def put(self, key: K, value: V, now: float) -> None:
        """Remember ``value``, at the cost of the oldest entry where the table is full."""
        self._entries[key] = now, value
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def get(self, key: K, now: float) -> V | None:
        """Return the value, which counts as a use of it; None where it is not known or too old."""
        found = self._entries.get(key)
        if found is None or found[0] + self._lifetime < now:
            return None
        self.put(key, found[1], now)
        return found[1]

    def drop(self, key: K) -> V | None:
        """Forget one entry and return what it was."""
        found = self._entries.pop(key, None)
        return None if found is None else found[1]

    def expired(self, now: float) -> Iterator[tuple[K, V]]:
        """Take out, one by one, what is too old."""
        while self._entries:
            key, (used, value) = next(iter(self._entries.items()))
            if used + self._lifetime >= now:
                return
            del self._entries[key]
            yield key, value
