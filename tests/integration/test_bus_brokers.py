"""The bus on two brokers: partitions whose leader dies are read and written at the other, and later at either."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from dialog_runtime.bus import Record
from dialog_runtime.bus.kafka import KafkaBus
from dialog_runtime.config.services import Kafka
from dialog_runtime.supervise import Supervisor
from dialog_schemas.topics import CALL_EVENTS, USERS
from dialog_schemas.users import UserCreated
from fixtures.bus import Seen

if TYPE_CHECKING:
    from dialog_sandbox.kafka import EmbeddedKafka

pytestmark = pytest.mark.needs("kafka")

SETTINGS = {
    "offsets.topic.replication.factor": "2",
    # A broker that is back leads its partitions again at once, not after five minutes.
    "leader.imbalance.check.interval.seconds": "1",
    "leader.imbalance.per.broker.percentage": "0",
}
EACH = 60
"""Records of each round, so that every partition has some."""
WITHIN = 60.0


@pytest.fixture
async def brokers(server_dir: Path) -> AsyncIterator[tuple[EmbeddedKafka, EmbeddedKafka]]:
    """One that is broker and controller, and one that is a broker alone and may be killed."""
    from dialog_sandbox.kafka import EmbeddedKafka
    from dialog_sandbox.paths import free_port

    async with EmbeddedKafka(server_dir / "1", settings=SETTINGS) as first:
        port = free_port()
        address = f"PLAINTEXT://127.0.0.1:{port}"
        alone = {
            "process.roles": "broker",
            "node.id": "2",
            "listeners": address,
            "advertised.listeners": address,
            "controller.quorum.voters": f"1@127.0.0.1:{first.config.controller_port}",
        }
        async with EmbeddedKafka(server_dir / "2", port, settings=SETTINGS | alone) as second:
            yield first, second


class Reading:
    """A tail and a member of a group, and who publishes for them."""

    def __init__(self, bus: KafkaBus) -> None:
        self._bus = bus
        self.tailed: asyncio.Queue[Record] = asyncio.Queue()
        self.handled = Seen()
        self._tail = bus.tail(CALL_EVENTS, self.tailed.put_nowait)
        self._group = bus.consume("group", [USERS], self.handled)

    async def ready(self) -> None:
        async with asyncio.timeout(WITHIN):
            await self._tail.ready()
            await self._group.ready()

    async def round(self, first: int) -> None:
        """Publish on both topics, over all partitions, and see all of it arrive, in order of each key."""
        async with asyncio.timeout(WITHIN):
            numbers = range(first, first + EACH)
            sent = [
                self._bus.publisher.send(topic, f"key-{number % 20}", UserCreated(user_id=number))
                for number in numbers
                for topic in (USERS, CALL_EVENTS)
            ]
            await asyncio.gather(*sent)
            await arrived(self.handled.records, first)
            await arrived(self.tailed, first)


async def arrived(records: asyncio.Queue[Record], first: int) -> None:
    """Wait for all of a round; what was handled but not committed may come again."""
    missing = set(range(first, first + EACH))
    last: dict[str | None, int] = {}
    while missing:
        record = await records.get()
        event = record.envelope().event
        assert isinstance(event, UserCreated)
        if event.user_id in missing:
            missing.remove(event.user_id)
            assert event.user_id > last.get(record.key, -1)
            last[record.key] = event.user_id


async def leads(kafka: Kafka, node: int, topic: str) -> None:
    """Wait until a broker leads partitions of ``topic``."""
    admin = AIOKafkaAdminClient(bootstrap_servers=list(kafka.bootstrap_servers))
    await admin.start()
    try:
        async with asyncio.timeout(WITHIN):
            while True:
                (described,) = await admin.describe_topics([kafka.topic_prefix + topic])
                if node in {partition["leader"] for partition in described["partitions"]}:
                    return
                await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def test_leaders_move_when_a_broker_dies_and_when_it_is_back(
    brokers: tuple[EmbeddedKafka, EmbeddedKafka],
) -> None:
    first, second = brokers
    kafka = Kafka(
        bootstrap_servers=(first.bootstrap, second.bootstrap),
        topic_prefix=f"t{secrets.token_hex(4)}.",
        replication_factor=2,
    )
    supervisor = Supervisor()
    try:
        reading = Reading(KafkaBus(kafka, service="registrar", instance="test-1", supervisor=supervisor))
        await reading.ready()
        await leads(kafka, 2, USERS.name)
        await reading.round(0)
        await asyncio.to_thread(second.kill)
        await reading.round(1000)
        await second.start_async()
        await leads(kafka, 2, USERS.name)
        await reading.round(2000)
    finally:
        await supervisor.stop(10)
