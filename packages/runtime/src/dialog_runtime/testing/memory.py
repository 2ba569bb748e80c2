"""The bus in memory, for unit tests: the same contract, no broker, no waiting.

Several instances on one :class:`MemoryBroker` see each other's records. A record gets a partition by its key, an
offset, and is delivered in order per partition; consumers of one group share the partitions; a handler's errors make
retries and dead letters by the same policy as on Kafka. :meth:`MemoryBroker.settle` waits until all is handled.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from zlib import crc32

from dialog_schemas.topics import TOPICS, Partitions, Topic
from dialog_schemas.topics import inbox as inbox_of

from dialog_runtime.bus.errors import BusTimeoutError
from dialog_runtime.bus.message import Message
from dialog_runtime.bus.metrics import BusMetrics
from dialog_runtime.bus.ports import Handler, PartitionOwner
from dialog_runtime.bus.process import Processor, Retries
from dialog_runtime.bus.publisher import Publisher
from dialog_runtime.bus.record import Record
from dialog_runtime.bus.view import View
from dialog_runtime.clock import Clock, ManualClock
from dialog_runtime.metrics import Metrics
from dialog_runtime.testing.memory_owned import MemoryOwnership

V = TypeVar("V")

_AT_ONCE = Retries(attempts=3, first=0, longest=0)
_ONE_PARTITION = {topic.name for topic in TOPICS if topic.partitions is Partitions.ONE}


@dataclass
class MemoryBroker:
    """What Kafka is to the real bus."""

    partitions: int = 4
    away: bool = False
    """Set to True for an outage: nothing is taken until it is False again."""
    log: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    """Every record, by topic, in the order it came."""
    _ends: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    _listeners: dict[str, list[Callable[[Record], None]]] = field(default_factory=lambda: defaultdict(list))
    _groups: dict[str, list[MemoryConsumer]] = field(default_factory=lambda: defaultdict(list))
    _consumers: list[MemoryConsumer] = field(default_factory=list)

    def bus(self, instance: str, clock: Clock | None = None) -> MemoryBus:
        """Return the bus as ``instance`` sees it."""
        return MemoryBus(self, instance, clock or ManualClock())

    def submit(self, message: Message, within: float) -> asyncio.Future[None]:
        """Take a record; see :class:`~dialog_runtime.bus.publisher.Sender`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.away:
            future.set_exception(BusTimeoutError(f"no acknowledgement in {within:g} s"))
            return future
        self.append(message)
        future.set_result(None)
        return future

    def append(self, message: Message) -> Record:
        """Put a record at the end of its partition and hand it to whoever reads there."""
        records = self.log[message.topic]
        partition = self.partition_of(message) if message.partition is None else message.partition
        offset = self._ends[message.topic, partition]
        self._ends[message.topic, partition] += 1
        record = Record(message.topic, partition, offset, message.key, message.value, message.headers)
        records.append(record)
        for listener in list(self._listeners[message.topic]):
            listener(record)
        return record

    def partition_of(self, message: Message) -> int:
        """Return where a key goes."""
        one = message.topic in _ONE_PARTITION or message.topic.startswith("inbox.")
        return 0 if one else crc32((message.key or "").encode("utf-8", "surrogateescape")) % self.partitions

    def last(self, topic: Topic | str) -> dict[str, Record]:
        """Return the last record of every live key."""
        rows: dict[str, Record] = {}
        for record in self.log[topic if isinstance(topic, str) else topic.name]:
            if record.key is not None:
                rows[record.key] = record
        return {key: record for key, record in rows.items() if not record.is_tombstone}

    def listen(self, topic: str, listener: Callable[[Record], None]) -> None:
        """Hand every further record of ``topic`` to ``listener``, at once."""
        self._listeners[topic].append(listener)

    def join(self, group: str, consumer: MemoryConsumer) -> None:
        """Make ``consumer`` a member of ``group``, which begins at the first record where it is new."""
        members = self._groups[group]
        members.append(consumer)
        self._consumers.append(consumer)
        for topic in consumer.topics:
            if len(members) == 1:
                for record in self.log[topic]:
                    consumer.give(record)
            self.listen(topic, lambda record: self._share(members, consumer, record))

    def read_inbox(self, consumer: MemoryConsumer) -> None:
        """Hand ``consumer`` what comes from now on."""
        self._consumers.append(consumer)
        for topic in consumer.topics:
            self.listen(topic, consumer.give)

    async def settle(self) -> None:
        """Wait until every consumer has handled what it was given."""
        while any(consumer.is_busy for consumer in self._consumers):
            await asyncio.gather(*(consumer.settle() for consumer in self._consumers))

    def _share(self, members: list[MemoryConsumer], consumer: MemoryConsumer, record: Record) -> None:
        running = [member for member in members if not member.stopped]
        if running and running[record.partition % len(running)] is consumer:
            consumer.give(record)


