"""Reads topics as they are, without any of the clients under test.

``sip.mappings`` and ``sip.registrations`` are read for what they say, every topic for what it may not say.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from dialog_runtime.bus.client import client_options
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.record import Record, key_text
from dialog_runtime.config.services import Kafka
from dialog_schemas.event import Event
from dialog_schemas.mappings import MappingRejected, MappingUpserted
from dialog_schemas.registrations import RegistrationStatus
from dialog_schemas.topics import MAPPINGS, REGISTRATIONS

_WITHIN = 60.0
_POLL_MS = 200


class Topics:
    """What the two topics say, read on and on."""

    def __init__(self, consumer: AIOKafkaConsumer, names: Names) -> None:
        self._consumer = consumer
        self._names = names
        self.mappings: dict[str, MappingUpserted | MappingRejected] = {}
        self.statuses: dict[str, RegistrationStatus] = {}
        self.history: list[tuple[str, RegistrationStatus | None]] = []

    async def read_on(self) -> None:
        """Read up to the end, as it is now. Raises :class:`TimeoutError`."""
        async with asyncio.timeout(_WITHIN):
            ends = await self._consumer.end_offsets(list(self._consumer.assignment()))
            while await self._behind(ends):
                for records in (await self._consumer.getmany(timeout_ms=_POLL_MS)).values():
                    for record in records:
                        self._take(record)

    async def _behind(self, ends: dict[TopicPartition, int]) -> bool:
        return any([await self._consumer.position(partition) < end for partition, end in ends.items()])

    def _take(self, raw: Any) -> None:  # noqa: ANN401  aiokafka has no types
        event, key = _event(raw), key_text(raw.key) or ""
        if self._names.short(raw.topic) == REGISTRATIONS.name:
            status = event if isinstance(event, RegistrationStatus) else None
            self.history.append((key, status))
            _put(self.statuses, key, status)
        else:
            _put(self.mappings, key, event if isinstance(event, MappingUpserted | MappingRejected) else None)


def _put(values: dict[str, Any], key: str, value: Event | None) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value


def _event(raw: Any) -> Event | None:  # noqa: ANN401  aiokafka has no types
    record = Record(
        raw.topic, raw.partition, raw.offset, key_text(raw.key), raw.value, tuple(raw.headers), raw.timestamp
    )
    return None if record.is_tombstone else record.envelope().event


@asynccontextmanager
async def topics(kafka: Kafka) -> AsyncIterator[Topics]:
    """Give what is committed on the two topics, from their first record on."""
    names = Names(kafka.topic_prefix)
    async with _consumer(kafka, isolation_level="read_committed") as consumer:
        await _assign(consumer, kafka, frozenset(names.full(topic) for topic in (MAPPINGS, REGISTRATIONS)))
        yield Topics(consumer, names)


async def records(kafka: Kafka) -> AsyncIterator[tuple[str, bytes]]:
    """Yield the topic and every byte of each record there is: of internal topics and aborted transactions as well."""
    async with _consumer(kafka, isolation_level="read_uncommitted", exclude_internal_topics=False) as consumer:
        await _assign(consumer, kafka, frozenset())
        partitions = list(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        async with asyncio.timeout(_WITHIN):
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for of_partition in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                    for record in of_partition:
                        yield record.topic, _bytes(record)


def _bytes(raw: Any) -> bytes:  # noqa: ANN401  aiokafka has no types
    return b"\0".join(
        [raw.key or b"", raw.value or b"", *(name.encode() + b"=" + (it or b"") for name, it in raw.headers)]
    )


async def _assign(consumer: AIOKafkaConsumer, kafka: Kafka, wanted: frozenset[str]) -> None:
    """Read every partition of ``wanted``, of all topics where that is empty, from its first record."""
    admin = AIOKafkaAdminClient(**client_options(kafka, "chaos"))
    await admin.start()
    try:
        described = await admin.describe_topics(sorted(wanted) or None)
    finally:
        await admin.close()
    consumer.assign(
        [TopicPartition(it["topic"], partition["partition"]) for it in described for partition in it["partitions"]]
    )
    await consumer.seek_to_beginning()


@asynccontextmanager
async def _consumer(kafka: Kafka, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:  # noqa: ANN401  its own
    consumer = AIOKafkaConsumer(
        **client_options(kafka, "chaos"),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **options,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
