"""A registrar that dies and is back under its name before anybody counts it dead: another incarnation tells."""

from __future__ import annotations

import pytest
from dialog_bridge.model.phases import Phase
from dialog_schemas.calls import Ended, EndReason, Hangup, Hold
from dialog_schemas.relay import Relay, RelayKind
from fixtures.bridge import AOR, SDP, BridgeWorld

CALL = "call-1"
REGISTRAR = "registrar-1"


def phase(bridge: BridgeWorld) -> Phase:
    runner = bridge.switchboard.get(CALL)
    assert runner is not None
    return runner.call.phase


async def start_anew(bridge: BridgeWorld, incarnation: str = "second") -> None:
    """The registrar was killed, and beats again within a second."""
    await bridge.pass_time(1, REGISTRAR)
    bridge.incarnations[REGISTRAR] = incarnation
    await bridge.pass_time(1, REGISTRAR)


async def heard(bridge: BridgeWorld, code: int, incarnation: str) -> None:
    """Answer the INVITE as a process of the registrar that names itself does."""
    relay, invite = bridge.sent("INVITE")[-1]
    sip = invite.respond(code, to_tag="pbx").encode()
    await bridge.inbox(Relay(RelayKind.RESPONSE, relay.transaction, AOR, sip, CALL, REGISTRAR, incarnation=incarnation))


@pytest.mark.parametrize("code", [180, 183])
async def test_a_call_that_rings_ends_at_once(bridge: BridgeWorld, code: int) -> None:
    await bridge.start()
    await bridge.answer("INVITE", code, body=SDP)
    await start_anew(bridge)
    ended = bridge.events[-1]
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.detail) == (EndReason.ERROR, "the registrar is gone")
    assert len(bridge.switchboard) == 0


@pytest.mark.parametrize("code", [180, 183])
async def test_a_call_that_rings_goes_on_where_the_pbx_still_reaches_the_registrar(
    bridge: BridgeWorld, code: int
) -> None:
    bridge.registrars.fixed = True
    await bridge.start()
    await bridge.answer("INVITE", code, body=SDP)
    await start_anew(bridge)
    first, again = bridge.sent("INVITE")
    assert first == again
    await bridge.answer("INVITE", 200, body=SDP)
    assert phase(bridge) is Phase.TALKING


async def test_a_call_that_rings_waits_for_a_registrar_that_takes_its_time(bridge: BridgeWorld) -> None:
    bridge.registrars.fixed = True
    await bridge.start()
    await bridge.answer("INVITE", 180)
    await bridge.pass_time(10)
    assert phase(bridge) is Phase.ALERTING
    await start_anew(bridge)
    assert len(bridge.sent("INVITE")) == 2


async def test_a_call_that_rings_without_a_registrar_rings_no_longer_than_any(bridge: BridgeWorld) -> None:
    bridge.registrars.fixed = True
    await bridge.start()
    await bridge.answer("INVITE", 180)
    await bridge.pass_time(61)
    assert bridge.names()[-1] == "call-ended"
    await bridge.pass_time(41)
    assert bridge.outbox.forgotten == [CALL]


async def test_a_call_that_comes_in_does_not_wait(bridge: BridgeWorld) -> None:
    bridge.registrars.fixed = True
    await bridge.invite()
    await bridge.pass_time(4)
    assert bridge.names()[-1] == "call-ended"


async def test_a_cancel_that_may_have_died_is_sent_again(bridge: BridgeWorld) -> None:
    bridge.registrars.fixed = True
    await bridge.start()
    await bridge.answer("INVITE", 180)
    await bridge.command(Hangup(call_id=CALL))
    await start_anew(bridge)
    kinds = [relay.kind for _, relay in bridge.outbox.relays]
    assert kinds == [RelayKind.REQUEST, RelayKind.CANCEL, RelayKind.REQUEST, RelayKind.CANCEL]
    await bridge.answer("INVITE", 487)
    assert bridge.outbox.forgotten == [CALL]


async def test_a_call_that_comes_in_ends_at_once(bridge: BridgeWorld) -> None:
    await bridge.invite()
    await start_anew(bridge)
    assert isinstance(bridge.events[-1], Ended)
    assert len(bridge.switchboard) == 0


async def test_an_invite_that_nobody_answered_goes_again_under_the_same_transaction(bridge: BridgeWorld) -> None:
    await bridge.start()
    await start_anew(bridge)
    first, again = bridge.sent("INVITE")
    assert first == again
    await bridge.answer("INVITE", 200, body=SDP)
    assert phase(bridge) is Phase.TALKING


