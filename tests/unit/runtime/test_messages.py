"""Records on their way out."""

from __future__ import annotations

from datetime import UTC, datetime

from dialog_runtime.bus.message import Stamp, event_message
from dialog_schemas.cloudevents import decode
from dialog_schemas.topics import USERS
from dialog_schemas.users import UserDeleted

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_what_is_stamped_is_what_is_wrapped_one_by_one_but_for_its_id() -> None:
    event = UserDeleted(user_id=1)
    stamp = Stamp(USERS, UserDeleted, source="/t", at=NOW)
    stamped = [stamp.message("1", event.model_dump_json().encode()) for _ in range(2)]
    wrapped = event_message(USERS, "1", event, source="/t", at=NOW)
    assert {(message.topic, message.key, message.value) for message in [*stamped, wrapped]} == {
        ("users", "1", wrapped.value)
    }
    one, other, alone = (decode(message.value, message.headers) for message in [*stamped, wrapped])
    assert (one.source, one.subject, one.time, one.event) == (alone.source, alone.subject, alone.time, alone.event)
    assert len({one.id, other.id, alone.id}) == 3
