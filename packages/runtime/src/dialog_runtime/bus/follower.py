"""Read whole topics without a group: a compacted topic into a view, an inbox from its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiokafka import TopicPartition

from dialog_runtime.bus.consumers import record_of, unless_stopped, until_stopped
from dialog_runtime.bus.errors import HOPELESS
from dialog_runtime.bus.fetching.feed import Batch, Feed
from dialog_runtime.bus.fetching.reader import END, FIRST, FetchReader
from dialog_runtime.bus.message import in_words
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.record import Record
from dialog_runtime.bus.view import View

log = structlog.get_logger(__name__)

Prepare = Callable[[], Awaitable[object]]
"""Makes sure that the topic is there."""


class Follower:
    """Reads every partition of one topic, in order per partition; a part of the service."""

    def __init__(
        self, names: Names, topic: str, reader: FetchReader, prepare: Prepare, *, from_end: bool = False
    ) -> None:
        self._names = names
        self._topic = names.full(topic)
        self._reader = reader
        self._prepare = prepare
        self._from_end = from_end
        self._feed: Feed | None = None
        self._positions: dict[TopicPartition, int] = {}
        self._missing: dict[TopicPartition, int] | None = None
        """Partitions that are not read to where they ended at the start, with that offset."""
        self._stopping = asyncio.Event()
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        """Wait until the end of the topic, as it was at the start, is reached."""
        await self._ready.wait()

    def stop(self) -> None:
        """Finish the records in hand and end."""
        self._stopping.set()
        if self._feed is not None:
            self._feed.close()

    async def run(self) -> None:
        """Read until stopped."""
        await until_stopped(self._stopping, self._session, self._topic)

    async def handle(self, record: Record) -> None:
        """Take the next record."""
        raise NotImplementedError

    def caught_up(self) -> None:
        """React to having read up to where the topic ended at the start. Called once."""

    async def _session(self) -> None:
        await unless_stopped(self._stopping, self._open())
        feed = self._feed
        try:
            while feed is not None and not feed.is_closed:
                for batch in await feed.take():
                    await self._handle(batch)
        finally:
            if feed is not None:
                feed.close()

    async def _open(self) -> None:
        await self._prepare()
        if self._missing is None:
            ends = await self._reader.offsets(self._topic, END)
            self._positions = ends if self._from_end else await self._reader.offsets(self._topic, FIRST)
            self._missing = {partition: end for partition, end in ends.items() if self._positions[partition] < end}
        self._feed = self._reader.open(self._positions, self._topic)
        self._look_whether_ready()

    async def _handle(self, batch: Batch) -> None:
        for raw in batch.records:
            await self.handle(record_of(self._names, raw))
            self._positions[batch.partition] = raw.offset + 1
        # The offset, not the last record: transaction markers and compacted records take up offsets as well.
        if self._missing and batch.next_offset >= self._missing.get(batch.partition, batch.next_offset + 1):
            del self._missing[batch.partition]
            self._look_whether_ready()

    def _look_whether_ready(self) -> None:
        if not self._missing and not self._ready.is_set():
            self._ready.set()
            self.caught_up()


class ViewFollower(Follower):
    """Keeps a :class:`View` up to date."""

    def __init__(self, names: Names, topic: str, reader: FetchReader, prepare: Prepare, view: View[Any]) -> None:
        super().__init__(names, topic, reader, prepare)
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
        reader: FetchReader,
        prepare: Prepare,
        look: Callable[[Record], None],
        *,
        from_end: bool,
    ) -> None:
        super().__init__(names, topic, reader, prepare, from_end=from_end)
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
        reader: FetchReader,
        prepare: Prepare,
        process: Callable[[Record, asyncio.Event], Awaitable[bool]],
    ) -> None:
        super().__init__(names, topic, reader, prepare, from_end=True)
        self._process = process

    async def handle(self, record: Record) -> None:
        """Handle the record, or put it among the dead letters."""
        await self._process(record, self._stopping)
