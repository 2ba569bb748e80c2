"""Whole topics read for their followers, and the lanes of a group, over a consumer that the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from dialog_runtime.bus import Record, reader
from dialog_runtime.bus.follower import Follower, Inbox
from dialog_runtime.bus.group import FULL, Lane
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.reader import Reader
from dialog_schemas.topics import INSTANCES, MAPPINGS, Topic, inbox

NAMES = Names("t.")
M0, M1, I0 = TopicPartition("t.sip.mappings", 0), TopicPartition("t.sip.mappings", 1), TopicPartition("t.instances", 0)
WITHIN = 10.0


def raw(partition: TopicPartition, offset: int, value: bytes = b"v") -> Any:
    return SimpleNamespace(
        topic=partition.topic,
        partition=partition.partition,
        offset=offset,
        key=b"k",
        value=value,
        headers=(),
        timestamp=0,
    )


class PlayedConsumer:
    """What of aiokafka's consumer is asked for. The test says what is assigned, where it ends and what comes."""

    def __init__(self, ends: dict[TopicPartition, int], assigned: Iterable[TopicPartition] | None = None) -> None:
        self.ends = ends
        self.assigned = frozenset(ends if assigned is None else assigned)
        self.leaderless: set[TopicPartition] = set()
        self.positions: dict[TopicPartition, int] = {}
        self.sought: list[tuple[TopicPartition, int]] = []
        self.paused: list[bool] = []
        self.batches: asyncio.Queue[dict[TopicPartition, list[Any]] | Exception] = asyncio.Queue()
        self.stopped = False

    def subscribe(self, topics: list[str]) -> None:
        assert {partition.topic for partition in self.assigned} <= set(topics)

    async def start(self) -> None:
        """Be there."""

    async def stop(self) -> None:
        self.stopped = True

    def assignment(self) -> frozenset[TopicPartition]:
        return self.assigned

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        await self._led(partitions)
        return {partition: self.ends[partition] for partition in partitions}

    async def _led(self, partitions: Iterable[TopicPartition]) -> None:
        if self.leaderless & set(partitions):
            await asyncio.Event().wait()

    def highwater(self, partition: TopicPartition) -> int | None:
        return None if partition in self.leaderless else self.ends[partition]

    async def position(self, partition: TopicPartition) -> int:
        await self._led([partition])
        return self.positions.get(partition, 0)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought.append((partition, offset))
        self.positions[partition] = offset

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Any]]:
        batches = await self.batches.get()
        if isinstance(batches, Exception):
            raise batches
        for partition, records in batches.items():
            self.positions[partition] = records[-1].offset + 1
        return batches

    def give(self, *records: Any) -> None:
        batches: dict[TopicPartition, list[Any]] = {}
        for record in records:
            batches.setdefault(TopicPartition(record.topic, record.partition), []).append(record)
        self.batches.put_nowait(batches)

    def pause(self, partition: TopicPartition) -> None:
        self.paused.append(True)

    def resume(self, partition: TopicPartition) -> None:
        self.paused.append(False)


class Seen(Follower):
    def __init__(self, topic: Topic, *, from_end: bool = False) -> None:
        super().__init__(topic, from_end=from_end)
        self.records: asyncio.Queue[str] = asyncio.Queue()

    async def handle(self, record: Record) -> None:
        self.records.put_nowait(f"{record.partition}@{record.offset}")

    async def next(self, count: int) -> list[str]:
        async with asyncio.timeout(WITHIN):
            return [await self.records.get() for _ in range(count)]


async def no_topics(topics: Iterable[Topic]) -> None:
    """Have them all."""


@asynccontextmanager
async def reading(connect: Callable[..., Any], *followers: Follower) -> AsyncIterator[Reader]:
    reads = Reader(NAMES, connect, no_topics)
    assert all(map(reads.add, followers))
    task = asyncio.create_task(reads.run())
    try:
        yield reads
    finally:
        reads.stop()
        await asyncio.wait_for(task, WITHIN)


async def test_each_follower_is_given_its_topic_and_told_when_it_caught_up() -> None:
    consumer = PlayedConsumer({M0: 2, M1: 1, I0: 0})
    mappings, instances = Seen(MAPPINGS), Seen(INSTANCES)
    async with reading(lambda **_: consumer, mappings, instances):
        async with asyncio.timeout(WITHIN):
            await instances.ready()
        consumer.give(raw(M0, 0), raw(M0, 1), raw(I0, 0))
        assert await mappings.next(2) == ["0@0", "0@1"]
        assert await instances.next(1) == ["0@0"]
        ready = asyncio.create_task(mappings.ready())
        await asyncio.sleep(0)
        assert not ready.done()
        consumer.give(raw(M1, 0))
        await asyncio.wait_for(ready, WITHIN)
    assert consumer.stopped


