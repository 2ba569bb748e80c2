"""What a service sees of the bus. :mod:`dialog_runtime.testing` has the same in memory, for unit tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from dialog_schemas.topics import Topic

from dialog_runtime.bus.message import Message
from dialog_runtime.bus.publisher import Publisher
from dialog_runtime.bus.record import Record
from dialog_runtime.bus.view import View

V = TypeVar("V")

Handler = Callable[[Record], Awaitable[None]]
"""Handles one record. What it raises decides: see :mod:`dialog_runtime.bus.errors`."""


class Subscription(Protocol):
    """A running consumer."""

    async def ready(self) -> None:
        """Wait until it has joined and knows where it reads from."""

    def stop(self) -> None:
        """Finish the record in hand, keep the offset and end."""


class PartitionOwner(Protocol):
    """What owns the state of partitions, told when they come and go. All calls for a partition come in order."""

    async def assigned(self, partition: int, state: Sequence[Record], inputs: Sequence[Record]) -> None:
        """Take the partition over: the last record of every live key of the state and of the input topic."""

    async def changed(self, partition: int, record: Record) -> None:
        """Handle the next input record of a partition that is held."""

    def paused(self, partition: int) -> None:
        """Start nothing new for the partition until it is resumed or revoked: it may be somebody else's by now."""

    def resumed(self, partition: int) -> None:
        """Go on: it is still ours, and was nobody else's meanwhile."""

    async def revoked(self, partition: int) -> None:
        """Let go: no packet and no record for the partition after this returns."""


class Ownership(Subscription, Protocol):
    """The partitions that this instance owns."""

    @property
    def partitions(self) -> frozenset[int]:
        """Those that are held, paused ones included."""

    @property
    def taking(self) -> bool:
        """True while partitions are dealt out, or the owner does not have all of one that was dealt to it."""

    def may_act(self, partition: int) -> bool:
        """Tell whether the partition is ours right now; false after this process slept, until the broker confirms."""

    def commit(self, partition: int, messages: Sequence[Message], offset: int | None = None) -> asyncio.Future[bool]:
        """Write ``messages`` in the partition's next transaction, with the offset of the next input record.

        The future is true once they are committed, false where the partition was lost: then nothing was written.
        """


class Bus(Protocol):
    """Everything of the bus. What it starts runs until the service stops."""

    @property
    def instance(self) -> str:
        """Instance id of this process."""

    @property
    def publisher(self) -> Publisher:
        """The way out."""

    def view(
        self,
        topic: Topic,
        decode: Callable[[Record], V],
        on_change: Callable[[str, V | None], None] | None = None,
    ) -> View[V]:
        """Follow a compacted topic into memory."""

    def tail(self, topic: Topic, look: Callable[[Record], None], *, from_end: bool = True) -> Subscription:
        """Show every record of ``topic`` to ``look``, outside any group: for those who only look on."""

    def consume(self, group: str, topics: Sequence[Topic], handler: Handler) -> Subscription:
        """Handle the records of ``topics`` together with the other members of ``group``, in order per partition."""

    def inbox(self, handler: Handler) -> Subscription:
        """Handle what is sent to this instance from now on, in order."""

    def own(self, group: str, inputs: Topic, state: Topic, owner: PartitionOwner) -> Ownership:
        """Own partitions of ``inputs`` with their state in ``state``, together with the other members of ``group``."""
