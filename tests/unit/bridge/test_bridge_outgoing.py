"""Calls from the client to the PBX, with every way they end."""

from __future__ import annotations

import pytest
from dialog_bridge.ports import MediaError
from dialog_schemas.calls import (
    AddIce,
    Answered,
    CallState,
    Ended,
    EndReason,
    Hangup,
    IceFound,
    Progress,
    SendDtmf,
)
from fixtures.bridge import AOR, SDP, BridgeWorld, mapping


async def test_rings_is_answered_and_hung_up_by_the_pbx(bridge: BridgeWorld) -> None:
    await bridge.start(to="100")
    relay, invite = bridge.sent("INVITE")[0]
    assert invite.uri == "sip:100@pbx.example"
    assert invite.body == SDP
    assert str(invite.from_.uri) == f"sip:{AOR}"
    assert "Via" not in invite.headers
    assert "Contact" not in invite.headers
    assert relay.aor == AOR
    assert relay.call == "call-1"

    await bridge.answer("INVITE", 180)
    await bridge.answer("INVITE", 200, body=SDP)
    _, ack = bridge.sent("ACK")[0]
    assert ack.cseq.number == invite.cseq.number
    assert ack.uri == "sip:100@192.0.2.7;branch=pbx"

    await bridge.request("BYE")
    assert [response.code for response in bridge.responses("BYE")] == [200]
    assert bridge.names() == ["call-trying", "call-remote-ringing", "call-answered", "call-ended"]
    assert [event.state for event in bridge.events] == [
        CallState.TRYING,
        CallState.RINGING,
        CallState.TALKING,
        CallState.FINISHED,
    ]
    assert [event.seq for event in bridge.events] == [0, 1, 2, 3]
    answered, ended = bridge.events[2:]
    assert isinstance(answered, Answered)
    assert answered.sdp == "answer 1"
    assert isinstance(ended, Ended)
    assert ended.reason is EndReason.NORMAL
    assert ended.answered_at is not None
    assert ended.quality is not None
    assert ended.quality.sip_packets == 5
    assert bridge.media.sessions[0].closed == 1
    assert bridge.outbox.forgotten == ["call-1"]
    assert len(bridge.switchboard) == 0


async def test_hung_up_by_the_client(bridge: BridgeWorld) -> None:
    await bridge.talk()
    await bridge.command(Hangup(call_id="call-1"))
    _, bye = bridge.sent("BYE")[0]
    assert bye.cseq.number == 2
    assert bridge.names()[-1] == "call-ended"
    assert bridge.outbox.forgotten == []
    await bridge.answer("BYE", 200)
    assert bridge.outbox.forgotten == ["call-1"]
    assert bridge.outbox.records[-1].state is CallState.FINISHED


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (486, EndReason.BUSY),
        (600, EndReason.BUSY),
        (603, EndReason.REJECTED),
        (403, EndReason.REJECTED),
        (404, EndReason.CALLEE_NOT_FOUND),
        (480, EndReason.NO_ANSWER),
        (408, EndReason.NO_ANSWER),
        (487, EndReason.NO_ANSWER),
        (503, EndReason.ERROR),
        (302, EndReason.ERROR),
        (488, EndReason.ERROR),
    ],
)
async def test_refused(bridge: BridgeWorld, code: int, reason: EndReason) -> None:
    await bridge.start()
    await bridge.answer("INVITE", code)
    ended = bridge.events[-1]
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.sip_code) == (reason, code)
    assert bridge.sent("ACK") == []
    assert bridge.media.sessions[0].closed == 1


async def test_a_pbx_that_never_answers_is_an_error(bridge: BridgeWorld) -> None:
    await bridge.start()
    await bridge.answer("INVITE", 408, local=True)
    assert isinstance(ended := bridge.events[-1], Ended)
    assert ended.reason is EndReason.ERROR


async def test_early_media_comes_once(bridge: BridgeWorld) -> None:
    await bridge.start()
    await bridge.answer("INVITE", 183, body=SDP)
    await bridge.answer("INVITE", 183, body=SDP)
    progress = [event for event in bridge.events if isinstance(event, Progress)]
    assert [event.sdp for event in progress] == ["answer 1"]
    # Some PBXs leave the description out of a 200 that follows.
    await bridge.answer("INVITE", 200)
    assert bridge.names()[-1] == "call-answered"
    assert bridge.media.sessions[0].operations.count("take_sip_answer") == 2


async def test_early_media_that_cannot_be_read_does_not_end_the_call(bridge: BridgeWorld) -> None:
    bridge.media.refuse["take_sip_answer"] = MediaError(400, "broken")
    await bridge.start()
    await bridge.answer("INVITE", 183, body=SDP)
    assert "call-ended" not in bridge.names()
    del bridge.media.refuse["take_sip_answer"]
    await bridge.answer("INVITE", 200, body=SDP)
    assert bridge.names()[-1] == "call-answered"


