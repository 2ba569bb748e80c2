"""Session timers (RFC 4028) of calls: who refreshes, what a refresh is, and what becomes of a call without one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dialog_bridge.model.parcels import LegSettings
from dialog_bridge.model.phases import Phase
from dialog_schemas.calls import Accept, Ended, EndReason
from dialog_sip.sip_dialog import SessionTimerSettings
from fixtures.bridge import SDP, BridgeWorld

CALL = "call-1"


@pytest.fixture
async def bridge() -> BridgeWorld:
    """One that asks for no timer, so that each test says what is agreed."""
    return timed(0)


def timed(interval: int) -> BridgeWorld:
    bridge = BridgeWorld()
    bridge.desk.legs = replace(LegSettings(), timer=SessionTimerSettings(interval=interval))
    return bridge


def phase(bridge: BridgeWorld) -> Phase:
    (runner,) = bridge.switchboard._runners.values()
    return runner.call.phase


async def talk(bridge: BridgeWorld, expires: str | None) -> None:
    await bridge.start()
    await answer(bridge, expires)
    assert phase(bridge) is Phase.TALKING


async def answer(bridge: BridgeWorld, expires: str | None) -> None:
    headers = () if expires is None else (("Session-Expires", expires),)
    await bridge.answer("INVITE", 200, body=SDP, headers=headers)


async def be_called(bridge: BridgeWorld, **headers: str) -> str:
    """Take a call of the PBX and talk; returns its id."""
    await bridge.invite(**headers)
    call_id = bridge.outbox.records[0].call_id
    await bridge.command(Accept(call_id=call_id, sdp="answer"))
    await bridge.request("ACK", cseq=7)
    return call_id


async def test_our_invite_asks_for_a_timer() -> None:
    bridge = timed(1800)
    await bridge.start()
    _, invite = bridge.sent("INVITE")[0]
    assert invite.headers.get("Session-Expires") == "1800"
    assert invite.headers.get("Supported") == "100rel, timer"


async def test_we_refresh_at_half_time_with_the_same_offer(bridge: BridgeWorld) -> None:
    await talk(bridge, "100;refresher=uac")
    for count in (1, 2, 3):
        await bridge.pass_time(49, "registrar-1")
        assert len(bridge.sent("INVITE")) == count
        await bridge.pass_time(2, "registrar-1")
        _, refresh = bridge.sent("INVITE")[-1]
        assert refresh.headers.get("Session-Expires") == "100;refresher=uac"
        assert refresh.body == SDP
        await answer(bridge, "100;refresher=uac")
        assert phase(bridge) is Phase.TALKING
    assert "call-ended" not in bridge.names()


@pytest.mark.parametrize("code", [None, 500, 491])
async def test_a_refresh_without_success_ends_the_call_in_time(bridge: BridgeWorld, code: int | None) -> None:
    await talk(bridge, "60;refresher=uac")
    await bridge.pass_time(31, "registrar-1")
    if code is not None:
        await bridge.answer("INVITE", code)
    await bridge.pass_time(15, "registrar-1")
    ended = bridge.events[-1]
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.detail) == (EndReason.ERROR, "the session timer ran out: the PBX is silent")
    assert len(bridge.sent("BYE")) == 1


async def test_a_pbx_that_does_not_know_the_call_any_more_ends_it(bridge: BridgeWorld) -> None:
    await talk(bridge, "100;refresher=uac")
    await bridge.pass_time(51, "registrar-1")
    await bridge.answer("INVITE", 481)
    assert bridge.names()[-1] == "call-ended"


async def test_a_pbx_that_is_to_refresh_and_does_not_is_gone(bridge: BridgeWorld) -> None:
    await talk(bridge, "120;refresher=uas")
    await bridge.pass_time(87, "registrar-1")
    assert phase(bridge) is Phase.TALKING
    await bridge.pass_time(2, "registrar-1")
    assert len(bridge.sent("BYE")) == 1
    assert bridge.names()[-1] == "call-ended"


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
async def test_a_pbx_that_refreshes_keeps_the_call(bridge: BridgeWorld, method: str) -> None:
    await talk(bridge, "120;refresher=uas")
    headers = (("Supported", "timer"), ("Session-Expires", "120;refresher=uac"))
    for number in range(3):
        await bridge.pass_time(80, "registrar-1")
        body = SDP if method == "INVITE" else b""
        await bridge.request(method, body=body, cseq=20 + number, headers=headers)
        if method == "INVITE":
            await bridge.request("ACK", cseq=20 + number)
    answers = [response for response in bridge.responses(method) if response.code == 200]
    assert [response.headers.get("Session-Expires") for response in answers] == ["120;refresher=uac"] * 3
    assert [response.headers.get("Require") for response in answers] == ["timer"] * 3
    assert phase(bridge) is Phase.TALKING


async def test_without_a_word_of_timers_there_is_none(bridge: BridgeWorld) -> None:
    await talk(bridge, None)
    await bridge.pass_time(4000, "registrar-1")
    assert len(bridge.sent("INVITE")) == 1
    assert phase(bridge) is Phase.TALKING


async def test_an_interval_that_cannot_be_read_is_none(bridge: BridgeWorld) -> None:
    await talk(bridge, "soon")
    await bridge.pass_time(4000, "registrar-1")
    assert phase(bridge) is Phase.TALKING


async def test_a_call_that_comes_in_with_a_timer(bridge: BridgeWorld) -> None:
    await be_called(bridge, Require="timer", Supported="timer", Session_Expires="90;refresher=uas")
    accepted = bridge.responses("INVITE")[-1]
    assert accepted.headers.get("Session-Expires") == "90;refresher=uas"
    await bridge.pass_time(46, "registrar-1")
    assert len(bridge.sent("INVITE")) == 1
    assert phase(bridge) is Phase.REINVITING


async def test_where_the_caller_knows_no_timers_we_refresh() -> None:
    bridge = timed(600)
    await be_called(bridge)
    accepted = bridge.responses("INVITE")[-1]
    assert (accepted.headers.get("Session-Expires"), accepted.headers.get("Require")) == ("600;refresher=uas", None)
    await bridge.pass_time(301, "registrar-1")
    assert len(bridge.sent("INVITE")) == 1


async def test_too_short_an_interval_is_refused_with_what_we_take(bridge: BridgeWorld) -> None:
    await bridge.invite(Supported="timer", Session_Expires="30")
    refused = bridge.responses("INVITE")[0]
    assert (refused.code, refused.headers.get("Min-SE")) == (422, "90")
    assert len(bridge.switchboard) == 0


async def test_too_short_an_interval_in_a_call_leaves_it_as_it_was(bridge: BridgeWorld) -> None:
    await talk(bridge, None)
    for method in ("UPDATE", "INVITE"):
        headers = (("Supported", "timer"), ("Session-Expires", "30"))
        await bridge.request(method, body=SDP, cseq=30, headers=headers)
        assert bridge.responses(method)[-1].code == 422
    assert phase(bridge) is Phase.TALKING


async def test_a_refresh_that_is_due_in_the_middle_of_an_exchange_waits(bridge: BridgeWorld) -> None:
    await talk(bridge, "100;refresher=uac")
    bridge.media.sessions[0].hold.clear()
    await bridge.pass_time(49, "registrar-1")
    await bridge.request("INVITE", body=SDP)
    await bridge.pass_time(2, "registrar-1")
    assert phase(bridge) is Phase.REANSWERING
    bridge.media.sessions[0].hold.set()
    await bridge.settle()
    await bridge.request("ACK", cseq=20)
    assert phase(bridge) is Phase.REINVITING
