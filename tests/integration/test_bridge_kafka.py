"""Bridges on the real broker: whole calls, shared by two of them, and what becomes of them when one dies or stops."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from dialog_sandbox.kafka import EmbeddedKafka
from dialog_sandbox.webrtc import WebClient
from dialog_schemas.calls import Accept, AddIce, Answered, Ended, EndReason, Hangup, Incoming, Ringing, Start
from fixtures.bridge import SDP
from fixtures.bridge_bus import Surroundings, surroundings_of

pytestmark = pytest.mark.needs("kafka")


@pytest.fixture
async def offer() -> str:
    client = WebClient()
    try:
        return await client.offer()
    finally:
        await client.close()


async def talk(around: Surroundings, call_id: str, offer: str) -> None:
    """Bring a call to the point where both talk."""
    await around.command(Start(call_id=call_id, user_id=434, to="100", sdp=offer))
    await around.answer("INVITE", call_id, 180)
    await around.answer("INVITE", call_id, 200, SDP)
    await around.event("call-answered", call_id)
    await around.sent("ACK", call_id)


async def test_a_call_out_and_a_call_in(surroundings: Surroundings, offer: str) -> None:
    await surroundings.start_bridge("bridge-1")
    await talk(surroundings, "out-1", offer)
    answered = await surroundings.event("call-answered", "out-1")
    assert isinstance(answered, Answered)
    assert "a=fingerprint:" in (answered.sdp or "")
    await surroundings.command(AddIce(call_id="out-1", candidate=""))
    await surroundings.in_dialog("BYE", "out-1", 1)
    ended = await surroundings.event("call-ended", "out-1")
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.quality is not None) == (EndReason.NORMAL, True)
    await surroundings.until(lambda: "out-1" not in surroundings.directory)
    names = [event.NAME for event in surroundings.events if event.NAME != "call-ice"]
    assert names == ["call-trying", "call-remote-ringing", "call-answered", "call-ended"]

    surroundings.events.clear()
    await surroundings.invite("in-1")
    await surroundings.until(lambda: any(isinstance(event, Incoming) for event in surroundings.events))
    incoming = next(event for event in surroundings.events if isinstance(event, Incoming))
    client = WebClient()
    answer = await client.answer(incoming.sdp)
    await surroundings.command(Ringing(call_id=incoming.call_id))
    await surroundings.response(180, "in-1")
    await surroundings.command(Accept(call_id=incoming.call_id, sdp=answer))
    await surroundings.response(200, "in-1")
    await surroundings.in_dialog("ACK", incoming.call_id, 7)
    await surroundings.event("call-answered", incoming.call_id)
    await surroundings.command(Hangup(call_id=incoming.call_id))
    await surroundings.answer("BYE", incoming.call_id, 200)
    await surroundings.until(lambda: incoming.call_id not in surroundings.directory)
    await client.close()


async def test_a_command_that_comes_twice_has_one_effect(surroundings: Surroundings, offer: str) -> None:
    await surroundings.start_bridge("bridge-1")
    start = Start(call_id="out-1", user_id=434, to="100", sdp=offer)
    for _ in range(3):
        await surroundings.command(start, "the-same-event")
    await surroundings.sent("INVITE", "out-1")
    # Behind the hang-up nothing of the three is left to come.
    await surroundings.command(Hangup(call_id="out-1"))
    await surroundings.event("call-ended", "out-1")
    invites = [relay for relay in surroundings.relays if relay.sip.startswith(b"INVITE ")]
    assert len(invites) == 1


async def test_two_bridges_share_the_calls_and_one_clears_away_after_the_other(
    surroundings: Surroundings, offer: str
) -> None:
    one = await surroundings.start_bridge("bridge-1")
    two = await surroundings.start_bridge("bridge-2")
    calls = [f"out-{number}" for number in range(12)]
    for call_id in calls:
        await talk(surroundings, call_id, offer)
    holders = {call_id: surroundings.directory[call_id].instance for call_id in calls}
    assert set(holders.values()) == {"bridge-1", "bridge-2"}

    # A command reaches its call whichever bridge owns its partition.
    for holder in ("bridge-1", "bridge-2"):
        call_id = next(call_id for call_id in calls if holders[call_id] == holder)
        calls.remove(call_id)
        await surroundings.command(Hangup(call_id=call_id))
        relay, _ = await surroundings.sent("BYE", call_id)
        assert relay.sender == holder
        await surroundings.answer("BYE", call_id, 200)

    one.kill()
    await one.exit_code()
    orphans = [call_id for call_id in calls if holders[call_id] == "bridge-1"]
    for call_id in orphans:
        relay, bye = await surroundings.sent("BYE", call_id)
        assert relay.sender == "bridge-2"
        assert (bye.cseq.number, bye.to.tag) == (1002, "pbx")
        ended = await surroundings.event("call-ended", call_id)
        assert isinstance(ended, Ended)
        assert ended.reason is EndReason.ERROR
        await surroundings.answer("BYE", call_id, 200)
    await surroundings.until(lambda: not any(call_id in surroundings.directory for call_id in orphans))
    assert all(surroundings.directory[call_id].instance == "bridge-2" for call_id in calls if call_id not in orphans)
    await talk(surroundings, "after-1", offer)
    two.terminate()


async def test_a_bridge_that_is_told_to_stop_lets_its_calls_finish(surroundings: Surroundings, offer: str) -> None:
    one = await surroundings.start_bridge("bridge-1")
    await talk(surroundings, "out-1", offer)
    await surroundings.start_bridge("bridge-2")
    one.terminate()
    await surroundings.until(
        lambda: "bridge-1" in surroundings.heartbeats and surroundings.heartbeats["bridge-1"].draining
    )
    for number in range(6):
        await talk(surroundings, f"new-{number}", offer)
        assert surroundings.directory[f"new-{number}"].instance == "bridge-2"
    await surroundings.in_dialog("BYE", "out-1", 1)
    await surroundings.event("call-ended", "out-1")
    assert await one.exit_code() == 0
    assert not any(event.NAME == "call-ended" and event.call_id != "out-1" for event in surroundings.events)


async def test_a_bridge_that_was_killed_ends_its_calls_when_it_comes_back(
    surroundings: Surroundings, offer: str
) -> None:
    bridge = await surroundings.start_bridge("bridge-1")
    await talk(surroundings, "out-1", offer)
    bridge.kill()
    await bridge.exit_code()
    await surroundings.start_bridge("bridge-1")
    await surroundings.sent("BYE", "out-1")
    ended = await surroundings.event("call-ended", "out-1")
    assert isinstance(ended, Ended)
    assert ended.reason is EndReason.ERROR


async def test_calls_go_on_while_kafka_is_away(own_kafka: EmbeddedKafka, tmp_path: Path, offer: str) -> None:
    async with surroundings_of(own_kafka.bootstrap, "t.", tmp_path) as around:
        bridges = [await around.start_bridge("bridge-1"), await around.start_bridge("bridge-2")]
        calls = [f"out-{number}" for number in range(4)]
        for call_id in calls:
            await talk(around, call_id, offer)
        holders = {call_id: around.directory[call_id].instance for call_id in calls}
        await asyncio.to_thread(own_kafka.kill)
        # Longer than an instance may be silent. Nothing happens that could be waited for: that is the point.
        await asyncio.sleep(5)
        await asyncio.to_thread(own_kafka.start)
        await around.command(Hangup(call_id=calls[0]))
        await around.event("call-ended", calls[0])
        for call_id in calls[1:]:
            assert around.directory[call_id].instance == holders[call_id]
        assert [event.call_id for event in around.events if event.NAME == "call-ended"] == calls[:1]
        assert all(bridge.process.returncode is None for bridge in bridges)
