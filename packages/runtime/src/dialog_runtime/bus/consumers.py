"""What the consumers have in common: making one, starting it through an outage, reading its records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from dialog_runtime.bus.errors import TransientError
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.record import Record, key_text

log = structlog.get_logger(__name__)

T = TypeVar("T")

Connect = Callable[..., AIOKafkaConsumer]
"""Makes a consumer that is not yet started, from what differs between ours."""

POLL_MS = 200
"""How long a reader waits for records before it looks whether it is to stop."""
RETRY = 0.5
"""Seconds between attempts to reach the broker."""

FETCHING: Mapping[str, Any] = {
    # Registrars write in transactions.
    "isolation_level": "read_committed",
    "auto_offset_reset": "earliest",
    # Of one response, all partitions together; the first record comes whatever its size (KIP-74).
    "fetch_max_bytes": 16 << 20,
    # How often aiokafka looks unasked whether there is something to fetch: it is told.
    "consumer_timeout_ms": 5000,
}
"""What consumers have in common that fetch for as long as the process lives."""


def record_of(names: Names, raw: Any) -> Record:  # noqa: ANN401  aiokafka has no types
    """Return aiokafka's record as handlers see it."""
    return Record(
        topic=names.short(raw.topic),
        partition=raw.partition,
        offset=raw.offset,
        key=key_text(raw.key),
        value=raw.value,
        headers=tuple([(name, value or b"") for name, value in raw.headers]),
        timestamp=raw.timestamp,
    )


@asynccontextmanager
async def started(consumer: AIOKafkaConsumer) -> AsyncIterator[AIOKafkaConsumer]:
    """Start ``consumer`` and stop it in the end, whatever came between."""
    try:
        await consumer.start()
        yield consumer
    finally:
        await stop_consumer(consumer)


async def until_stopped(stopping: asyncio.Event, session: Callable[[], Awaitable[None]], name: str) -> None:
    """Run ``session`` again and again until ``stopping`` is set, through every outage of the broker.

    A session that has not come up when the stop arrives is cancelled; one that is up sees ``stopping`` for itself.
    """
    while not stopping.is_set():
        try:
            await session()
        except (KafkaError, OSError, TransientError) as error:
            log.warning("reading again after an error", reader=name, error=type(error).__name__)
            await wait_for_event(stopping, RETRY)


async def wait_for_event(event: asyncio.Event, seconds: float) -> bool:
    """Wait for ``event`` at most ``seconds``; return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True


async def cancelled(task: asyncio.Task[None], patience: float = 1.0) -> None:
    """Cancel ``task`` until it has ended; what cleans up for more than ``patience`` seconds is cancelled again."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=patience)


async def either(one: asyncio.Event, other: asyncio.Event) -> None:
    """Wait until one of two events is set."""
    if one.is_set() or other.is_set():
        return
    tasks = {asyncio.create_task(event.wait()) for event in (one, other)}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def unless_stopped(stopping: asyncio.Event, work: Awaitable[T], idle: asyncio.Event | None = None) -> T | None:
    """Return the result of ``work``, or cancel it and return None where ``stopping`` is set first.

    With ``idle`` it is cancelled once that is set, so that it finishes what it has in hand.
    """
    task = asyncio.ensure_future(work)
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        if idle is not None:
            await idle.wait()
    finally:
        stop.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    return None if task.cancelled() else task.result()


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop ``consumer`` within a few seconds, broker or no broker."""
    try:
        async with asyncio.timeout(5):
            await consumer.stop()
    except (KafkaError, OSError, TimeoutError) as error:
        log.info("consumer did not stop cleanly", error=type(error).__name__)
