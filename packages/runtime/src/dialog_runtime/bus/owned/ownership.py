"""Own partitions of a topic, with the state that belongs to them, together with the other members of a group.

Theory of operation. aiokafka revokes everything at each rebalance. Partitions are therefore only *paused* then, and the
assignment that follows decides: those that are gone are released, those that stayed go on with the state they have
(:mod:`~dialog_runtime.bus.owned.session`), new ones are taken over in a task of their own, because heartbeats stop for
as long as the callbacks of a rebalance run.

A process that was stopped (SIGSTOP, a paused virtual machine) does not know that its session is over. A tick a few
times a second notices. Heartbeats go out four times in a session timeout, so a stop that is no longer than a quarter of
it costs nothing; after a longer one :meth:`OwnedPartitions.may_act` is false at once, and everything is paused until
each partition is confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import InvalidSessionTimeoutError

from dialog_runtime.bus.consumers import stop_consumer, unless_stopped, until_stopped
from dialog_runtime.bus.errors import PartitionLostError
from dialog_runtime.bus.membership import Membership
from dialog_runtime.bus.message import Message
from dialog_runtime.bus.owned.session import PartitionSession, SessionState, Tools
from dialog_runtime.clock import Clock

log = structlog.get_logger(__name__)

TICK = 0.2
"""Seconds between looks at errors, and at whether this process slept."""
_NAP = 0.25
"""Part of the session timeout that ticks may come late by."""
_NOTHING = TopicPartition("", 0)
"""Polled to be told of the group's errors while no session polls."""


class OwnedPartitions(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """What :class:`~dialog_runtime.bus.ports.Ownership` asks for; a part of the service."""

    def __init__(
        self, membership: Membership, tools: Tools, prepare: Callable[[], Awaitable[object]], clock: Clock
    ) -> None:
        self._membership = membership
        self._tools = tools
        self._prepare = prepare
        self._clock = clock
        self._consumer: AIOKafkaConsumer | None = None
        self._sessions: dict[int, PartitionSession] = {}
        self._releasing: dict[int, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        self._joined = asyncio.Event()
        self._last_tick = clock.monotonic()
        self._dealing = False
        """A rebalance is on: everything is paused until the assignment comes."""

    @property
    def partitions(self) -> frozenset[int]:
        """Those that are held, paused ones included."""
        told = {SessionState.HELD, SessionState.PAUSED, SessionState.DOUBTED}
        return frozenset(number for number, session in self._sessions.items() if session.state in told)

    @property
    def taking(self) -> bool:
        """True while partitions are dealt out, or the owner does not have all of one that was dealt to it."""
        dealing = self._dealing or not self._joined.is_set()
        return dealing or not all(session.taken for session in self._sessions.values())

    def may_act(self, partition: int) -> bool:
        """Tell whether the partition is ours right now."""
        session = self._sessions.get(partition)
        return session is not None and session.state is SessionState.HELD and not self._slept()

    def commit(self, partition: int, messages: Sequence[Message], offset: int | None = None) -> asyncio.Future[bool]:
        """Write ``messages`` in the partition's next transaction. See the port."""
        session = self._sessions.get(partition)
        if session is None or session.state is SessionState.RELEASED:
            raise PartitionLostError(f"partition {partition} is not held here")
        return session.commit(messages, offset)

    async def ready(self) -> None:
        """Wait until the group has dealt out its partitions for the first time."""
        await self._joined.wait()

    def stop(self) -> None:
        """Let go of every partition, in order, and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Own what the group deals out, until stopped."""
        try:
            await until_stopped(self._stopping, self._session, self._tools.inputs)
        finally:
            await self._release(list(self._sessions))
            await self._released()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002  always all of them
        """Pause everything: who owns what is being dealt out anew."""
        self._dealing = True
        await asyncio.gather(*(session.pause() for session in self._sessions.values()))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Release what is gone, go on with what stayed, take over what is new."""
        numbers = {partition.partition for partition in assigned}
        gone = [number for number in self._sessions if number not in numbers]
        kept = [number for number in self._sessions if number in numbers]
        new = sorted(numbers - set(kept))
        self._dealing = False
        log.info("partitions assigned", kept=sorted(kept), new=new, gone=sorted(gone))
        await self._release(gone)
        for number in kept:
            self._sessions[number].resume()
        for number in new:
            self._sessions[number] = PartitionSession(number, self._tools, self._current, self._releasing.get(number))
        self._joined.set()

    def _current(self) -> AIOKafkaConsumer:
        return self._consumer

    async def _session(self) -> None:
        await unless_stopped(self._stopping, self._serve())

    async def _serve(self) -> None:
        await self._prepare()
        consumer = self._consumer = self._membership.consumer()
        consumer.subscribe([self._tools.inputs], listener=self)
        try:
            await consumer.start()
            self._last_tick = self._clock.monotonic()
            while True:
                await consumer.getmany(_NOTHING, timeout_ms=0)
                await self._tick()
                await asyncio.sleep(TICK)
        except InvalidSessionTimeoutError:
            self._membership.session_timeout_refused()
        finally:
            if self._stopping.is_set():
                await self._release(list(self._sessions))
            await stop_consumer(consumer)

    async def _tick(self) -> None:
        if self._slept() and not self._dealing:
            log.warning("this process slept; its partitions may be somebody else's")
            await self._doubt()
        self._last_tick = self._clock.monotonic()
        for task in [*(session.task for session in self._sessions.values()), *self._releasing.values()]:
            if task.done() and not task.cancelled():
                task.result()
        self._releasing = {number: task for number, task in self._releasing.items() if not task.done()}

    def _slept(self) -> bool:
        return self._clock.monotonic() - self._last_tick > TICK + _NAP * self._membership.session_timeout

    async def _doubt(self) -> None:
        """Pause everything, and go on with what is confirmed."""
        await asyncio.gather(*(session.pause() for session in self._sessions.values()))
        if not self._dealing:
            for session in self._sessions.values():
                session.resume()

    async def _release(self, numbers: list[int]) -> None:
        """Begin to release sessions. They are paused, so nothing more is sent; their ends are awaited elsewhere."""
        for number in numbers:
            release = self._sessions.pop(number).release()
            self._releasing[number] = asyncio.create_task(release, name=f"release {number}")
        if self._stopping.is_set():
            await self._released()

    async def _released(self) -> None:
        if self._releasing:
            await asyncio.gather(*self._releasing.values())
