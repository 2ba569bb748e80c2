"""What is kept of removed rows in a real PostgreSQL: who may read it, what it costs, and when it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from dialog_provisioner.adapters.postgres.rows import PostgresRows
from dialog_registrar.adapters.postgres import PostgresPasswords

pytestmark = pytest.mark.needs("kafka", "postgres")


async def prepare(provisioning: Any) -> None:
    """Do what a provisioner does at its start."""
    async with asyncpg.create_pool(provisioning.postgres.dsn, min_size=1) as pool:
        assert await PostgresRows(pool, "sip_user_mappings").prepare()


@asynccontextmanager
async def role_of(provisioning: Any, name: str) -> AsyncIterator[str]:
    role = f"{name}_{provisioning.postgres.db}"
    await provisioning.db.execute(f"CREATE ROLE {role}")
    try:
        yield role
    finally:
        await provisioning.db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_default_privileges_do_not_hold_and_later_grants_stay(provisioning: Any) -> None:
    db = provisioning.db

    async def rights(role: str) -> list[str]:
        asked = (
            "SELECT r FROM unnest('{SELECT,DELETE}'::text[]) r WHERE has_table_privilege($1, 'dialog_sip_removed', r)"
        )
        return [row[0] for row in await db.fetch(asked, role)]

    async with role_of(provisioning, "report") as report, role_of(provisioning, "registrar") as registrar:
        await db.execute(
            f"ALTER DEFAULT PRIVILEGES GRANT SELECT, DELETE ON TABLES TO {report}; "
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC"
        )
        await prepare(provisioning)
        assert (await rights(report), await rights(registrar)) == ([], [])
        await db.execute(f"GRANT SELECT, DELETE ON dialog_sip_removed TO {registrar}")
        await db.execute("DROP TRIGGER dialog_sip_mappings_insert ON sip_user_mappings")
        await prepare(provisioning)
        assert (await rights(report), await rights(registrar)) == ([], ["SELECT", "DELETE"])


async def kept(provisioning: Any) -> list[str]:
    return [row[0] for row in await provisioning.db.fetch("SELECT sip_user FROM dialog_sip_removed ORDER BY 1")]


async def test_an_update_back_to_a_former_aor_leaves_nothing_of_it(provisioning: Any) -> None:
    await prepare(provisioning)
    await provisioning.insert("434")
    await provisioning.db.execute("UPDATE sip_user_mappings SET sip_user = '435'")
    assert await kept(provisioning) == ["434"]
    await provisioning.db.execute("UPDATE sip_user_mappings SET sip_user = '434'")
    assert await kept(provisioning) == ["435"]


KEPT = 20_000
MANY = f"SELECT n::text, repeat('h', CASE n WHEN 1 THEN 9000 ELSE 1 END) FROM generate_series(1, {KEPT}) n"


async def test_an_edit_reads_no_more_of_what_is_kept_than_its_own_aor(provisioning: Any) -> None:
    await prepare(provisioning)
    db = provisioning.db
    # The plans of this session are made while nothing is kept. One AOR is longer than an entry of a btree may be.
    await provisioning.insert("434")
    await db.execute("DELETE FROM sip_user_mappings")
    await provisioning.insert("434")
    await db.execute(f"INSERT INTO sip_user_mappings (sip_user, sip_host) {MANY}")
    await db.execute("DELETE FROM sip_user_mappings")
    assert len(await kept(provisioning)) == KEPT + 1
    read = "SELECT pg_stat_get_xact_tuples_returned('dialog_sip_removed'::regclass)"
    async with db.transaction():
        before = await db.fetchval(read)
        await provisioning.insert("434")
        await db.execute("UPDATE sip_user_mappings SET can_call = NOT can_call")
        assert await db.fetchval(read) - before == 0
    assert len(await kept(provisioning)) == KEPT
    await db.execute(f"INSERT INTO sip_user_mappings (sip_user, sip_host) {MANY}", timeout=40)
    assert await kept(provisioning) == []


async def test_a_column_with_a_collation_of_its_own_is_found_again(provisioning: Any) -> None:
    await prepare(provisioning)
    await provisioning.db.execute('ALTER TABLE sip_user_mappings ALTER sip_user TYPE varchar(64) COLLATE "C"')
    await provisioning.insert("434")
    await provisioning.db.execute("DELETE FROM sip_user_mappings")
    assert await kept(provisioning) == ["434"]
    await provisioning.insert("434")
    assert await kept(provisioning) == []


@asynccontextmanager
async def registrar_of(provisioning: Any, **user: str) -> AsyncIterator[PostgresPasswords]:
    passwords = PostgresPasswords(provisioning.settings(**user).services.postgresql, "sip_user_mappings")
    try:
        yield passwords
    finally:
        await passwords.close()


async def two_are_kept(provisioning: Any) -> list[str]:
    await prepare(provisioning)
    for user in ("434", "435"):
        await provisioning.insert(user)
    await provisioning.db.execute("DELETE FROM sip_user_mappings")
    assert await kept(provisioning) == ["434", "435"]
    return ["434@pbx.example.com", "435@pbx.example.com"]


async def test_a_registrar_does_not_wait_for_who_inserts_a_removed_row_again(provisioning: Any) -> None:
    aors = await two_are_kept(provisioning)
    async with registrar_of(provisioning) as registrar:
        again = provisioning.db.transaction()
        await again.start()
        await provisioning.insert("434")
        async with asyncio.timeout(20):
            await registrar.forget(aors)
        await again.rollback()
        assert await kept(provisioning) == ["434"]
        await registrar.forget(aors)
        assert await kept(provisioning) == []


async def test_a_registrar_may_read_and_delete_what_is_kept_and_no_more(provisioning: Any) -> None:
    aors = await two_are_kept(provisioning)
    async with role_of(provisioning, "registrar") as role:
        await provisioning.db.execute(
            f"ALTER ROLE {role} LOGIN PASSWORD 'r'; GRANT SELECT, DELETE ON dialog_sip_removed TO {role}; "
            f"GRANT SELECT ON sip_user_mappings TO {role}"
        )
        async with registrar_of(provisioning, user=role, password="r") as registrar:
            found = await registrar.removed(aors)
            assert {aor: was.password.get_secret_value() for aor, was in found.items()} == dict.fromkeys(aors, "s3cret")
            await registrar.forget(aors)
    assert await kept(provisioning) == []
