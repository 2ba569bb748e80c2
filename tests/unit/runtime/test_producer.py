"""Records on their way out, over a producer that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, OutOfOrderSequenceNumber
from dialog_runtime.bus import BusOverloadedError, BusStoppedError, BusTimeoutError, Message, PermanentError
from dialog_runtime.bus import producer as module
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.producer import KafkaSender


class FakeProducer:
    """Takes what it is given; ``acknowledge`` says what becomes of it."""

    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker

    async def start(self) -> None:
        await self.broker.up.wait()

    async def stop(self) -> None:
        self.broker.stopped += 1
        self.broker.replaced.set()

    async def send(self, topic: str, value: bytes, **_: Any) -> asyncio.Future[Any]:
        if topic in self.broker.unknown:
            await asyncio.sleep(0)
            await asyncio.Event().wait()
        if self.broker.errors:
            raise self.broker.errors.pop(0)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.broker.sent.append(value)
        self.broker.waiting.append(future)
        self.broker.arrived.set()
        if self.broker.prompt:
            future.set_result(SimpleNamespace(offset=0))
        return future


class FakeBroker:
    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.up.set()
        self.sent: list[bytes] = []
        self.waiting: list[asyncio.Future[Any]] = []
        self.arrived = asyncio.Event()
        self.errors: list[Exception] = []
        self.unknown: set[str] = set()
        self.prompt = True
        self.stopped = 0
        self.replaced = asyncio.Event()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.sent) < count:
                self.arrived.clear()
                await self.arrived.wait()


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
async def sender(broker: FakeBroker) -> AsyncIterator[KafkaSender]:
    made = KafkaSender(Names("t."), lambda: FakeProducer(broker))
    running = asyncio.create_task(made.run())
    yield made
    made.stop()
    await asyncio.wait_for(running, 10)


def message(value: bytes, topic: str = "users") -> Message:
    return Message(topic, "k", value)


async def done(future: asyncio.Future[None]) -> None:
    await asyncio.wait_for(future, 5)


async def test_a_record_is_tried_again_while_the_broker_is_slow(broker: FakeBroker, sender: KafkaSender) -> None:
    broker.errors = [KafkaTimeoutError(), KafkaTimeoutError()]
    await done(sender.submit(message(b"1"), 5))
    assert broker.sent == [b"1"]


async def test_a_broken_producer_is_replaced_and_the_order_kept(broker: FakeBroker, sender: KafkaSender) -> None:
    broker.prompt = False
    futures = [sender.submit(message(b"%d" % number), 5) for number in range(3)]
    await broker.until(3)
    broker.prompt = True
    broker.waiting[0].set_exception(OutOfOrderSequenceNumber())
    await asyncio.wait_for(broker.replaced.wait(), 5)
    futures.append(sender.submit(message(b"3"), 5))
    for future in futures:
        await done(future)
    assert broker.sent[3:] == [b"0", b"1", b"2", b"3"]
    assert broker.stopped == 1
    assert sender.pending == 0


async def test_a_record_that_the_broker_refuses_is_told(broker: FakeBroker, sender: KafkaSender) -> None:
    broker.errors = [MessageSizeTooLargeError()]
    with pytest.raises(PermanentError, match="refuses a record of 2 bytes for users"):
        await done(sender.submit(message(b"1"), 5))
    await done(sender.submit(message(b"2"), 5))


async def test_a_topic_that_is_not_there_holds_up_no_other(broker: FakeBroker, sender: KafkaSender) -> None:
    broker.unknown = {"t.inbox.gone"}
    lost = sender.submit(message(b"1", "inbox.gone"), 0.2)
    await done(sender.submit(message(b"2"), 5))
    with pytest.raises(BusTimeoutError):
        await done(lost)


async def test_what_waits_is_bounded(broker: FakeBroker, sender: KafkaSender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 2)
    broker.prompt = False
    futures = [sender.submit(message(b"x"), 5) for _ in range(2)]
    with pytest.raises(BusOverloadedError):
        sender.submit(message(b"x"), 5)
    await broker.until(2)
    for waiting in broker.waiting:
        waiting.set_result(SimpleNamespace(offset=0))
    for future in futures:
        await done(future)
    broker.prompt = True
    await done(sender.submit(message(b"y"), 5))


async def test_a_stop_sends_what_is_queued_and_refuses_more(broker: FakeBroker) -> None:
    sender = KafkaSender(Names("t."), lambda: FakeProducer(broker))
    running = asyncio.create_task(sender.run())
    await done(sender.submit(message(b"1"), 5))
    future = sender.submit(message(b"2"), 5)
    sender.stop()
    await asyncio.wait_for(running, 10)
    await done(future)
    with pytest.raises(BusStoppedError):
        sender.submit(message(b"3"), 5)


async def test_a_stop_without_a_broker_tells_what_was_not_sent(broker: FakeBroker) -> None:
    broker.up.clear()
    sender = KafkaSender(Names("t."), lambda: FakeProducer(broker))
    running = asyncio.create_task(sender.run())
    future = sender.submit(message(b"1"), 60)
    await asyncio.sleep(0)
    sender.stop()
    await asyncio.wait_for(running, 10)
    with pytest.raises(BusStoppedError):
        await done(future)
