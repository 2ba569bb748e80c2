"""The bus on a real broker: events, SIP, views, inboxes, dead letters, and an outage."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.errors import UnknownTopicOrPartitionError
from dialog_runtime.bus import PermanentError, Record, TransientError, event_of
from dialog_runtime.bus.membership import Assignor
from dialog_runtime.bus.topics import ensure_topics
from dialog_runtime.supervise import Supervisor
from dialog_schemas.cloudevents import MalformedEventError
from dialog_schemas.instances import Heartbeat, ServiceName
from dialog_schemas.relay import Relay, RelayKind
from dialog_schemas.topics import CALL_EVENTS, DEAD_LETTERS, INSTANCES, MAPPINGS, USERS, Topic, inbox
from dialog_schemas.users import UserCreated
from fixtures.bus import BusClient, Seen, bus_client
from fixtures.servers import Kafka

if TYPE_CHECKING:
    from dialog_sandbox.kafka import EmbeddedKafka

pytestmark = pytest.mark.needs("kafka")


def beat(instance: str, load: float = 0) -> Heartbeat:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Heartbeat(instance=instance, service=ServiceName.BRIDGE, version="1", at=at, load=load)


async def test_an_event_is_handled_once_and_in_order(kafka_bus: BusClient) -> None:
    bus, seen = kafka_bus.bus, Seen()
    await bus.consume("group", [USERS], seen).ready()
    for number in range(50):
        await bus.publisher.publish(USERS, "434", UserCreated(user_id=number), event_id=f"id-{number}")
    records = [await seen.next() for _ in range(50)]
    assert [record.envelope().event.user_id for record in records] == list(range(50))
    assert records[0].envelope().id == "id-0"
    assert records[0].envelope().source == "/registrar/test-1"
    assert (records[0].topic, records[0].key) == ("users", "434")


async def test_topics_are_made_as_the_contract_says_and_again_without_harm(kafka_bus: BusClient) -> None:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    await ensure_topics(kafka_bus.kafka)
    await ensure_topics(kafka_bus.kafka)
    admin = AIOKafkaAdminClient(bootstrap_servers=list(kafka_bus.kafka.bootstrap_servers))
    await admin.start()
    try:
        names = [kafka_bus.kafka.topic_prefix + topic.name for topic in (MAPPINGS, INSTANCES, CALL_EVENTS)]
        described = {entry["topic"]: len(entry["partitions"]) for entry in await admin.describe_topics(names)}
        assert list(map(described.get, names)) == [6, 1, 6]
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    finally:
        await admin.close()
    configs = {resource[3]: {entry[0]: entry[1] for entry in resource[4]} for resource in answer.resources}
    assert [configs[name]["cleanup.policy"] for name in names] == ["compact", "compact,delete", "delete"]


async def test_a_poisoned_record_goes_to_the_dead_letters_and_the_next_is_handled(kafka_bus: BusClient) -> None:
    bus, letters, handled = kafka_bus.bus, Seen(), Seen()

    async def handle(record: Record) -> None:
        event = record.envelope().event
        if event.user_id == 1:
            raise PermanentError("user 1 is not welcome")
        await handled(record)

    await bus.consume("letters", [DEAD_LETTERS], letters).ready()
    await bus.consume("group", [USERS], handle).ready()
    broken = bus.publisher.message(USERS, "k", UserCreated(user_id=0))
    await bus.sender.submit(type(broken)(broken.topic, "k", b"{]", broken.headers), 5)
    await bus.publisher.publish(USERS, "k", UserCreated(user_id=1), event_id="id-1")
    await bus.publisher.publish(USERS, "k", UserCreated(user_id=2))
    assert (await handled.next()).envelope().event.user_id == 2
    first, second = await letters.next(), await letters.next()
    assert first.value == b"{]"
    with pytest.raises(MalformedEventError):
        first.envelope()
    assert second.envelope().id == "id-1"
    assert dict(second.headers)["dead_letter_error"] == b"PermanentError: user 1 is not welcome"
    assert dict(second.headers)["dead_letter_topic"] == b"users"


async def test_a_record_is_tried_until_what_it_needs_is_back(kafka_bus: BusClient) -> None:
    bus, handled, left = kafka_bus.bus, Seen(), [TransientError("away")] * 3

    async def handle(record: Record) -> None:
        if left:
            raise left.pop()
        await handled(record)

    await bus.consume("group", [USERS], handle).ready()
    await bus.publisher.publish(USERS, "k", UserCreated(user_id=1))
    assert (await handled.next()).envelope().event.user_id == 1
    assert left == []


async def test_what_was_not_handled_is_handled_by_the_next_member(kafka: Kafka) -> None:
    seen, stuck = Seen(), asyncio.Event()

    async def never(record: Record) -> None:
        stuck.set()
        raise TransientError("away for ever")

    async with bus_client(kafka.bootstrap, kafka.prefix, "one") as one:
        await one.bus.consume("group", [USERS], never).ready()
        await one.bus.publisher.publish(USERS, "k", UserCreated(user_id=1))
        await asyncio.wait_for(stuck.wait(), 10)
    async with bus_client(kafka.bootstrap, kafka.prefix, "one") as again:
        again.bus.consume("group", [USERS], seen)
        assert (await seen.next()).envelope().event.user_id == 1


async def test_what_was_handled_is_not_handled_again_after_a_clean_stop(kafka: Kafka) -> None:
    first, second = Seen(), Seen()
    async with bus_client(kafka.bootstrap, kafka.prefix, "one") as one:
        await one.bus.consume("group", [USERS], first).ready()
        await one.bus.publisher.publish(USERS, "k", UserCreated(user_id=1))
        await first.next()
    async with bus_client(kafka.bootstrap, kafka.prefix, "one") as again:
        await again.bus.consume("group", [USERS], second).ready()
        await again.bus.publisher.publish(USERS, "k", UserCreated(user_id=2))
        assert (await second.next()).envelope().event.user_id == 2


async def test_a_view_catches_up_and_follows(kafka_bus: BusClient) -> None:
    bus = kafka_bus.bus
    await ensure_topics(kafka_bus.kafka, [INSTANCES])
    for load in range(3):
        await bus.publisher.publish(INSTANCES, "b1", beat("b1", load))
    await bus.publisher.publish(INSTANCES, "b2", beat("b2"))
    await bus.publisher.tombstone(INSTANCES, "b2")
    changed: asyncio.Queue[str] = asyncio.Queue()
    view = bus.view(INSTANCES, event_of(Heartbeat), lambda key, _: changed.put_nowait(key))
    await asyncio.wait_for(view.ready(), 10)
    assert {key: value.load for key, value in view.items()} == {"b1": 2}
    while not changed.empty():
        changed.get_nowait()
    await bus.publisher.publish(INSTANCES, "b3", beat("b3"))
    assert await asyncio.wait_for(changed.get(), 10) == "b3"


async def test_an_empty_view_is_ready(kafka_bus: BusClient) -> None:
    view = kafka_bus.bus.view(INSTANCES, event_of(Heartbeat))
    await asyncio.wait_for(view.ready(), 10)
    assert len(view) == 0


async def test_an_inbox_begins_now(kafka: Kafka) -> None:
    relay = Relay(RelayKind.REQUEST, "t1", "a@x", b"OPTIONS sip:a SIP/2.0\r\n\r\n", sender="r1")
    old, new = Seen(), Seen()
    async with bus_client(kafka.bootstrap, kafka.prefix, "b1") as before:
        await asyncio.wait_for(before.bus.inbox(old).ready(), 10)
        await before.bus.publisher.publish_relay("b1", relay)
        assert (await old.next()).relay() == relay
    async with bus_client(kafka.bootstrap, kafka.prefix, "b1") as after:
        await asyncio.wait_for(after.bus.inbox(new).ready(), 10)
        await after.bus.publisher.publish_relay("b1", Relay(RelayKind.CANCEL, "t2", "a@x", sender="r1"))
        record = await new.next()
        assert (record.relay().transaction, record.topic) == ("t2", inbox("b1").name)


async def delete_topic(kafka_bus: BusClient, topic: Topic) -> None:
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(bootstrap_servers=list(kafka_bus.kafka.bootstrap_servers))
    await admin.start()
    try:
        answer = await admin.delete_topics([kafka_bus.kafka.topic_prefix + topic.name])
        assert [code for _, code in answer.topic_error_codes] == [0]
    finally:
        await admin.close()


async def test_an_inbox_that_was_deleted_and_made_anew_is_read_from_its_start(kafka_bus: BusClient) -> None:
    seen, publisher = Seen(), kafka_bus.bus.publisher
    await asyncio.wait_for(kafka_bus.bus.inbox(seen).ready(), 30)
    for number in range(5):
        await publisher.publish_relay("test-1", Relay(RelayKind.CANCEL, f"before-{number}", "a@x", sender="r1"))
        await seen.next()
    await delete_topic(kafka_bus, inbox("test-1"))
    await ensure_topics(kafka_bus.kafka, [inbox("test-1")])
    await publisher.publish_relay("test-1", Relay(RelayKind.CANCEL, "after", "a@x", sender="r1"))
    assert (await seen.next(within=60)).relay().transaction == "after"


async def test_a_record_for_nobody_holds_up_no_other(kafka_bus: BusClient) -> None:
    bus, seen = kafka_bus.bus, Seen()
    await bus.consume("group", [USERS], seen).ready()
    lost = bus.publisher.send_relay("b404", Relay(RelayKind.CANCEL, "t", "a@x", sender="r"))
    await bus.publisher.publish(USERS, "k", UserCreated(user_id=1), within=5)
    await seen.next()
    lost.cancel()


async def test_order_is_kept_without_waiting(kafka_bus: BusClient) -> None:
    bus, seen = kafka_bus.bus, Seen()
    await bus.consume("group", [USERS], seen).ready()
    sent = [bus.publisher.send(USERS, "k", UserCreated(user_id=number)) for number in range(3000)]
    await asyncio.wait_for(asyncio.gather(*sent), 20)
    assert [(await seen.next()).envelope().event.user_id for _ in range(3000)] == list(range(3000))
    assert bus.sender.pending == 0


async def test_an_outage_delays_and_loses_nothing(own_kafka: EmbeddedKafka) -> None:
    seen = Seen()
    async with bus_client(own_kafka.bootstrap, "t.") as client:
        bus = client.bus
        view = bus.view(INSTANCES, event_of(Heartbeat))
        await bus.consume("group", [USERS], seen).ready()
        await bus.publisher.publish(INSTANCES, "b1", beat("b1"))
        await view.ready()
        await asyncio.to_thread(own_kafka.kill)
        sent = [bus.publisher.send(USERS, "k", UserCreated(user_id=number)) for number in range(500)]
        assert not any(future.done() for future in sent)
        assert view.is_ready
        await asyncio.to_thread(own_kafka.start)
        await asyncio.wait_for(asyncio.gather(*sent), 30)
        numbers = [(await seen.next(30)).envelope().event.user_id for _ in range(500)]
        assert numbers == list(range(500))


async def test_a_stop_without_a_broker_is_bounded(own_kafka: EmbeddedKafka) -> None:
    async with bus_client(own_kafka.bootstrap, "t.") as client:
        await client.bus.consume("group", [USERS], Seen()).ready()
        await asyncio.to_thread(own_kafka.kill)
        client.bus.publisher.send(USERS, "k", UserCreated(user_id=1))
        await asyncio.wait_for(client.supervisor.stop(10), 20)


async def test_what_is_there_before_the_broker_waits_for_it() -> None:
    supervisor = Supervisor()
    async with bus_client("127.0.0.1:1", "t.") as client:
        view = client.bus.view(INSTANCES, event_of(Heartbeat))
        assert not view.is_ready
        await asyncio.wait_for(client.supervisor.stop(10), 15)
    await supervisor.stop(1)


async def test_a_broker_that_refuses_the_session_timeout_is_taken_at_its_word(server_dir: Path) -> None:
    from dialog_sandbox.kafka import EmbeddedKafka

    settings = {"group.min.session.timeout.ms": "6000"}
    async with EmbeddedKafka(server_dir, settings=settings) as broker, bus_client(broker.bootstrap, "t.") as client:
        seen = Seen()
        await asyncio.wait_for(client.bus.consume("group", [USERS], seen).ready(), 20)
        await client.bus.publisher.publish(USERS, "k", UserCreated(user_id=1))
        await seen.next()


async def test_a_group_that_could_not_be_dealt_out_yet_is_dealt_out_soon(
    kafka_bus: BusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal, tries = Assignor.assign.__func__, iter([True])  # type: ignore[attr-defined]

    def assign(cls: type[Assignor], cluster: Any, members: Any) -> Any:
        if next(tries, False):
            raise UnknownTopicOrPartitionError("users")
        return deal(cls, cluster, members)

    monkeypatch.setattr(Assignor, "assign", classmethod(assign))
    seen = Seen()
    group = kafka_bus.bus.consume("group", [USERS], seen)
    await asyncio.wait_for(group.ready(), 20)
    assert len(group.partitions) == 6
    await kafka_bus.bus.publisher.publish(USERS, "k", UserCreated(user_id=1))
    await seen.next()
