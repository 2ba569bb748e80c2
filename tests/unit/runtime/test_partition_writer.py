"""The transactions of one partition, over a producer that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch
from dialog_runtime.bus import Message, PermanentError
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.owned import writer as module
from dialog_runtime.bus.owned.writer import PartitionWriter


class FakeLog:
    """What was committed, and what is to go wrong with the next transactions."""

    def __init__(self) -> None:
        self.committed: list[tuple[list[bytes], int | None]] = []
        self.errors: list[BaseException] = []
        self.opened = 0
        self.batch_bytes = 10_000
        self.batches: list[int] = []
        self.allowed = asyncio.Event()
        self.allowed.set()

    def producer(self) -> FakeProducer:
        return FakeProducer(self)


class FakeProducer:
    def __init__(self, log: FakeLog) -> None:
        self.log = log

    async def start(self) -> None:
        self.log.opened += 1

    async def stop(self) -> None:
        return

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self.values: list[bytes] = []
        self.batches = 0
        self.offset: int | None = None
        yield
        await self.log.allowed.wait()
        if self.log.errors:
            raise self.log.errors.pop(0)
        self.log.committed.append((self.values, self.offset))
        self.log.batches.append(self.batches)

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(self.log.batch_bytes, 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(SimpleNamespace(offset=len(self.values) + 1))
        batch.close()
        self.batches += 1
        self.values += [record.value for record in DefaultRecordBatch(bytearray(batch._build()))]
        return future

    async def send_offsets_to_transaction(self, offsets: dict[TopicPartition, int], group: str) -> None:
        (self.offset,) = offsets.values()


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
async def writer(log: FakeLog) -> AsyncIterator[PartitionWriter]:
    made = PartitionWriter(Names("t."), log.producer, "t.group", TopicPartition("t.in", 3))
    await made.open()
    made.begin()
    yield made
    await made.discard()


def row(key: str, value: bytes) -> Message:
    return Message("state", key, value)


async def test_what_comes_during_a_transaction_makes_the_next(log: FakeLog, writer: PartitionWriter) -> None:
    log.allowed.clear()
    first = writer.add([row("a", b"1")], 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [writer.add([row("a", b"%d" % number)], number) for number in (2, 3, 4)]
    log.allowed.set()
    assert await asyncio.wait_for(asyncio.gather(first, *others), 5) == [True] * 4
    assert log.committed == [([b"1"], 1), ([b"2", b"3", b"4"], 4)]
    assert writer.written_to == 3


async def test_a_passing_error_repeats_the_transaction(log: FakeLog, writer: PartitionWriter) -> None:
    log.errors = [KafkaTimeoutError()]
    assert await asyncio.wait_for(writer.add([row("a", b"1")], None), 5)
    assert log.committed == [([b"1"], None)]


async def test_a_fenced_writer_writes_nothing_until_it_is_opened_again(log: FakeLog, writer: PartitionWriter) -> None:
    log.errors = [ProducerFenced()]
    future = writer.add([row("a", b"1")], 1)
    await asyncio.wait_for(writer.broken.wait(), 5)
    assert not future.done()
    await writer.open()
    assert log.committed == []
    writer.begin()
    assert await asyncio.wait_for(future, 5)
    assert log.opened == 2


async def test_what_waits_can_be_forgotten(log: FakeLog, writer: PartitionWriter) -> None:
    log.errors = [ProducerFenced()]
    future = writer.add([row("a", b"1")], 1)
    await asyncio.wait_for(writer.broken.wait(), 5)
    await writer.open()
    writer.forget()
    writer.begin()
    assert await future is False
    assert await asyncio.wait_for(writer.add([row("a", b"2")], 2), 5)
    assert log.committed == [([b"2"], 2)]


async def test_an_outage_keeps_the_last_of_each_key(
    log: FakeLog, writer: PartitionWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COALESCE_ABOVE", 10)
    log.allowed.clear()
    futures = [writer.add([row(f"k{number % 3}", b"%d" % number)], number) for number in range(1000)]
    assert writer._waiting <= 11
    log.allowed.set()
    assert all(await asyncio.wait_for(asyncio.gather(*futures), 5))
    values = [value for values, _ in log.committed for value in values]
    assert {b"997", b"998", b"999"} <= set(values)
    assert log.committed[-1][1] == 999


async def test_a_record_that_is_too_large_is_refused_at_once(writer: PartitionWriter) -> None:
    with pytest.raises(PermanentError, match="too large"):
        writer.add([row("a", b"x" * 1_000_000)], 1)


async def test_a_flush_waits_and_is_bounded(log: FakeLog, writer: PartitionWriter) -> None:
    log.allowed.clear()
    writer.add([row("a", b"1")], 1)
    assert not await writer.flush(0.05)
    log.allowed.set()
    assert await writer.flush(5)


async def test_a_bug_in_the_writer_is_told_to_the_session(log: FakeLog, writer: PartitionWriter) -> None:
    log.errors = [ZeroDivisionError()]
    writer.add([row("a", b"1")], 1)
    await asyncio.wait_for(writer.broken.wait(), 5)
    with pytest.raises(ZeroDivisionError):
        writer.raise_failure()


async def test_records_go_in_as_few_batches_as_hold_them(log: FakeLog, writer: PartitionWriter) -> None:
    log.batch_bytes = 1000
    rows = [row(f"k{number}", b"x" * 300) for number in range(7)]
    assert await asyncio.wait_for(writer.add(rows, None), 5)
    assert log.committed[0][0] == [b"x" * 300] * 7
    assert 2 < log.batches[0] < 7
    assert writer.written_to == 7


async def test_an_offset_is_committed_once_unless_it_is_all_there_is_to_say(
    log: FakeLog, writer: PartitionWriter
) -> None:
    for messages in ([row("a", b"1")], [row("a", b"2")], []):
        assert await asyncio.wait_for(writer.add(messages, 5), 5)
    assert log.committed == [([b"1"], 5), ([b"2"], None), ([], 5)]
