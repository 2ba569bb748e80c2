"""The transactions of one partition.

Theory of operation. The transactional id belongs to the partition, not to the process: whoever opens a writer fences
the one before. What is added goes out in the next transaction together with the input offset; one transaction runs at a
time and takes about 25 ms, so what comes meanwhile makes the next one. A transaction that fails for a passing reason is
aborted and done again. One that fails for good (fenced, or timed out at the broker) *breaks* the writer: nothing more
is written, what was not committed stays, and the owner of the partition decides whether to
:meth:`~PartitionWriter.open` again (and with that to fence whoever else is there) and to :meth:`~PartitionWriter.begin`
with what waits, or to :meth:`~PartitionWriter.forget` it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from dialog_runtime.bus.consumers import cancelled, either
from dialog_runtime.bus.errors import PermanentError
from dialog_runtime.bus.message import Message
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.record import key_bytes

log = structlog.get_logger(__name__)

BATCH_EVERY = 0.025
"""Seconds from the start of one transaction to that of the next, at least."""
MOST_IN_ONE = 5000
"""Records in one transaction."""
COALESCE_ABOVE = 20_000
"""Records that wait; above it only the last of each key is kept, so that an outage cannot fill the memory."""
MOST_BYTES = 900_000
"""Size of one record; brokers refuse more than a megabyte."""
_RETRY = 0.25

_FENCED = (ProducerFenced, InvalidProducerEpoch)
"""Somebody else opened a writer for the partition."""
_BROKEN = (
    *_FENCED,
    InvalidProducerIdMapping,
    InvalidTxnState,
    OutOfOrderSequenceNumber,
    IllegalOperation,
    AssertionError,  # aiokafka's own state machine, once its sender has died
)


@dataclass(eq=False, slots=True)
class _Entry:
    messages: list[Message]
    offset: int | None
    done: list[asyncio.Future[bool]]


class PartitionWriter:
    """Writes the state of one partition; owned by a partition session."""

    def __init__(
        self, names: Names, connect: Callable[[], AIOKafkaProducer], group_id: str, inputs: TopicPartition
    ) -> None:
        self._names = names
        self._connect = connect
        self._group_id = group_id
        self._inputs = inputs
        self._entries: deque[_Entry] = deque()
        self._waiting = 0
        self._some = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._producer: AIOKafkaProducer | None = None
        self._task: asyncio.Task[None] | None = None
        self.broken = asyncio.Event()
        """Set once nothing can be written any more."""
        self.fenced = False
        """It broke because somebody else opened one, and so had the partition."""
        self.written_to = -1
        """Highest offset of a record of ours in the state topic."""
        self._offset: int | None = None
        """The input offset that was committed last, as far as is known."""

    async def open(self) -> None:
        """Fence whoever had the partition. Nothing is written before :meth:`begin`. Raises aiokafka's errors."""
        await self._close()
        self._offset = None
        self._producer = self._connect()
        await self._producer.start()

    def begin(self) -> None:
        """Write what waits, and what comes."""
        self.broken.clear()
        self.fenced = False
        self._task = asyncio.create_task(self._run(self._producer), name=f"transactions {self._inputs.partition}")

    def forget(self) -> None:
        """Drop what waits: it belongs to a state that is no longer the latest. Whoever asked is told."""
        for entry in self._entries:
            _settle(entry, committed=False)
        self._entries.clear()
        self._waiting = 0
        self._some.clear()
        self._idle.set()

    def raise_failure(self) -> None:
        """Raise what ended the writer, where that was none of the things that Kafka does to one."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    def add(self, messages: Sequence[Message], offset: int | None) -> asyncio.Future[bool]:
        """Put ``messages`` and the input ``offset`` into the next transaction; true once it is committed."""
        for message in messages:
            if message.size > MOST_BYTES:
                raise PermanentError(f"a record of {message.size} bytes for {message.topic} is too large")
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._entries.append(_Entry(list(messages), offset, [future]))
        self._waiting += len(messages)
        if self._waiting > COALESCE_ABOVE:
            self._coalesce()
        self._idle.clear()
        self._some.set()
        return future

    async def flush(self, within: float) -> bool:
        """Wait until all is committed, or cannot be, at most ``within`` seconds; tell whether it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await either(self._idle, self.broken)
        return self._idle.is_set()

    async def discard(self) -> None:
        """Write no more: the partition is somebody else's. What waits is told so."""
        await self._close()
        self.broken.set()
        self.forget()

    async def _close(self) -> None:
        if self._task is not None:
            # Twice, where need be: the first may end in an abort that waits for a broker that is away.
            await cancelled(self._task)
            self._task = None
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await _stop(producer)

    async def _run(self, producer: AIOKafkaProducer) -> None:
        try:
            await self._write(producer)
        finally:
            self.broken.set()

    async def _write(self, producer: AIOKafkaProducer) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._some.wait()
            next_start = loop.time() + BATCH_EVERY
            batch = self._batch()
            try:
                await self._transact(producer, batch)
            except _BROKEN as error:
                log.warning("partition writer broke", partition=self._inputs.partition, error=type(error).__name__)
                self.fenced = isinstance(error, _FENCED)
                return
            except (KafkaError, OSError) as error:
                log.warning("transaction failed", partition=self._inputs.partition, error=type(error).__name__)
                await asyncio.sleep(_RETRY)
            else:
                self._committed(batch)
            await asyncio.sleep(max(next_start - loop.time(), 0))

    def _batch(self) -> list[_Entry]:
        batch: list[_Entry] = []
        size = 0
        for entry in self._entries:
            size += len(entry.messages)
            if batch and size > MOST_IN_ONE:
                break
            batch.append(entry)
        return batch

    async def _transact(self, producer: AIOKafkaProducer, batch: list[_Entry]) -> None:
        messages = [message for entry in batch for message in entry.messages]
        offset = max((entry.offset for entry in batch if entry.offset is not None), default=None)
        async with producer.transaction():
            sent = [await self._send(producer, *bundle) for bundle in _bundles(producer, messages)]
            # An offset that is committed already costs two round trips and says nothing, unless it is all there is to
            # say: that shows whether the partition is still ours.
            if offset is not None and (offset != self._offset or not messages):
                await producer.send_offsets_to_transaction({self._inputs: offset}, self._group_id)
            # aiokafka commits even where a record failed: look first.
            for last in await asyncio.gather(*sent):
                self.written_to = max(self.written_to, last)
        self._offset = self._offset if offset is None else offset

    async def _send(self, producer: AIOKafkaProducer, topic: str, bundle: BatchBuilder) -> asyncio.Future[int]:
        """Send records as one batch: a fifth of the cost of one by one. The result is the offset of the last."""
        count = bundle.record_count()
        name = self._names.full(topic)
        sent = asyncio.ensure_future(
            _last_offset(await producer.send_batch(bundle, name, partition=self._inputs.partition), count)
        )
        # Where the transaction fails before it is awaited, nobody else looks at its outcome.
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())
        return sent

    def _committed(self, batch: list[_Entry]) -> None:
        for entry in batch:
            # Coalescing puts one entry for all; those it replaced are in it.
            if self._entries and self._entries[0] is entry:
                self._entries.popleft()
                self._waiting -= len(entry.messages)
            _settle(entry, committed=True)
        if not self._entries:
            self._some.clear()
            self._idle.set()

    def _coalesce(self) -> None:
        last = {(message.topic, message.key): message for entry in self._entries for message in entry.messages}
        offsets = [entry.offset for entry in self._entries if entry.offset is not None]
        done = [future for entry in self._entries for future in entry.done]
        self._entries = deque([_Entry(list(last.values()), max(offsets, default=None), done)])
        self._waiting = len(last)


def _bundles(producer: AIOKafkaProducer, messages: Sequence[Message]) -> list[tuple[str, BatchBuilder]]:
    """Put records into as few batches as hold them, each of one topic, in order."""
    bundles: list[tuple[str, BatchBuilder]] = []
    for message in messages:
        if not bundles or bundles[-1][0] != message.topic or not _append(bundles[-1][1], message):
            bundles.append((message.topic, producer.create_batch()))
            # An empty batch takes any record.
            _append(bundles[-1][1], message)
    return bundles


def _append(bundle: BatchBuilder, message: Message) -> bool:
    appended = bundle.append(
        timestamp=None, key=key_bytes(message.key), value=message.value, headers=list(message.headers)
    )
    return appended is not None


async def _last_offset(sent: asyncio.Future[Any], count: int) -> int:
    first: int = (await sent).offset
    return first + count - 1


def _settle(entry: _Entry, *, committed: bool) -> None:
    for future in entry.done:
        if not future.done():
            future.set_result(committed)


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(2):
            await producer.stop()
    except (KafkaError, OSError, TimeoutError, AssertionError) as error:
        log.info("transactional producer did not stop cleanly", error=type(error).__name__)
