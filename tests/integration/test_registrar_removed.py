"""Rows that are removed while no registrar runs: unregistered at the next start, with what the database kept."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from dialog_provisioner.adapters.postgres.rows import PostgresRows
from dialog_schemas.registrations import RegistrationState
from fixtures.kamailio import PASSWORD, KamailioFactory
from fixtures.registrar_stage import Stage

pytestmark = pytest.mark.needs("kafka", "postgres", "kamailio")


async def prepare_table(stage: Stage) -> None:
    """Do what a provisioner does at its start."""
    async with asyncpg.create_pool(stage.postgres.dsn, min_size=1) as pool:
        assert await PostgresRows(pool, "sip_user_mappings").prepare()


async def kept(stage: Stage) -> list[str]:
    """Return the users of removed rows of which something is kept."""
    connection = await asyncpg.connect(stage.postgres.dsn)
    try:
        return [row[0] for row in await connection.fetch("select sip_user from dialog_sip_removed order by 1")]
    finally:
        await connection.close()


async def nothing_is_kept(stage: Stage) -> None:
    async with asyncio.timeout(20):
        while await kept(stage):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_row_that_was_removed_while_no_registrar_ran_is_unregistered(
    stage: Stage, kamailio: KamailioFactory, transport: str
) -> None:
    await prepare_table(stage)
    pbx = await kamailio()
    first = await stage.start("r1")
    gone, stays = [await stage.row(user, pbx.port, transport=transport) for user in ("gone", "stays")]
    for aor in (gone, stays):
        await stage.status(aor)
    first.kill()
    await first.process.wait()
    await stage.delete(gone)
    assert await kept(stage) == ["gone"]
    second = await stage.start("r2")
    await pbx.wait_contacts("gone", lambda found: not found, within=60)
    await stage.until(lambda: stage.statuses.get(gone) is None, within=60)
    await nothing_is_kept(stage)
    assert (
        await stage.status(stays, lambda status: status.owner == "r2", within=60)
    ).state is RegistrationState.REGISTERED
    assert PASSWORD not in second.log


async def test_what_is_kept_of_a_removed_row_goes_when_a_registrar_has_unregistered_it(
    stage: Stage, kamailio: KamailioFactory
) -> None:
    await prepare_table(stage)
    pbx = await kamailio()
    await stage.start("r1")
    aor = await stage.row("alice", pbx.port)
    await stage.status(aor)
    await stage.delete(aor)
    await pbx.wait_contacts("alice", lambda found: not found)
    await nothing_is_kept(stage)


async def test_where_nothing_was_kept_the_status_says_when_the_binding_ends(
    stage: Stage, kamailio: KamailioFactory
) -> None:
    pbx = await kamailio()
    first = await stage.start("r1")
    aor = await stage.row("alice", pbx.port)
    before = await stage.status(aor)
    assert await first.stop() == 0
    await stage.delete(aor)
    await stage.start("r1")
    after = await stage.status(aor, lambda status: "ends by itself" in status.reason, within=60)
    assert (after.state, after.contact) == (RegistrationState.UNREGISTERING, before.contact)
    assert f"{before.expires_at:%H:%M:%S}" in after.reason
