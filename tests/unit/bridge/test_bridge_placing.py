"""Where calls go: placing, forwarding, repetition, capacity, stopping, and the calls of a dead bridge."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from dialog_bridge import handlers
from dialog_bridge.model.phases import Phase
from dialog_runtime.bus import PermanentError, TransientError
from dialog_schemas.calls import Accept, AddIce, CallState, Ended, EndReason, Hangup, Start
from dialog_schemas.instances import CallHeld
from dialog_schemas.relay import RelayKind
from fixtures.bridge import AOR, SDP, BridgeWorld


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for the directory are the only ones here by the real clock."""
    monkeypatch.setattr(handlers, "KNOWN_WITHIN", 0.01)
    monkeypatch.setattr(handlers, "TAKEN_WITHIN", 0.05)


def held_by(bridge: BridgeWorld, instance: str, call_id: str = "call-1", **changes: object) -> CallHeld:
    """Return an entry as ``instance`` would write it, of the last call that this bridge recorded."""
    return bridge.outbox.records[-1].model_copy(update={"call_id": call_id, "instance": instance, **changes})


async def test_the_same_event_twice_has_one_effect(bridge: BridgeWorld) -> None:
    start = Start(call_id="call-1", user_id=434, to="100", sdp="web offer")
    await bridge.command(start, "event-1")
    await bridge.command(start, "event-1")
    # A producer that makes a new event of the same call gets no second one either.
    await bridge.command(start, "event-2")
    assert len(bridge.sent("INVITE")) == 1
    await bridge.command(Hangup(call_id="call-1"))
    await bridge.answer("INVITE", 487)
    await bridge.command(start, "event-3")
    assert len(bridge.sent("INVITE")) == 1


async def test_a_new_call_goes_where_there_is_much_more_room(bridge: BridgeWorld) -> None:
    for number in range(5):
        await bridge.start(f"call-{number}")
    bridge.beat("bridge-2", load=0)
    start = Start(call_id="call-9", user_id=434, to="100", sdp="web offer")
    record = bridge.record_of(start)
    waiting = asyncio.create_task(handlers.call_command(bridge.desk, record))
    await bridge.settle()
    assert bridge.outbox.forwarded == [("bridge-2", record)]
    assert not waiting.done()
    bridge.directory.apply("call-9", held_by(bridge, "bridge-2", "call-9"))
    await waiting
    # What follows goes the same way, as it came.
    ice = bridge.record_of(AddIce(call_id="call-9", candidate="candidate:1"))
    await handlers.call_command(bridge.desk, ice)
    assert bridge.outbox.forwarded[-1] == ("bridge-2", ice)
    assert len(bridge.media.sessions) == 5


async def test_a_start_whose_bridge_dies_is_tried_again(bridge: BridgeWorld) -> None:
    bridge.draining = True
    bridge.liveness.heard(bridge.heartbeat("bridge-2", 0).model_copy(update={"draining": False}), 1000)
    record = bridge.record_of(Start(call_id="call-9", user_id=434, to="100", sdp="web offer"))
    waiting = asyncio.create_task(handlers.call_command(bridge.desk, record))
    await bridge.settle()
    await bridge.pass_time(4)
    with pytest.raises(TransientError):
        await waiting
    bridge.draining = False
    await handlers.call_command(bridge.desk, record)
    await bridge.settle()
    assert len(bridge.sent("INVITE")) == 1


async def test_no_bridge_has_room(bridge: BridgeWorld) -> None:
    bridge.capacity = 1
    await bridge.start("call-1")
    await bridge.start("call-2")
    assert isinstance(ended := bridge.events[-1], Ended)
    assert (ended.call_id, ended.reason) == ("call-2", EndReason.BUSY)
    await bridge.invite()
    response = bridge.responses("INVITE")[-1]
    assert (response.code, response.headers.get("Retry-After")) == (503, "5")


async def test_a_start_from_long_ago_is_not_placed(bridge: BridgeWorld) -> None:
    record = bridge.record_of(Start(call_id="call-1", user_id=434, to="100", sdp="web offer"))
    bridge.clock.advance(61)
    bridge.beat("bridge-1")
    await handlers.call_command(bridge.desk, record)
    assert isinstance(ended := bridge.events[-1], Ended)
    assert ended.detail == "the command came too late"


async def test_late_commands_for_a_call_that_is_over_are_nothing(bridge: BridgeWorld) -> None:
    await bridge.talk()
    await bridge.request("BYE")
    await bridge.command(Hangup(call_id="call-1"))
    await bridge.command(AddIce(call_id="call-1", candidate="candidate:1"))
    assert bridge.names().count("call-ended") == 1


