"""Read whole topics without a group: a compacted topic into a view, an inbox from its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from dialog_runtime.bus.consumers import POLL_MS, Connect, record_of, started, unless_stopped, until_stopped
from dialog_runtime.bus.errors import HOPELESS
from dialog_runtime.bus.message import in_words
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.record import Record
from dialog_runtime.bus.view import View

log = structlog.get_logger(__name__)

_AT_A_TIME = 2000

Prepare = Callable[[], Awaitable[object]]
"""Makes sure that the topic is there."""


class Follower:
    """Reads every partition of one topic, in order per partition; a part of the service.

    A new connection goes on where the last one was. ``read_committed``, because registrars write in transactions.
    """

    def __init__(self, names: Names, topic: str, connect: Connect, prepare: Prepare, *, from_end: bool = False) -> None:
        self._names = names
        self._topic = names.full(topic)
        self._connect = connect
        self._prepare = prepare
        self._from_end = from_end
        self._positions: dict[TopicPartition, int] = {}
        self._targets: dict[TopicPartition, int] | None = None
        self._stopping = asyncio.Event()
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        """Wait until the end of the topic, as it was at the start, is reached."""
        await self._ready.wait()

    def stop(self) -> None:
        """Finish the records in hand and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Read until stopped."""
        await until_stopped(self._stopping, self._session, self._topic)

    async def handle(self, record: Record) -> None:
        """Take the next record."""
        raise NotImplementedError

    def caught_up(self) -> None:
        """React to having read up to where the topic ended at the start. Called once."""

    async def _session(self) -> None:
        await unless_stopped(self._stopping, self._prepare())
        if self._stopping.is_set():
            return
        consumer = self._connect(auto_offset_reset="earliest", isolation_level="read_committed")
        consumer.subscribe([self._topic])
        async with started(consumer):
            await self._take_up(consumer)
            while not self._stopping.is_set():
                await self._poll(consumer)

    async def _take_up(self, consumer: AIOKafkaConsumer) -> None:
        partitions = consumer.assignment()
        if self._targets is None:
            self._targets = await consumer.end_offsets(partitions)
            if self._from_end:
                self._positions = dict(self._targets)
        for partition in partitions:
            if partition in self._positions:
                consumer.seek(partition, self._positions[partition])
        await self._look_whether_ready(consumer)

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        batch: dict[TopicPartition, list[Any]] = await consumer.getmany(timeout_ms=POLL_MS, max_records=_AT_A_TIME)
        for partition, records in batch.items():
            for raw in records:
                await self.handle(record_of(self._names, raw))
                self._positions[partition] = raw.offset + 1
        if not self._ready.is_set():
            await self._look_whether_ready(consumer)

    async def _look_whether_ready(self, consumer: AIOKafkaConsumer) -> None:
        # The position, not the last record: transaction markers and compacted records take up offsets as well.
        for partition, end in (self._targets or {}).items():
            if partition in consumer.assignment() and end > 0 and await consumer.position(partition) < end:
                return
        self._ready.set()
        self.caught_up()


class ViewFollower(Follower):
    """Keeps a :class:`View` up to date."""

    def __init__(self, names: Names, topic: str, connect: Connect, prepare: Prepare, view: View[Any]) -> None:
        super().__init__(names, topic, connect, prepare)
        self._view = view

    async def handle(self, record: Record) -> None:
        """Apply the record."""
        self._view.apply(record)

    def caught_up(self) -> None:
        """Tell the view."""
        self._view.caught_up()


class Tail(Follower):
    """Shows every record of a topic to somebody who only looks on: what cannot be read is another's dead letter."""

    def __init__(
        self,
        names: Names,
        topic: str,
        connect: Connect,
        prepare: Prepare,
        look: Callable[[Record], None],
        *,
        from_end: bool,
    ) -> None:
        super().__init__(names, topic, connect, prepare, from_end=from_end)
        self._look = look

    async def handle(self, record: Record) -> None:
        """Show the record."""
        try:
            self._look(record)
        except HOPELESS as error:
            log.debug("record passed over", record=str(record), error=in_words(error))


class InboxReader(Follower):
    """Handles what is sent to this instance from now on. What was sent to one that died is not for this one."""

    def __init__(
        self,
        names: Names,
        topic: str,
        connect: Connect,
        prepare: Prepare,
        process: Callable[[Record, asyncio.Event], Awaitable[bool]],
    ) -> None:
        super().__init__(names, topic, connect, prepare, from_end=True)
        self._process = process

    async def handle(self, record: Record) -> None:
        """Handle the record, or put it among the dead letters."""
        await self._process(record, self._stopping)
