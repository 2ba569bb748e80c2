"""``bench provisioner``: a whole table to the topic, then edits and users one by one.

CPU and memory are those of the provisioner; Kafka, PostgreSQL and this reader are not in them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from dialog_runtime.bus.client import client_options
from dialog_runtime.bus.kafka import KafkaBus
from dialog_runtime.bus.record import Record
from dialog_runtime.config.services import Kafka
from dialog_sandbox.stack import Options, Ports, Stack
from dialog_sandbox.stack.temporary import temporary_state
from dialog_schemas.topics import MAPPINGS, USERS
from dialog_schemas.users import UserCreated

from dialog_console.benchmarks.process_stats import cpu_seconds, resident_bytes
from dialog_console.benchmarks.row import Aim, Row, percentile
from dialog_console.cli.bus import caught_up, joined, kafka_settings

ROWS, EDITS = 100_000, 200
DEADLINE = 180.0
HOST = "pbx.example.com"
_COLUMNS = ("sip_user", "sip_password", "sip_host", "sip_parameters", "sip_headers", "peer_type", "peer_id", "register",
            "can_call", "can_be_called")  # fmt: skip
_LOOK_EVERY = 0.05


@dataclass
class Seen:
    """The last key that the topic had."""

    key: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, record: Record) -> None:
        """Take the next record."""
        self.key = record.key or ""
        self.changed.set()

    async def until(self, user: int) -> None:
        """Wait for a record of a user."""
        while not self.key.startswith(f"{user}@"):
            self.changed.clear()
            await self.changed.wait()
        self.key = ""


@dataclass
class Bench:
    """A running provisioner, and what it is given."""

    pid: int
    kafka: Kafka
    db: asyncpg.Connection[asyncpg.Record]

    async def load(self) -> float:
        """COPY a table into the empty one; return the seconds until the topic has all of it."""
        rows = [
            (str(number), "secret", HOST, '{"transport": "udp"}', "{}", 1, number, True, True, True)
            for number in range(ROWS)
        ]
        began = time.perf_counter()
        await self.db.copy_records_to_table("sip_user_mappings", records=rows, columns=_COLUMNS)
        # Asked for its end, because reading it all would take the CPU that is measured.
        async with _consumer(self.kafka) as consumer:
            topic = f"{self.kafka.topic_prefix}{MAPPINGS.name}"
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
            while sum((await consumer.end_offsets(partitions)).values()) < ROWS:  # noqa: ASYNC110  Kafka tells nobody
                await asyncio.sleep(_LOOK_EVERY)
        return time.perf_counter() - began

    async def one_by_one(self) -> tuple[list[float], list[float]]:
        """Return the seconds from each edit, and from each new user, until the topic has it."""
        async with joined(self.kafka) as bus:
            seen = Seen()
            await caught_up(bus.tail(MAPPINGS, seen))
            edits = [await _timed(self._edit(number), seen, number) for number in range(EDITS)]
            users = range(ROWS, ROWS + EDITS)
            return edits, [await _timed(self._create(bus, user), seen, user) for user in users]

    async def _edit(self, number: int) -> None:
        """Change a row as psql would."""
        await self.db.execute(
            "UPDATE sip_user_mappings SET can_call = NOT can_call WHERE sip_user = $1 AND sip_host = $2",
            str(number),
            HOST,
        )

    async def _create(self, bus: KafkaBus, user: int) -> None:
        """Say that there is a new user."""
        await bus.publisher.publish(USERS, str(user), UserCreated(user_id=user))


async def run() -> list[Row]:
    """Measure on a system of our own, nothing else running."""
    async with asyncio.timeout(DEADLINE), _system() as bench:
        before = cpu_seconds(bench.pid)
        loaded = await bench.load()
        used = cpu_seconds(bench.pid) - before
        memory = resident_bytes(bench.pid) / 2**20
        edits, created = await bench.one_by_one()
    return [
        Row(f"COPY of {ROWS:,} rows to the topic", loaded, "s", Aim(10)),
        Row("CPU of it", used, "s"),
        Row("resident memory after it", memory, "MB"),
        Row("psql edit to the topic p50", percentile(edits, 50) * 1000, "ms"),
        Row("psql edit to the topic p99", percentile(edits, 99) * 1000, "ms", Aim(1000)),
        Row("user-created to the topic p50", percentile(created, 50) * 1000, "ms", Aim(50)),
        Row("user-created to the topic p99", percentile(created, 99) * 1000, "ms", Aim(250)),
    ]


@asynccontextmanager
async def _system() -> AsyncIterator[Bench]:
    others = frozenset({"pbx", "console", "registrar", "bridge"})
    with temporary_state() as state:
        async with Stack(Options(state=state, without=others, ports=Ports())) as stack:
            if stack.postgres is None:
                raise RuntimeError("the stack has no PostgreSQL of its own")
            db = await asyncpg.connect(stack.postgres.dsn())
            try:
                await _table_made(db)
                yield Bench(stack.pids()["provisioner-1"], kafka_settings(stack.conf, "", ""), db)
            finally:
                await db.close()


@asynccontextmanager
async def _consumer(kafka: Kafka) -> AsyncIterator[AIOKafkaConsumer]:
    topic = f"{kafka.topic_prefix}{MAPPINGS.name}"
    consumer = AIOKafkaConsumer(topic, **client_options(kafka, "bench"))
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _timed(act: Awaitable[None], seen: Seen, user: int) -> float:
    began = time.perf_counter()
    await act
    await seen.until(user)
    return time.perf_counter() - began


async def _table_made(db: asyncpg.Connection[asyncpg.Record]) -> None:
    """Wait until the provisioner has made table and triggers."""
    query = "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass('sip_user_mappings')"
    while not await db.fetchval(query):  # noqa: ASYNC110  PostgreSQL tells nobody
        await asyncio.sleep(_LOOK_EVERY)