class MemoryConsumer:
    """A running consumer: one task a partition."""

    def __init__(self, topics: Sequence[str], processor: Processor) -> None:
        self.topics = topics
        self.stopped = False
        self._processor = processor
        self._stopping = asyncio.Event()
        self._queues: dict[tuple[str, int], list[Record]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_busy(self) -> bool:
        """True while a record is queued or in hand."""
        return bool(self._tasks)

    async def ready(self) -> None:
        """Return at once: there is nothing to wait for."""

    def stop(self) -> None:
        """Take nothing more."""
        self.stopped = True
        self._stopping.set()

    def give(self, record: Record) -> None:
        """Queue a record behind those of its partition."""
        if self.stopped:
            return
        lane = (record.topic, record.partition)
        if lane in self._queues:
            self._queues[lane].append(record)
            return
        self._queues[lane] = [record]
        task = asyncio.create_task(self._drain(lane), name=f"lane {record.topic}[{record.partition}]")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait for what is queued."""
        if self._tasks:
            await asyncio.gather(*self._tasks)

    async def _drain(self, lane: tuple[str, int]) -> None:
        queue = self._queues[lane]
        while queue and await self._processor(queue[0], self._stopping):
            queue.pop(0)
        del self._queues[lane]


class MemoryBus:
    """What :class:`~dialog_runtime.bus.ports.Bus` asks for, in memory."""

    def __init__(self, broker: MemoryBroker, instance: str, clock: Clock) -> None:
        self._broker = broker
        self._instance = instance
        self._publisher = Publisher(broker, f"/test/{instance}", clock)
        self._metrics = BusMetrics(Metrics())

    @property
    def instance(self) -> str:
        """Instance id."""
        return self._instance

    @property
    def publisher(self) -> Publisher:
        """The way out."""
        return self._publisher

    def view(
        self,
        topic: Topic,
        decode: Callable[[Record], V],
        on_change: Callable[[str, V | None], None] | None = None,
    ) -> View[V]:
        """Follow a compacted topic; what is published is there at once."""
        view = View(decode, on_change)
        for record in self._broker.last(topic).values():
            view.apply(record)
        self._broker.listen(topic.name, view.apply)
        view.caught_up()
        return view

    def consume(self, group: str, topics: Sequence[Topic], handler: Handler) -> MemoryConsumer:
        """Handle the records of ``topics`` together with the other members of ``group``."""
        consumer = MemoryConsumer([topic.name for topic in topics], self.processor(handler))
        self._broker.join(group, consumer)
        return consumer

    def inbox(self, handler: Handler) -> MemoryConsumer:
        """Handle what is sent to this instance from now on."""
        consumer = MemoryConsumer([inbox_of(self._instance).name], self.processor(handler))
        self._broker.read_inbox(consumer)
        return consumer

    def own(self, group: str, inputs: Topic, state: Topic, owner: PartitionOwner) -> MemoryOwnership:  # noqa: ARG002
        """Own partitions; the test deals them out with :meth:`MemoryOwnership.give` and takes them away."""
        return MemoryOwnership(self._broker, inputs, state, owner)

    def processor(self, handler: Handler) -> Processor:
        """Return ``handler`` under the policy of retries (at once) and dead letters."""
        return Processor(handler, self._publisher.dead_letter, self._metrics, _AT_ONCE)
