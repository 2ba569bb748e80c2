"""One partition, from the moment it is ours to the moment it is not.

Theory of operation.

    state     | what goes on                              | left by
    ----------+-------------------------------------------+--------------------------------------------------------
    TAKING    | open the writer (fences the owner before),| restored and confirmed -> HELD
              | read state and input to their ends        |
    HELD      | input records go to the owner in order    | pause() -> PAUSED; writer breaks -> DOUBTED
    PAUSED    | a rebalance is on, or the process slept:  | resume() and confirmed -> HELD; writer breaks -> DOUBTED
              | nothing is started for the partition      |
    DOUBTED   | the writer is fenced or broken            | nobody else had it: same state, new writer, confirmed
              |                                           | -> HELD; somebody may have -> owner lets go, TAKING

*Confirmed* is a partition once the group took an offset from us as a member of its present generation, and then a
transaction was committed under the writer's own epoch. Whoever else has the partition opens a writer first, so nobody
had it since that epoch began, and the state that the owner has is the latest.

``release()`` ends it from any state; the owner is told before it returns. In DOUBTED the state is kept only where the
writer broke without being fenced, nothing was doubted since it last held, and the topic has no record of anybody else:
what the owner did during an outage of the broker (CSeq, expiry) is nowhere but there. Else it is restored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from dialog_runtime.bus.consumers import POLL_MS, Connect, either, record_of, wait_for_event
from dialog_runtime.bus.message import Message
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.owned.restore import Restored, read_to_end
from dialog_runtime.bus.owned.writer import PartitionWriter
from dialog_runtime.bus.ports import PartitionOwner
from dialog_runtime.bus.process import Processor
from dialog_runtime.bus.record import Record

log = structlog.get_logger(__name__)

_RETRY = 0.25
_AT_A_TIME = 500
_HAND_WITHIN = 5.0
_FLUSH_WITHIN = 2.0
_CONFIRM_WITHIN = 5.0


class SessionState(Enum):
    """Where a partition stands."""

    TAKING = auto()
    HELD = auto()
    PAUSED = auto()
    DOUBTED = auto()
    RELEASED = auto()


@dataclass(frozen=True, slots=True)
class Tools:
    """What the sessions of one ownership share."""

    names: Names
    group_id: str
    inputs: str
    """Full topic name."""
    state: str
    """Full topic name."""
    reader: Connect
    producer: Callable[[str], AIOKafkaProducer]
    """Makes a transactional producer for a transactional id."""
    transactional_id: Callable[[int], str]
    owner: PartitionOwner
    processor: Callable[[Callable[[Record], Awaitable[None]]], Processor]


class PartitionSession:
    """See the module."""

    def __init__(
        self,
        partition: int,
        tools: Tools,
        consumer: Callable[[], AIOKafkaConsumer],
        after: asyncio.Task[None] | None = None,
    ) -> None:
        self.partition = partition
        self.state = SessionState.TAKING
        self._tools = tools
        self._consumer = consumer
        self._inputs = TopicPartition(tools.inputs, partition)
        self._state_partition = TopicPartition(tools.state, partition)
        transactional_id = tools.transactional_id(partition)
        self._writer = PartitionWriter(
            tools.names, lambda: tools.producer(transactional_id), tools.group_id, self._inputs
        )
        self._process = tools.processor(self._changed)
        self.taken = False
        """The owner has all of the partition."""
        self._told = False
        """The owner was told that it has the partition."""
        self._continuous = False
        """Nobody else can have had it since it was confirmed: neither was a rebalance on, nor did the process sleep."""
        self._next_offset: int | None = None
        self._live = asyncio.Event()
        self._live.set()
        self._interrupt = asyncio.Event()
        self._hand_free = asyncio.Event()
        self._hand_free.set()
        self._resuming: asyncio.Task[None] | None = None
        self._after = after
        """The release of an earlier session for this partition."""
        self.task = asyncio.create_task(self._run(), name=f"partition {partition}")

    @property
    def next_offset(self) -> int | None:
        """Offset of the next input record, once restored."""
        return self._next_offset

    def commit(self, messages: Sequence[Message], offset: int | None) -> asyncio.Future[bool]:
        """Write in the next transaction."""
        return self._writer.add(messages, self._next_offset if offset is None else offset)

    async def pause(self) -> None:
        """Start nothing new; wait, bounded, for what is in hand and for what waits to be committed."""
        self._doubt()
        await self._stop_resuming()
        if not await wait_for_event(self._hand_free, _HAND_WITHIN):
            log.warning("input record in hand takes long", partition=self.partition)
        if not self._writer.broken.is_set():
            await self._writer.flush(_FLUSH_WITHIN)

    def resume(self) -> None:
        """Go on from the record after the last, once it is confirmed that the partition is still ours."""
        self._interrupt.clear()
        self._seek()
        if self._resuming is None:
            self._resuming = asyncio.create_task(self._resume(), name=f"resume {self.partition}")

    async def release(self) -> None:
        """Let go of the partition: owner first, then the writer."""
        await self._stop_resuming()
        self._interrupt.set()
        self.task.cancel()
        await asyncio.wait({self.task})
        if not self._writer.broken.is_set():
            await self._writer.flush(_FLUSH_WITHIN)
        self.state = SessionState.RELEASED
        await self._tell_revoked()
        await self._writer.discard()

    def _doubt(self) -> None:
        """Start nothing new: it may be somebody else's by now."""
        self._live.clear()
        self._interrupt.set()
        self._continuous = False
        if self.state is SessionState.HELD:
            self.state = SessionState.PAUSED
            self._tools.owner.paused(self.partition)

    async def _run(self) -> None:
        if self._after is not None:
            await asyncio.wait({self._after})
        while True:
            await self._take()
            await self._follow()
            while await self._regained():
                await self._follow()
            await self._tell_revoked()

    async def _take(self) -> None:
        self.state = SessionState.TAKING
        restored = await self._restored()
        while not await self._confirmed():
            self._writer.raise_failure()
            restored = await self._restored()
        state, inputs = restored[self._state_partition], restored[self._inputs]
        log.info("partition taken", partition=self.partition, state=len(state.rows), inputs=len(inputs.rows))
        self._told = True
        self._holds()
        await self._tools.owner.assigned(self.partition, tuple(state.rows.values()), tuple(inputs.rows.values()))
        self.taken = True
        self._seek()

    async def _restored(self) -> dict[TopicPartition, Restored]:
        """Fence the owner before and read what it left. To that end be a member: the group may have gone on."""
        while True:
            await self._live.wait()
            try:
                if self._next_offset is None or await self._is_member():
                    await self._writer.open()
                    restored = await self._read({self._state_partition: None, self._inputs: None})
                    self._writer.written_to = restored[self._state_partition].next_offset - 1
                    self._next_offset = restored[self._inputs].next_offset
                    self._writer.forget()
                    self._writer.begin()
                    return restored
            except (KafkaError, OSError) as error:
                log.warning("taking over again", partition=self.partition, error=type(error).__name__)
            await asyncio.sleep(_RETRY)

    async def _follow(self) -> None:
        """Hand the owner its input until the writer breaks."""
        while not self._writer.broken.is_set():
            await either(self._live, self._writer.broken)
            for raw in await self._poll():
                if self._interrupt.is_set() or not await self._in_hand(record_of(self._tools.names, raw)):
                    break
        self._writer.raise_failure()

    async def _poll(self) -> Sequence[Any]:
        try:
            batch = await self._consumer().getmany(self._inputs, timeout_ms=POLL_MS, max_records=_AT_A_TIME)
        except (KafkaError, OSError):
            # The ownership is told the same and makes a new consumer.
            await asyncio.sleep(_RETRY)
            return ()
        records: Sequence[Any] = batch.get(self._inputs, ())
        return records

    async def _in_hand(self, record: Record) -> bool:
        if record.offset < (self._next_offset or 0):
            return True
        self._hand_free.clear()
        try:
            done = await self._process(record, self._interrupt)
        finally:
            self._hand_free.set()
        if done:
            self._next_offset = record.offset + 1
        return done

    async def _changed(self, record: Record) -> None:
        await self._tools.owner.changed(self.partition, record)

    async def _regained(self) -> bool:
        """Tell whether the partition may still be ours after its writer broke, and its state the latest."""
        if self.state is SessionState.HELD:
            self._tools.owner.paused(self.partition)
        self.state = SessionState.DOUBTED
        if self._writer.fenced or not self._continuous or await self._foreign_records() or not self._continuous:
            log.info("partition was taken over", partition=self.partition, fenced=self._writer.fenced)
            return False
        self._writer.begin()
        if await self._confirmed() and self._holds():
            self._tools.owner.resumed(self.partition)
        return True

    async def _foreign_records(self) -> int:
        start = self._writer.written_to + 1
        while True:
            await self._live.wait()
            try:
                # To open the writer fences whoever has the partition: only a member of the group may.
                if await self._is_member():
                    await self._writer.open()
                    return (await self._read({self._state_partition: start}))[self._state_partition].records
            except (KafkaError, OSError) as error:
                log.warning("asking again", partition=self.partition, error=type(error).__name__)
            await asyncio.sleep(_RETRY)

    async def _confirmed(self) -> bool:
        """Wait until it is confirmed that the partition is ours; false where the writer breaks instead."""
        while not self._writer.broken.is_set():
            if await self._is_member() and await self._unfenced():
                return True
            await asyncio.sleep(_RETRY)
        return False

    def _holds(self) -> bool:
        """Hold it, as is confirmed, unless it was doubted again meanwhile: then resume() goes on."""
        self._continuous = self._live.is_set()
        self.state = SessionState.HELD if self._continuous else SessionState.PAUSED
        return self._continuous

    async def _is_member(self) -> bool:
        try:
            async with asyncio.timeout(_CONFIRM_WITHIN):
                await self._consumer().commit({self._inputs: self._next_offset or 0})
        except (KafkaError, TimeoutError) as error:
            log.info("not a member now", partition=self.partition, error=type(error).__name__)
            return False
        return True

    async def _resume(self) -> None:
        confirmed = self.state is SessionState.PAUSED and await self._confirmed()
        self._live.set()
        if confirmed and self._holds():
            self._tools.owner.resumed(self.partition)

    async def _unfenced(self) -> bool:
        committed = self._writer.add((), self._next_offset)
        broken = asyncio.create_task(self._writer.broken.wait())
        try:
            await asyncio.wait((committed, broken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            broken.cancel()
        return committed.done() and committed.result()

    async def _stop_resuming(self) -> None:
        if self._resuming is not None:
            self._resuming.cancel()
            await asyncio.wait({self._resuming})
            self._resuming = None

    async def _tell_revoked(self) -> None:
        if self._told:
            self._told = self.taken = False
            await self._tools.owner.revoked(self.partition)

    async def _read(self, starts: dict[TopicPartition, int | None]) -> dict[TopicPartition, Restored]:
        return await read_to_end(self._tools.reader, self._tools.names, starts)

    def _seek(self) -> None:
        if self._next_offset is None:
            return
        try:
            self._consumer().seek(self._inputs, self._next_offset)
        except IllegalStateError:
            # In the middle of a rebalance; resume() does it again.
            log.debug("not assigned at the moment", partition=self.partition)
