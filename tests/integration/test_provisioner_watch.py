"""The watch of the table on a real PostgreSQL and a real Kafka."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from dialog_provisioner.adapters.postgres.rows import PostgresRows
from dialog_provisioner.status import WatchState
from dialog_schemas.mappings import MappingRejected, MappingUpserted
from dialog_schemas.users import UserCreated

pytestmark = pytest.mark.needs("kafka", "postgres")

AOR = "434@pbx.example.com"
SOON = 10.0
"""Seconds. A tenth is promised, on a machine that has time; a reconcile would find it after five minutes."""


async def test_an_administrators_edits_are_on_the_topic_within_a_second(provisioning: Any) -> None:
    async with provisioning.listening() as topic, provisioning.provisioner_running() as running:
        await topic.until(lambda _: running.status.leads)
        await provisioning.insert("434", peer_id=434)
        assert await topic.until(lambda last: AOR in last) < SOON
        first = topic.usable(AOR)
        assert (first.sip_port, first.transport, first.peer_id, first.registers) == (5060, "udp", 434, True)

        await provisioning.db.execute("UPDATE sip_user_mappings SET sip_password = 'other'")
        assert await topic.until(lambda last: last[AOR].revision != first.revision) < SOON
        await provisioning.db.execute("UPDATE sip_user_mappings SET sip_port = 0")
        assert await topic.until(lambda last: isinstance(last[AOR], MappingRejected)) < SOON
        await provisioning.db.execute("DELETE FROM sip_user_mappings")
        assert await topic.until(lambda last: last[AOR] is None) < SOON


DRESSES = {
    "text and varchar": "sip_user varchar(64), sip_password varchar(64), sip_host varchar(255), sip_port smallint, "
    "sip_parameters text, sip_headers text, peer_type smallint, peer_id bigint, peer_str_id varchar(32), "
    "register boolean, can_call boolean, can_be_called boolean",
    "json, numbers for booleans": "sip_user text, sip_password text, sip_host text, sip_port integer, "
    "sip_parameters json, sip_headers json, peer_type integer, peer_id integer, peer_str_id text, register integer, "
    "can_call integer, can_be_called integer",
    "jsonb, a key, more columns": "id bigserial PRIMARY KEY, note text NOT NULL DEFAULT 'x', sip_user text, "
    "sip_password text, sip_host text, sip_port integer, sip_parameters jsonb, sip_headers jsonb, peer_type integer, "
    "peer_id integer, peer_str_id text, register boolean, can_call boolean, can_be_called boolean, made timestamptz, "
    "UNIQUE (sip_user, sip_host)",
}


@pytest.mark.parametrize("columns", DRESSES.values(), ids=DRESSES)
async def test_a_table_in_any_dress_is_watched_and_autocreated_into(provisioning: Any, columns: str) -> None:
    await provisioning.db.execute(f"CREATE TABLE sip_user_mappings ({columns})")
    on = 1 if "register integer" in columns else True
    await provisioning.insert("434", register=on, can_call=on, can_be_called=on)
    await provisioning.insert(
        "435", sip_parameters=None, sip_headers=None, register=None, can_call=on, can_be_called=on
    )
    async with (
        provisioning.listening() as topic,
        provisioning.provisioner_running() as running,
        provisioning.publisher() as dialog,
    ):
        await topic.until(lambda last: {AOR, "435@pbx.example.com"} <= last.keys())
        assert topic.usable(AOR).registers
        assert topic.usable("435@pbx.example.com").registers is False
        assert running.status.watch is WatchState.TRIGGERED
        await provisioning.say(dialog, UserCreated(user_id=7))
        await topic.until(lambda last: "dialog7@pbx.example.com" in last)
        made = topic.usable("dialog7@pbx.example.com")
        assert (made.transport, made.sip_port, made.peer_id, made.registers) == ("tcp", 5070, 7, True)


async def test_where_no_trigger_may_be_made_the_table_is_polled(provisioning: Any) -> None:
    await provisioning.db.execute(f"CREATE TABLE sip_user_mappings ({DRESSES['text and varchar']})")
    await provisioning.insert("434")
    role = f"reader_{provisioning.postgres.db}"
    await provisioning.db.execute(
        f"REVOKE CREATE ON SCHEMA public FROM public; CREATE ROLE {role} LOGIN PASSWORD 'reader'; "
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON sip_user_mappings TO {role}"
    )
    try:
        async with (
            provisioning.listening() as topic,
            provisioning.provisioner_running(user=role, password="reader") as running,
        ):
            await topic.until(lambda last: AOR in last)
            assert running.status.watch is WatchState.POLLING
            await provisioning.insert("435")
            assert await topic.until(lambda last: "435@pbx.example.com" in last) < SOON
            await provisioning.db.execute("UPDATE sip_user_mappings SET sip_port = 5099 WHERE sip_user = '434'")
            assert await topic.until(lambda last: getattr(last[AOR], "sip_port", 0) == 5099) < SOON
            await provisioning.db.execute("DELETE FROM sip_user_mappings WHERE sip_user = '434'")
            assert await topic.until(lambda last: last[AOR] is None) < SOON
    finally:
        await provisioning.db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_restart_publishes_what_changed_meanwhile_and_nothing_else(provisioning: Any) -> None:
    async with provisioning.listening() as topic:
        async with provisioning.provisioner_running() as running:
            await topic.until(lambda _: running.status.leads)
            for user in ("434", "435", "436"):
                await provisioning.insert(user)
            await topic.until(lambda last: len(last) == 3)
        await provisioning.db.execute("UPDATE sip_user_mappings SET can_call = false WHERE sip_user = '435'")
        await provisioning.db.execute("DELETE FROM sip_user_mappings WHERE sip_user = '436'")
        before = len(topic.said)
        async with provisioning.provisioner_running():
            await topic.until(lambda last: last["436@pbx.example.com"] is None)
            await topic.quiet()
        assert sorted(key for key, _ in topic.said[before:]) == ["435@pbx.example.com", "436@pbx.example.com"]
        assert not topic.usable("435@pbx.example.com").can_call


async def test_truncate_and_bulk_copy_flow_through(provisioning: Any) -> None:
    async with provisioning.listening() as topic, provisioning.provisioner_running() as running:
        await topic.until(lambda _: running.status.leads)
        rows = [(str(n), "pbx.example.com", 5060, "{}", "{}", 1, n, True) for n in range(10_000)]
        names = [
            "sip_user",
            "sip_host",
            "sip_port",
            "sip_parameters",
            "sip_headers",
            "peer_type",
            "peer_id",
            "register",
        ]
        await provisioning.db.copy_records_to_table("sip_user_mappings", records=rows, columns=names)
        await provisioning.insert("last")
        await topic.until(lambda last: len(last) == 10_001, within=60)
        await provisioning.db.execute("TRUNCATE sip_user_mappings")
        await topic.until(lambda last: not any(last.values()), within=60)


async def _removed(provisioning: Any) -> list[tuple[str, ...]]:
    columns = "sip_user, sip_host, sip_password, sip_port, sip_parameters::json->>'transport'"
    return [tuple(row) for row in await provisioning.db.fetch(f"SELECT {columns} FROM dialog_sip_removed ORDER BY 1")]


@pytest.mark.parametrize("columns", DRESSES.values(), ids=DRESSES)
async def test_what_it_takes_to_unregister_a_removed_row_is_kept(provisioning: Any, columns: str) -> None:
    await provisioning.db.execute(f"CREATE TABLE sip_user_mappings ({columns})")
    on = 1 if "register integer" in columns else True
    db, kept = provisioning.db, ("pbx.example.com", "s3cret", "5060", "udp")
    async with provisioning.listening() as topic, provisioning.provisioner_running() as running:
        await topic.until(lambda _: running.status.watch is WatchState.TRIGGERED)
        for user in ("1", "2", "3", "4"):
            await provisioning.insert(user, register=on, can_call=on, can_be_called=on)
        await topic.until(lambda last: len(last) == 4)
        await db.execute("UPDATE sip_user_mappings SET sip_password = 'new' WHERE sip_user = '3'")
        assert await _removed(provisioning) == []
        await db.execute("DELETE FROM sip_user_mappings WHERE sip_user = '1'")
        await db.execute("UPDATE sip_user_mappings SET sip_user = '5' WHERE sip_user = '2'")
        assert await _removed(provisioning) == [("1", *kept), ("2", *kept)]
        await provisioning.insert("1", register=on, can_call=on, can_be_called=on)
        assert await _removed(provisioning) == [("2", *kept)]
        await db.execute("TRUNCATE sip_user_mappings")
        assert [row[0] for row in await _removed(provisioning)] == ["1", "2", "3", "4", "5"]
        await topic.until(lambda last: not any(last.values()))
        assert not any("s3cret" in str(event) for _, event in topic.said)


async def test_many_rows_in_one_statement_after_a_single_one_in_the_same_session(provisioning: Any) -> None:
    async with asyncpg.create_pool(provisioning.postgres.dsn, min_size=1) as pool:
        assert await PostgresRows(pool, "sip_user_mappings").prepare()
    await provisioning.insert("434")
    await provisioning.db.execute("UPDATE sip_user_mappings SET can_call = true")
    await provisioning.db.execute(
        "INSERT INTO sip_user_mappings (sip_user, sip_host) SELECT number, 'h' FROM generate_series(1, 50000) number"
    )
    # It takes a second; with the plan of the single row it took minutes.
    await provisioning.db.execute("UPDATE sip_user_mappings SET can_call = false", timeout=40)
    assert await _removed(provisioning) == []


async def test_removed_rows_are_kept_for_a_day_for_their_owner_alone(provisioning: Any) -> None:
    provisioning.provisioner = {"reconcile-interval": "1 second"}
    db, role = provisioning.db, f"reader_{provisioning.postgres.db}"
    await db.execute(f"CREATE ROLE {role}")
    try:
        async with provisioning.listening() as topic, provisioning.provisioner_running() as running:
            await topic.until(lambda _: running.status.watch is WatchState.TRIGGERED)
            for user in ("434", "435"):
                await provisioning.insert(user)
            await db.execute("DELETE FROM sip_user_mappings")
            await db.execute(
                "UPDATE dialog_sip_removed SET removed_at = now() - interval '25 hours' WHERE sip_user = '434'"
            )
            async with asyncio.timeout(20):
                while [row[0] for row in await _removed(provisioning)] != ["435"]:
                    await topic.read(50)
            assert not await db.fetchval("SELECT has_table_privilege($1, 'dialog_sip_removed', 'SELECT')", role)
    finally:
        await db.execute(f"DROP ROLE {role}")


async def test_who_may_not_drop_what_is_kept_of_removed_rows_watches_all_the_same(provisioning: Any) -> None:
    server = provisioning.postgres
    role = f"helper_{server.db}"
    await provisioning.db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'helper'")
    try:
        async with asyncpg.create_pool(server.dsn, min_size=1) as pool:
            assert await PostgresRows(pool, "sip_user_mappings").prepare()
        await provisioning.db.execute(f"GRANT SELECT ON sip_user_mappings TO {role}")
        await provisioning.insert("434")
        await provisioning.db.execute("DELETE FROM sip_user_mappings")
        there = {"host": server.host, "port": server.port, "database": server.db}
        async with asyncpg.create_pool(**there, user=role, password="helper", min_size=1) as pool:
            rows = PostgresRows(pool, "sip_user_mappings")
            assert await rows.prepare()
            await rows.forget_removed()
        assert len(await _removed(provisioning)) == 1
    finally:
        await provisioning.db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_an_edit_does_not_fail_where_removed_rows_cannot_be_kept(provisioning: Any) -> None:
    async with provisioning.listening() as topic, provisioning.provisioner_running() as running:
        await topic.until(lambda _: running.status.watch is WatchState.TRIGGERED)
        await provisioning.insert("434")
        await topic.until(lambda last: AOR in last)
        await provisioning.db.execute("DROP TABLE dialog_sip_removed")
        await provisioning.db.execute("DELETE FROM sip_user_mappings")
        assert await topic.until(lambda last: last[AOR] is None) < SOON
        async with asyncio.timeout(20):
            while not await provisioning.db.fetchval("SELECT to_regclass('dialog_sip_removed') IS NOT NULL"):
                await topic.read(50)


async def test_a_bad_row_is_reported_and_disturbs_no_other(provisioning: Any) -> None:
    await provisioning.db.execute(f"CREATE TABLE sip_user_mappings ({DRESSES['text and varchar']})")
    async with provisioning.listening() as topic, provisioning.provisioner_running() as running:
        await topic.until(lambda _: running.status.leads)
        await provisioning.insert("434")
        await topic.until(lambda last: AOR in last)
        first = topic.usable(AOR)
        await provisioning.insert("bad", sip_parameters='{"transport": ')
        await provisioning.insert("434", peer_id=999)
        spare = f"{AOR} (row 2)"
        await topic.until(lambda last: spare in last and "bad@pbx.example.com" in last)
        assert isinstance(dict(topic.said)["bad@pbx.example.com"], MappingRejected)
        assert topic.usable(AOR) == first
        await provisioning.db.execute("DELETE FROM sip_user_mappings WHERE peer_id = 1")
        await topic.until(lambda last: last[spare] is None and last[AOR].peer_id == 999)


async def test_no_password_reaches_the_topic(provisioning: Any) -> None:
    async with provisioning.listening() as topic, provisioning.provisioner_running() as running:
        await topic.until(lambda _: running.status.leads)
        await provisioning.insert("434", sip_password="canary-8731")
        await provisioning.insert("435", sip_password="canary-8731", sip_port=0)
        await topic.until(lambda last: len(last) == 2)
    assert all(b"canary" not in bytes(record.value or b"") + bytes(record.key) for record in topic.raw)


async def test_another_takes_the_lead_over(provisioning: Any) -> None:
    async with provisioning.listening() as topic, provisioning.provisioner_running("one") as one:
        await topic.until(lambda _: one.status.leads)
        async with provisioning.provisioner_running("two") as two:
            await provisioning.insert("434")
            await topic.until(lambda last: AOR in last)
            assert not two.status.leads
            # The end of its session is what PostgreSQL sees of a leader that dies, is stopped or is cut off.
            await provisioning.db.execute(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
                "WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()"
            )
            await provisioning.insert("435")
            assert await topic.until(lambda last: "435@pbx.example.com" in last) < SOON
            await topic.quiet()
            assert [one.status.leads, two.status.leads].count(True) == 1
            assert len(topic.said) == 2


async def test_a_record_that_a_stopped_leader_sends_late_is_put_right(provisioning: Any) -> None:
    from dialog_schemas.topics import MAPPINGS

    async with (
        provisioning.listening() as topic,
        provisioning.provisioner_running() as running,
        provisioning.publisher() as other,
    ):
        await topic.until(lambda _: running.status.leads)
        await provisioning.insert("434")
        await topic.until(lambda last: AOR in last)
        right = topic.usable(AOR)
        await other.tombstone(MAPPINGS, AOR)
        await topic.until(lambda last: last[AOR] is None)
        assert await topic.until(lambda last: last[AOR] == right) < SOON
        stale = MappingUpserted.model_validate(right.model_dump() | {"sip_port": 9, "revision": "0.1"})
        await other.publish(MAPPINGS, AOR, stale)
        await topic.until(lambda last: last[AOR] == stale)
        assert await topic.until(lambda last: last[AOR] == right) < SOON


async def test_the_database_away_is_said_and_caught_up(provisioning: Any, own_postgres: Any) -> None:
    provisioning.db, before = await asyncpg.connect(own_postgres.dsn()), provisioning.db
    await before.close()
    where = {"host": own_postgres.host, "port": own_postgres.port, "user": own_postgres.user, "db": own_postgres.db,
             "password": own_postgres.password.get_secret_value()}  # fmt: skip
    async with provisioning.listening() as topic, provisioning.provisioner_running(**where) as running:
        await topic.until(lambda _: running.status.leads)
        await provisioning.insert("434")
        await topic.until(lambda last: AOR in last)
        own_postgres.kill()
        await topic.until(lambda _: running.status.trouble is not None)
        await own_postgres.start_async()
        provisioning.db = await asyncpg.connect(own_postgres.dsn())
        await provisioning.insert("435")
        await topic.until(lambda last: "435@pbx.example.com" in last)
        await topic.until(lambda _: running.status.trouble is None)
        assert len(topic.said) == 2


async def test_a_role_that_is_not_the_owner_may_be_given_the_triggers(provisioning: Any) -> None:
    await provisioning.db.execute(f"CREATE TABLE sip_user_mappings ({DRESSES['text and varchar']})")
    role = f"helper_{provisioning.postgres.db}"
    await provisioning.db.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'helper'; GRANT CREATE ON SCHEMA public TO {role}; "
        f"GRANT SELECT, INSERT, DELETE, TRIGGER ON sip_user_mappings TO {role}"
    )
    try:
        async with (
            provisioning.listening() as topic,
            provisioning.provisioner_running(user=role, password="helper") as running,
        ):
            await topic.until(lambda _: running.status.watch is WatchState.TRIGGERED)
            await provisioning.insert("434")
            assert await topic.until(lambda last: AOR in last) < SOON
    finally:
        await provisioning.db.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


async def test_a_table_in_another_schema(provisioning: Any) -> None:
    await provisioning.db.execute(
        f"CREATE SCHEMA messenger; CREATE TABLE messenger.sip_user_mappings ({DRESSES['text and varchar']})"
    )
    provisioning.provisioner = {"table": "messenger.sip_user_mappings"}
    await provisioning.db.execute("SET search_path = messenger")
    async with (
        provisioning.listening() as topic,
        provisioning.provisioner_running() as running,
        provisioning.publisher() as dialog,
    ):
        await topic.until(lambda _: running.status.watch is WatchState.TRIGGERED)
        await provisioning.insert("434")
        await topic.until(lambda last: AOR in last)
        await provisioning.say(dialog, UserCreated(user_id=7))
        await topic.until(lambda last: "dialog7@pbx.example.com" in last)


async def test_a_table_that_is_replaced_or_whose_triggers_are_disabled_is_still_watched(provisioning: Any) -> None:
    async with provisioning.listening() as topic, provisioning.provisioner_running() as running:
        await topic.until(lambda _: running.status.leads)
        await provisioning.db.execute(
            "BEGIN; ALTER TABLE sip_user_mappings RENAME TO before; "
            "CREATE TABLE sip_user_mappings (LIKE before INCLUDING DEFAULTS); COMMIT"
        )
        await provisioning.insert("434")
        assert await topic.until(lambda last: AOR in last) < SOON
        await provisioning.db.execute("ALTER TABLE sip_user_mappings DISABLE TRIGGER USER")
        await provisioning.insert("435")
        assert await topic.until(lambda last: "435@pbx.example.com" in last) < SOON
        await provisioning.insert("436")
        assert await topic.until(lambda last: "436@pbx.example.com" in last) < SOON


async def test_a_table_that_cannot_be_used_is_said_in_words(provisioning: Any) -> None:
    await provisioning.db.execute("CREATE TABLE sip_user_mappings (sip_user text, sip_host text)")
    async with provisioning.listening() as topic, provisioning.provisioner_running() as running:
        await topic.until(lambda _: running.status.trouble is not None)
        assert "has no column sip_password, sip_port" in str(running.status.trouble)
        await provisioning.db.execute("DROP TABLE sip_user_mappings")
        await topic.until(lambda _: running.status.trouble is None)
        await provisioning.insert("434")
        await topic.until(lambda last: AOR in last)