async def test_cancelled_by_the_client(bridge: BridgeWorld) -> None:
    await bridge.start()
    await bridge.answer("INVITE", 180)
    await bridge.command(Hangup(call_id="call-1"))
    invite, _ = bridge.sent("INVITE")[0]
    to, cancel = bridge.outbox.relays[-1]
    assert (to, cancel.kind.value, cancel.transaction) == ("registrar-1", "cancel", invite.transaction)
    assert bridge.names()[-1] == "call-ended"
    await bridge.answer("INVITE", 487)
    assert bridge.outbox.forgotten == ["call-1"]
    assert bridge.names().count("call-ended") == 1


async def test_a_200_that_crosses_the_cancel_is_confirmed_and_ended(bridge: BridgeWorld) -> None:
    await bridge.start()
    await bridge.command(Hangup(call_id="call-1"))
    await bridge.answer("INVITE", 200, body=SDP)
    assert len(bridge.sent("ACK")) == 1
    assert len(bridge.sent("BYE")) == 1
    await bridge.answer("BYE", 200)
    assert bridge.outbox.forgotten == ["call-1"]


async def test_nobody_answers(bridge: BridgeWorld) -> None:
    await bridge.start()
    await bridge.answer("INVITE", 180)
    await bridge.pass_time(59, "registrar-1")
    assert "call-ended" not in bridge.names()
    await bridge.pass_time(2, "registrar-1")
    assert isinstance(ended := bridge.events[-1], Ended)
    assert ended.reason is EndReason.NO_ANSWER
    assert bridge.outbox.relays[-1][1].kind.value == "cancel"
    await bridge.pass_time(41, "registrar-1")
    assert bridge.outbox.forgotten == ["call-1"]


async def test_only_one_branch_of_a_fork_is_kept(bridge: BridgeWorld) -> None:
    await bridge.start()
    await bridge.answer("INVITE", 180, tag="one")
    await bridge.answer("INVITE", 180, tag="two")
    await bridge.answer("INVITE", 200, tag="one", body=SDP)
    await bridge.answer("INVITE", 200, tag="two", body=SDP)
    acks = [str(request.to.tag) for _, request in bridge.sent("ACK")]
    byes = [str(request.to.tag) for _, request in bridge.sent("BYE")]
    assert (acks, byes) == (["one", "two"], ["two"])
    await bridge.answer("BYE", 200, tag="two")
    assert "call-ended" not in bridge.names()
    await bridge.command(Hangup(call_id="call-1"))
    assert [request.to.tag for _, request in bridge.sent("BYE")] == ["two", "one"]


async def test_a_branch_that_answers_after_the_end_is_confirmed_and_ended(bridge: BridgeWorld) -> None:
    await bridge.talk()
    await bridge.request("BYE")
    await bridge.answer("INVITE", 200, tag="late", body=SDP)
    ack, bye = bridge.outbox.relays[-2][1], bridge.outbox.relays[-1][1]
    assert ack.sip.startswith(b"ACK sip:100@192.0.2.7;branch=late")
    assert bye.sip.startswith(b"BYE sip:100@192.0.2.7;branch=late")


async def test_the_cseq_of_a_challenged_invite_is_taken_over(bridge: BridgeWorld) -> None:
    await bridge.start()
    relay, invite = bridge.sent("INVITE")[0]
    response = invite.respond(200, to_tag="pbx", body=SDP, content_type="application/sdp")
    response.headers.set("CSeq", "2 INVITE")
    await bridge.inbox(relay.__class__(relay.kind.RESPONSE, relay.transaction, AOR, response.encode(), "call-1", "r"))
    await bridge.command(Hangup(call_id="call-1"))
    assert bridge.sent("ACK")[0][1].cseq.number == 2
    assert bridge.sent("BYE")[0][1].cseq.number == 3


async def test_the_answer_cannot_be_taken(bridge: BridgeWorld) -> None:
    bridge.media.refuse["take_sip_answer"] = MediaError(488, "nothing in common")
    await bridge.start()
    await bridge.answer("INVITE", 200, body=SDP)
    assert isinstance(ended := bridge.events[-1], Ended)
    assert ended.reason is EndReason.ERROR
    assert "nothing in common" in ended.detail
    assert len(bridge.sent("BYE")) == 1


async def test_the_offer_cannot_be_taken(bridge: BridgeWorld) -> None:
    bridge.media.refuse["take_web_offer"] = MediaError(400, "broken")
    await bridge.start()
    assert bridge.sent("INVITE") == []
    assert bridge.names() == ["call-ended"]
    assert bridge.media.sessions[0].closed == 1


