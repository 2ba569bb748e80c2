"""Calls from the PBX to the client, with every way they end."""

from __future__ import annotations

import pytest
from dialog_bridge.ports import MediaError
from dialog_schemas.calls import Accept, CallState, Ended, EndReason, Hangup, Incoming, Reject, Ringing
from dialog_schemas.mappings import PeerType
from fixtures.bridge import AOR, SDP, BridgeWorld, mapping


async def ring(bridge: BridgeWorld) -> str:
    await bridge.invite()
    call_id = bridge.events[0].call_id
    await bridge.command(Ringing(call_id=call_id))
    return call_id


def ended(bridge: BridgeWorld) -> Ended:
    last = bridge.events[-1]
    assert isinstance(last, Ended)
    assert bridge.names().count("call-ended") == 1
    assert all(session.closed == 1 for session in bridge.media.sessions)
    return last


def codes(bridge: BridgeWorld, method: str = "INVITE") -> list[int]:
    return [response.code for response in bridge.responses(method)]


async def test_rings_is_answered_and_hung_up_by_the_client(bridge: BridgeWorld) -> None:
    await bridge.invite()
    # A bridge that takes an INVITE says so at once, for the registrar to wait for it.
    assert bridge.outbox.relays[0][1].sip.startswith(b"SIP/2.0 100 ")
    incoming = bridge.events[0]
    assert isinstance(incoming, Incoming)
    assert incoming.from_number == "100"
    assert incoming.from_name == "Bob"
    assert incoming.aor == AOR
    assert incoming.user_id == 434
    assert incoming.sdp == "offer"
    call_id = incoming.call_id

    await bridge.command(Ringing(call_id=call_id))
    await bridge.command(Accept(call_id=call_id, sdp="web answer"))
    assert codes(bridge) == [180, 200]
    ok = bridge.responses("INVITE")[-1]
    assert ok.body == SDP
    assert ok.to.tag is not None
    assert ok.to.tag == bridge.responses("INVITE")[0].to.tag
    assert "call-answered" not in bridge.names()
    await bridge.request("ACK", cseq=7)
    assert bridge.names() == ["call-incoming", "call-answered"]
    assert bridge.events[1].state is CallState.TALKING

    await bridge.command(Hangup(call_id=call_id))
    _, bye = bridge.sent("BYE")[0]
    assert bye.uri == "sip:100@192.0.2.7"
    await bridge.answer("BYE", 200)
    assert ended(bridge).reason is EndReason.NORMAL
    assert bridge.outbox.forgotten == [call_id]


async def test_accepted_without_ringing_first(bridge: BridgeWorld) -> None:
    await bridge.invite()
    await bridge.command(Accept(call_id=bridge.events[0].call_id, sdp="web answer"))
    assert codes(bridge) == [200]


async def test_an_invite_without_an_offer_gets_ours(bridge: BridgeWorld) -> None:
    await bridge.invite(sdp=None)
    call_id = bridge.events[0].call_id
    await bridge.command(Accept(call_id=call_id, sdp="web answer"))
    await bridge.request("ACK", cseq=7, body=SDP)
    assert bridge.media.sessions[0].operations == ["take_sip_offer", "take_web_answer", "take_sip_answer"]
    assert bridge.names()[-1] == "call-answered"


async def test_an_ack_that_owes_an_answer_and_has_none_ends_the_call(bridge: BridgeWorld) -> None:
    bridge.media.refuse["take_sip_answer"] = MediaError(400, "no description")
    await bridge.invite(sdp=None)
    await bridge.command(Accept(call_id=bridge.events[0].call_id, sdp="web answer"))
    await bridge.request("ACK", cseq=7)
    assert ended(bridge).reason is EndReason.ERROR
    assert len(bridge.sent("BYE")) == 1


@pytest.mark.parametrize(
    ("reason", "code"),
    [(EndReason.REJECTED, 603), (EndReason.BUSY, 486), (EndReason.NO_ANSWER, 480), (EndReason.ERROR, 500)],
)
async def test_rejected(bridge: BridgeWorld, reason: EndReason, code: int) -> None:
    call_id = await ring(bridge)
    await bridge.command(Reject(call_id=call_id, reason=reason))
    assert codes(bridge) == [180, code]
    assert ended(bridge).reason is reason
    assert bridge.outbox.forgotten == [call_id]


async def test_cancelled_by_the_caller(bridge: BridgeWorld) -> None:
    invite = await bridge.invite()
    await bridge.cancel(invite)
    assert codes(bridge) == [487]
    assert ended(bridge).reason is EndReason.NO_ANSWER


async def test_taken_on_another_device(bridge: BridgeWorld) -> None:
    invite = await bridge.invite()
    await bridge.cancel(invite, Reason='SIP;cause=200;text="Call completed elsewhere"')
    assert ended(bridge).reason is EndReason.PICKED_UP


async def test_a_cancel_on_the_shared_topic_finds_its_call(bridge: BridgeWorld) -> None:
    invite = await bridge.invite()
    cancel = invite.copy()
    cancel.method = "CANCEL"
    cancel.headers.set("CSeq", "7 CANCEL")
    await bridge.sip_request(bridge.incoming(cancel, f"in-{invite.call_id}"))
    assert codes(bridge) == [487]