async def test_a_partition_without_a_leader_holds_up_its_own_follower_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_ASKING", 0.01)
    own = TopicPartition("t.inbox.bridge-1", 0)
    consumer = PlayedConsumer({M0: 0, M1: 1, I0: 1, own: 4})
    consumer.leaderless = {M1, own}
    mappings, instances = Seen(MAPPINGS), Seen(INSTANCES)
    mine = Seen(inbox("bridge-1"), from_end=True)
    async with reading(lambda **_: consumer, mappings, instances, mine):
        consumer.give(raw(I0, 0))
        assert await instances.next(1) == ["0@0"]
        await asyncio.wait_for(instances.ready(), WITHIN)
        ready = asyncio.create_task(mappings.ready())
        consumer.give(raw(M0, 0))
        assert await mappings.next(1) == ["0@0"]
        assert not ready.done()
        consumer.leaderless.clear()
        # What aiokafka had fetched of the inbox before the reader knew where it ended: it begins there.
        consumer.give(raw(own, 2), raw(M1, 0))
        assert await mappings.next(1) == ["1@0"]
        consumer.give(raw(own, 4))
        assert await mine.next(1) == ["0@4"]
        await asyncio.wait_for(ready, WITHIN)
    assert consumer.sought == [(own, 4)]


async def test_a_partition_that_loses_its_leader_before_it_is_read_holds_up_its_own_follower_alone() -> None:
    consumer = PlayedConsumer({M0: 1, I0: 1})
    mappings, instances = Seen(MAPPINGS), Seen(INSTANCES)
    async with reading(lambda **_: consumer, mappings, instances):
        consumer.give(raw(M0, 0))
        assert await mappings.next(1) == ["0@0"]
        await asyncio.wait_for(mappings.ready(), WITHIN)
        consumer.leaderless.add(I0)
        consumer.give(raw(M0, 1))
        consumer.give(raw(M0, 2))
        assert await mappings.next(2) == ["0@1", "0@2"]
        consumer.leaderless.clear()
        consumer.give(raw(I0, 0))
        await asyncio.wait_for(instances.ready(), WITHIN)


async def test_markers_of_transactions_count_as_read() -> None:
    consumer = PlayedConsumer({M0: 3})
    mappings = Seen(MAPPINGS)
    async with reading(lambda **_: consumer, mappings):
        consumer.give(raw(M0, 0))
        assert await mappings.next(1) == ["0@0"]
        consumer.positions[M0] = 3
        consumer.give()
        await asyncio.wait_for(mappings.ready(), WITHIN)


async def test_an_inbox_begins_at_its_end_and_goes_on_after_an_error() -> None:
    topic = inbox("bridge-1")
    partition = TopicPartition(f"t.{topic.name}", 0)
    first, second = PlayedConsumer({partition: 7}), PlayedConsumer({partition: 99})
    consumers = iter([first, second])
    handled: asyncio.Queue[int] = asyncio.Queue()

    async def process(record: Record, stopping: asyncio.Event) -> bool:
        handled.put_nowait(record.offset)
        return True

    async with reading(lambda **_: next(consumers), Inbox(topic, process)):
        first.give(raw(partition, 7))
        assert await asyncio.wait_for(handled.get(), WITHIN) == 7
        first.batches.put_nowait(KafkaConnectionError())
        second.give(raw(partition, 7), raw(partition, 8))
        assert await asyncio.wait_for(handled.get(), WITHIN) == 8
    assert first.sought == [(partition, 7)]
    assert second.sought == [(partition, 8)]


async def test_partitions_that_are_added_are_read_from_their_beginning() -> None:
    consumer = PlayedConsumer({M0: 5, M1: 4}, assigned=[M0])
    tail = Seen(MAPPINGS, from_end=True)
    async with reading(lambda **_: consumer, tail):
        consumer.give(raw(M0, 5))
        assert await tail.next(1) == ["0@5"]
        # aiokafka begins anew with every partition when one is added.
        consumer.ends[M0] = 6
        consumer.assigned = frozenset([M0, M1])
        consumer.give(raw(M0, 4), raw(M0, 5), raw(M1, 0))
        assert await tail.next(1) == ["1@0"]
        consumer.give(raw(M0, 6), raw(M1, 1))
        assert sorted(await tail.next(2)) == ["0@6", "1@1"]
    assert [offset for partition, offset in consumer.sought if partition == M0] == [5, 6]


