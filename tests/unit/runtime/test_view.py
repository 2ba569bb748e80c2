"""A compacted topic in memory."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from dialog_runtime.bus import PermanentError, View, event_of
from dialog_runtime.bus.message import event_message
from dialog_runtime.bus.record import Record, key_bytes, key_text
from dialog_schemas.instances import Heartbeat, ServiceName
from dialog_schemas.topics import INSTANCES, USERS
from dialog_schemas.users import UserDeleted

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def beat(instance: str, load: float = 0) -> Record:
    event = Heartbeat(instance=instance, service=ServiceName.BRIDGE, version="1", at=NOW, load=load)
    message = event_message(INSTANCES, instance, event, source="/t", at=NOW)
    return Record("instances", 0, 0, instance, message.value, message.headers, 1)


def test_the_last_value_of_a_key_counts_and_a_tombstone_removes_it() -> None:
    changes: list[tuple[str, float | None]] = []
    view = View(event_of(Heartbeat), lambda key, value: changes.append((key, value and value.load)))
    for record in (beat("a", 1), beat("b", 2), beat("a", 3), Record("instances", 0, 1, "b", None)):
        view.apply(record)
    assert [value.load for value in view.values()] == [3]
    assert list(view) == ["a"]
    assert "b" not in view
    assert view.get("b") is None
    assert len(view) == 1
    assert changes == [("a", 1), ("b", 2), ("a", 3), ("b", None)]


def test_a_record_that_cannot_be_read_takes_its_key_away() -> None:
    view = View(event_of(Heartbeat))
    view.apply(beat("a"))
    view.apply(Record("instances", 0, 1, "a", b"{", beat("a").headers))
    assert len(view) == 0
    assert view.malformed == 1


def test_an_event_of_another_kind_is_not_taken() -> None:
    message = event_message(USERS, "1", UserDeleted(user_id=1), source="/t", at=NOW)
    with pytest.raises(PermanentError, match="user-deleted where"):
        event_of(Heartbeat)(Record("instances", 0, 0, "1", message.value, message.headers))


def test_nothing_is_told_of_a_key_that_was_never_there() -> None:
    changes: list[str] = []
    view = View(event_of(Heartbeat), lambda key, _: changes.append(key))
    view.apply(Record("instances", 0, 0, "a", None))
    view.apply(Record("instances", 0, 0, None, b"x"))
    assert changes == []


@pytest.mark.parametrize("key", [None, b"", b"434@pbx", "Анна".encode(), b"\xff\xfe"])
def test_any_key_comes_back_as_it_was(key: bytes | None) -> None:
    assert key_bytes(key_text(key)) == key
