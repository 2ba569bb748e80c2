"""Read a partition from its first record to its end as of now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from dialog_runtime.bus.consumers import POLL_MS, Connect, record_of, started
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.record import Record

_AT_A_TIME = 5000


@dataclass(slots=True)
class Restored:
    """The last record of every live key, and the offset after the last one read."""

    rows: dict[str, Record] = field(default_factory=dict)
    next_offset: int = 0
    records: int = 0
    """How many were read, tombstones included."""

    def take(self, record: Record) -> None:
        """Apply the next record."""
        self.records += 1
        if record.key is None:
            return
        if record.is_tombstone:
            self.rows.pop(record.key, None)
        else:
            self.rows[record.key] = record


async def read_to_end(
    connect: Connect, names: Names, starts: dict[TopicPartition, int | None]
) -> dict[TopicPartition, Restored]:
    """Read each partition from its offset (None: the first) to where it ends now. Raises aiokafka's errors."""
    read = {partition: Restored(next_offset=offset or 0) for partition, offset in starts.items()}
    consumer = connect(auto_offset_reset="earliest", isolation_level="read_committed")
    consumer.assign(list(starts))
    async with started(consumer):
        ends = await consumer.end_offsets(list(starts))
        for partition, offset in starts.items():
            if offset is None:
                await consumer.seek_to_beginning(partition)
            else:
                consumer.seek(partition, offset)
        while not await _reached(consumer, ends):
            batch: dict[TopicPartition, list[Any]] = await consumer.getmany(timeout_ms=POLL_MS, max_records=_AT_A_TIME)
            for partition, records in batch.items():
                for raw in records:
                    read[partition].take(record_of(names, raw))
        for partition, restored in read.items():
            restored.next_offset = max(ends[partition], restored.next_offset)
    return read


async def _reached(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    # Positions, because transaction markers and compacted records take up offsets as well.
    for partition, end in ends.items():
        if end > 0 and await consumer.position(partition) < end:
            return False
    return True
