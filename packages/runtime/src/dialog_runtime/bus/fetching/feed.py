"""Where fetched records wait for the one who reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import TopicPartition

FULL, FULL_BYTES = 2000, 8 << 20
"""Records that wait; beyond, the partitions are not fetched until they were taken."""


class Batch(NamedTuple):
    """Records of one partition as aiokafka decodes them, perhaps none: markers of transactions take up offsets too."""

    partition: TopicPartition
    records: Sequence[Any]
    next_offset: int
    size: int
    """Bytes as they came."""


class Feed:
    """The way of some partitions from a reader to whoever takes them. ``changed`` tells the reader to look again.

    ``topic`` is None for partitions that are the consumer group's choice; else partitions that are added to the topic
    join by themselves.
    """

    def __init__(self, topic: str | None, starts: Mapping[TopicPartition, int], changed: Callable[[], None]) -> None:
        self.topic = topic
        self.offsets = dict(starts)
        """Where to fetch next."""
        self._changed = changed
        self._batches: list[Batch] = []
        self._waiting = self._waiting_bytes = 0
        self._some = asyncio.Event()
        self.is_closed = False

    @property
    def is_full(self) -> bool:
        """True where nothing is to be fetched for it now."""
        return self._waiting >= FULL or self._waiting_bytes >= FULL_BYTES

    def put(self, batch: Batch) -> None:
        """Let ``batch`` wait."""
        self.offsets[batch.partition] = batch.next_offset
        self._batches.append(batch)
        self._waiting += len(batch.records)
        self._waiting_bytes += batch.size
        self._some.set()

    async def take(self) -> list[Batch]:
        """Wait for records and return all there are, in order per partition; none once it is closed."""
        await self._some.wait()
        batches, self._batches = self._batches, []
        was_full = self.is_full
        self._waiting = self._waiting_bytes = 0
        if not self.is_closed:
            self._some.clear()
            if was_full:
                self._changed()
        return [] if self.is_closed else batches

    def close(self) -> None:
        """Fetch no more. Whoever waits is told. Safe to call twice."""
        if not self.is_closed:
            self.is_closed = True
            self._some.set()
            self._changed()
