"""The board folds events into what the page shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dialog_console.model.board import MOST_CALLS, Board
from dialog_schemas.calls import CallState, Ended, EndReason, Hangup, Incoming, RemoteRinging, Start
from dialog_schemas.instances import CallDirection, CallHeld, Heartbeat, ServiceName
from dialog_schemas.mappings import MappingUpserted, PeerType, Transport
from dialog_schemas.registrations import RegistrationState, RegistrationStatus
from dialog_schemas.users import UserCreated, UserDeleted

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def mapping(aor: str = "434@pbx", peer_id: int = 434, peer_type: PeerType = PeerType.USER) -> MappingUpserted:
    return MappingUpserted(
        aor=aor, sip_user=aor.partition("@")[0], sip_host="pbx", sip_port=5060, transport=Transport.UDP,
        peer_type=peer_type, peer_id=peer_id, registers=True, can_call=True, can_be_called=True, revision="1",
    )  # fmt: skip


def ended(call_id: str) -> Ended:
    return Ended(
        call_id=call_id, seq=9, state=CallState.FINISHED, user_id=434, reason=EndReason.BUSY, detail="486",
        started_at=NOW, ended_at=NOW,
    )  # fmt: skip


def test_a_user_and_its_mapping_become_one_row() -> None:
    board = Board()
    board.user(UserCreated(user_id=434, name="Ann"))
    (message,) = board.mapping("434@pbx", mapping())
    assert message == {"kind": "user", "user": {"user_id": 434, "name": "Ann", "aor": "434@pbx"}}


def test_a_mapping_without_a_user_event_makes_a_user() -> None:
    board = Board()
    board.mapping("434@pbx", mapping())
    assert board.users[434]["aor"] == "434@pbx"


def test_bots_and_groups_are_not_phones() -> None:
    board = Board()
    assert board.user(UserCreated(user_id=1, is_bot=True)) == []
    assert board.mapping("g@pbx", mapping("g@pbx", 7, PeerType.GROUP)) == []
    assert board.users == {}


def test_a_deleted_mapping_leaves_the_user_without_an_aor() -> None:
    board = Board()
    board.mapping("434@pbx", mapping())
    (message,) = board.mapping("434@pbx", None)
    assert message["user"]["aor"] is None


def test_an_old_mapping_that_goes_does_not_take_the_new_one_along() -> None:
    board = Board()
    board.mapping("434@old", mapping("434@old"))
    board.mapping("434@new", mapping("434@new"))
    assert board.mapping("434@old", None) == []
    assert board.users[434]["aor"] == "434@new"


def test_of_two_mappings_one_stays_when_the_other_goes() -> None:
    board = Board()
    board.mapping("434@pbx", mapping("434@pbx"))
    board.mapping("522@pbx", mapping("522@pbx"))
    (message,) = board.mapping("522@pbx", None)
    assert message["user"]["aor"] == "434@pbx"


def test_a_mapping_that_changes_hands_leaves_who_had_it() -> None:
    board = Board()
    board.mapping("434@pbx", mapping())
    before, now = board.mapping("434@pbx", mapping(peer_id=435))
    assert (before["user"]["user_id"], before["user"]["aor"]) == (434, None)
    assert (now["user"]["user_id"], now["user"]["aor"]) == (435, "434@pbx")


def test_a_deleted_user_goes() -> None:
    board = Board()
    board.user(UserCreated(user_id=434))
    (message,) = board.user(UserDeleted(user_id=434))
    assert message["gone"] is True
    assert board.user(UserDeleted(user_id=434)) == []


def test_registrations_come_and_go() -> None:
    board = Board()
    status = RegistrationStatus(
        aor="434@pbx", state=RegistrationState.REGISTERED, owner="registrar-1", call_id="c", cseq=7
    )
    (message,) = board.registration("434@pbx", status)
    assert message["status"]["state"] == "registered"
    assert "cseq" not in message["status"]
    assert board.registration("434@pbx", None) == [{"kind": "registration", "aor": "434@pbx", "status": None}]
    assert board.snapshot(NOW)["registrations"] == []


def test_an_outgoing_call_from_start_to_end() -> None:
    board = Board()
    board.command(Start(call_id="c1", user_id=434, to="echo", sdp="v=0"), NOW)
    assert board.command(Hangup(call_id="c1"), NOW) == []
    board.call_event(RemoteRinging(call_id="c1", seq=1, state=CallState.RINGING, user_id=434), NOW)
    (message,) = board.call_event(ended("c1"), NOW)
    call = message["call"]
    assert (call["direction"], call["peer"], call["state"], call["reason"]) == (
        "outgoing",
        "echo",
        "FINISHED",
        "busy: 486",
    )


def test_a_start_that_comes_after_its_events_changes_nothing() -> None:
    board = Board()
    board.call_event(RemoteRinging(call_id="c1", seq=1, state=CallState.RINGING, user_id=434), NOW)
    assert board.command(Start(call_id="c1", user_id=434, to="echo", sdp="v=0"), NOW) == []


def test_an_incoming_call_shows_who_calls() -> None:
    board = Board()
    event = Incoming(
        call_id="c2", seq=0, state=CallState.RINGING, user_id=434, aor="434@pbx", from_uri="sip:100@pbx",
        from_number="100", to_uri="sip:434@pbx", sdp="v=0",
    )  # fmt: skip
    (message,) = board.call_event(event, NOW)
    assert (message["call"]["direction"], message["call"]["peer"]) == ("incoming", "100")


def test_calls_are_bounded_and_the_ended_are_forgotten_first() -> None:
    board = Board()
    board.command(Start(call_id="living", user_id=1, to="x", sdp="v=0"), NOW)
    board.call_event(ended("dead"), NOW)
    for number in range(MOST_CALLS - 1):
        board.command(Start(call_id=f"c{number}", user_id=1, to="x", sdp="v=0"), NOW)
    assert len(board.calls) == MOST_CALLS
    assert "living" in board.calls
    assert "dead" not in board.calls


def test_an_instance_is_dead_after_three_silent_seconds() -> None:
    board = Board()
    board.instance("b1", Heartbeat(instance="b1", service=ServiceName.BRIDGE, version="1", at=NOW))
    assert board.instance_rows(NOW + timedelta(seconds=2))[0]["alive"] is True
    assert board.instance_rows(NOW + timedelta(seconds=3))[0]["alive"] is False
    board.instance("b1", None)
    assert board.instance_rows(NOW) == []


def held(state: CallState = CallState.TALKING) -> CallHeld:
    return CallHeld(
        call_id="c1", instance="bridge-1", epoch=1, direction=CallDirection.INCOMING, aor="434@pbx", user_id=434,
        state=state, started_at=NOW,
    )  # fmt: skip


def test_calls_that_were_there_before_come_from_the_directory() -> None:
    board = Board()
    (message,) = board.held("c1", held())
    assert message["call"]["state"] == "TALKING"
    assert message["call"]["direction"] == "incoming"
    (message,) = board.held("c1", None)
    assert message["call"]["state"] == "FINISHED"


def test_the_directory_does_not_overrule_the_events() -> None:
    board = Board()
    board.call_event(ended("c1"), NOW)
    assert board.held("c1", held()) == []
    assert board.held("c1", None) == []
    assert board.calls["c1"]["reason"] == "busy: 486"
