"""A registrar process between a real Kafka, a real PostgreSQL and a real Kamailio."""

from __future__ import annotations

import pytest
from dialog_schemas.registrations import RegistrationState
from fixtures.kamailio import PASSWORD, KamailioFactory
from fixtures.registrar_stage import Stage

pytestmark = pytest.mark.needs("kafka", "postgres", "kamailio")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_row_is_registered_refreshed_and_unregistered(
    stage: Stage, kamailio: KamailioFactory, transport: str
) -> None:
    pbx = await kamailio(max_expires=4)
    registrar = await stage.start("r1")
    aor = await stage.row("alice", pbx.port, transport=transport)
    bound = (await pbx.wait_contacts("alice"))[0]
    first = await stage.status(aor)
    assert first.contact == bound["Address"]
    assert first.granted_expires == 4
    assert first.owner == "r1"
    assert first.call_id == bound["Call-ID"]
    assert first.cseq > bound["CSeq"]
    for _ in range(2):
        expires = first.expires_at
        first = await stage.status(aor, lambda status, old=expires: status.expires_at > old)  # type: ignore[misc]
        assert len(await pbx.contacts("alice")) == 1
    assert {status.state for status in stage.history} <= {RegistrationState.REGISTERING, RegistrationState.REGISTERED}
    await stage.delete(aor)
    await pbx.wait_contacts("alice", lambda found: not found)
    await stage.until(lambda: stage.statuses.get(aor) is None)
    assert PASSWORD not in registrar.log
    assert "Authorization: ***" in registrar.log
    assert await registrar.stop() == 0
