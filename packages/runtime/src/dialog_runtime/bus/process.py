"""What becomes of a record: handled, tried again, or a dead letter.

A hopeless error (malformed, permanent) makes a dead letter at once. While something that the handler needs is away
the record is tried again for as long as it takes, and nothing overtakes it. Any other error is a bug or a case nobody
thought of: some attempts, then a dead letter, so that one record never stops the ones behind it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from dialog_runtime.bus.consumers import wait_for_event
from dialog_runtime.bus.errors import AWAY, HOPELESS
from dialog_runtime.bus.message import in_words
from dialog_runtime.bus.metrics import BusMetrics, topic_label
from dialog_runtime.bus.record import Record

log = structlog.get_logger(__name__)

Handler = Callable[[Record], Awaitable[None]]
DeadLetter = Callable[[Record, BaseException], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how fast. Seconds."""

    attempts: int = 5
    """For errors that nobody expected."""
    first: float = 0.05
    longest: float = 5.0

    def delay(self, attempt: int) -> float:
        """Return the wait after ``attempt`` (from 1), with jitter."""
        return random.uniform(0.5, 1) * min(self.longest, self.first * 2.0 ** min(attempt - 1, 30))  # noqa: S311


@dataclass(slots=True)
class Processor:
    """Runs a handler under that policy."""

    handler: Handler
    dead_letter: DeadLetter
    metrics: BusMetrics
    retries: Retries = field(default_factory=Retries)

    async def __call__(self, record: Record, stopping: asyncio.Event) -> bool:
        """Handle ``record``. False where ``stopping`` came before it was done: it has to be read again."""
        attempt = 0
        while True:
            attempt += 1
            error = await self._attempt(record)
            if error is None:
                self.metrics.handled.of[topic_label(record.topic)] += 1
                return True
            if isinstance(error, HOPELESS) or (not isinstance(error, AWAY) and attempt >= self.retries.attempts):
                return await self._bury(record, error, stopping)
            self.metrics.retried.labels(topic_label(record.topic)).inc()
            log.warning("record is tried again", record=str(record), attempt=attempt, error=in_words(error))
            if await wait_for_event(stopping, self.retries.delay(attempt)):
                return False

    async def _attempt(self, record: Record) -> Exception | None:
        try:
            await self.handler(record)
        except Exception as error:  # noqa: BLE001  one record's error must not end the ones behind it
            return error
        return None

    async def _bury(self, record: Record, error: Exception, stopping: asyncio.Event) -> bool:
        log.error("dead letter", record=str(record), error=in_words(error))
        attempt = 0
        while True:
            attempt += 1
            try:
                await self.dead_letter(record, error)
            except AWAY as away:
                log.warning("dead letter waits", record=str(record), error=in_words(away))
            else:
                self.metrics.dead.labels(topic_label(record.topic)).inc()
                return True
            if await wait_for_event(stopping, self.retries.delay(attempt)):
                return False
