"""The bus in memory keeps the contract of the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from dialog_runtime.bus import BusTimeoutError, PartitionLostError, PermanentError, Record, event_of
from dialog_runtime.testing import MemoryBroker
from dialog_schemas.calls import Hangup
from dialog_schemas.relay import Relay, RelayKind
from dialog_schemas.topics import CALL_COMMANDS, DEAD_LETTERS, MAPPINGS, REGISTRATIONS, USERS
from dialog_schemas.users import UserDeleted


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


async def test_a_group_shares_the_partitions_and_keeps_the_order_of_a_key(broker: MemoryBroker) -> None:
    seen: dict[str, list[Record]] = {"a": [], "b": []}

    async def handle(name: str, record: Record) -> None:
        await asyncio.sleep(0)
        seen[name].append(record)

    publisher = broker.bus("p").publisher
    await publisher.publish(USERS, "before", UserDeleted(user_id=0))
    for name in ("a", "b"):
        broker.bus(name).consume("group", [USERS], lambda record, name=name: handle(name, record))
    for number in range(40):
        await publisher.publish(USERS, str(number % 8), UserDeleted(user_id=number))
    await broker.settle()
    assert len(seen["a"]) + len(seen["b"]) == 41
    assert seen["a"]
    assert seen["b"]
    for key in map(str, range(8)):
        owners = {name for name, records in seen.items() if any(record.key == key for record in records)}
        assert len(owners) == 1
        offsets = [record.offset for record in seen[owners.pop()] if record.key == key]
        assert offsets == sorted(offsets)


async def test_a_hopeless_record_is_a_dead_letter(broker: MemoryBroker) -> None:
    async def refuse(record: Record) -> None:
        raise PermanentError("no")

    bus = broker.bus("a")
    bus.consume("group", [USERS], refuse)
    await bus.publisher.publish(USERS, "1", UserDeleted(user_id=1))
    await broker.settle()
    (letter,) = broker.log[DEAD_LETTERS.name]
    assert dict(letter.headers)["dead_letter_error"] == b"PermanentError: no"


async def test_an_inbox_is_its_instances_own(broker: MemoryBroker) -> None:
    seen: list[Record] = []

    async def handle(record: Record) -> None:
        seen.append(record)

    broker.bus("b1").inbox(handle)
    publisher = broker.bus("r1").publisher
    relay = Relay(RelayKind.CANCEL, "t1", "a@x", sender="r1")
    await publisher.publish_relay("b1", relay)
    await publisher.publish_relay("b2", relay)
    await broker.settle()
    assert [record.relay() for record in seen] == [relay]


async def test_a_command_is_forwarded_with_its_id(broker: MemoryBroker) -> None:
    seen: list[Record] = []

    async def handle(record: Record) -> None:
        seen.append(record)

    bus = broker.bus("b1")
    broker.bus("b2").inbox(handle)
    await bus.publisher.publish(CALL_COMMANDS, "c1", Hangup(call_id="c1"), event_id="id-1")
    await bus.publisher.forward("b2", broker.log[CALL_COMMANDS.name][0])
    await broker.settle()
    assert seen[0].envelope().id == "id-1"


async def test_an_outage(broker: MemoryBroker) -> None:
    broker.away = True
    with pytest.raises(BusTimeoutError):
        await broker.bus("a").publisher.publish(USERS, "1", UserDeleted(user_id=1))
    assert broker.log[USERS.name] == []


async def test_a_view_has_what_was_and_what_comes(broker: MemoryBroker) -> None:
    bus = broker.bus("a")
    await bus.publisher.publish(USERS, "1", UserDeleted(user_id=1))
    view = bus.view(USERS, event_of(UserDeleted))
    await view.ready()
    await bus.publisher.publish(USERS, "2", UserDeleted(user_id=2))
    await bus.publisher.tombstone(USERS, "1")
    assert [event.user_id for event in view.values()] == [2]


class Owner:
    def __init__(self) -> None:
        self.told: list[str] = []

    async def assigned(self, partition: int, state: Sequence[Record], inputs: Sequence[Record]) -> None:
        self.told.append(f"assigned {partition} {len(state)} {len(inputs)}")

    async def changed(self, partition: int, record: Record) -> None:
        self.told.append(f"changed {partition}")

    def paused(self, partition: int) -> None:
        self.told.append(f"paused {partition}")

    def resumed(self, partition: int) -> None:
        self.told.append(f"resumed {partition}")

    async def revoked(self, partition: int) -> None:
        self.told.append(f"revoked {partition}")


async def test_owned_partitions(broker: MemoryBroker) -> None:
    bus, owner = broker.bus("r1"), Owner()
    owned = bus.own("registrar", MAPPINGS, REGISTRATIONS, owner)
    await owned.give(2)
    message = bus.publisher.message(REGISTRATIONS, "a@x", UserDeleted(user_id=1))
    assert await owned.commit(2, [message])
    owned.pause(2)
    assert not owned.may_act(2)
    owned.resume(2)
    assert owned.may_act(2)
    owned.hold = True
    lost = owned.commit(2, [message])
    await owned.lose(2)
    assert await lost is False
    with pytest.raises(PartitionLostError):
        owned.commit(2, [])
    await owned.give(2)
    assert owner.told == ["assigned 2 0 0", "paused 2", "resumed 2", "revoked 2", "assigned 2 1 0"]
    assert len(broker.log[REGISTRATIONS.name]) == 1
