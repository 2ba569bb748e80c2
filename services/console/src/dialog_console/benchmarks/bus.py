"""``bench bus``: what one hop through the embedded Kafka costs, with the client and settings that the services use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from dialog_sandbox.kafka import EmbeddedKafka
from dialog_sandbox.stack.temporary import temporary_state

from dialog_console.benchmarks.process_stats import resident_bytes
from dialog_console.benchmarks.row import Aim, Row, percentile

TOPIC = "bench"
WARM_UP, ROUND_TRIPS, BULK = 200, 1_000, 20_000
PAYLOAD = b"x" * 500
"""About the size of an event."""
DEADLINE = 60.0
"""Seconds for each part of the benchmark."""


async def run() -> list[Row]:
    """Measure on a broker of our own, with a topic of one partition."""
    with temporary_state() as folder:
        async with EmbeddedKafka(folder) as kafka, _clients(kafka.bootstrap) as (producer, consumer):
            async with asyncio.timeout(DEADLINE):
                await _round_trips(producer, consumer, WARM_UP)
                times = await _round_trips(producer, consumer, ROUND_TRIPS)
            async with asyncio.timeout(DEADLINE):
                sends, reads = await _bulk(producer, consumer)
            broker = kafka.pid
            memory = resident_bytes(broker) / 2**20 if broker else float("nan")
    return [
        Row("round trip p50", percentile(times, 50) * 1000, "ms", Aim(2.0), "1.0 ms: aiokafka on uvloop, alone"),
        Row("round trip p99", percentile(times, 99) * 1000, "ms", Aim(8.0), "2.0 ms: aiokafka on uvloop, alone"),
        Row("sends per CPU second", sends, "1/s", Aim(40_000, at_most=False), "98k"),
        Row("reads per CPU second", reads, "1/s", Aim(80_000, at_most=False), "179k"),
        Row("resident memory of the broker", memory, "MB", Aim(300)),
    ]


@asynccontextmanager
async def _clients(bootstrap: str) -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaConsumer]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=0, enable_idempotence=True)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, retry_backoff_ms=20, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(TOPIC, 0)])
    await producer.start()
    try:
        await consumer.start()
        yield producer, consumer
    finally:
        await consumer.stop()
        await producer.stop()


async def _round_trips(producer: AIOKafkaProducer, consumer: AIOKafkaConsumer, count: int) -> list[float]:
    times = []
    for _ in range(count):
        began = time.perf_counter()
        await producer.send_and_wait(TOPIC, PAYLOAD)
        await consumer.getone()
        times.append(time.perf_counter() - began)
    return times


async def _bulk(producer: AIOKafkaProducer, consumer: AIOKafkaConsumer) -> tuple[float, float]:
    """Return sends and reads per second of our own CPU time."""
    began = time.process_time()
    for _ in range(BULK):
        await producer.send(TOPIC, PAYLOAD)
    await producer.flush()
    sent, read = time.process_time(), 0
    while read < BULK:
        batches = await consumer.getmany(timeout_ms=1000, max_records=1000)
        read += sum(map(len, batches.values()))
    return BULK / (sent - began), BULK / (time.process_time() - sent)