async def test_cancelled_while_media_works_on_the_answer(bridge: BridgeWorld) -> None:
    invite = await bridge.invite()
    call_id = bridge.events[0].call_id
    bridge.media.sessions[0].hold.clear()
    await bridge.command(Accept(call_id=call_id, sdp="web answer"))
    await bridge.cancel(invite)
    assert codes(bridge) == [487]
    assert ended(bridge).reason is EndReason.NO_ANSWER


async def test_a_cancel_after_the_200_changes_nothing(bridge: BridgeWorld) -> None:
    invite = await bridge.invite()
    await bridge.command(Accept(call_id=bridge.events[0].call_id, sdp="web answer"))
    await bridge.cancel(invite)
    assert codes(bridge) == [200]
    await bridge.request("ACK", cseq=7)
    assert bridge.names()[-1] == "call-answered"


async def test_nobody_answers(bridge: BridgeWorld) -> None:
    await ring(bridge)
    await bridge.pass_time(61, "registrar-1")
    assert codes(bridge) == [180, 480]
    assert ended(bridge).reason is EndReason.NO_ANSWER


async def test_bye_waits_for_the_ack(bridge: BridgeWorld) -> None:
    call_id = await ring(bridge)
    await bridge.command(Accept(call_id=call_id, sdp="web answer"))
    await bridge.command(Hangup(call_id=call_id))
    assert ended(bridge).reason is EndReason.NORMAL
    assert bridge.sent("BYE") == []
    await bridge.request("ACK", cseq=7)
    assert len(bridge.sent("BYE")) == 1


async def test_no_ack_comes(bridge: BridgeWorld) -> None:
    invite = await bridge.invite()
    await bridge.command(Accept(call_id=bridge.events[0].call_id, sdp="web answer"))
    await bridge.ack_timeout(f"in-{invite.call_id}")
    assert ended(bridge).reason is EndReason.ERROR
    assert len(bridge.sent("BYE")) == 1


async def test_the_offer_has_nothing_in_common(bridge: BridgeWorld) -> None:
    bridge.media.refuse["take_sip_offer"] = MediaError(488, "no codec in common")
    await bridge.invite()
    assert codes(bridge) == [488]
    assert ended(bridge).reason is EndReason.ERROR


async def test_the_caller_sends_bye_before_the_answer(bridge: BridgeWorld) -> None:
    await ring(bridge)
    await bridge.request("BYE", cseq=8)
    assert codes(bridge) == [180, 487]
    assert codes(bridge, "BYE") == [200]
    assert ended(bridge).reason is EndReason.NO_ANSWER


async def test_the_registrar_dies_while_it_rings(bridge: BridgeWorld) -> None:
    await ring(bridge)
    await bridge.pass_time(4)
    assert ended(bridge).reason is EndReason.ERROR


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"can_be_called": False}, 480, EndReason.CALLEE_DISABLED),
        ({"peer_type": PeerType.GROUP}, 480, None),
        (None, 404, None),
    ],
)
async def test_who_may_not_be_called_is_not(
    bridge: BridgeWorld, changes: dict | None, code: int, reason: EndReason | None
) -> None:
    bridge.mappings.rows = {} if changes is None else {AOR: mapping(**changes)}
    await bridge.invite()
    assert codes(bridge) == [code]
    assert [event.reason for event in bridge.events if isinstance(event, Ended)] == ([reason] if reason else [])
    assert len(bridge.switchboard) == 0


async def test_an_extension_that_is_required_and_unknown(bridge: BridgeWorld) -> None:
    await bridge.invite(Require="100rel, answermode")
    assert codes(bridge) == [420]
    assert bridge.responses("INVITE")[0].headers.get("Unsupported") == "answermode"


async def test_an_invite_without_contact(bridge: BridgeWorld) -> None:
    invite = await bridge.invite(Contact="<not a uri>")
    assert invite is not None
    bridge.outbox.relays.clear()
    broken = invite.copy()
    broken.headers.remove("Contact")
    broken.headers.set("Call-ID", "other")
    await bridge.sip_request(bridge.incoming(broken, "in-other"))
    assert codes(bridge) == [400]


async def test_the_same_invite_twice_is_one_call(bridge: BridgeWorld) -> None:
    await bridge.invite()
    await bridge.invite()
    assert bridge.names() == ["call-incoming"]
    assert len(bridge.media.sessions) == 1


async def test_the_identity_that_the_pbx_asserts_goes_first(bridge: BridgeWorld) -> None:
    await bridge.invite(P_Asserted_Identity='"Alice" <sip:+4930123@pbx.example>')
    incoming = bridge.events[0]
    assert isinstance(incoming, Incoming)
    assert (incoming.from_number, incoming.from_name) == ("+4930123", "Alice")


async def test_a_bye_for_no_call_of_ours(bridge: BridgeWorld) -> None:
    invite = await bridge.invite()
    await bridge.cancel(invite)
    bye = invite.copy()
    bye.method = "BYE"
    bye.headers.set("CSeq", "8 BYE")
    bye.headers.set("To", f"{invite.to};tag=gone")
    await bridge.inbox(bridge.incoming(bye, "in-bye"))
    assert codes(bridge, "BYE") == [481]
