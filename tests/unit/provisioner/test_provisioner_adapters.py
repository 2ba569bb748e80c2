from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from dialog_provisioner.adapters.mappings import ECHO_WITHIN, MappingTopic
from dialog_provisioner.adapters.postgres import sql
from dialog_provisioner.adapters.postgres.connection import Database, translated
from dialog_provisioner.adapters.postgres.leadership import _address
from dialog_provisioner.dirty import Dirty
from dialog_provisioner.model.diff import Change
from dialog_provisioner.ports import RowRefusedError, TableUnavailableError, TopicUnavailableError
from dialog_runtime.bus.message import Message, tombstone_message
from dialog_runtime.bus.publisher import Publisher
from dialog_runtime.clock import ManualClock
from dialog_runtime.table.names import Names
from dialog_runtime.table.rows import Address
from dialog_runtime.testing.memory import MemoryBroker
from dialog_schemas.mappings import MappingRejected
from dialog_schemas.topics import MAPPINGS
from pydantic import SecretStr

AOR = "1@pbx"


def event(reason: str = "bad") -> MappingRejected:
    return MappingRejected(aor=AOR, reason=reason, revision="1")


class Desk:
    """A mapping topic on a broker in memory, caught up and with nothing marked."""

    def __init__(self) -> None:
        self.broker, self.dirty, self.clock = MemoryBroker(), Dirty(), ManualClock()
        self.topic = MappingTopic(self.broker.bus("one"), self.dirty, self.clock)
        self.other = Publisher(self.broker, "/other", self.clock)
        self.dirty.take()

    @property
    def marked(self) -> bool:
        return self.dirty.take() is None


async def test_what_was_published_is_known_and_read_back_without_a_fuss() -> None:
    desk = Desk()
    await desk.topic.publish([Change(AOR, event())])
    assert dict(desk.topic.published) == {AOR: event()}
    assert not desk.marked
    await desk.topic.publish([Change(AOR, None)])
    assert dict(desk.topic.published) == {}
    assert not desk.marked


async def test_a_record_of_another_marks_everything() -> None:
    desk = Desk()
    await desk.topic.publish([Change(AOR, event())])
    await desk.other.publish(MAPPINGS, AOR, event("stale"))
    assert desk.marked
    assert desk.topic.published[AOR] == event("stale")
    await desk.other.tombstone(MAPPINGS, AOR)
    assert desk.marked


async def test_what_kafka_does_not_take_does_not_count_as_published() -> None:
    desk = Desk()
    desk.broker.away = True
    with pytest.raises(TopicUnavailableError, match="1 records for"):
        await desk.topic.publish([Change(AOR, event())])
    assert dict(desk.topic.published) == {}


class Slow(MemoryBroker):
    """Acknowledges at once and hands the record to readers when told."""

    held: list[Message]

    def append(self, message: Message) -> Any:
        self.held.append(message)

    def release(self) -> None:
        for message in self.held:
            MemoryBroker.append(self, message)
        self.held = []


async def test_what_is_on_its_way_counts_and_an_older_echo_does_not() -> None:
    desk = Desk()
    slow = Slow()
    slow.held = []
    topic = MappingTopic(slow.bus("one"), desk.dirty, desk.clock)
    for change in (Change(AOR, event("first")), Change("2@pbx", event()), Change(AOR, event("second"))):
        await topic.publish([change])
    assert topic.published[AOR] == event("second")
    assert sorted(topic.published) == [AOR, "2@pbx"]
    assert (len(topic.published), topic.size) == (2, 0)
    slow.release()
    assert topic.published[AOR] == event("second")
    assert not desk.marked


async def test_a_record_that_never_comes_back_is_taken_for_lost() -> None:
    desk = Desk()
    slow = Slow()
    slow.held = []
    topic = MappingTopic(slow.bus("one"), desk.dirty, desk.clock)
    await topic.publish([Change(AOR, event())])
    desk.clock.advance(ECHO_WITHIN)
    await topic.publish([])
    assert desk.marked
    assert AOR not in topic.published


async def test_what_cannot_be_read_on_the_topic_is_not_published() -> None:
    desk = Desk()
    desk.broker.append(Message(MAPPINGS.name, AOR, b"{", ()))
    desk.broker.append(tombstone_message(MAPPINGS, "2@pbx"))
    assert dict(desk.topic.published) == {}


@pytest.mark.parametrize(
    ("payload", "address"),
    [
        ('["1", "pbx"]', Address("1", "pbx")),
        ('["1", null]', Address("1", None)),
        ("*", None),
        ("", None),
        ('["1"]', None),
        ("[1, 2]", None),
        ("null", None),
        ('{"a": 1, "b": 2}', None),
    ],
)
def test_a_payload_names_an_address_or_everything(payload: str, address: Address | None) -> None:
    assert _address(payload) == address


def test_an_error_that_quotes_the_row_is_not_repeated() -> None:
    error = asyncpg.NotNullViolationError("null value in column note violates it")
    error.detail = "Failing row contains (1, canary-8731)."
    error.column_name = "note"
    with pytest.raises(RowRefusedError) as caught, translated("inserting"):
        raise error
    assert str(caught.value) == "inserting: NotNullViolationError (SQLSTATE 23502) column note"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), asyncpg.InterfaceError("closed")])
def test_a_database_that_is_away_may_come_back(error: Exception) -> None:
    with pytest.raises(TableUnavailableError, match="reading: "), translated("reading"):
        raise error


def test_a_bug_is_not_taken_for_an_outage() -> None:
    with pytest.raises(KeyError), translated("reading"):
        raise KeyError("x")


def test_no_password_is_shown() -> None:
    database = Database("h", 5432, "d", "u", SecretStr("canary-8731"))
    assert "canary" not in f"{database} {database!r}"


def test_names_are_quoted() -> None:
    names = Names('a"b', "T")
    assert names.qualified == '"a""b"."T"'
    assert all('ON "a""b"."T"' in one for one in sql.create_triggers(names) if "TRIGGER" in one)
