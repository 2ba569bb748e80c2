"""Fetches what a process follows, over one connection a broker.

Theory of operation. Whoever reads opens a feed, over all partitions of a topic or over one partition; each partition is
in one feed of a reader at most. For each broker that leads some of them a task has one Fetch request under way at a
time, which the broker answers as soon as there is a record in any of them, or after :data:`WAIT_MS`. Records go to the
feeds with the response, and the next request leaves at once, so that handling and fetching overlap. A feed that is full
is left out until it is taken from.

A partition that the broker refuses (it moved, it is not there yet, we may not read it) rests for :data:`REST` seconds
while the metadata is renewed. A request that fails is made again, by what the metadata say then; where no broker that
is known can be reached the session ends, and the next one begins with the configured addresses. Feeds and their offsets
outlive sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

import structlog
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    NoError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords

from dialog_runtime.bus.consumers import unless_stopped, until_stopped, wait_for_event
from dialog_runtime.bus.fetching.feed import Batch, Feed
from dialog_runtime.bus.fetching.session import FetchSession
from dialog_runtime.bus.fetching.wire import READ_COMMITTED, Fetched

log = structlog.get_logger(__name__)

WAIT_MS = 500
"""How long a broker waits for records."""
QUICK_MS, QUICK_FOR = 20, 1.0
"""The same for so many seconds after a feed was opened: the next may be about to be."""
REST = 0.1
"""Seconds."""
FIRST, END = -2, -1
"""What :meth:`FetchReader.offsets` asks for: the first offset there is, or that after the last stable one."""
_LOOK_EVERY = 30.0
_LOOKS, _LOOK_AGAIN = 20, 0.05
_NOT_YET = (UnknownTopicOrPartitionError, LeaderNotAvailableError, NotLeaderForPartitionError)
_NOBODY = _ANY_REPLICA = -1


class FetchReader:
    """Reads for any number of feeds; a part of the service. ``connect`` makes a client that is not yet started."""

    def __init__(self, connect: Callable[[], AIOKafkaClient]) -> None:
        self._connect = connect
        self._claimed: set[str] = set()
        self._feeds: list[Feed] = []
        self._led: dict[int, dict[TopicPartition, Feed]] = {}
        """What is followed, by the broker that leads it."""
        self._resting: set[TopicPartition] = set()
        self._astray: set[TopicPartition] = set()
        """Partitions that no longer have the offset that was asked for."""
        self._stale = False
        """The metadata are to be renewed."""
        self._client: AIOKafkaClient | None = None
        self._up = asyncio.Event()
        self._look = asyncio.Event()
        self._stopping = asyncio.Event()
        self._quick_until = 0.0

    def claim(self, topics: Iterable[str]) -> bool:
        """Keep ``topics`` for the one who asks; false where one is kept already: it has to ask another reader."""
        topics = set(topics)
        if topics & self._claimed:
            return False
        self._claimed |= topics
        return True

    def open(self, starts: Mapping[TopicPartition, int], topic: str | None = None) -> Feed:
        """Fetch ``starts`` from now on; with ``topic`` also the partitions that are added to it."""
        feed = Feed(topic, starts, self._look.set)
        self._feeds.append(feed)
        self._quick_until = asyncio.get_running_loop().time() + QUICK_FOR
        self._look.set()
        return feed

    async def offsets(self, topic: str, at: int) -> dict[TopicPartition, int]:
        """Return the offset :data:`FIRST` or :data:`END` of each partition of ``topic``. Raises aiokafka's errors."""
        for _ in range(_LOOKS):
            try:
                return await self._offsets(topic, at)
            except _NOT_YET:
                # A topic that was made a moment ago; the broker may not know yet who leads it.
                await asyncio.sleep(_LOOK_AGAIN)
        return await self._offsets(topic, at)

    def stop(self) -> None:
        """Fetch no more and end."""
        self._stopping.set()
        self._up.set()

    async def run(self) -> None:
        """Fetch until stopped."""
        await until_stopped(self._stopping, self._session, "fetching")

    async def _offsets(self, topic: str, at: int) -> dict[TopicPartition, int]:
        await self._up.wait()
        client = self._client
        if client is None:
            raise KafkaConnectionError("the reader was stopped")
        await client.add_topic(topic)
        partitions = client.cluster.partitions_for_topic(topic)
        if not partitions:
            await client.force_metadata_update()
            raise UnknownTopicOrPartitionError(topic)
        return await _offsets(client, [TopicPartition(topic, number) for number in partitions], at)

    async def _session(self) -> None:
        await unless_stopped(self._stopping, self._serve())

    async def _serve(self) -> None:
        tasks: dict[int, asyncio.Task[None]] = {}
        async with _started(self._connect()) as client:
            self._client = client
            self._up.set()
            try:
                while True:
                    await self._round(client, tasks)
            finally:
                self._client = None
                self._up.clear()
                for task in tasks.values():
                    task.cancel()
                await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _round(self, client: AIOKafkaClient, tasks: dict[int, asyncio.Task[None]]) -> None:
        """Settle who fetches what from where, and wait until something of it changes."""
        self._look.clear()
        await self._renew(client)
        self._place(client)
        for node in self._led:
            if node not in tasks or tasks[node].done():
                tasks[node] = asyncio.create_task(self._follow(client, node), name=f"fetch from broker {node}")
        await wait_for_event(self._look, _LOOK_EVERY)
        for task in tasks.values():
            if task.done():
                task.result()

    async def _renew(self, client: AIOKafkaClient) -> None:
        self._feeds = [feed for feed in self._feeds if not feed.is_closed]
        for topic in {partition.topic for feed in self._feeds for partition in feed.offsets}:
            await client.add_topic(topic)
        if self._stale:
            self._stale = False
            if not await client.force_metadata_update():
                raise KafkaConnectionError("no broker can be reached")
        astray, self._astray = self._astray, set()
        if astray:
            for partition, offset in (await _offsets(client, list(astray), FIRST)).items():
                log.warning("records are gone that were not read", partition=str(partition), goes_on_at=offset)
                for feed in self._feeds:
                    if partition in feed.offsets:
                        feed.offsets[partition] = offset

    def _place(self, client: AIOKafkaClient) -> None:
        self._led = {}
        for feed in self._feeds:
            if feed.topic is not None:
                for number in client.cluster.partitions_for_topic(feed.topic) or ():
                    feed.offsets.setdefault(TopicPartition(feed.topic, number), 0)
            for partition in feed.offsets:
                leader = client.cluster.leader_for_partition(partition)
                if leader is None or leader == _NOBODY:
                    self._rest(partition)
                else:
                    self._led.setdefault(leader, {})[partition] = feed

    def _due(self, node: int) -> dict[TopicPartition, int]:
        """Return what is to be fetched from a broker now, from which offset."""
        return {
            partition: feed.offsets[partition]
            for partition, feed in self._led.get(node, {}).items()
            if not feed.is_full and partition not in self._resting
        }

    async def _follow(self, client: AIOKafkaClient, node: int) -> None:
        session = FetchSession()
        while due := self._due(node):
            try:
                response = await client.send(node, session.request(due, self._wait_ms))
            except (KafkaError, OSError) as error:
                log.warning("fetching again", broker=node, error=type(error).__name__)
                session.lost()
                self._stale = True
                self._look.set()
                await asyncio.sleep(REST)
                continue
            if session.answered(response):
                for fetched in response.partitions:
                    self._take(fetched, due.get(fetched.partition), self._led.get(node, {}).get(fetched.partition))

    @property
    def _wait_ms(self) -> int:
        return QUICK_MS if asyncio.get_running_loop().time() < self._quick_until else WAIT_MS

    def _take(self, fetched: Fetched, offset: int | None, feed: Feed | None) -> None:
        partition = fetched.partition
        if feed is None or offset is None or feed.is_closed or feed.offsets[partition] != offset:
            return
        if fetched.error:
            self._refused(partition, for_code(fetched.error))
        elif fetched.records:
            try:
                feed.put(_decoded(fetched, offset))
            except KafkaError as error:
                self._refused(partition, type(error))

    def _refused(self, partition: TopicPartition, error: type[KafkaError]) -> None:
        log.info("partition is fetched again", partition=str(partition), error=error.__name__)
        if error is OffsetOutOfRangeError:
            self._astray.add(partition)
        self._rest(partition)
        self._look.set()

    def _rest(self, partition: TopicPartition) -> None:
        self._resting.add(partition)
        asyncio.get_running_loop().call_later(REST, self._rested, partition)

    def _rested(self, partition: TopicPartition) -> None:
        self._resting.discard(partition)
        self._stale = True
        self._look.set()


