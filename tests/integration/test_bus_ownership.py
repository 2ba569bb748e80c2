"""Owners of partitions on a real broker, killed, stopped and added: nothing is lost, doubled or stale."""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from dialog_runtime.bus.consumers import record_of
from dialog_runtime.bus.names import Names
from dialog_runtime.bus.topics import ensure_topics
from dialog_schemas.mappings import MappingUpserted, PeerType, Transport
from dialog_schemas.topics import MAPPINGS, REGISTRATIONS
from fixtures.bus import BusClient, Owners, bus_client, running_owners
from fixtures.servers import Kafka

if TYPE_CHECKING:
    from dialog_sandbox.kafka import EmbeddedKafka

pytestmark = pytest.mark.needs("kafka")

ALL = set(range(6))
KEYS = [f"{number}@pbx.example" for number in range(24)]


class Load:
    """Mapping changes, one after another, while something else goes on."""

    def __init__(self, client: BusClient) -> None:
        self.client = client
        self.last: dict[str, str] = {}
        self.number = 0
        self.published = asyncio.Event()
        self.stopping = asyncio.Event()

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        running = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self.stopping.set()
            await running

    async def passes(self, changes: int) -> None:
        """Wait until so many more were published."""
        goal = self.number + changes
        async with asyncio.timeout(30):
            while self.number < goal:
                self.published.clear()
                await self.published.wait()

    async def _run(self) -> None:
        while not self.stopping.is_set():
            self.number += 1
            key = KEYS[self.number % len(KEYS)]
            await self.client.bus.publisher.publish(MAPPINGS, key, mapping(key, str(self.number)))
            self.last[key] = str(self.number)
            self.published.set()


def mapping(key: str, revision: str) -> MappingUpserted:
    return MappingUpserted(
        aor=key,
        sip_user=key.split("@", maxsplit=1)[0],
        sip_host="pbx.example",
        sip_port=5060,
        transport=Transport.UDP,
        peer_type=PeerType.USER,
        peer_id=1,
        register=True,
        can_call=True,
        can_be_called=True,
        revision=revision,
    )


async def committed(client: BusClient, last: dict[str, str]) -> dict[str, list[tuple[int, str, str]]]:
    """CSeq, revision and owner of every committed status, per key; waits until each key has its last revision."""
    names = Names(client.kafka.topic_prefix)
    found: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=client.kafka.bootstrap_servers[0],
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    consumer.assign([TopicPartition(names.full(REGISTRATIONS), number) for number in ALL])
    async with asyncio.timeout(20), consumer:
        while any(not found[key] or found[key][-1][1] != revision for key, revision in last.items()):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for raw in records:
                    status = record_of(names, raw).envelope().event
                    found[status.aor].append((status.cseq, status.mapping_revision, status.owner))
    return found


def check(found: dict[str, list[tuple[int, str, str]]]) -> None:
    for key, rows in found.items():
        assert [cseq for cseq, _, _ in rows] == list(range(1, len(rows) + 1)), key


@pytest.fixture
async def load(kafka: Kafka) -> AsyncIterator[Load]:
    async with bus_client(kafka.bootstrap, kafka.prefix, "load") as client:
        await ensure_topics(client.kafka, [MAPPINGS, REGISTRATIONS])
        yield Load(client)


async def test_a_killed_owner_is_replaced_and_nothing_is_lost_or_doubled(owners: Owners, load: Load) -> None:
    one, two = await owners.start("r1"), await owners.start("r2")
    await owners.share(one, two)
    async with load.going_on():
        one.process.send_signal(signal.SIGKILL)
        await owners.share(two)
        await load.passes(100)
        again = await owners.start("r1")
        await owners.share(two, again)
        await load.passes(100)
    found = await committed(load.client, load.last)
    check(found)
    assert {owner for rows in found.values() for _, _, owner in rows} == {"r1", "r2"}


async def test_a_sleeper_that_wakes_up_writes_nothing(owners: Owners, load: Load) -> None:
    one, two = await owners.start("r1"), await owners.start("r2")
    await owners.share(one, two)
    async with load.going_on():
        one.process.send_signal(signal.SIGSTOP)
        await owners.share(two)
        await load.passes(100)
        one.process.send_signal(signal.SIGCONT)
        await owners.share(one, two)
        await load.passes(100)
    check(await committed(load.client, load.last))


async def test_a_sleeper_keeps_nothing_that_another_had_even_where_that_wrote_nothing(owners: Owners) -> None:
    one, two = await owners.start("r1"), await owners.start("r2")
    await owners.share(one, two)
    one.process.send_signal(signal.SIGSTOP)
    await owners.share(two)
    asleep = len(one.told)
    one.process.send_signal(signal.SIGCONT)
    await owners.until(lambda: any(what == "assigned" for what, _ in one.told[asleep:]))
    await owners.share(one, two)
    assert "resumed" not in [what for what, _ in one.told[asleep:]]


async def test_an_owner_that_comes_is_given_its_share_and_the_others_keep_their_state(
    owners: Owners, load: Load
) -> None:
    one = await owners.start("r1")
    await owners.share(one)
    async with load.going_on():
        two = await owners.start("r2")
        await owners.share(one, two)
        three = await owners.start("r3")
        await owners.share(one, two, three)
    check(await committed(load.client, load.last))


async def test_a_restart_gets_its_partitions_back_without_a_rebalance(owners: Owners, load: Load) -> None:
    one, two = await owners.start("r1", session=20), await owners.start("r2", session=20)
    await owners.share(one, two)
    had, told = set(one.partitions), list(two.told)
    one.process.send_signal(signal.SIGTERM)
    assert await one.process.wait() == 0
    again = await owners.start("r1", session=20)
    await owners.until(lambda: again.partitions == had)
    assert two.told == told, "the other owner was disturbed"


async def test_a_broker_that_dies_and_comes_back_loses_nothing(own_kafka: EmbeddedKafka) -> None:
    async with (
        bus_client(own_kafka.bootstrap, "t.", "load") as client,
        running_owners(own_kafka.bootstrap, "t.") as owners,
    ):
        await ensure_topics(client.kafka, [MAPPINGS, REGISTRATIONS])
        load = Load(client)
        one, two = await owners.start("r1"), await owners.start("r2")
        await owners.share(one, two)
        async with load.going_on():
            await load.passes(50)
            await asyncio.to_thread(own_kafka.kill)
            await asyncio.to_thread(own_kafka.start)
            await load.passes(100)
        check(await committed(client, load.last))
