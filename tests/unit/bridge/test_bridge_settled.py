"""What happens while both talk: hold, re-INVITEs both ways, glare, UPDATE, digits, transfer."""

from __future__ import annotations

import pytest
from dialog_bridge.model.phases import Phase
from dialog_bridge.ports import MediaError
from dialog_runtime.bus import PermanentError
from dialog_schemas.calls import (
    CallCommand,
    DtmfReceived,
    Ended,
    EndReason,
    Hangup,
    Held,
    Hold,
    Resume,
    SdpChanged,
    SdpType,
    SetSdp,
    Transfer,
    Transferred,
)
from fixtures.bridge import HELD_SDP, SDP, BridgeWorld

CALL = "call-1"


@pytest.fixture
async def talking(bridge: BridgeWorld) -> BridgeWorld:
    await bridge.talk()
    return bridge


def phase(bridge: BridgeWorld) -> Phase:
    runner = bridge.switchboard.get(CALL)
    assert runner is not None
    return runner.call.phase


def held(bridge: BridgeWorld) -> list[bool]:
    return [event.held for event in bridge.events if isinstance(event, Held)]


def codes(bridge: BridgeWorld, method: str) -> list[int]:
    return [response.code for response in bridge.responses(method)]


async def test_held_and_resumed_by_the_client(talking: BridgeWorld) -> None:
    await talking.command(Hold(call_id=CALL))
    _, reinvite = talking.sent("INVITE")[-1]
    assert (reinvite.body, reinvite.cseq.number, reinvite.to.tag) == (HELD_SDP, 2, "pbx")
    await talking.answer("INVITE", 200, body=SDP)
    assert talking.sent("ACK")[-1][1].cseq.number == 2
    assert held(talking) == [True]
    await talking.command(Resume(call_id=CALL))
    assert talking.sent("INVITE")[-1][1].body == SDP
    await talking.answer("INVITE", 200, body=SDP)
    assert held(talking) == [True, False]
    assert phase(talking) is Phase.TALKING


async def test_held_by_the_pbx(talking: BridgeWorld) -> None:
    await talking.request("INVITE", body=HELD_SDP)
    assert codes(talking, "INVITE") == [200]
    assert held(talking) == [True]
    assert phase(talking) is Phase.RECONFIRMING
    await talking.request("ACK")
    assert phase(talking) is Phase.TALKING
    await talking.request("INVITE", body=SDP, cseq=21)
    await talking.request("ACK", cseq=21)
    assert held(talking) == [True, False]


async def test_a_reinvite_without_an_offer(talking: BridgeWorld) -> None:
    await talking.request("INVITE")
    assert talking.responses("INVITE")[-1].body == SDP
    await talking.request("ACK", body=SDP)
    assert talking.media.sessions[0].operations[-2:] == ["sip_offer held=False", "take_sip_answer"]
    assert phase(talking) is Phase.TALKING


async def test_a_reinvite_that_media_cannot_take(talking: BridgeWorld) -> None:
    talking.media.refuse["take_sip_reoffer"] = MediaError(488, "nothing in common")
    await talking.request("INVITE", body=HELD_SDP)
    assert codes(talking, "INVITE") == [488]
    assert held(talking) == []
    assert phase(talking) is Phase.TALKING


async def test_glare_is_waited_out_and_tried_again(talking: BridgeWorld) -> None:
    await talking.command(Hold(call_id=CALL))
    await talking.request("INVITE", body=SDP)
    assert codes(talking, "INVITE") == [491]
    await talking.answer("INVITE", 491)
    assert phase(talking) is Phase.GLARE
    await talking.pass_time(2, "registrar-1")
    assert phase(talking) is Phase.GLARE
    # We chose the Call-ID, so we wait between 2.1 and 4 s, and the PBX goes first.
    await talking.request("INVITE", body=SDP, cseq=21)
    await talking.request("ACK", cseq=21)
    await talking.settle()
    assert phase(talking) is Phase.REINVITING
    assert talking.sent("INVITE")[-1][1].body == HELD_SDP
    await talking.answer("INVITE", 200, body=SDP)
    assert held(talking) == [True]


async def test_glare_ends_by_itself(talking: BridgeWorld) -> None:
    await talking.command(Hold(call_id=CALL))
    await talking.answer("INVITE", 491)
    await talking.pass_time(4.1, "registrar-1")
    await talking.settle()
    assert phase(talking) is Phase.REINVITING


