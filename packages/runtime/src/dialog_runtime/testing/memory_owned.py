"""Owned partitions in memory: the test says who owns what, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from dialog_schemas.topics import Topic

from dialog_runtime.bus.errors import PartitionLostError
from dialog_runtime.bus.message import Message
from dialog_runtime.bus.ports import PartitionOwner
from dialog_runtime.bus.record import Record


class Log(Protocol):
    """What the ownership needs of the broker."""

    def append(self, message: Message) -> Record:
        """Put a record at the end of its partition."""

    def last(self, topic: Topic | str) -> dict[str, Record]:
        """Return the last record of every live key."""


class MemoryOwnership:
    """What :class:`~dialog_runtime.bus.ports.Ownership` asks for, in memory.

    Commits are held back until :meth:`flush` where ``hold`` is set, and are then written or, by :meth:`lose`, refused.
    """

    def __init__(self, broker: Log, inputs: Topic, state: Topic, owner: PartitionOwner) -> None:
        self._broker = broker
        self._inputs = inputs
        self._state = state
        self._owner = owner
        self._held: set[int] = set()
        self._paused: set[int] = set()
        self._waiting: list[tuple[int, Sequence[Message], asyncio.Future[bool]]] = []
        self.hold = False
        self.taking = False
        """What :attr:`~dialog_runtime.bus.ports.Ownership.taking` says."""

    @property
    def partitions(self) -> frozenset[int]:
        """Those that are held."""
        return frozenset(self._held)

    async def ready(self) -> None:
        """Return at once: there is nothing to wait for."""

    def stop(self) -> None:
        """Do nothing: the test takes partitions away by :meth:`take`."""

    def may_act(self, partition: int) -> bool:
        """Tell whether the partition is held and not paused."""
        return partition in self._held and partition not in self._paused

    def commit(self, partition: int, messages: Sequence[Message], offset: int | None = None) -> asyncio.Future[bool]:  # noqa: ARG002
        """Write, or keep for :meth:`flush`."""
        if partition not in self._held:
            raise PartitionLostError(f"partition {partition} is not held here")
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((partition, messages, future))
        if not self.hold:
            self.flush()
        return future

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        for partition, messages, future in waiting:
            for message in messages:
                self._broker.append(Message(message.topic, message.key, message.value, message.headers, partition))
            future.set_result(True)

    async def give(self, *partitions: int) -> None:
        """Deal out partitions to this instance, with what is in the topics."""
        for partition in partitions:
            self._held.add(partition)
            await self._owner.assigned(
                partition, self._rows(self._state, partition), self._rows(self._inputs, partition)
            )

    async def feed(self, record: Record) -> None:
        """Hand over the next input record."""
        await self._owner.changed(record.partition, record)

    def pause(self, partition: int) -> None:
        """Begin a rebalance."""
        self._paused.add(partition)
        self._owner.paused(partition)

    def resume(self, partition: int) -> None:
        """End a rebalance after which the partition is still here."""
        self._paused.discard(partition)
        self._owner.resumed(partition)

    async def take(self, *partitions: int) -> None:
        """Take partitions away; what waits is written first."""
        self.flush()
        await self._revoke(partitions)

    async def lose(self, *partitions: int) -> None:
        """Let somebody else have fenced the partitions; what waits is refused."""
        waiting, self._waiting = self._waiting, []
        for _, _, future in waiting:
            future.set_result(False)
        await self._revoke(partitions)

    async def _revoke(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            self._held.discard(partition)
            self._paused.discard(partition)
            await self._owner.revoked(partition)

    def _rows(self, topic: Topic, partition: int) -> tuple[Record, ...]:
        return tuple(record for record in self._broker.last(topic).values() if record.partition == partition)
