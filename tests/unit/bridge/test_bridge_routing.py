"""Who takes a call, who clears away, who is alive, whom a call is for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from dialog_bridge.directory import Directory
from dialog_bridge.model.liveness import SILENT, Liveness
from dialog_bridge.model.memory import Memory
from dialog_bridge.model.routing import UNEVEN, adopter, place
from dialog_bridge.model.targets import UnusableTargetError, number_of, request_uri
from dialog_schemas.calls import CallState
from dialog_schemas.instances import CallDirection, CallHeld, Heartbeat, ServiceName
from fixtures.bridge import mapping

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def beat(instance: str, load: float = 0, capacity: float | None = 10, *, draining: bool = False) -> Heartbeat:
    return Heartbeat(
        instance=instance,
        service=ServiceName.BRIDGE,
        version="1",
        at=NOW,
        load=load,
        capacity=capacity,
        draining=draining,
    )


@pytest.mark.parametrize(
    ("own", "others", "chosen"),
    [
        (beat("a", 3), [beat("b", 2)], "a"),
        (beat("a", 3 + UNEVEN), [beat("b", 3)], "b"),
        (beat("a", 10), [beat("b", 9)], "b"),
        (beat("a", draining=True), [beat("b", 5), beat("c", 4)], "c"),
        (beat("a", 10), [beat("b", 10)], None),
        (beat("a", draining=True), [], None),
        (beat("a", 9000, None), [], "a"),
        (beat("a", 10), [beat("b", 0, draining=True)], None),
        (beat("a", 10), [beat("a", 0)], None),
    ],
)
def test_place(own: Heartbeat, others: list[Heartbeat], chosen: str | None) -> None:
    assert place(own, others) == chosen


def test_adopters_agree_and_share() -> None:
    bridges = ["a", "b", "c"]
    chosen = {f"call-{number}": adopter(f"call-{number}", bridges) for number in range(300)}
    assert all(adopter(call, bridges[::-1]) == who for call, who in chosen.items())
    assert all(60 < list(chosen.values()).count(bridge) < 140 for bridge in bridges)
    left = {call: adopter(call, ["a", "b"]) for call in chosen}
    assert all(left[call] == who for call, who in chosen.items() if who != "c")
    assert adopter("call-1", []) is None


def test_silence_is_death() -> None:
    liveness = Liveness("me")
    liveness.heard(beat("me"), 0)
    liveness.heard(beat("other"), 0)
    liveness.heard(beat("me"), SILENT - 0.1)
    assert not liveness.is_dead("other", SILENT - 0.1)
    assert liveness.is_dead("other", SILENT)
    assert [bridge.instance for bridge in liveness.bridges(SILENT)] == ["me"]
    assert liveness.is_dead("never heard of", SILENT)


def test_who_is_cut_off_takes_nobody_for_dead() -> None:
    liveness = Liveness("me")
    liveness.heard(beat("me"), 0)
    liveness.heard(beat("other"), 0)
    assert not liveness.is_dead("other", 100)
    liveness.heard(beat("me"), 100)
    assert not liveness.is_dead("other", 100)
    liveness.heard(beat("me"), 102)
    assert not liveness.is_dead("other", 102)
    liveness.heard(beat("me"), 103)
    assert liveness.is_dead("other", 103)


def test_who_left_in_good_order_is_gone_at_once() -> None:
    liveness = Liveness("me")
    liveness.heard(beat("me"), 0)
    liveness.heard(beat("other"), 0)
    liveness.left("other")
    assert liveness.is_dead("other", 0)


def entry(instance: str, epoch: int = 1) -> CallHeld:
    return CallHeld(
        call_id="c",
        instance=instance,
        epoch=epoch,
        direction=CallDirection.OUTGOING,
        aor="1@pbx",
        user_id=1,
        state=CallState.TRYING,
        started_at=NOW,
    )


def test_of_two_claims_the_higher_epoch_and_then_the_first_is_right() -> None:
    told: list[CallHeld] = []
    directory = Directory(told.append)
    directory.apply("c", entry("a"))
    directory.apply("c", entry("b"))
    directory.apply("c", entry("b", 2))
    directory.apply("c", entry("a", 1))
    directory.apply("c", entry("c", 2))
    assert [(right.instance, right.epoch) for right in told] == [("a", 1), ("b", 2)]
    directory.apply("c", None)
    assert len(directory) == 0


async def test_somebody_waits_for_an_entry_in_vain() -> None:
    assert await Directory().appears("c", 0.01) is None


@pytest.mark.parametrize(
    ("to", "uri"),
    [
        ("100", "sip:100@pbx.example"),
        ("+49 (30) 123-45", "sip:+493012345@pbx.example"),
        ("*21#", "sip:*21%23@pbx.example"),
        ("echo", "sip:echo@pbx.example"),
        ("anna.b", "sip:anna.b@pbx.example"),
        ("bob@pbx.example", "sip:bob@pbx.example"),
        ("bob@elsewhere.example", "sip:bob@elsewhere.example"),
        ("sip:bob@PBX.example;transport=tcp", "sip:bob@PBX.example;transport=tcp"),
        ("sips:bob@pbx.example", "sips:bob@pbx.example"),
        ("sip:bob:secret@pbx.example?X=1", "sip:bob@pbx.example"),
        ("tel:+49-30-12345;phone-context=x", "sip:+493012345@pbx.example"),
        ("TEL:110", "sip:110@pbx.example"),
    ],
)
def test_whom_a_call_is_for(to: str, uri: str) -> None:
    assert str(request_uri(to, mapping())) == uri


def test_a_pbx_on_another_port_is_named_with_it() -> None:
    row = mapping("434@127.0.0.1", sip_port=5070)
    assert str(request_uri("echo", row)) == "sip:echo@127.0.0.1:5070"
    assert str(request_uri("echo@127.0.0.1", row)) == "sip:echo@127.0.0.1:5070"
    assert str(request_uri("echo@127.0.0.1:5060", row)) == "sip:echo@127.0.0.1:5060"


@pytest.mark.parametrize("to", ["sip:", "sip:pbx.example", "a@b@c", "tel:", "bob@", "sip:bob@h\x00st", "   "])
def test_nobody_can_be_called_by_these_words(to: str) -> None:
    with pytest.raises(UnusableTargetError):
        request_uri(to, mapping())


@pytest.mark.parametrize(("uri", "number"), [("sip:+4930@h", "+4930"), ("tel:+4930;x=y", "+4930"), ("http://x", "")])
def test_number(uri: str, number: str) -> None:
    assert number_of(uri) == number


def test_memory_is_bounded() -> None:
    memory: Memory[str, int] = Memory(2)
    for number, key in enumerate(["a", "b", "a", "c"]):
        memory.put(key, number)
    assert ("a" in memory, "b" in memory, "c" in memory, len(memory)) == (True, False, True, 2)
