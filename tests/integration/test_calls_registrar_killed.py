"""A registrar that is killed during a call and back under its name at once, with SIPp or Kamailio as the PBX."""

from __future__ import annotations

import pytest
from dialog_schemas.calls import EndReason, Hangup
from fixtures.baresip import Baresip, BaresipFactory
from fixtures.call_stage import CallStage, answer, receive
from fixtures.kamailio import PASSWORD, KamailioFactory
from fixtures.registrar_stage import RegistrarProcess

pytestmark = pytest.mark.needs("kafka", "postgres", "sipp", "kamailio", "baresip")


async def kill_and_start(call_stage: CallStage, registrar: RegistrarProcess) -> RegistrarProcess:
    registrar.kill()
    await registrar.process.wait()
    return await call_stage.stage.start(registrar.instance)


async def test_a_call_that_rings_ends_and_is_not_left_to_its_time_out(call_stage: CallStage) -> None:
    registrar = await call_stage.open()
    await call_stage.sipp(receive("INVITE"), answer(180), receive("BYE"))
    await call_stage.start()
    await call_stage.event("call-remote-ringing")
    await kill_and_start(call_stage, registrar)
    ended = await call_stage.ended()
    assert (ended.reason, ended.detail) == (EndReason.ERROR, "the registrar is gone")


async def rings_at_bob(
    call_stage: CallStage, kamailio: KamailioFactory, baresip: BaresipFactory
) -> tuple[RegistrarProcess, Baresip]:
    """Call a phone behind Kamailio, which rings and does not answer."""
    pbx = await kamailio(challenge_calls=True)
    call_stage.port = pbx.port
    phone = await baresip("bob", pbx.address, PASSWORD, answers=False)
    await phone.registered()
    registrar = await call_stage.open(register=True)
    await call_stage.start("bob")
    await call_stage.event("call-remote-ringing")
    return registrar, phone


async def test_a_call_that_rings_goes_on_at_the_address_of_before(
    call_stage: CallStage, kamailio: KamailioFactory, baresip: BaresipFactory
) -> None:
    registrar, phone = await rings_at_bob(call_stage, kamailio, baresip)
    next_process = await kill_and_start(call_stage, registrar)
    await next_process.has_logged("SIP/2.0 180")
    await phone.accept()
    await call_stage.event("call-answered")
    await call_stage.command(Hangup(call_id="call-1"))
    assert (await call_stage.ended()).reason is EndReason.NORMAL
    await phone.wait_event("CALL_CLOSED")


async def test_an_invite_that_is_cancelled_while_the_registrar_is_down_stops_ringing(
    call_stage: CallStage, kamailio: KamailioFactory, baresip: BaresipFactory
) -> None:
    registrar, phone = await rings_at_bob(call_stage, kamailio, baresip)
    registrar.kill()
    await registrar.process.wait()
    await call_stage.command(Hangup(call_id="call-1"))
    await call_stage.ended()
    await call_stage.stage.start(registrar.instance)
    await phone.wait_event("CALL_CLOSED", within=40)


async def test_both_talk_on_and_the_phone_hangs_up_through_the_next_process(
    call_stage: CallStage, kamailio: KamailioFactory, baresip: BaresipFactory
) -> None:
    pbx = await kamailio(challenge_calls=True)
    call_stage.port = pbx.port
    phone = await baresip("bob", pbx.address, PASSWORD)
    await phone.registered()
    registrar = await call_stage.open(register=True)
    await call_stage.start("bob")
    await call_stage.event("call-answered")
    next_process = await kill_and_start(call_stage, registrar)
    await next_process.has_logged("CSeq: 3 ACK")
    assert not any(event.NAME == "call-ended" for event in call_stage.events)
    await phone.hangup()
    assert (await call_stage.ended()).reason is EndReason.NORMAL


async def test_a_call_right_after_the_restart_waits_for_the_mapping(call_stage: CallStage) -> None:
    registrar = await call_stage.open()
    pbx = await call_stage.sipp(
        receive("INVITE"), answer(200, sdp=True), receive("ACK"), receive("BYE"), answer(200, tag=False)
    )
    former = call_stage.incarnations[registrar.instance]
    await kill_and_start(call_stage, registrar)
    await call_stage.stage.until(lambda: call_stage.incarnations[registrar.instance] != former)
    await call_stage.start()
    await call_stage.event("call-answered")
    await call_stage.command(Hangup(call_id="call-1"))
    assert await pbx.ended() == 0