async def test_an_unknown_call(bridge: BridgeWorld) -> None:
    await bridge.command(Hangup(call_id="nobodys"))
    with pytest.raises(PermanentError):
        await bridge.command(Accept(call_id="never-heard-of", sdp="answer"))


async def test_a_command_waits_for_its_call_to_show_up(bridge: BridgeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "KNOWN_WITHIN", 5)
    await bridge.start()
    record = bridge.record_of(Hangup(call_id="call-7"))
    waiting = asyncio.create_task(handlers.call_command(bridge.desk, record))
    await bridge.settle()
    bridge.beat("bridge-2")
    bridge.directory.apply("call-7", held_by(bridge, "bridge-2", "call-7"))
    await waiting
    assert bridge.outbox.forwarded == [("bridge-2", record)]


async def test_a_forwarded_invite_and_its_cancel_go_the_same_way(bridge: BridgeWorld) -> None:
    bridge.draining = True
    bridge.liveness.heard(bridge.heartbeat("bridge-2", 0).model_copy(update={"draining": False}), 1000)
    invite = await bridge.invite()
    cancel = invite.copy()
    cancel.method = "CANCEL"
    cancel.headers.set("CSeq", "7 CANCEL")
    await bridge.sip_request(bridge.incoming(cancel, "in-incoming-1"))
    assert [to for to, _ in bridge.outbox.forwarded] == ["bridge-2", "bridge-2"]
    # That bridge takes it from its inbox.
    other = BridgeWorld("bridge-2")
    for _, record in bridge.outbox.forwarded:
        await handlers.inbox(other.desk, record)
        await other.settle()
    assert [response.code for response in other.responses("INVITE")] == [487]


async def test_a_call_that_another_bridge_took_over_is_let_go(bridge: BridgeWorld) -> None:
    await bridge.talk()
    sent = len(bridge.outbox.relays)
    bridge.directory.apply("call-1", held_by(bridge, "bridge-2", epoch=2))
    await bridge.settle()
    assert len(bridge.switchboard) == 0
    assert "call-ended" not in bridge.names()
    assert len(bridge.outbox.relays) == sent
    assert bridge.outbox.forgotten == []
    assert bridge.media.sessions[0].closed == 1


async def adopt_from(bridge: BridgeWorld, dead: BridgeWorld) -> BridgeWorld:
    """Let ``bridge`` find what ``dead`` left in the directory."""
    left = dead.outbox.records[-1].model_copy(update={"instance": "bridge-0"})
    bridge.beat("bridge-0")
    bridge.directory.apply(left.call_id, left)
    await bridge.takeover.look()
    assert bridge.outbox.relays == []
    await bridge.pass_time(4, "registrar-1")
    await bridge.takeover.look()
    await bridge.settle()
    return bridge


async def test_a_dead_bridges_call_is_ended_on_both_sides(bridge: BridgeWorld) -> None:
    dead = BridgeWorld("bridge-0")
    await dead.talk()
    await adopt_from(bridge, dead)
    _, bye = bridge.sent("BYE")[0]
    assert (bye.uri, bye.cseq.number, bye.to.tag) == ("sip:100@192.0.2.7;branch=pbx", 1002, "pbx")
    assert isinstance(ended := bridge.events[0], Ended)
    assert ended.reason is EndReason.ERROR
    assert ended.seq > dead.events[-1].seq
    assert ended.answered_at is not None
    assert [entry.epoch for entry in bridge.outbox.records] == [2, 2]
    await bridge.answer("BYE", 200)
    assert bridge.outbox.forgotten == ["call-1"]


async def test_a_dead_bridges_invite_is_cancelled(bridge: BridgeWorld) -> None:
    dead = BridgeWorld("bridge-0")
    await dead.start()
    await adopt_from(bridge, dead)
    kinds = [(relay.kind, relay.transaction) for _, relay in bridge.outbox.relays]
    assert kinds == [(RelayKind.CANCEL, dead.sent("INVITE")[0][0].transaction)]
    assert bridge.names() == ["call-ended"]


async def test_an_invite_that_a_dead_bridge_took_is_answered_in_its_name(bridge: BridgeWorld) -> None:
    dead = BridgeWorld("bridge-0")
    await dead.invite()
    await adopt_from(bridge, dead)
    to, relay = bridge.outbox.relays[0]
    assert (to, relay.sender, relay.transaction) == ("registrar-1", "bridge-0", "in-incoming-1")
    response = bridge.responses("INVITE")[0]
    assert (response.code, response.from_.tag, response.cseq.number) == (500, "caller", 7)
    assert bridge.outbox.forgotten == [dead.events[0].call_id]


