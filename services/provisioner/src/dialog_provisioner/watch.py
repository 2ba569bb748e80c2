"""The watch of the table: the only writer of ``sip.mappings``.

Theory of operation. Whoever leads compares the table with the topic and publishes the difference: first the whole,
then what the notifications name. Where there is no trigger, or a notification may have been missed, a fingerprint of
the table (one row, read every so often) says whether to compare again. A comparison starts from what the topic says
and may be repeated at will, so it does not matter where the one before it, here or in another process, was cut off:
whatever fails, everything is marked and compared anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import structlog
from dialog_runtime.clock import Clock
from dialog_runtime.table.rows import Address

from dialog_provisioner.dirty import Dirty
from dialog_provisioner.model.diff import Change, Comparison, changes
from dialog_provisioner.ports import (
    Fingerprint,
    Leadership,
    LeadershipLostError,
    Rows,
    TableUnavailableError,
    Topic,
    TopicUnavailableError,
)
from dialog_provisioner.status import Status

AT_ONCE = 2_000
"""Addresses looked up in one query, and records on their way to the broker at a time."""
BACKOFF = (0.25, 0.5, 1.0, 2.0)
"""Seconds between attempts while PostgreSQL or Kafka is away; the last goes on."""

log = structlog.get_logger()
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the table's fingerprint is looked at, in seconds: with triggers in place, and without.

    ``without`` is also how often it is looked whether the triggers still are in place.
    """

    with_triggers: float
    without: float


class Watch:
    """A part of the service: runs until :meth:`stop`."""

    def __init__(
        self,
        rows: Rows,
        topic: Topic,
        leadership: Leadership,
        dirty: Dirty,
        pace: Pace,
        status: Status,
        clock: Clock,
    ) -> None:
        self._rows = rows
        self._topic = topic
        self._leadership = leadership
        self._dirty = dirty
        self._pace = pace
        self._status = status
        self._clock = clock
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let go of the lead, so that another may take it."""
        self._stopping.set()

    async def run(self) -> None:
        """Lead whenever nobody else does."""
        running = asyncio.create_task(self._run())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.cancel()
            stopping.cancel()
            await asyncio.wait({running, stopping})
        if not running.cancelled():
            running.result()

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._leadership.lead(self._lead, self._status.following)
            except LeadershipLostError as error:
                self._status.failed(str(error))
                log.warning("no longer leading the watch", reason=str(error))
            except TableUnavailableError as error:
                failures = failures + 1 if self._status.trouble else 0
                self._status.failed(str(error))
                await asyncio.sleep(_backoff(failures))

    async def _lead(self) -> None:
        self._dirty.mark_everything()
        failures = 0
        while True:
            try:
                await self._follow()
            except (TableUnavailableError, TopicUnavailableError) as error:
                failures = failures + 1 if self._status.trouble else 0
                self._status.failed(str(error))
                self._dirty.mark_everything()
                await asyncio.sleep(_backoff(failures))

    async def _follow(self) -> None:
        """Keep the topic as the table is, until something fails or the table is another."""
        await self._topic.ready()
        # Read before the rows: what changes in between is then another fingerprint.
        triggers, seen = await self._rows.prepare(), await self._rows.fingerprint()
        self._status.leading(triggers=triggers)
        checked = _Every(self._pace.without, self._clock)
        looked = _Every(self._pace.with_triggers if triggers else self._pace.without, self._clock)
        while True:
            await self._catch_up()
            self._status.caught_up()
            await self._dirty.wait(self._pace.without)
            if triggers and checked.due() and not await self._rows.in_place():
                self._dirty.mark_everything()
                return
            if looked.due():
                seen = await self._look(seen)
                if triggers:
                    await self._rows.forget_removed()

    async def _look(self, seen: Fingerprint) -> Fingerprint:
        fingerprint = await self._rows.fingerprint()
        if fingerprint != seen:
            self._dirty.mark_everything()
        return fingerprint

    async def _catch_up(self) -> None:
        marked = self._dirty.take()
        if marked is None:
            await self._compare()
        else:
            await self._republish(marked, ())

    async def _compare(self) -> None:
        comparison = Comparison(self._topic.published)
        async with aclosing(self._rows.heads()) as batches:  # type: ignore[type-var]
            async for heads in batches:
                comparison.see(heads)
        await self._republish(comparison.dirty, comparison.gone())

    async def _republish(self, addresses: Collection[Address], gone: Collection[str]) -> None:
        for some in _chunks(list(addresses), AT_ONCE):
            await self._look_up(some)
            # What is edited while a whole table goes out does not wait for its end.
            if urgent := self._dirty.take_named():
                await self._look_up(urgent)
        await self._publish(changes(gone, (), self._topic.published))

    async def _look_up(self, addresses: Collection[Address]) -> None:
        rows = await self._rows.of(addresses)
        await self._publish(changes({address.aor for address in addresses}, rows, self._topic.published))

    async def _publish(self, found: Sequence[Change]) -> None:
        for part in _chunks(found, AT_ONCE):
            await self._topic.publish(part)
            self._status.published(len(part))


class _Every:
    """Says when it is time again; ``seconds`` between two times."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._next = clock.monotonic() + seconds

    def due(self) -> bool:
        """Return True once per period."""
        if (now := self._clock.monotonic()) < self._next:
            return False
        self._next = now + self._seconds
        return True


def _chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _backoff(failures: int) -> float:
    return BACKOFF[min(failures, len(BACKOFF) - 1)]