async def test_a_hold_that_the_pbx_refuses_changes_nothing(talking: BridgeWorld) -> None:
    await talking.command(Hold(call_id=CALL))
    await talking.answer("INVITE", 488)
    assert held(talking) == []
    assert phase(talking) is Phase.TALKING


async def test_wishes_that_come_during_an_exchange_wait(talking: BridgeWorld) -> None:
    await talking.command(Hold(call_id=CALL))
    await talking.command(Resume(call_id=CALL))
    assert len(talking.sent("INVITE")) == 2
    await talking.answer("INVITE", 200, body=SDP)
    assert len(talking.sent("INVITE")) == 3
    await talking.answer("INVITE", 200, body=SDP)
    assert held(talking) == [True, False]


async def test_a_hold_that_comes_before_the_answer_waits_for_it(bridge: BridgeWorld) -> None:
    await bridge.start()
    await bridge.command(Hold(call_id=CALL))
    await bridge.answer("INVITE", 200, body=SDP)
    assert phase(bridge) is Phase.REINVITING


@pytest.mark.parametrize("code", [481, 408])
async def test_the_pbx_has_forgotten_the_call(talking: BridgeWorld, code: int) -> None:
    await talking.command(Hold(call_id=CALL))
    await talking.answer("INVITE", code)
    assert isinstance(ended := talking.events[-1], Ended)
    assert ended.reason is EndReason.ERROR
    assert len(talking.sent("BYE")) == 1


async def test_the_client_makes_a_new_offer(talking: BridgeWorld) -> None:
    await talking.command(SetSdp(call_id=CALL, sdp_type=SdpType.OFFER, sdp="new offer"))
    await talking.answer("INVITE", 200, body=SDP)
    changed = [event for event in talking.events if isinstance(event, SdpChanged)]
    assert [(event.sdp_type, event.sdp) for event in changed] == [(SdpType.ANSWER, "answer 2")]


async def test_an_update_with_an_offer_is_answered_without_ack(talking: BridgeWorld) -> None:
    await talking.request("UPDATE", body=HELD_SDP)
    assert codes(talking, "UPDATE") == [200]
    assert held(talking) == [True]
    assert phase(talking) is Phase.TALKING


async def test_an_offer_before_the_answer_is_glare(bridge: BridgeWorld) -> None:
    await bridge.invite()
    await bridge.request("UPDATE", body=SDP, cseq=8)
    assert codes(bridge, "UPDATE") == [491]


@pytest.mark.parametrize(
    ("method", "headers", "code"),
    [
        ("OPTIONS", (), 200),
        ("UPDATE", (), 200),
        ("REFER", (("Refer-To", "<sip:evil@example.com>"),), 603),
        ("PRACK", (), 481),
        ("MESSAGE", (), 415),
        ("NOTIFY", (("Event", "presence"),), 489),
        ("UNHEARD", (), 501),
        ("INFO", (), 415),
    ],
)
async def test_requests_that_need_no_state(talking: BridgeWorld, method: str, headers: tuple, code: int) -> None:
    await talking.request(method, headers=headers)
    assert codes(talking, method) == [code]
    assert phase(talking) is Phase.TALKING


async def test_a_request_with_an_old_number(talking: BridgeWorld) -> None:
    await talking.request("OPTIONS", cseq=20)
    await talking.request("OPTIONS", cseq=19)
    assert codes(talking, "OPTIONS") == [200, 500]


async def test_digits_by_info_and_by_rtp(talking: BridgeWorld) -> None:
    await talking.request("INFO", body=b"Signal=5\r\nDuration=250\r\n", content_type="application/dtmf-relay")
    await talking.request("INFO", body=b"#", content_type="application/dtmf", cseq=21)
    talking.media.sessions[0].events.digit_received("9", 120)
    keys = [(event.digit, event.duration_ms) for event in talking.events if isinstance(event, DtmfReceived)]
    assert keys == [("5", 250), ("#", 160), ("9", 120)]
    assert codes(talking, "INFO") == [200, 200]


async def notify(bridge: BridgeWorld, fragment: bytes, cseq: int) -> None:
    await bridge.request(
        "NOTIFY", body=fragment, content_type="message/sipfrag", cseq=cseq, headers=(("Event", "refer"),)
    )