def _decoded(fetched: Fetched, offset: int) -> Batch:
    aborted = list(fetched.aborted)
    records = PartitionRecords(
        fetched.partition, MemoryRecords(fetched.records), aborted, offset, None, None, True, READ_COMMITTED
    )
    return Batch(fetched.partition, list(records), records.next_fetch_offset, len(fetched.records))


async def _offsets(client: AIOKafkaClient, partitions: Iterable[TopicPartition], at: int) -> dict[TopicPartition, int]:
    by_node: dict[int, dict[str, list[tuple[int, int]]]] = {}
    for partition in partitions:
        node = client.cluster.leader_for_partition(partition)
        if node is None or node == _NOBODY:
            await client.force_metadata_update()
            raise LeaderNotAvailableError(str(partition))
        by_node.setdefault(node, {}).setdefault(partition.topic, []).append((partition.partition, at))
    found: dict[TopicPartition, int] = {}
    for node, topics in by_node.items():
        request = OffsetRequest(_ANY_REPLICA, READ_COMMITTED, list(topics.items()))
        # On a connection of its own, because a broker answers one request of a connection after another.
        response = await client.send(node, request, group=ConnectionGroup.COORDINATION)
        for topic, answers in response.topics:
            for number, code, _, offset in answers:
                if for_code(code) is not NoError:
                    await client.force_metadata_update()
                    raise for_code(code)(topic)
                found[TopicPartition(topic, number)] = offset
    return found


@asynccontextmanager
async def _started(client: AIOKafkaClient) -> AsyncIterator[AIOKafkaClient]:
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()
