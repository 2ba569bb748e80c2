"""Handle topics together with the other members of a group.

Theory of operation. aiokafka rebalances eagerly: at every change of the group all partitions are revoked and dealt out
anew. Each partition that is dealt to us gets a lane, a task that handles its records in order and notes how far it is.
One task polls for all lanes, because whatever polls is woken by every record; a lane that has too much waiting is
paused at the consumer until half of it is done. Offsets noted are committed twice a second and when partitions are
revoked, so always after the effect. On revocation a lane finishes the record in hand and ends; a record that waits
for something that is away is left for the next owner. An error of the group itself ends the session, and a new one is
begun.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import InvalidSessionTimeoutError, KafkaError

from dialog_runtime.bus.consumers import cancelled, record_of, stop_consumer, unless_stopped, until_stopped
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
FULL = 1 << 20
"""Bytes that wait in a lane, beyond which its partition is paused."""
_RECORD = 500
"""Bytes that a record takes beside its value, about."""
_AT_A_TIME = 500
"""Records before the lanes have their turn."""
_IDLE_MS = 60_000

Process = Callable[[Record, asyncio.Event], Awaitable[bool]]


class Lane:
    """The records of one partition, one after another."""

    def __init__(self, consumer: AIOKafkaConsumer, names: Names, partition: TopicPartition, process: Process) -> None:
        self._consumer = consumer
        self._names = names
        self._partition = partition
        self._process = process
        self._waiting: deque[Any] = deque()
        self._size = 0
        self._some = asyncio.Event()
        self._busy = self._paused = False
        self.stopping = asyncio.Event()
        self.done_to: int | None = None
        """Offset of the next record to handle, once one was handled."""
        self.task = asyncio.create_task(self._run(), name=f"lane {partition.topic}[{partition.partition}]")

    def put(self, records: Sequence[Any]) -> None:
        """Let records of aiokafka's wait their turn."""
        self._waiting.extend(records)
        self._size += sum(map(_size, records))
        self._some.set()
        if self._size > FULL and not self._paused:
            self._paused = True
            self._consumer.pause(self._partition)

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
        while True:
            await self._some.wait()
            self._some.clear()
            self._busy = True
            while self._waiting:
                raw = self._take()
                if self.stopping.is_set() or not await self._process(record_of(self._names, raw), self.stopping):
                    return
                self.done_to = raw.offset + 1
            self._busy = False

    def _take(self) -> Any:  # noqa: ANN401  aiokafka has no types
        raw = self._waiting.popleft()
        self._size -= _size(raw)
        if self._paused and self._size < FULL // 2 and not self.stopping.is_set():
            self._paused = False
            self._consumer.resume(self._partition)
        return raw


def _size(raw: Any) -> int:  # noqa: ANN401  aiokafka has no types
    return len(raw.value or b"") + _RECORD


class GroupConsumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """A member of a consumer group; a part of the service."""

    def __init__(
        self,
        names: Names,
        topics: Sequence[str],
        membership: Membership,
        prepare: Callable[[], Awaitable[object]],
        process: Process,
    ) -> None:
        self._names = names
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
            for partition in sorted(assigned):
                self._lanes[partition] = Lane(consumer, self._names, partition, self._process)
        self._joined.set()

    async def _session(self) -> None:
        await unless_stopped(self._stopping, self._serve())

    async def _serve(self) -> None:
        await self._prepare()
        consumer = self._consumer = self._membership.consumer()
        consumer.subscribe(self._topics, listener=self)
        try:
            await consumer.start()
            await self._commit_while(asyncio.create_task(self._poll(consumer), name=f"poll {','.join(self._topics)}"))
        except InvalidSessionTimeoutError:
            self._membership.session_timeout_refused()
        finally:
            await self._end_lanes()
            await stop_consumer(consumer)

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            batches = await consumer.getmany(timeout_ms=_IDLE_MS, max_records=_AT_A_TIME)
            for partition, records in batches.items():
                # Not there where the group is being dealt out anew: whoever gets the partition reads them again.
                if (lane := self._lanes.get(partition)) is not None:
                    lane.put(records)
            await asyncio.sleep(0)

    async def _commit_while(self, polling: asyncio.Task[None]) -> None:
        """Commit what lanes did until ``polling`` or a lane ends with an error; raise that."""
        try:
            while not polling.done():
                self._raise_lane_errors()
                await self._commit()
                await asyncio.wait({polling}, timeout=COMMIT_EVERY)
        finally:
            await cancelled(polling)
        polling.result()

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
