"""Handle topics together with the other members of a group.

Theory of operation. aiokafka rebalances eagerly: at every change of the group all partitions are revoked and dealt out
anew. Each partition that is dealt to us gets a lane, a task that handles its records in order and notes how far it is.
The records come from the reader that the rest of the process has as well; aiokafka's consumer is there for the group
alone, and its own fetching is paused. Offsets noted are committed twice a second and when partitions are
revoked, so always after the effect. On revocation a lane finishes the record in hand and ends; a record that waits
for something that is away is left for the next owner. An error of the group itself ends the session, and a new one is
begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import InvalidSessionTimeoutError, KafkaError

from dialog_runtime.bus.consumers import record_of, stop_consumer, unless_stopped, until_stopped
from dialog_runtime.bus.fetching.reader import FetchReader
from dialog_runtime.bus.follower import Prepare
from dialog_runtime.bus.membership import Membership
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.record import Record

log = structlog.get_logger(__name__)

COMMIT_EVERY = 0.5
"""Seconds between commits of what was handled. Each costs as much as half a record; after a crash some come again."""
COMMIT_WITHIN = 5.0
"""Seconds that a commit may take; one that fails means that the records come again."""
REVOKE_WITHIN = 5.0
"""Seconds that a record in hand may take when its partition is revoked."""
_PAUSED_MS = 5000
"""How often aiokafka's consumer looks whether there is something to fetch: there is not."""
_NOTHING = TopicPartition("", 0)
"""Polled to be told of the group's errors while no lane polls."""

Process = Callable[[Record, asyncio.Event], Awaitable[bool]]


class Lane:
    """The records of one partition, one after another."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        reader: FetchReader,
        names: Names,
        partition: TopicPartition,
        process: Process,
    ) -> None:
        self._consumer = consumer
        self._reader = reader
        self._names = names
        self._partition = partition
        self._process = process
        self._busy = False
        self.stopping = asyncio.Event()
        self.done_to: int | None = None
        """Offset of the next record to handle, once one was handled."""
        self.task = asyncio.create_task(self._run(), name=f"lane {partition.topic}[{partition.partition}]")

    async def end(self) -> None:
        """Finish the record in hand, at most for :data:`REVOKE_WITHIN` seconds."""
        self.stopping.set()
        if not self._busy:
            self.task.cancel()
        done, _ = await asyncio.wait({self.task}, timeout=REVOKE_WITHIN)
        if not done:
            log.warning("record in hand given up", partition=str(self._partition))
            self.task.cancel()
            await asyncio.wait({self.task})

    async def _run(self) -> None:
        start = await self._consumer.position(self._partition)
        feed = self._reader.open({self._partition: start})
        try:
            while not self.stopping.is_set():
                self._busy = False
                batches = await feed.take()
                self._busy = True
                for batch in batches:
                    await self._handle(batch.records)
        finally:
            feed.close()

    async def _handle(self, records: Sequence[Any]) -> None:
        for raw in records:
            if self.stopping.is_set() or not await self._process(record_of(self._names, raw), self.stopping):
                return
            self.done_to = raw.offset + 1


class GroupConsumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """A member of a consumer group; a part of the service."""

    def __init__(
        self,
        names: Names,
        topics: Sequence[str],
        membership: Membership,
        reader: FetchReader,
        prepare: Prepare,
        process: Process,
    ) -> None:
        self._names = names
        self._reader = reader
        self._topics = [names.full(topic) for topic in topics]
        self._membership = membership
        self._prepare = prepare
        self._process = process
        self._consumer: AIOKafkaConsumer | None = None
        self._lanes: dict[TopicPartition, Lane] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._stopping = asyncio.Event()
        self._joined = asyncio.Event()

    @property
    def partitions(self) -> frozenset[tuple[str, int]]:
        """What is assigned to this instance now."""
        return frozenset((self._names.short(tp.topic), tp.partition) for tp in self._lanes)

    async def ready(self) -> None:
        """Wait until the group has dealt out its partitions for the first time."""
        await self._joined.wait()

    def stop(self) -> None:
        """Finish the records in hand, commit and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Handle records until stopped."""
        await until_stopped(self._stopping, self._session, ",".join(self._topics))

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002  always all of them
        """End every lane and commit what it did, before somebody else goes on from there."""
        await self._end_lanes()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Open a lane for each partition."""
        consumer = self._consumer
        if consumer is not None:
            consumer.pause(*assigned)
            for partition in sorted(assigned):
                self._lanes[partition] = Lane(consumer, self._reader, self._names, partition, self._process)
        self._joined.set()

    async def _session(self) -> None:
        await unless_stopped(self._stopping, self._serve())

    async def _serve(self) -> None:
        await self._prepare()
        consumer = self._consumer = self._membership.consumer(consumer_timeout_ms=_PAUSED_MS)
        consumer.subscribe(self._topics, listener=self)
        try:
            await consumer.start()
            while True:
                await consumer.getmany(_NOTHING, timeout_ms=0)
                self._raise_lane_errors()
                await self._commit()
                await asyncio.sleep(COMMIT_EVERY)
        except InvalidSessionTimeoutError:
            self._membership.session_timeout_refused()
        finally:
            await self._end_lanes()
            await stop_consumer(consumer)

    def _raise_lane_errors(self) -> None:
        for lane in self._lanes.values():
            if lane.task.done() and not lane.task.cancelled():
                lane.task.result()

    async def _end_lanes(self) -> None:
        if self._lanes:
            await asyncio.gather(*(lane.end() for lane in self._lanes.values()))
            await self._commit()
            self._lanes.clear()
            self._committed.clear()

    async def _commit(self) -> None:
        offsets = {
            partition: lane.done_to
            for partition, lane in self._lanes.items()
            if lane.done_to is not None and self._committed.get(partition) != lane.done_to
        }
        if not offsets or self._consumer is None:
            return
        try:
            async with asyncio.timeout(COMMIT_WITHIN):
                await self._consumer.commit(offsets)
        except (KafkaError, TimeoutError) as error:
            # The partitions are somebody else's by now, who handles these records again.
            log.info("offsets not committed", error=type(error).__name__)
        else:
            self._committed.update(offsets)
