"""Kafka or PostgreSQL away: registrations go on, and what was missed is caught up."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest
from dialog_schemas.registrations import RegistrationState
from fixtures.kamailio import Kamailio, KamailioFactory
from fixtures.registrar_stage import Stage

if TYPE_CHECKING:
    from dialog_sandbox.kafka import EmbeddedKafka
    from dialog_sandbox.postgres import EmbeddedPostgres

pytestmark = pytest.mark.needs("kafka", "postgres", "kamailio")


async def lapses(pbx: Kamailio, user: str, seconds: float) -> int:
    """Count the moments without a binding, over a while."""
    missing, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        missing += not await pbx.contacts(user)
        await asyncio.sleep(0.1)
    return missing


async def test_bindings_outlive_an_outage_of_kafka(
    own_stage: Stage, own_kafka: EmbeddedKafka, kamailio: KamailioFactory
) -> None:
    pbx = await kamailio(max_expires=20)
    registrar = await own_stage.start("r1")
    aor = await own_stage.row("alice", pbx.port)
    before = await own_stage.status(aor)
    await own_kafka.stop_async()
    assert await lapses(pbx, "alice", 30) == 0
    await own_kafka.start_async()
    after = await own_stage.status(aor, lambda status: status.expires_at > before.expires_at, within=60)
    assert after.state is RegistrationState.REGISTERED
    assert after.call_id == before.call_id
    late = await own_stage.row("late", pbx.port)
    await own_stage.status(late, within=30)
    assert await registrar.stop() == 0


async def test_bindings_outlive_an_outage_of_postgresql_and_new_rows_wait_for_it(
    own_stage: Stage, own_postgres: EmbeddedPostgres, kamailio: KamailioFactory
) -> None:
    pbx = await kamailio(max_expires=20)
    await own_stage.start("r1")
    aor = await own_stage.row("alice", pbx.port)
    before = await own_stage.status(aor)
    late = await own_stage.row("late", pbx.port + 1)
    await own_stage.status(late, lambda status: status.state is not RegistrationState.REGISTERED)
    await own_postgres.stop_async()
    unread = await own_stage.announce("unread", pbx.port, revision="77")
    status = await own_stage.status(unread, lambda status: "cannot be read" in status.reason)
    assert status.state is RegistrationState.REGISTERING
    after = await own_stage.status(aor, lambda status: status.expires_at > before.expires_at, within=60)
    assert after.registered_at < before.expires_at
    await own_postgres.start_async()
    await own_stage.row("unread", pbx.port)
    await own_stage.status(unread, within=30)


async def test_a_registrar_that_sleeps_while_another_takes_over_lets_go(
    stage: Stage, kamailio: KamailioFactory
) -> None:
    pbx = await kamailio(max_expires=8)
    sleeper = await stage.start("r1")
    aors = [await stage.row(f"u{number}", pbx.port) for number in range(6)]
    for aor in aors:
        await stage.status(aor)
    sleeper.process.send_signal(signal.SIGSTOP)
    other = await stage.start("r2")
    taken = {aor: await stage.status(aor, lambda status: status.owner == "r2", within=30) for aor in aors}
    woke_at = len(stage.history)
    sleeper.process.send_signal(signal.SIGCONT)
    await stage.until(lambda: {status.owner for status in stage.statuses.values()} == {"r1", "r2"}, within=30)
    for status in stage.history[woke_at:]:
        assert status.cseq > taken[status.aor].cseq or status.owner == "r2"
    for aor in aors:
        # Six REGISTERs in 20 s are a user's, whoever owns it: the new owner may have to wait.
        status = await stage.status(aor, within=60)
        contacts = await pbx.wait_contacts(
            aor.partition("@")[0], lambda found, wanted=status.contact: [c["Address"] for c in found] == [wanted]
        )  # fmt: skip
        assert contacts[0]["Call-ID"] == taken[aor].call_id
    assert await other.stop() == 0
    assert await sleeper.stop() == 0
