from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dialog_provisioner.handlers import Handlers, UnexpectedEventError
from dialog_provisioner.model.autocreate import AutocreateRules, NewRow, Origin, Record, Standing, counts, row_for
from dialog_runtime.bus.record import Record as BusRecord
from dialog_schemas.cloudevents import Envelope, MalformedEventError, encode
from dialog_schemas.mappings import MappingDeleted
from dialog_schemas.users import UserCreated, UserDeleted, UserUpdated

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULES = AutocreateRules(
    on=True, host="pbx", port=5070, parameters='{"transport": "tcp"}', headers="{}", register=True, can_call=False,
    can_be_called=True, user_prefix="dialog", password="pw",
)  # fmt: skip


def made(rules: AutocreateRules = RULES, **fields: Any) -> NewRow | None:
    return row_for(UserCreated(user_id=434, **fields), rules, "r4nd0m")


def test_a_new_user_gets_the_row_that_the_rules_say() -> None:
    assert made() == NewRow(
        sip_user="dialog434", sip_host="pbx", sip_port=5070, sip_parameters='{"transport": "tcp"}', sip_headers="{}",
        peer_type=1, peer_id=434, register=True, can_call=False, can_be_called=True, sip_password="pw",
    )  # fmt: skip


def test_a_bot_gets_none() -> None:
    assert made(is_bot=True) is None


def test_nobody_gets_one_where_autocreate_is_off() -> None:
    assert made(replace(RULES, on=False)) is None


@pytest.mark.parametrize(
    ("template", "password"),
    [
        ("x{user_id}y", "x434y"),
        ("{sip_user}", "dialog434"),
        ("{random}", "r4nd0m"),
        ("{other}{", "{other}{"),
        ("", ""),
    ],
)
def test_a_password_may_be_a_template(template: str, password: str) -> None:
    row = made(replace(RULES, password=template))
    assert row is not None
    assert row.sip_password == password


def test_no_password_is_shown() -> None:
    assert "pw" not in repr(made())
    assert "pw" not in repr(RULES)


def origin(event_id: str = "e1", minutes: int = 0) -> Origin:
    return Origin("/dialog", event_id, NOW + timedelta(minutes=minutes))


def test_events_about_a_user_count_once_and_only_in_order() -> None:
    record = Record(Standing.DELETED, origin("e2"))
    assert counts(origin("e1"), None)
    assert not counts(origin("e2"), record)
    assert not counts(origin("e1", minutes=-1), record)
    assert counts(origin("e3"), record)
    assert counts(origin("e3", minutes=1), record)


@dataclass
class FakeUsers:
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    async def create(self, row: NewRow, origin: Origin) -> bool:
        self.calls.append(("create", row.sip_user, row.sip_password, origin))
        return True

    async def delete(self, user_id: int, sip_user: str, sip_host: str, origin: Origin) -> int:
        self.calls.append(("delete", user_id, sip_user, sip_host, origin))
        return 1


def handlers(rules: AutocreateRules = RULES) -> tuple[Handlers, FakeUsers]:
    users = FakeUsers()
    return Handlers(users, rules, lambda: "r4nd0m"), users


async def test_user_created_makes_a_row() -> None:
    handle, users = handlers()
    await handle.handle(UserCreated(user_id=434), origin())
    assert users.calls == [("create", "dialog434", "pw", origin())]


async def test_user_updated_does_nothing() -> None:
    handle, users = handlers()
    await handle.handle(UserUpdated(user_id=434), origin())
    assert users.calls == []


async def test_user_deleted_takes_the_row_back_also_where_autocreate_is_off_by_now() -> None:
    handle, users = handlers(replace(RULES, on=False))
    await handle.handle(UserDeleted(user_id=434), origin())
    assert users.calls == [("delete", 434, "dialog434", "pbx", origin())]


async def test_another_event_on_the_topic_is_refused() -> None:
    handle, _ = handlers()
    with pytest.raises(UnexpectedEventError, match="no event about a user"):
        await handle.handle(MappingDeleted(aor="1@pbx"), origin())


def record(time: datetime | None) -> BusRecord:
    value, headers = encode(Envelope("e1", "/dialog", "434", time, UserDeleted(user_id=434)))
    return BusRecord("users", 0, 7, "434", value, headers, timestamp=int(NOW.timestamp() * 1000))


async def test_an_event_without_a_time_happened_when_it_was_sent() -> None:
    handle, users = handlers()
    await handle.handle_record(record(None))
    await handle.handle_record(record(NOW - timedelta(hours=1)))
    await handle.handle_record(record((NOW - timedelta(hours=2)).replace(tzinfo=None)))
    assert [call[-1].at for call in users.calls] == [NOW - timedelta(hours=hours) for hours in range(3)]


async def test_what_is_no_event_is_malformed() -> None:
    handle, _ = handlers()
    with pytest.raises(MalformedEventError):
        await handle.handle_record(BusRecord("users", 0, 7, "434", b"{", ()))