async def test_media_cannot_be_opened(bridge: BridgeWorld) -> None:
    bridge.media.refuse["open"] = MediaError(503, "no ports")
    await bridge.start()
    assert bridge.names() == ["call-ended"]
    assert len(bridge.switchboard) == 0


async def test_media_is_lost_while_both_talk(bridge: BridgeWorld) -> None:
    await bridge.talk()
    bridge.media.sessions[0].events.failed("consent expired")
    await bridge.settle()
    assert isinstance(ended := bridge.events[-1], Ended)
    assert ended.detail == "media: consent expired"
    assert len(bridge.sent("BYE")) == 1


async def test_hung_up_before_media_has_an_offer(bridge: BridgeWorld) -> None:
    bridge.media.paused = True
    await bridge.start()
    await bridge.command(Hangup(call_id="call-1"))
    assert bridge.sent("INVITE") == []
    assert bridge.names() == ["call-ended"]
    assert bridge.media.sessions[0].closed == 1


async def test_candidates_wait_for_the_description_they_belong_to(bridge: BridgeWorld) -> None:
    await bridge.start()
    events = bridge.media.sessions[0].events
    events.candidate_found("candidate:1", "0")
    assert "call-ice" not in bridge.names()
    await bridge.answer("INVITE", 200, body=SDP)
    events.candidate_found("", "0")
    assert bridge.names()[-3:] == ["call-answered", "call-ice", "call-ice"]
    ice = [event.candidate for event in bridge.events if isinstance(event, IceFound)]
    assert ice == ["candidate:1", ""]


async def test_candidates_and_digits_reach_media_in_order(bridge: BridgeWorld) -> None:
    bridge.media.paused = True
    await bridge.start()
    await bridge.command(AddIce(call_id="call-1", candidate="candidate:9", sdp_mid="0"))
    await bridge.command(SendDtmf(call_id="call-1", digits="12#"))
    bridge.media.sessions[0].hold.set()
    await bridge.settle()
    operations = bridge.media.sessions[0].operations
    assert operations == ["take_web_offer", "add_candidate candidate:9", "send_digits 12#"]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], EndReason.CALLER_DISABLED),
        ([mapping(can_call=False)], EndReason.CALLER_DISABLED),
    ],
)
async def test_who_may_not_call_does_not(bridge: BridgeWorld, rows: list, reason: EndReason) -> None:
    bridge.mappings.rows = {row.aor: row for row in rows}
    await bridge.start()
    assert isinstance(ended := bridge.events[0], Ended)
    assert (ended.reason, ended.user_id, ended.seq) == (reason, 434, 0)
    assert bridge.outbox.relays == []


async def test_nobody_is_named(bridge: BridgeWorld) -> None:
    await bridge.start(to="sip:pbx.example")
    assert isinstance(ended := bridge.events[0], Ended)
    assert ended.reason is EndReason.CALLEE_NOT_FOUND


async def test_the_mapping_has_no_registrar(bridge: BridgeWorld) -> None:
    bridge.registrars.holders.clear()
    await bridge.start()
    assert isinstance(ended := bridge.events[0], Ended)
    assert ended.reason is EndReason.ERROR


async def test_the_registrar_dies_before_the_answer(bridge: BridgeWorld) -> None:
    await bridge.start()
    await bridge.answer("INVITE", 180)
    await bridge.pass_time(4)
    assert isinstance(ended := bridge.events[-1], Ended)
    assert ended.reason is EndReason.ERROR
    assert bridge.outbox.forgotten == ["call-1"]


async def test_a_call_outlives_its_registrar(bridge: BridgeWorld) -> None:
    await bridge.talk()
    await bridge.pass_time(4, "registrar-2")
    bridge.registrars.holders[AOR] = "registrar-2"
    await bridge.pass_time(1, "registrar-2")
    assert "call-ended" not in bridge.names()
    await bridge.command(Hangup(call_id="call-1"))
    to, relay = bridge.outbox.relays[-1]
    assert to == "registrar-2"
    assert relay.sip.startswith(b"BYE")


async def test_a_bye_that_died_with_its_registrar_is_sent_again(bridge: BridgeWorld) -> None:
    await bridge.talk()
    await bridge.command(Hangup(call_id="call-1"))
    await bridge.pass_time(4, "registrar-2")
    bridge.registrars.holders[AOR] = "registrar-2"
    await bridge.pass_time(1, "registrar-2")
    byes = bridge.sent("BYE")
    assert [request.cseq.number for _, request in byes] == [2, 3]
    await bridge.answer("BYE", 200)
    assert bridge.outbox.forgotten == ["call-1"]