async def test_transferred(talking: BridgeWorld) -> None:
    await talking.command(Transfer(call_id=CALL, to="200"))
    assert talking.sent("REFER")[0][1].headers.get("Refer-To") == "<sip:200@pbx.example>"
    await talking.answer("REFER", 202)
    await notify(talking, b"SIP/2.0 100 Trying", 20)
    assert "call-ended" not in talking.names()
    await notify(talking, b"SIP/2.0 200 OK", 21)
    assert talking.names()[-2:] == ["call-transferred", "call-ended"]
    transferred, ended = talking.events[-2:]
    assert isinstance(transferred, Transferred)
    assert transferred.to == "sip:200@pbx.example"
    assert isinstance(ended, Ended)
    assert ended.reason is EndReason.TRANSFER
    assert codes(talking, "NOTIFY") == [200, 200]
    assert len(talking.sent("BYE")) == 1


async def test_a_pbx_that_transfers_and_hangs_up(talking: BridgeWorld) -> None:
    await talking.command(Transfer(call_id=CALL, to="200"))
    await talking.answer("REFER", 202)
    await talking.request("BYE")
    assert talking.names()[-2:] == ["call-transferred", "call-ended"]


@pytest.mark.parametrize("step", ["refused", "failed", "silent"])
async def test_a_transfer_that_fails_leaves_the_call(talking: BridgeWorld, step: str) -> None:
    await talking.command(Transfer(call_id=CALL, to="200"))
    if step == "refused":
        await talking.answer("REFER", 603)
    elif step == "failed":
        await notify(talking, b"SIP/2.0 486 Busy Here", 20)
    else:
        await talking.pass_time(61, "registrar-1")
    assert phase(talking) is Phase.TALKING
    assert "call-ended" not in talking.names()


async def test_transferred_into_another_call(talking: BridgeWorld) -> None:
    await talking.start("call-2", to="200")
    await talking.answer("INVITE", 200, tag="other", body=SDP)
    record = talking.outbox.records[-1].sip_dialog
    assert record is not None
    await talking.command(Transfer(call_id=CALL, to="200", replaces_call_id="call-2"))
    refer_to = talking.sent("REFER")[0][1].headers.get("Refer-To")
    assert refer_to == (
        f"<sip:200@pbx.example?Replaces={record.call_id}%3Bto-tag%3Dother%3Bfrom-tag%3D{record.local_tag}>"
    )


@pytest.mark.parametrize(
    "command",
    [Transfer(call_id=CALL, to="sip:"), Transfer(call_id=CALL, to="200", replaces_call_id="nobody")],
)
async def test_a_transfer_to_nobody_is_a_dead_letter(talking: BridgeWorld, command: CallCommand) -> None:
    with pytest.raises(PermanentError):
        await talking.command(command)
    assert phase(talking) is Phase.TALKING


async def test_a_hang_up_answers_what_is_open(talking: BridgeWorld) -> None:
    talking.media.sessions[0].hold.clear()
    await talking.request("INVITE", body=SDP)
    assert phase(talking) is Phase.REANSWERING
    await talking.command(Hangup(call_id=CALL))
    assert codes(talking, "INVITE") == [487]
    assert len(talking.sent("BYE")) == 1


async def test_both_hang_up_at_once(talking: BridgeWorld) -> None:
    await talking.command(Hangup(call_id=CALL))
    await talking.request("BYE")
    assert codes(talking, "BYE") == [200]
    assert talking.outbox.forgotten == [CALL]
    await talking.answer("BYE", 200)
    assert talking.names().count("call-ended") == 1


async def test_a_pbx_that_falls_silent_is_asked_whether_the_call_is_still_there(talking: BridgeWorld) -> None:
    talking.media.sessions[0].events.silent()
    await talking.settle()
    assert phase(talking) is Phase.REINVITING
    await talking.answer("INVITE", 200, body=SDP)
    assert phase(talking) is Phase.TALKING
    talking.media.sessions[0].events.silent()
    await talking.settle()
    await talking.answer("INVITE", 408, local=True)
    assert talking.names()[-1] == "call-ended"


async def test_silence_means_nothing_before_the_answer(bridge: BridgeWorld) -> None:
    await bridge.start()
    await bridge.answer("INVITE", 183, body=SDP)
    bridge.media.sessions[0].events.silent()
    await bridge.settle()
    assert len(bridge.sent("INVITE")) == 1