async def test_a_topic_that_was_deleted_and_made_anew_is_read_from_its_start() -> None:
    consumer = PlayedConsumer({M0: 0, I0: 0})
    mappings, instances = Seen(MAPPINGS), Seen(INSTANCES)
    async with reading(lambda **_: consumer, mappings, instances):
        consumer.give(*[raw(M0, offset) for offset in range(5)], raw(I0, 0))
        await mappings.next(5)
        await instances.next(1)
        consumer.ends |= {M0: 2, I0: 3}
        consumer.give(raw(M0, 0), raw(M0, 1), raw(I0, 0), raw(I0, 1))
        assert await mappings.next(2) == ["0@0", "0@1"]
        assert await instances.next(1) == ["0@1"]
        consumer.give(raw(M0, 2))
        assert await mappings.next(1) == ["0@2"]


async def test_a_topic_that_drops_out_of_the_metadata_is_asked_for_anew() -> None:
    first, second = PlayedConsumer({M0: 0, I0: 0}), PlayedConsumer({M0: 9, I0: 9})
    consumers = iter([first, second])
    mappings, instances = Seen(MAPPINGS), Seen(INSTANCES)
    async with reading(lambda **_: next(consumers), mappings, instances):
        first.give(raw(M0, 0), raw(I0, 0))
        assert await mappings.next(1) == ["0@0"]
        first.assigned = frozenset([M0])
        first.give()
        second.give(raw(I0, 1))
        assert await instances.next(2) == ["0@0", "0@1"]
    assert sorted(second.sought) == [(I0, 1), (M0, 1)]


async def test_a_stop_lets_the_record_in_hand_be_finished_and_takes_no_other() -> None:
    topic = inbox("bridge-1")
    partition = TopicPartition(f"t.{topic.name}", 0)
    consumer = PlayedConsumer({partition: 0})
    begun, told = asyncio.Event(), asyncio.Event()
    finished: list[int] = []

    async def process(record: Record, stopping: asyncio.Event) -> bool:
        begun.set()
        await stopping.wait()
        told.set()
        await asyncio.sleep(0)
        finished.append(record.offset)
        return True

    async with reading(lambda **_: consumer, Inbox(topic, process)):
        consumer.give(raw(partition, 0), raw(partition, 1))
        await asyncio.wait_for(begun.wait(), WITHIN)
    assert told.is_set()
    assert finished == [0]


async def test_who_comes_late_or_second_asks_another_reader() -> None:
    reads = Reader(NAMES, lambda **_: PlayedConsumer({M0: 0}), no_topics)
    assert reads.add(Seen(MAPPINGS))
    assert not reads.add(Seen(MAPPINGS))
    task = asyncio.create_task(reads.run())
    await asyncio.sleep(0)
    assert not reads.add(Seen(INSTANCES))
    reads.stop()
    await asyncio.wait_for(task, WITHIN)


async def test_a_lane_that_has_too_much_waiting_is_paused_until_half_of_it_is_done() -> None:
    consumer = PlayedConsumer({M0: 0})
    go, done = asyncio.Semaphore(0), asyncio.Queue[int]()

    async def process(record: Record, stopping: asyncio.Event) -> bool:
        await go.acquire()
        done.put_nowait(record.offset)
        return True

    lane = Lane(consumer, NAMES, M0, process)
    lane.put([raw(M0, offset, bytes(FULL // 4)) for offset in range(4)])
    lane.put([raw(M0, 4)])
    assert consumer.paused == [True]
    for _ in range(5):
        go.release()
    assert [await asyncio.wait_for(done.get(), WITHIN) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert consumer.paused == [True, False]
    await lane.end()
    assert lane.done_to == 5


async def test_a_lane_that_ends_finishes_the_record_in_hand_alone() -> None:
    consumer = PlayedConsumer({M0: 0})
    begun = asyncio.Event()

    async def process(record: Record, stopping: asyncio.Event) -> bool:
        begun.set()
        await stopping.wait()
        return True

    lane = Lane(consumer, NAMES, M0, process)
    lane.put([raw(M0, 0), raw(M0, 1)])
    await asyncio.wait_for(begun.wait(), WITHIN)
    await lane.end()
    assert lane.done_to == 1