async def test_a_call_that_had_ended_gets_its_bye_and_no_second_end(bridge: BridgeWorld) -> None:
    dead = BridgeWorld("bridge-0")
    await dead.talk()
    await dead.command(Hangup(call_id="call-1"))
    assert dead.outbox.records[-1].state is CallState.FINISHED
    await adopt_from(bridge, dead)
    assert len(bridge.sent("BYE")) == 1
    assert bridge.events == []


async def test_a_call_that_was_being_cancelled_is_cancelled_again(bridge: BridgeWorld) -> None:
    dead = BridgeWorld("bridge-0")
    await dead.start()
    await dead.command(Hangup(call_id="call-1"))
    await adopt_from(bridge, dead)
    assert [relay.kind for _, relay in bridge.outbox.relays] == [RelayKind.CANCEL]
    assert bridge.events == []


async def test_a_call_that_was_answered_while_it_was_cancelled_gets_a_bye(bridge: BridgeWorld) -> None:
    dead = BridgeWorld("bridge-0")
    await dead.start()
    await dead.command(Hangup(call_id="call-1"))
    await dead.answer("INVITE", 200, body=SDP)
    await adopt_from(bridge, dead)
    assert len(bridge.sent("BYE")) == 1
    assert bridge.events == []


async def test_what_this_bridge_left_before_a_restart_falls_to_it(bridge: BridgeWorld) -> None:
    before = BridgeWorld("bridge-1")
    await before.talk()
    left = before.outbox.records[-1]
    bridge.directory.apply(left.call_id, left)
    await bridge.takeover.look()
    assert len(bridge.sent("BYE")) == 1
    assert bridge.names() == ["call-ended"]


async def test_a_bridge_that_stops_hangs_up_what_is_left(bridge: BridgeWorld) -> None:
    await bridge.talk()
    running = asyncio.create_task(bridge.switchboard.run())
    await bridge.settle()
    bridge.switchboard.stop()
    await bridge.settle()
    await bridge.answer("BYE", 200)
    await asyncio.wait_for(running, 5)
    assert bridge.names()[-1] == "call-ended"
    assert bridge.outbox.forgotten == ["call-1"]


async def test_draining_ends_with_the_last_call(bridge: BridgeWorld) -> None:
    await bridge.talk()
    drained = asyncio.create_task(bridge.switchboard.drain(5))
    await bridge.settle()
    assert not drained.done()
    await bridge.request("BYE")
    await asyncio.wait_for(drained, 5)
    assert bridge.sent("BYE") == []


async def test_a_call_that_goes_on_for_too_long_is_hung_up(bridge: BridgeWorld) -> None:
    await bridge.talk()
    drained = asyncio.create_task(bridge.switchboard.drain(0))
    await bridge.settle()
    await bridge.answer("BYE", 200)
    await asyncio.wait_for(drained, 5)
    assert bridge.outbox.forgotten == ["call-1"]


async def test_who_gives_up_waiting_does_not_cancel_what_is_on_its_way(bridge: BridgeWorld) -> None:
    await bridge.start()
    runner = bridge.switchboard.get("call-1")
    assert runner is not None
    on_its_way: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    bridge.outbox.tell = lambda event, trace: on_its_way  # type: ignore[method-assign]
    waiting = asyncio.create_task(bridge.answer("INVITE", 180))
    await bridge.settle()
    waiting.cancel()
    await asyncio.wait({waiting})
    assert not on_its_way.done()
    on_its_way.set_result(None)


async def test_a_message_that_cannot_be_read_harms_nobody(bridge: BridgeWorld) -> None:
    await bridge.talk()
    runner = bridge.switchboard.get("call-1")
    assert runner is not None
    for sip in (b"", b"\x00\xff", b"BYE sip:x SIP/2.0\r\n\r\n", b"SIP/2.0 200 OK\r\nCSeq: x\r\n\r\n"):
        relay = bridge.incoming(bridge.sent("INVITE")[0][1], "in-x")
        await bridge.inbox(relay.__class__(relay.kind, "in-x", AOR, sip, "call-1", "registrar-1"))
        await bridge.sip_request(relay.__class__(relay.kind, "in-x", AOR, sip, None, "registrar-1"))
    assert runner.call.phase is Phase.TALKING
    await bridge.request("BYE")
    assert bridge.names()[-1] == "call-ended"


async def test_deadlines_are_kept_by_the_clock_that_is_given(bridge: BridgeWorld) -> None:
    await bridge.talk()
    ended_at = bridge.clock.utcnow() + timedelta(hours=12)
    bridge.clock.advance(12 * 3600)
    for alive in ("bridge-1", "registrar-1"):
        bridge.beat(alive)
    bridge.switchboard.tick()
    assert isinstance(ended := bridge.events[-1], Ended)
    assert (ended.reason, ended.ended_at) == (EndReason.NORMAL, ended_at)
