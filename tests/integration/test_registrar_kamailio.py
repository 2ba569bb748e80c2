"""A registrar process between a real Kafka, a real PostgreSQL and a real Kamailio."""

from __future__ import annotations

import pytest
from dialog_schemas.registrations import RegistrationState
from fixtures.kamailio import PASSWORD, KamailioFactory
from fixtures.registrar_stage import Stage

pytestmark = pytest.mark.needs("kafka", "postgres", "kamailio")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", "ws", "wss"])
async def test_a_row_is_registered_refreshed_and_unregistered(
    stage: Stage, kamailio: KamailioFactory, transport: str
) -> None:
    pbx = await kamailio(max_expires=4, secure=True)
    registrar = await stage.start("r1", registrar={"tls": {"ca-file": str(pbx.ca_file)}})
    aor = await stage.row("alice", pbx.ports[transport], transport=transport)
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


async def test_a_wrong_password_is_said_and_healed_by_the_right_one(stage: Stage, kamailio: KamailioFactory) -> None:
    pbx = await kamailio()
    registrar = await stage.start("r1")
    aor = await stage.row("alice", pbx.port, password="canary-wrong")
    status = await stage.status(aor, lambda status: status.state is RegistrationState.REJECTED)
    assert status.last_code == 401
    assert "sip_password" in status.reason
    assert status.next_attempt_at is not None
    await stage.row("alice", pbx.port)
    await stage.status(aor)
    assert "canary-wrong" not in registrar.log


async def test_an_unknown_user_and_an_unusable_row_are_told_apart(stage: Stage, kamailio: KamailioFactory) -> None:
    pbx = await kamailio(unknown="ghost")
    await stage.start("r1")
    ghost = await stage.row("ghost", pbx.port)
    status = await stage.status(ghost, lambda status: status.state is RegistrationState.REJECTED)
    assert "does not know the user ghost" in status.reason
    await stage.reject("broken@127.0.0.1", "sip_port is 0")
    status = await stage.status("broken@127.0.0.1", lambda status: status.state is RegistrationState.REJECTED)
    assert status.reason == "sip_port is 0"


async def test_register_false_has_an_owner_and_no_binding(stage: Stage, kamailio: KamailioFactory) -> None:
    pbx = await kamailio()
    await stage.start("r1")
    aor = await stage.row("alice", pbx.port, register=False)
    status = await stage.status(aor, lambda status: status.state is RegistrationState.UNREGISTERED)
    assert status.owner == "r1"
    assert await pbx.contacts("alice") == []
    await stage.row("alice", pbx.port)
    await stage.status(aor)
    await stage.row("alice", pbx.port, register=False)
    await pbx.wait_contacts("alice", lambda found: not found)
    await stage.status(aor, lambda status: status.state is RegistrationState.UNREGISTERED)


async def test_a_restart_registers_nothing_that_is_still_valid(stage: Stage, kamailio: KamailioFactory) -> None:
    pbx = await kamailio()
    first = await stage.start("r1")
    aors = [await stage.row(f"u{number}", pbx.port) for number in range(5)]
    before = {aor: await stage.status(aor) for aor in aors}
    assert await first.stop() == 0
    bound = {aor: await pbx.contacts(aor.partition("@")[0]) for aor in aors}
    second = await stage.start("r1")
    changed = await stage.row("late", pbx.port)
    await stage.status(changed)
    for aor in aors:
        contacts = await pbx.contacts(aor.partition("@")[0])
        assert [c["CSeq"] for c in contacts] == [c["CSeq"] for c in bound[aor]]
        assert stage.statuses.get(aor).contact == before[aor].contact  # type: ignore[union-attr]
    assert second.log.count("REGISTER sip:") == 2


async def test_a_killed_registrar_is_taken_over(stage: Stage, kamailio: KamailioFactory) -> None:
    pbx = await kamailio()
    registrars = {name: await stage.start(name) for name in ("r1", "r2")}
    aors = [await stage.row(f"u{number}", pbx.port) for number in range(12)]
    before = {aor: await stage.status(aor) for aor in aors}
    assert {status.owner for status in before.values()} == {"r1", "r2"}
    registrars["r1"].kill()
    for aor in aors:
        status = await stage.status(
            aor, lambda status: status.owner == "r2" and status.state is RegistrationState.REGISTERED, within=20
        )
        contacts = await pbx.contacts(aor.partition("@")[0])
        assert [contact["Address"] for contact in contacts] == [status.contact]
        assert status.call_id == before[aor].call_id
        if before[aor].owner == "r1":
            assert contacts[0]["CSeq"] > before[aor].cseq
        else:
            assert status.cseq == before[aor].cseq
    assert await registrars["r2"].stop() == 0


async def test_a_pbx_that_was_away_is_said_and_gets_its_bindings_back(stage: Stage, kamailio: KamailioFactory) -> None:
    pbx = await kamailio(max_expires=5)
    await stage.start("r1")
    aor = await stage.row("alice", pbx.port)
    await stage.status(aor)
    await pbx.stop()
    status = await stage.status(aor, lambda status: status.state is RegistrationState.RETRYING, within=30)
    assert "PBX" in status.reason
    await pbx.start()
    await stage.status(aor, within=30)
    assert await pbx.contacts("alice")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_registration_with_outbound_names_the_instance_and_outlives_its_owner(
    stage: Stage, kamailio: KamailioFactory, transport: str
) -> None:
    pbx = await kamailio()
    first = await stage.start("r1", registrar={"outbound": True})
    aor = await stage.row("alice", pbx.port, transport=transport)
    await stage.status(aor)
    (contact,) = await pbx.contacts("alice")
    assert "urn:uuid:" in contact["Instance"]
    first.kill()
    await first.process.wait()
    await stage.start("r2", registrar={"outbound": True})
    status = await stage.status(aor, lambda status: status.owner == "r2" and status.expires_at is not None, within=30)
    contacts = await pbx.wait_contacts("alice", lambda found: [c["Address"] for c in found] == [status.contact])
    assert contacts[0]["Instance"] == contact["Instance"]