async def test_both_talk_on_and_the_pbx_learns_the_new_contact(bridge: BridgeWorld) -> None:
    await bridge.talk()
    await start_anew(bridge)
    assert phase(bridge) is Phase.REINVITING
    _, reinvite = bridge.sent("INVITE")[-1]
    assert (reinvite.to.tag, reinvite.body) == ("pbx", SDP)
    await bridge.answer("INVITE", 200, body=SDP)
    assert phase(bridge) is Phase.TALKING
    assert bridge.sent("ACK")[-1][1].cseq.number == reinvite.cseq.number
    await bridge.pass_time(5, REGISTRAR)
    assert len(bridge.sent("INVITE")) == 2
    assert "call-ended" not in bridge.names()


async def test_a_pbx_that_does_not_know_the_call_any_more_ends_it(bridge: BridgeWorld) -> None:
    await bridge.talk()
    await start_anew(bridge)
    await bridge.answer("INVITE", 481)
    assert isinstance(bridge.events[-1], Ended)


async def test_an_offer_of_ours_that_died_is_made_again_once(bridge: BridgeWorld) -> None:
    await bridge.talk()
    await bridge.command(Hold(call_id=CALL))
    assert phase(bridge) is Phase.REINVITING
    await start_anew(bridge)
    assert len(bridge.sent("INVITE")) == 3
    await bridge.answer("INVITE", 200, body=SDP)
    assert phase(bridge) is Phase.TALKING
    assert "call-held" in bridge.names()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
async def test_an_offer_of_the_pbx_that_died_is_not_waited_for(bridge: BridgeWorld, method: str) -> None:
    await bridge.talk()
    bridge.media.sessions[0].hold.clear()
    await bridge.request(method, body=SDP)
    await start_anew(bridge)
    bridge.media.sessions[0].hold.set()
    await bridge.settle()
    assert bridge.responses(method) == []
    await bridge.answer("INVITE", 200, body=SDP)
    assert phase(bridge) is Phase.TALKING


async def test_our_answer_that_may_have_died_is_followed_by_an_offer(bridge: BridgeWorld) -> None:
    await bridge.talk()
    await bridge.request("INVITE", body=SDP)
    assert phase(bridge) is Phase.RECONFIRMING
    await start_anew(bridge)
    assert phase(bridge) is Phase.REINVITING


async def test_the_second_time_counts_as_well(bridge: BridgeWorld) -> None:
    await bridge.talk()
    for incarnation in ("second", "third"):
        await start_anew(bridge, incarnation)
        await bridge.answer("INVITE", 200, body=SDP)
    assert len(bridge.sent("INVITE")) == 3


async def test_what_the_new_process_said_before_its_first_heartbeat_is_not_lost(bridge: BridgeWorld) -> None:
    await bridge.pass_time(1, REGISTRAR)
    await bridge.start()
    await heard(bridge, 180, "second")
    await start_anew(bridge)
    assert phase(bridge) is Phase.ALERTING


async def test_a_registrar_that_was_counted_dead_and_comes_back_has_its_calls_again(bridge: BridgeWorld) -> None:
    await bridge.talk()
    await bridge.pass_time(4)
    await start_anew(bridge)
    assert phase(bridge) is Phase.REINVITING


async def stray_success(bridge: BridgeWorld, *, shared: bool) -> None:
    """The PBX sends its 200 again, to a process of the registrar that does not know the INVITE."""
    _, invite = bridge.sent("INVITE")[0]
    success = invite.respond(200, to_tag="pbx", headers=[("Contact", "<sip:100@192.0.2.7>")], body=SDP)
    back = Relay(RelayKind.RESPONSE, "stray", AOR, success.encode(), None, REGISTRAR)
    await (bridge.sip_request if shared else bridge.inbox)(back)


@pytest.mark.parametrize("shared", [False, True])
async def test_an_ack_that_died_is_sent_again(bridge: BridgeWorld, shared: bool) -> None:
    await bridge.talk()
    await stray_success(bridge, shared=shared)
    assert [ack.cseq.number for _, ack in bridge.sent("ACK")] == [1, 1]
    assert phase(bridge) is Phase.TALKING
    assert bridge.sent("BYE") == []


@pytest.mark.parametrize("shared", [False, True])
async def test_a_phone_that_answers_a_call_that_ended_with_the_registrar_is_hung_up(
    bridge: BridgeWorld, shared: bool
) -> None:
    await bridge.start()
    await bridge.answer("INVITE", 180)
    await start_anew(bridge)
    await stray_success(bridge, shared=shared)
    assert (len(bridge.sent("ACK")), len(bridge.sent("BYE"))) == (1, 1)


async def test_what_comes_late_from_the_process_before_changes_nothing(bridge: BridgeWorld) -> None:
    await bridge.talk()
    await start_anew(bridge)
    await bridge.answer("INVITE", 200, body=SDP)
    await heard(bridge, 200, "first")
    await bridge.pass_time(5, REGISTRAR)
    assert len(bridge.sent("INVITE")) == 2
    assert phase(bridge) is Phase.TALKING
