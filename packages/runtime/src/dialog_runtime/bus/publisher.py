"""The way out to the bus, in the words of the contract. What carries the records is a :class:`Sender`."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog
from dialog_schemas.event import Event
from dialog_schemas.relay import Relay
from dialog_schemas.topics import Topic

from dialog_runtime.bus.errors import BusTimeoutError
from dialog_runtime.bus.message import (
    Message,
    Stamp,
    dead_letter_message,
    event_message,
    forwarded_message,
    in_words,
    relay_message,
    tombstone_message,
)
from dialog_runtime.bus.record import Record
from dialog_runtime.clock import Clock, SystemClock

log = structlog.get_logger(__name__)

PUBLISH_WITHIN = 30.0
"""Seconds that a publish waits for its acknowledgement unless told otherwise."""


class Sender(Protocol):
    """Carries records to the broker, those of a topic in the order they were given."""

    def submit(self, message: Message, within: float) -> asyncio.Future[None]:
        """Queue ``message``; the future is done when every replica in sync has it.

        Raises :class:`BusOverloadedError` where too much waits already. The future raises :class:`BusTimeoutError`
        where it was not even sent after ``within`` seconds, and :class:`PermanentError` where the broker refuses it.
        """


class Publisher:
    """Publishes events, SIP messages, tombstones and dead letters.

    The ``publish`` family waits for the acknowledgement; the ``send`` family returns a future, for the call path, and
    keeps the order per topic without waiting.
    """

    def __init__(self, sender: Sender, source: str, clock: Clock | None = None) -> None:
        self._sender = sender
        self._source = source
        self._clock = clock or SystemClock()

    def message(
        self, topic: Topic, key: str, event: Event, *, event_id: str | None = None, trace: str | None = None
    ) -> Message:
        """Return ``event`` as a record, for :meth:`Ownership.commit <dialog_runtime.bus.ports.Ownership.commit>`."""
        now = self._clock.utcnow()
        return event_message(topic, key, event, source=self._source, at=now, event_id=event_id, trace=trace)

    def stamp(self, topic: Topic, kind: type[Event]) -> Stamp:
        """Return what makes records of many events of one kind that are written now."""
        return Stamp(topic, kind, source=self._source, at=self._clock.utcnow())

    def send_message(self, message: Message) -> asyncio.Future[None]:
        """Send a record that was made by a :class:`Stamp`; the future is done with its acknowledgement."""
        return self._submit(message)

    def send(
        self, topic: Topic, key: str, event: Event, *, event_id: str | None = None, trace: str | None = None
    ) -> asyncio.Future[None]:
        """Send ``event``; the future is done with its acknowledgement."""
        return self._submit(self.message(topic, key, event, event_id=event_id, trace=trace))

    async def publish(
        self,
        topic: Topic,
        key: str,
        event: Event,
        *,
        event_id: str | None = None,
        trace: str | None = None,
        within: float = PUBLISH_WITHIN,
    ) -> None:
        """Send ``event`` and wait for its acknowledgement. Raises :class:`BusTimeoutError` after ``within`` seconds."""
        await self._acknowledged(self.message(topic, key, event, event_id=event_id, trace=trace), within)

    def send_relay(self, to: Topic | str, relay: Relay, key: str | None = None) -> asyncio.Future[None]:
        """Send a SIP message to a topic, or to the inbox of the instance named ``to``."""
        return self._submit(relay_message(to, relay, key))

    async def publish_relay(
        self, to: Topic | str, relay: Relay, key: str | None = None, *, within: float = PUBLISH_WITHIN
    ) -> None:
        """As :meth:`send_relay`, and wait for the acknowledgement."""
        await self._acknowledged(relay_message(to, relay, key), within)

    async def forward(self, to: Topic | str, record: Record, *, within: float = PUBLISH_WITHIN) -> None:
        """Send ``record`` on as it came, to a topic or the inbox of the instance named ``to``."""
        await self._acknowledged(forwarded_message(to, record), within)

    def send_tombstone(self, topic: Topic, key: str) -> asyncio.Future[None]:
        """Drop ``key`` from a compacted topic; the future is done with the acknowledgement."""
        return self._submit(tombstone_message(topic, key))

    async def tombstone(self, topic: Topic, key: str, *, within: float = PUBLISH_WITHIN) -> None:
        """Drop ``key`` from a compacted topic."""
        await self._acknowledged(tombstone_message(topic, key), within)

    async def dead_letter(self, record: Record, error: BaseException, *, within: float = PUBLISH_WITHIN) -> None:
        """Keep a record that cannot be handled, as it came, with the reason."""
        now = self._clock.utcnow()
        await self._acknowledged(dead_letter_message(record, error, source=self._source, at=now), within)

    def _submit(self, message: Message) -> asyncio.Future[None]:
        future = self._sender.submit(message, PUBLISH_WITHIN)
        # Not every caller of the send family looks at the outcome; a loss is told in any case.
        future.add_done_callback(lambda done: _tell_loss(message.topic, done))
        return future

    async def _acknowledged(self, message: Message, within: float) -> None:
        future = self._sender.submit(message, within)
        try:
            async with asyncio.timeout(within):
                await asyncio.shield(future)
        except TimeoutError as error:
            # Nobody waits for the outcome now; a later failure was told by this error already.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise BusTimeoutError(f"no acknowledgement from {message.topic} in {within:g} s") from error


def _tell_loss(topic: str, future: asyncio.Future[None]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        log.error("record lost", topic=topic, error=in_words(error))
