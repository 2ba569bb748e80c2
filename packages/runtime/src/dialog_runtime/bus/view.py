"""A compacted topic in memory: the last value of every key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import structlog
from dialog_schemas.event import Event

from dialog_runtime.bus.errors import HOPELESS
from dialog_runtime.bus.message import in_words
from dialog_runtime.bus.record import Record

log = structlog.get_logger(__name__)

V = TypeVar("V")
E = TypeVar("E", bound=Event)


def event_of(model: type[E]) -> Callable[[Record], E]:
    """Return a decoder for a topic that has one kind of event. It raises on any other."""

    def decode(record: Record) -> E:
        event = record.envelope().event
        if not isinstance(event, model):
            raise HOPELESS[0](f"{event.type()} where {model.type()} is expected")
        return event

    return decode


class View(Generic[V]):
    """The last value of every key; filled by :meth:`apply`, by whoever reads the topic.

    A record that cannot be decoded takes its key away, because the value before it is no longer true either.
    """

    def __init__(self, decode: Callable[[Record], V], on_change: Callable[[str, V | None], None] | None = None) -> None:
        self._decode = decode
        self._on_change = on_change
        self._values: dict[str, V] = {}
        self._caught_up = asyncio.Event()
        self.malformed = 0
        """Records that could not be decoded."""

    async def ready(self) -> None:
        """Wait until everything that was in the topic at the start is here."""
        await self._caught_up.wait()

    @property
    def is_ready(self) -> bool:
        """True once caught up; stays true while the broker is away."""
        return self._caught_up.is_set()

    def get(self, key: str) -> V | None:
        """Return the last value of ``key``, or None."""
        return self._values.get(key)

    def values(self) -> list[V]:
        """Return every value as of now."""
        return list(self._values.values())

    def items(self) -> list[tuple[str, V]]:
        """Return every key with its value as of now."""
        return list(self._values.items())

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._values))

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def apply(self, record: Record) -> None:
        """Take the next record of the topic."""
        if record.key is None:
            return
        value = self._read(record)
        if value is None and record.key not in self._values:
            return
        if value is None:
            del self._values[record.key]
        else:
            self._values[record.key] = value
        if self._on_change is not None:
            self._on_change(record.key, value)

    def caught_up(self) -> None:
        """Say that the end of the topic, as it was at the start, is reached."""
        self._caught_up.set()

    def _read(self, record: Record) -> V | None:
        if record.is_tombstone:
            return None
        try:
            return self._decode(record)
        except HOPELESS as error:
            self.malformed += 1
            log.warning("record ignored", record=str(record), error=in_words(error))
            return None
