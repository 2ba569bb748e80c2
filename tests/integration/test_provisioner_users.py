"""Autocreate: topic ``users`` through Faust into a real PostgreSQL, and from there onto ``sip.mappings``."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from dialog_runtime.bus.message import Message
from dialog_schemas.cloudevents import Envelope, encode
from dialog_schemas.topics import DEAD_LETTERS, USERS
from dialog_schemas.users import UserCreated, UserDeleted, UserUpdated

pytestmark = pytest.mark.needs("kafka", "postgres")

AOR = "dialog434@pbx.example.com"


async def _settled(provisioning: Any, dialog: Any, topic: Any) -> None:
    """Wait until all users events so far are handled: each partition gets one more user, in order behind them."""
    users = range(1_000_000, 1_000_040)
    for user in users:
        await provisioning.say(dialog, UserCreated(user_id=user))
    await topic.until(lambda last: all(f"dialog{user}@pbx.example.com" in last for user in users))


async def _users(provisioning: Any) -> list[str]:
    return [row["sip_user"] for row in await provisioning.rows() if row["peer_id"] < 1_000_000]


async def test_a_new_user_gets_a_row_and_the_same_event_changes_nothing(provisioning: Any) -> None:
    async with (
        provisioning.listening() as topic,
        provisioning.provisioner_running(),
        provisioning.publisher() as dialog,
    ):
        await provisioning.say(dialog, UserCreated(user_id=434), "e1")
        await provisioning.say(dialog, UserCreated(user_id=434), "e1")
        await provisioning.say(dialog, UserCreated(user_id=434), "e2")
        await provisioning.say(dialog, UserUpdated(user_id=434, name="Ann"))
        await _settled(provisioning, dialog, topic)
        (row,) = [row for row in await provisioning.rows() if row["peer_id"] == 434]
        assert (row["sip_user"], row["sip_host"], row["sip_port"]) == ("dialog434", "pbx.example.com", 5070)
        assert (row["sip_password"], row["peer_type"], row["peer_str_id"]) == ("pw-434", 1, "")
        assert [key for key, _ in topic.said].count(AOR) == 1


async def test_a_generated_password_is_another_for_each_user_and_stays(provisioning: Any) -> None:
    provisioning.autocreate["password"] = "{sip_user}-{random}"
    async with (
        provisioning.listening() as topic,
        provisioning.provisioner_running(),
        provisioning.publisher() as dialog,
    ):
        for user in (434, 435):
            await provisioning.say(dialog, UserCreated(user_id=user), f"e{user}")
        await topic.until(lambda last: len(last) == 2)
        made = {row["sip_user"]: row["sip_password"] for row in await provisioning.rows()}
        assert all(
            password.startswith(f"{user}-") and len(password) == len(user) + 25 for user, password in made.items()
        )
        assert len({password.rpartition("-")[2] for password in made.values()}) == 2
        await provisioning.say(dialog, UserCreated(user_id=434), "e434")
        await provisioning.say(dialog, UserCreated(user_id=434), "later")
        await _settled(provisioning, dialog, topic)
        assert made.items() <= {row["sip_user"]: row["sip_password"] for row in await provisioning.rows()}.items()


async def test_bots_get_no_row(provisioning: Any) -> None:
    async with (
        provisioning.listening() as topic,
        provisioning.provisioner_running(),
        provisioning.publisher() as dialog,
    ):
        await provisioning.say(dialog, UserCreated(user_id=434, is_bot=True))
        await _settled(provisioning, dialog, topic)
        assert await _users(provisioning) == []


async def test_a_deleted_user_loses_its_row_and_late_events_do_not_bring_it_back(provisioning: Any) -> None:
    async with (
        provisioning.listening() as topic,
        provisioning.provisioner_running(),
        provisioning.publisher() as dialog,
    ):
        await provisioning.say(dialog, UserCreated(user_id=434), "e1")
        await topic.until(lambda last: AOR in last)
        await provisioning.say(dialog, UserDeleted(user_id=434), "e2")
        await topic.until(lambda last: last[AOR] is None)
        await provisioning.say(dialog, UserCreated(user_id=434), "e2")
        await _say_late(provisioning, dialog, UserCreated(user_id=434), "e1")
        await _settled(provisioning, dialog, topic)
        assert await _users(provisioning) == []


async def test_a_user_deleted_takes_no_row_of_an_administrator(provisioning: Any) -> None:
    async with (
        provisioning.listening() as topic,
        provisioning.provisioner_running() as running,
        provisioning.publisher() as dialog,
    ):
        await topic.until(lambda _: running.status.leads)
        await provisioning.insert("dialog434", peer_id=434)
        await provisioning.insert("dialog435", peer_id=435, peer_type=4)
        await provisioning.say(dialog, UserCreated(user_id=434))
        await provisioning.say(dialog, UserDeleted(user_id=434))
        await provisioning.say(dialog, UserDeleted(user_id=435))
        await _settled(provisioning, dialog, topic)
        assert await _users(provisioning) == ["dialog434", "dialog435"]


async def test_an_event_that_cannot_be_read_is_a_dead_letter_with_the_reason(provisioning: Any) -> None:
    async with (
        provisioning.listening() as topic,
        provisioning.provisioner_running(),
        provisioning.publisher() as dialog,
    ):
        await dialog._sender.submit(Message(USERS.name, "434", b"{", ()), 10)
        await dialog._sender.submit(Message(USERS.name, "434", None, ()), 10)
        await provisioning.say(dialog, UserCreated(user_id=434))
        await topic.until(lambda last: AOR in last)
        letters = AIOKafkaConsumer(
            provisioning.kafka.prefix + DEAD_LETTERS.name,
            bootstrap_servers=provisioning.kafka.bootstrap,
            auto_offset_reset="earliest",
        )
        await letters.start()
        try:
            async with asyncio.timeout(10):
                found = [await letters.getone(), await letters.getone()]
        finally:
            await letters.stop()
    headers = dict(found[0].headers)
    assert (found[0].value, headers["dead_letter_topic"]) == (b"{", b"users")
    assert b"ce_specversion is missing" in headers["dead_letter_error"]


async def test_what_was_handled_before_a_stop_is_not_handled_again(provisioning: Any) -> None:
    async with provisioning.listening() as topic, provisioning.publisher() as dialog:
        async with provisioning.provisioner_running():
            await provisioning.say(dialog, UserCreated(user_id=434))
            await topic.until(lambda last: AOR in last)
        # Without a record of it, only the committed offset says that the event is done.
        await provisioning.db.execute("TRUNCATE dialog_sip_users; DELETE FROM sip_user_mappings")
        async with provisioning.provisioner_running():
            await _settled(provisioning, dialog, topic)
        assert await _users(provisioning) == []


async def test_events_wait_for_a_database_that_is_away(provisioning: Any, own_postgres: Any) -> None:
    where = {"host": own_postgres.host, "port": own_postgres.port, "user": own_postgres.user, "db": own_postgres.db,
             "password": own_postgres.password.get_secret_value()}  # fmt: skip
    async with (
        provisioning.listening() as topic,
        provisioning.provisioner_running(**where) as running,
        provisioning.publisher() as dialog,
    ):
        await topic.until(lambda _: running.status.leads and running.users.is_reading)
        own_postgres.kill()
        for user in range(20):
            await provisioning.say(dialog, UserCreated(user_id=user))
        await topic.until(lambda _: running.status.trouble is not None)
        await own_postgres.start_async()
        await topic.until(lambda last: len(last) == 20)


async def test_two_provisioners_share_the_events_and_a_leaving_one_loses_none(provisioning: Any) -> None:
    async with (
        provisioning.listening() as topic,
        provisioning.publisher() as dialog,
        provisioning.provisioner_running("one") as one,
    ):
        await topic.until(lambda _: one.users.is_reading)
        async with provisioning.provisioner_running("two") as two:
            await topic.until(lambda _: two.users.is_reading)
            for user in range(300):
                await provisioning.say(dialog, UserCreated(user_id=user))
        for user in range(300, 400):
            await provisioning.say(dialog, UserCreated(user_id=user))
        await topic.until(lambda last: len(last) == 400, within=40)


async def _say_late(provisioning: Any, dialog: Any, event: Any, event_id: str) -> None:
    """Publish an event that happened an hour ago."""
    value, headers = encode(
        Envelope(event_id, "/dialog/test", str(event.user_id), datetime.now(UTC) - timedelta(hours=1), event)
    )
    await dialog._sender.submit(Message(USERS.name, str(event.user_id), value, headers), 10)
