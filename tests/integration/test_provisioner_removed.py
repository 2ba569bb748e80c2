"""What is kept of removed rows in a real PostgreSQL: who may read it, what it costs, and when it goes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from dialog_provisioner.adapters.postgres.rows import PostgresRows

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
