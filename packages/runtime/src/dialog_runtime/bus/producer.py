"""Records on their way out, over one idempotent producer.

Theory of operation. Every topic has a lane: a queue, drained in order by a task that lives only while there is
something in it, so that a topic that does not exist (the inbox of an instance that died) holds up no other. A record
handed to aiokafka is kept until its acknowledgement. aiokafka itself retries through an outage for as long as it
lasts, in order and without doubling. Where its producer breaks for good (its sequence was lost at the broker) a new one
is made and everything that was not acknowledged goes back to the front of its lane in the order it came: at least once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from dialog_runtime.bus.errors import BusOverloadedError, BusStoppedError, BusTimeoutError, PermanentError
from dialog_runtime.bus.message import Message
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.record import key_bytes

log = structlog.get_logger(__name__)

MAX_PENDING = 20_000
"""Records that wait for the broker at a time."""
MAX_PENDING_BYTES = 64 << 20
"""Their size, about."""
FLUSH_WITHIN = 5.0
"""Seconds that a stop waits for what is on its way."""

_REFUSED = (
    MessageSizeTooLargeError,
    RecordTooLargeError,
    InvalidTopicError,
    TopicAuthorizationFailedError,
)
_NOT_YET = (KafkaTimeoutError, UnknownTopicOrPartitionError)
_RECONNECT = 0.5


@dataclass(eq=False, slots=True)
class _Pending:
    number: int
    message: Message
    size: int
    expires: float
    done: asyncio.Future[None]


class KafkaSender:
    """Carries records to Kafka; a part of the service. ``connect`` makes a producer that is not yet started."""

    def __init__(self, names: Names, connect: Callable[[], AIOKafkaProducer]) -> None:
        self._names = names
        self._connect = connect
        self._lanes: dict[str, deque[_Pending]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unacked: dict[int, _Pending] = {}
        self._pending = 0
        self._pending_bytes = 0
        self._number = 0
        self._producer: AIOKafkaProducer | None = None
        self._connected = asyncio.Event()
        self._broken = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def pending(self) -> int:
        """Records that are not acknowledged yet."""
        return self._pending

    @property
    def is_connected(self) -> bool:
        """True where a producer is there; it may still wait for a broker that went away."""
        return self._connected.is_set()

    def submit(self, message: Message, within: float) -> asyncio.Future[None]:
        """Queue ``message``; see :class:`~dialog_runtime.bus.publisher.Sender`."""
        if self._stopping.is_set():
            raise BusStoppedError("the producer was stopped")
        size = message.size
        if self._pending >= MAX_PENDING or self._pending_bytes + size > MAX_PENDING_BYTES:
            raise BusOverloadedError(f"{self._pending} records wait for Kafka already")
        loop = asyncio.get_running_loop()
        self._number += 1
        item = _Pending(self._number, message, size, loop.time() + within, loop.create_future())
        self._count(item)
        self._enqueue(item)
        return item.done

    def stop(self) -> None:
        """Send what is queued, at most for :data:`FLUSH_WITHIN` seconds, and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Keep a producer until stopped."""
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                await self._one_producer(stopping)
        finally:
            stopping.cancel()
            self._give_up()

    async def _one_producer(self, stopping: asyncio.Task[Any]) -> None:
        producer = self._connect()
        started = asyncio.create_task(self._start(producer))
        await asyncio.wait({started, stopping}, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        await asyncio.wait({started})
        if not started.cancelled() and started.result():
            await self._serve(producer, stopping)
        await _stop(producer)

    async def _start(self, producer: AIOKafkaProducer) -> bool:
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            log.warning("Kafka is away", error=type(error).__name__)
            await asyncio.sleep(_RECONNECT)
            return False
        return True

    async def _serve(self, producer: AIOKafkaProducer, stopping: asyncio.Task[Any]) -> None:
        self._producer = producer
        self._broken.clear()
        self._connected.set()
        broken = asyncio.create_task(self._broken.wait())
        await asyncio.wait({broken, stopping}, return_when=asyncio.FIRST_COMPLETED)
        broken.cancel()
        if not self._broken.is_set():
            await self._flush()
        self._connected.clear()
        self._producer = None
        self._requeue()

    async def _flush(self) -> None:
        waiting = [item.done for item in self._unacked.values()]
        waiting += [item.done for lane in self._lanes.values() for item in lane]
        if waiting:
            await asyncio.wait(waiting, timeout=FLUSH_WITHIN)

    def _requeue(self) -> None:
        items = sorted(self._unacked.values(), key=lambda item: item.number)
        self._unacked.clear()
        for item in reversed(items):
            self._enqueue(item, first=True)

    def _give_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        for item in [*self._unacked.values(), *(item for lane in self._lanes.values() for item in lane)]:
            self._settle(item, BusStoppedError("stopped before Kafka took the record"))
        self._lanes.clear()

    def _enqueue(self, item: _Pending, *, first: bool = False) -> None:
        topic = item.message.topic
        lane = self._lanes.get(topic)
        if lane is None:
            lane = self._lanes[topic] = deque()
            task = asyncio.create_task(self._drain(topic, lane), name=f"send {topic}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        (lane.appendleft if first else lane.append)(item)

    async def _drain(self, topic: str, lane: deque[_Pending]) -> None:
        while lane:
            item = lane[0]
            if not await self._hand_over(item):
                continue
            # A requeue may have put older ones in front meanwhile.
            lane.remove(item)
        del self._lanes[topic]

    async def _hand_over(self, item: _Pending) -> bool:
        """Give the record to aiokafka; false where it has to be tried again."""
        try:
            async with asyncio.timeout_at(item.expires):
                await self._connected.wait()
                producer = self._producer
                if producer is None:
                    return False
                acknowledged = await producer.send(self._names.full(item.message.topic), **_arguments(item.message))
        except TimeoutError:
            self._settle(item, BusTimeoutError(f"Kafka did not take a record for {item.message.topic} in time"))
        except _NOT_YET:
            return False
        except _REFUSED as error:
            self._settle(item, _refusal(item, error))
        except KafkaError as error:
            self._break(producer, error)
            return False
        else:
            self._unacked[item.number] = item
            acknowledged.add_done_callback(lambda future: self._acknowledged(item, producer, future))
        return True

    def _acknowledged(self, item: _Pending, producer: AIOKafkaProducer, future: asyncio.Future[Any]) -> None:
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if self._unacked.get(item.number) is not item:
            return
        if error is None or isinstance(error, _REFUSED):
            del self._unacked[item.number]
            self._settle(item, None if error is None else _refusal(item, error))
        else:
            self._break(producer, error)

    def _break(self, producer: AIOKafkaProducer | None, error: BaseException) -> None:
        if producer is self._producer and producer is not None and not self._broken.is_set():
            log.warning("producer broke, making a new one", error=type(error).__name__)
            self._connected.clear()
            self._broken.set()

    def _count(self, item: _Pending) -> None:
        self._pending += 1
        self._pending_bytes += item.size

    def _settle(self, item: _Pending, error: Exception | None) -> None:
        self._pending -= 1
        self._pending_bytes -= item.size
        if item.done.done():
            return
        if error is None:
            item.done.set_result(None)
        else:
            item.done.set_exception(error)


def _arguments(message: Message) -> dict[str, Any]:
    return {
        "value": message.value,
        "key": key_bytes(message.key),
        "headers": list(message.headers),
        "partition": message.partition,
    }


def _refusal(item: _Pending, error: BaseException) -> PermanentError:
    return PermanentError(
        f"Kafka refuses a record of {item.size} bytes for {item.message.topic}: {type(error).__name__}"
    )


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(FLUSH_WITHIN):
            await producer.stop()
    except (KafkaError, OSError, TimeoutError) as error:
        log.info("producer did not stop cleanly", error=type(error).__name__)
