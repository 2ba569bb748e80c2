"""Reliable provisional responses (RFC 3262), both ways."""

from __future__ import annotations

import pytest
from dialog_bridge.model.phases import Phase
from dialog_schemas.calls import Accept, Ended, EndReason, Ringing
from dialog_sip import Response
from fixtures.bridge import SDP, BridgeWorld

CALL = "call-1"
RELIABLE = ("Require", "100rel")


def ringing(bridge: BridgeWorld) -> list[Response]:
    return [response for response in bridge.responses("INVITE") if response.code == 180]


async def be_called(bridge: BridgeWorld, *, sdp: bytes | None = SDP, **headers: str) -> str:
    await bridge.invite(sdp=sdp, **headers)
    call_id = bridge.outbox.records[0].call_id
    await bridge.command(Ringing(call_id=call_id))
    return call_id


async def prack(bridge: BridgeWorld, rack: str, cseq: int = 8) -> int:
    await bridge.request("PRACK", cseq=cseq, headers=(("RAck", rack),))
    return bridge.responses("PRACK")[-1].code


# We call.


async def test_each_reliable_response_gets_its_prack_once(bridge: BridgeWorld) -> None:
    await bridge.start()
    for rseq in (5, 5, 6):
        await bridge.answer("INVITE", 183, body=SDP, headers=(RELIABLE, ("RSeq", str(rseq))))
    pracks = [request for _, request in bridge.sent("PRACK")]
    assert [(one.headers.get("RAck"), one.cseq.number, one.to.tag) for one in pracks] == [
        ("5 1 INVITE", 2, "pbx"),
        ("6 1 INVITE", 3, "pbx"),
    ]
    await bridge.answer("PRACK", 200)
    await bridge.answer("INVITE", 200)
    (runner,) = bridge.switchboard._runners.values()
    assert runner.call.phase is Phase.TALKING
    assert bridge.sent("ACK")[0][1].cseq.number == 1


async def test_a_number_that_credentials_took_is_not_used_again(bridge: BridgeWorld) -> None:
    await bridge.start()
    await bridge.answer("INVITE", 180, headers=(RELIABLE, ("RSeq", "1")))
    await bridge.answer("PRACK", 200, cseq=3)
    await bridge.answer("INVITE", 180, headers=(RELIABLE, ("RSeq", "2")))
    assert bridge.sent("PRACK")[-1][1].cseq.number == 4
    (runner,) = bridge.switchboard._runners.values()
    assert list(runner.leg._sent.values()).count("PRACK") == 1


@pytest.mark.parametrize("code", [481, 408])
async def test_a_prack_that_is_refused_ends_no_call(bridge: BridgeWorld, code: int) -> None:
    await bridge.start()
    await bridge.answer("INVITE", 180, headers=(RELIABLE, ("RSeq", "1")))
    await bridge.answer("PRACK", code)
    await bridge.answer("INVITE", 200, body=SDP)
    assert "call-answered" in bridge.names()


# We are called.


async def test_ringing_is_reliable_where_the_pbx_requires_it(bridge: BridgeWorld) -> None:
    call_id = await be_called(bridge, Require="100rel")
    first = ringing(bridge)[0]
    assert (first.headers.get("Require"), first.headers.get("RSeq")) == ("100rel", "1")
    await bridge.pass_time(2, "registrar-1")
    assert len(ringing(bridge)) > 1
    assert await prack(bridge, "1 7 INVITE") == 200
    count = len(ringing(bridge))
    await bridge.pass_time(10, "registrar-1")
    assert len(ringing(bridge)) == count
    await bridge.command(Accept(call_id=call_id, sdp="answer"))
    assert bridge.responses("INVITE")[-1].code == 200


async def test_ringing_is_plain_where_the_pbx_only_could(bridge: BridgeWorld) -> None:
    await be_called(bridge, Supported="100rel")
    assert ringing(bridge)[0].headers.get("RSeq") is None


async def test_ringing_that_is_never_acknowledged_ends_the_call(bridge: BridgeWorld) -> None:
    await be_called(bridge, Require="100rel")
    await bridge.pass_time(33, "registrar-1")
    ended = bridge.events[-1]
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.detail) == (EndReason.ERROR, "no PRACK came for the ringing")
    assert bridge.responses("INVITE")[-1].code == 500


async def test_a_prack_for_nothing_is_481(bridge: BridgeWorld) -> None:
    await be_called(bridge, Require="100rel")
    assert await prack(bridge, "9 7 INVITE") == 481
    assert await prack(bridge, "nonsense", cseq=9) == 400


async def test_an_answer_ends_the_repetition(bridge: BridgeWorld) -> None:
    call_id = await be_called(bridge, Require="100rel")
    await bridge.command(Accept(call_id=call_id, sdp="answer"))
    count = len(ringing(bridge))
    await bridge.pass_time(10, "registrar-1")
    assert len(ringing(bridge)) == count
    assert await prack(bridge, "1 7 INVITE") == 200


async def test_without_an_offer_nothing_rings_reliably_but_the_call_is_answered(bridge: BridgeWorld) -> None:
    call_id = await be_called(bridge, sdp=None, Require="100rel")
    assert ringing(bridge) == []
    await bridge.command(Accept(call_id=call_id, sdp="answer"))
    assert bridge.responses("INVITE")[-1].body == SDP
