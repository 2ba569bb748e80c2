"""Session timers, reliable provisional responses and silence of a PBX, with SIPp as the PBX."""

from __future__ import annotations

import pytest
from dialog_schemas.calls import Answered, EndReason, Hangup
from fixtures.call_stage import CallStage, answer, receive

pytestmark = pytest.mark.needs("kafka", "postgres", "sipp")

OURS = "Session-Expires: 4;refresher=uac"
THEIRS = "Session-Expires: 6;refresher=uas"
TIMER = "Require: timer"


async def test_a_call_is_refreshed_until_the_pbx_is_silent(call_stage: CallStage) -> None:
    await call_stage.open()
    pbx = await call_stage.sipp(
        receive("INVITE", Session_Expires="1800", Supported="timer"), answer(200, TIMER, OURS, sdp=True),
        receive("ACK"),
        receive("INVITE", Session_Expires="4;refresher=uac"), answer(200, TIMER, OURS, sdp=True, tag=False),
        receive("ACK"),
        receive("INVITE"),
        receive("BYE"), answer(200, tag=False),
    )  # fmt: skip
    await call_stage.start()
    ended = await call_stage.ended()
    assert (ended.reason, ended.detail) == (EndReason.ERROR, "the session timer ran out: the PBX is silent")
    assert await pbx.ended() == 0


async def test_a_pbx_that_does_not_refresh_as_it_said_is_gone(call_stage: CallStage) -> None:
    await call_stage.open()
    pbx = await call_stage.sipp(
        receive("INVITE"), answer(200, THEIRS, sdp=True), receive("ACK"), receive("BYE"), answer(200, tag=False)
    )
    await call_stage.start()
    assert (await call_stage.ended()).reason is EndReason.ERROR
    assert await pbx.ended() == 0


async def test_a_longer_interval_is_asked_for_where_the_pbx_wants_it(call_stage: CallStage) -> None:
    await call_stage.open()
    pbx = await call_stage.sipp(
        receive("INVITE", Session_Expires="1800"), answer(422, "Min-SE: 7200"), receive("ACK"),
        receive("INVITE", Session_Expires="7200", Min_SE="7200", CSeq="2 INVITE"), answer(200, sdp=True),
        receive("ACK"),
        receive("BYE"), answer(200, tag=False),
    )  # fmt: skip
    await call_stage.start()
    await call_stage.event("call-answered")
    await call_stage.command(Hangup(call_id="call-1"))
    assert await pbx.ended() == 0


async def test_a_pbx_that_rings_reliably(call_stage: CallStage) -> None:
    await call_stage.open()
    pbx = await call_stage.sipp(
        receive("INVITE", remember=True, Supported="100rel"), answer(183, "Require: 100rel", "RSeq: 7", sdp=True),
        receive("PRACK", RAck="7 1 INVITE"), answer(200, tag=False), answer(200, tag=False, first=True), receive("ACK"),
        receive("BYE"), answer(200, tag=False),
    )  # fmt: skip
    await call_stage.start()
    await call_stage.event("call-answered")
    await call_stage.command(Hangup(call_id="call-1"))
    assert await pbx.ended() == 0


async def test_a_pbx_that_falls_silent_is_asked_and_one_that_is_gone_ends_the_call(call_stage: CallStage) -> None:
    await call_stage.open(media={"silence-timeout": "10 seconds"})
    pbx = await call_stage.sipp(
        receive("INVITE"), answer(200, sdp=True), receive("ACK"),
        receive("INVITE"), answer(200, sdp=True, tag=False), receive("ACK"),
        receive("BYE"),
    )  # fmt: skip
    client = await call_stage.start()
    answered = await call_stage.event("call-answered")
    assert isinstance(answered, Answered)
    assert answered.sdp is not None
    await client.accept(answered.sdp)
    # It never sends a packet, but it answers for itself.
    await pbx.has_seen("ACK sip:", times=2)
    assert not any(event.NAME == "call-ended" for event in call_stage.events)
    pbx.process.kill()
    ended = await call_stage.ended()
    assert ended.reason is EndReason.ERROR
