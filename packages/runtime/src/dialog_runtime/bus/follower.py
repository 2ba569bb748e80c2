"""Who follows a whole topic without a group: a view of a compacted one, an inbox from its end, who only looks on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from dialog_schemas.topics import Topic

from dialog_runtime.bus.errors import HOPELESS
from dialog_runtime.bus.message import in_words
from dialog_runtime.bus.record import Record
from dialog_runtime.bus.view import View

log = structlog.get_logger(__name__)


class Follower:
    """Is given every record of one topic, in order per partition, by a :class:`~dialog_runtime.bus.reader.Reader`."""

    def __init__(self, topic: Topic, *, from_end: bool = False) -> None:
        self.topic = topic
        self.from_end = from_end
        """Begin with what comes after the start."""
        self.stopping = asyncio.Event()
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        """Wait until the end of the topic, as it was at the start, is reached."""
        await self._ready.wait()

    def stop(self) -> None:
        """Finish the record in hand and take no more."""
        self.stopping.set()

    def has_caught_up(self) -> None:
        """Be told that the end of the topic, as it was at the start, is reached."""
        self._ready.set()

    async def handle(self, record: Record) -> None:
        """Take the next record."""
        raise NotImplementedError


class ViewFollower(Follower):
    """Keeps a :class:`View` up to date."""

    def __init__(self, topic: Topic, view: View[Any]) -> None:
        super().__init__(topic)
        self._view = view

    async def handle(self, record: Record) -> None:
        """Apply the record."""
        self._view.apply(record)

    def has_caught_up(self) -> None:
        """Tell the view."""
        super().has_caught_up()
        self._view.caught_up()


class Tail(Follower):
    """Shows every record of a topic to somebody who only looks on: what cannot be read is another's dead letter."""

    def __init__(self, topic: Topic, look: Callable[[Record], None], *, from_end: bool) -> None:
        super().__init__(topic, from_end=from_end)
        self._look = look

    async def handle(self, record: Record) -> None:
        """Show the record."""
        try:
            self._look(record)
        except HOPELESS as error:
            log.debug("record passed over", record=str(record), error=in_words(error))


class Inbox(Follower):
    """Handles what is sent to this instance from now on. What was sent to one that died is not for this one."""

    def __init__(self, topic: Topic, process: Callable[[Record, asyncio.Event], Awaitable[bool]]) -> None:
        super().__init__(topic, from_end=True)
        self._process = process

    async def handle(self, record: Record) -> None:
        """Handle the record, or put it among the dead letters."""
        await self._process(record, self.stopping)
