"""Heartbeats, and what they say of Kafka."""

from __future__ import annotations

import asyncio

from dialog_runtime.bus.publisher import Publisher
from dialog_runtime.clock import ManualClock
from dialog_runtime.heartbeat import HeartbeatPart, Load
from dialog_runtime.testing import MemoryBroker
from dialog_schemas.instances import ServiceName
from dialog_schemas.topics import INSTANCES


def part(broker: MemoryBroker, clock: ManualClock) -> HeartbeatPart:
    return HeartbeatPart(
        Publisher(broker, "/bridge/b1", clock),
        clock,
        service=ServiceName.BRIDGE,
        instance="b1",
        version="1.2",
        http="127.0.0.1:8080",
        incarnation="first",
        load=lambda: Load(3, 200),
        draining=lambda: True,
    )


async def test_a_heartbeat_and_a_goodbye() -> None:
    broker, clock = MemoryBroker(), ManualClock()
    heartbeat = part(broker, clock)
    first = asyncio.Event()
    broker.listen(INSTANCES.name, lambda _: first.set())
    running = asyncio.create_task(heartbeat.run())
    await asyncio.wait_for(first.wait(), 5)
    event = broker.last(INSTANCES)["b1"].envelope().event
    assert (event.load, event.capacity, event.draining, event.http) == (3, 200, True, "127.0.0.1:8080")
    assert event.incarnation == "first"
    assert heartbeat.kafka().ok
    heartbeat.stop()
    await asyncio.wait_for(running, 5)
    assert broker.last(INSTANCES) == {}
    assert broker.log[INSTANCES.name][-1].is_tombstone


async def test_silence_is_told() -> None:
    broker, clock = MemoryBroker(away=True), ManualClock()
    heartbeat = part(broker, clock)
    assert heartbeat.kafka().detail == "not reached yet"
    await heartbeat._beat()
    assert not heartbeat.kafka().ok
    broker.away = False
    await heartbeat._beat()
    assert heartbeat.kafka().ok
    clock.advance(9)
    assert heartbeat.kafka().detail == "no acknowledgement for 9 s"
