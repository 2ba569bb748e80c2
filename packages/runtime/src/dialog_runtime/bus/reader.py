"""Reads whole topics, outside any group: one of aiokafka's consumers for all that is followed together.

Theory of operation. Followers are added before the reader runs; it then makes the topics that are missing, subscribes
to all of them, and gives each record to the follower of its topic, in order per partition. Partitions that are added to
a topic later come by themselves, with a new assignment; so does a consumer, where the old one failed. Neither
remembers how far it was: the reader does, seeks there, and passes over what was handled. A follower has caught up when
the partitions of its topic are read to where they ended at the start. A topic that a broker has not heard of yet drops
out of the assignment: the reader begins anew, because aiokafka would ask again only a minute later. A partition without
a leader cannot say where it ends: its follower waits for it, the others do not. It has a leader when aiokafka has
fetched from it, and is then taken up like those before it.

aiokafka fetches ahead while a record is handled, and no further than that before its batch is taken. Records from
before where we were are those of a new assignment, and passed over; or those of a topic that was deleted and made anew,
as where Kafka lost its disk: then it ends before where we were, and is read from its start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError
from dialog_schemas.topics import Topic

from dialog_runtime.bus.consumers import FETCHING, Connect, record_of, started, unless_stopped, until_stopped
from dialog_runtime.bus.follower import Follower
from dialog_runtime.bus.names import Names

log = structlog.get_logger(__name__)

_SOON_MS, _IDLE_MS = 20, 1000
"""How long to wait for records before a look at the rest: while a follower has not caught up (the records that lack may
be markers of transactions, which are never shown), and afterwards."""
_ASKING = 2.0
"""Seconds for a partition to say where it ends. One without a leader is asked again when it has been fetched from."""
_AT_A_TIME = 500
"""Records before the rest of the process has its turn."""


class Reader:
    """A part of the service. ``connect`` makes its consumers, ``prepare`` the topics that are missing."""

    def __init__(self, names: Names, connect: Connect, prepare: Callable[[Iterable[Topic]], Awaitable[object]]) -> None:
        self._names = names
        self._connect = connect
        self._prepare = prepare
        self._followers: dict[str, Follower] = {}
        """By the full name of the topic."""
        self._next: dict[TopicPartition, int] = {}
        """Offset of the next record to handle."""
        self._missing: dict[TopicPartition, int] = {}
        """Partitions that are not read to where they ended at the start, with that offset."""
        self._first: frozenset[TopicPartition] = frozenset()
        """Partitions that were there at the start; those that are added later are read whole."""
        self._leaderless: frozenset[TopicPartition] = frozenset()
        """Partitions that have not said where they end."""
        self._begun = False
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, follower: Follower) -> bool:
        """Read for ``follower`` too; false where it is too late for that, or somebody follows its topic already."""
        topic = self._names.full(follower.topic)
        if self._begun or topic in self._followers:
            return False
        self._followers[topic] = follower
        return True

    def stop(self) -> None:
        """Finish the record in hand and end."""
        self._stopping.set()
        for follower in self._followers.values():
            follower.stop()

    async def run(self) -> None:
        """Read until stopped."""
        self._begun = True
        await until_stopped(self._stopping, self._session, ", ".join(self._followers))

    async def _session(self) -> None:
        await unless_stopped(self._stopping, self._read(), self._idle)

    async def _read(self) -> None:
        await self._prepare([follower.topic for follower in self._followers.values()])
        consumer = self._connect(**FETCHING)
        consumer.subscribe(list(self._followers))
        async with started(consumer):
            assigned: Collection[TopicPartition] = ()
            while True:
                if assigned != consumer.assignment():
                    assigned = consumer.assignment()
                    await self._take_up(consumer, assigned)
                elif led := [each for each in self._leaderless if consumer.highwater(each) is not None]:
                    await self._begin(consumer, led)
                wait_ms = _SOON_MS if self._missing else _IDLE_MS
                batches = await consumer.getmany(timeout_ms=wait_ms, max_records=_AT_A_TIME)
                await self._look_what_is_anew(consumer, batches)
                await self._hand_out(batches)
                if self._missing:
                    await self._look_who_is_ready(consumer)
                await asyncio.sleep(0)

    async def _take_up(self, consumer: AIOKafkaConsumer, assigned: Collection[TopicPartition]) -> None:
        unknown = self._followers.keys() - {partition.topic for partition in assigned}
        if unknown:
            raise UnknownTopicOrPartitionError(", ".join(sorted(unknown)))
        self._first = self._first or frozenset(assigned)
        self._leaderless = frozenset([tp for tp in assigned if tp not in self._next or tp in self._leaderless])
        for partition in assigned:
            if self._next.get(partition):
                consumer.seek(partition, self._next[partition])
        await self._begin(consumer, self._leaderless)
        if self._leaderless:
            log.warning("partitions without a leader are waited for", partitions=sorted(map(str, self._leaderless)))

    async def _begin(self, consumer: AIOKafkaConsumer, new: Iterable[TopicPartition]) -> None:
        ends = await _ends(consumer, new)
        self._leaderless -= ends.keys()
        for partition, end in ends.items():
            if not self._from_end(partition):
                self._next.setdefault(partition, 0)
                if partition in self._first:
                    self._missing[partition] = end
            else:
                self._next[partition] = end
                if end:
                    consumer.seek(partition, end)
        await self._look_who_is_ready(consumer)

    def _from_end(self, partition: TopicPartition) -> bool:
        return partition in self._first and self._followers[partition.topic].from_end

    async def _look_what_is_anew(
        self, consumer: AIOKafkaConsumer, batches: Mapping[TopicPartition, Sequence[Any]]
    ) -> None:
        gone_by = [tp for tp, records in batches.items() if records and records[0].offset < self._next.get(tp, 0)]
        for partition, end in (await consumer.end_offsets(gone_by)).items() if gone_by else ():
            if end < self._next[partition]:
                log.warning("the topic was made anew: it is read from its start", partition=str(partition))
                self._next[partition] = 0

    async def _hand_out(self, batches: Mapping[TopicPartition, Sequence[Any]]) -> None:
        self._idle.clear()
        try:
            for partition, records in batches.items():
                await self._handle(partition, records, self._followers[partition.topic])
        finally:
            self._idle.set()

    async def _handle(self, partition: TopicPartition, records: Sequence[Any], follower: Follower) -> None:
        if partition in self._leaderless and self._from_end(partition):
            return
        for raw in records:
            if follower.stopping.is_set():
                return
            if raw.offset >= self._next.get(partition, 0):
                await follower.handle(record_of(self._names, raw))
                self._next[partition] = raw.offset + 1

    async def _look_who_is_ready(self, consumer: AIOKafkaConsumer) -> None:
        # The position, not the last record: markers of transactions and compacted records take up offsets as well.
        positions = await asyncio.gather(*[_position(consumer, partition) for partition in self._missing])
        for partition, position in zip(list(self._missing), positions, strict=True):
            if position >= self._missing[partition]:
                del self._missing[partition]
        behind = {partition.topic for partition in (*self._missing, *self._leaderless)}
        for topic, follower in self._followers.items():
            if topic not in behind:
                follower.has_caught_up()


async def _ends(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Return where they end, without those that do not say so in time."""

    async def end(partition: TopicPartition) -> dict[TopicPartition, int]:
        try:
            async with asyncio.timeout(_ASKING):
                return dict(await consumer.end_offsets([partition]))
        except TimeoutError:
            return {}

    answers = await asyncio.gather(*map(end, partitions))
    return {partition: end for answer in answers for partition, end in answer.items()}


async def _position(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int:
    """Return the offset of the next record, or -1 where aiokafka has none to begin with yet: it waits for a leader."""
    try:
        async with asyncio.timeout(_SOON_MS / 1000):
            return int(await consumer.position(partition))
    except TimeoutError:
        return -1
