"""Several phones of one user: the first that answers has the call; a busy one does not decide for the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from dialog_console.handlers import Console
from dialog_console.model import ringing
from dialog_console.model.board import Board
from dialog_console.model.ringing import Ringing
from dialog_console.pages import Page, Pages
from dialog_runtime.bus.record import Record
from dialog_schemas.calls import Accept, Answered, CallCommand, CallEvent, CallState, Ended, EndReason, Incoming, Reject
from dialog_schemas.cloudevents import Envelope, encode
from dialog_schemas.topics import CALL_EVENTS
from dialog_schemas.users import UserCreated, UserDeleted

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TALKING = {"seq": 3, "state": CallState.TALKING, "user_id": 434}


def incoming(call_id: str = "c1", user_id: int = 434) -> Incoming:
    return Incoming(
        call_id=call_id, seq=0, state=CallState.RINGING, user_id=user_id, aor="434@pbx", from_uri="sip:bob@pbx",
        from_number="bob", to_uri="sip:434@pbx", sdp="v=0",
    )  # fmt: skip


def ended(call_id: str = "c1") -> Ended:
    return Ended(
        call_id=call_id, seq=9, state=CallState.FINISHED, user_id=434, reason=EndReason.NORMAL, started_at=NOW,
        ended_at=NOW,
    )  # fmt: skip


class Server:
    def __init__(self) -> None:
        self.commands: list[CallCommand] = []

    async def user(self, event: UserCreated | UserDeleted) -> None:
        raise AssertionError(event)

    async def command(self, command: CallCommand) -> None:
        self.commands.append(command)


class Desk:
    """A console with two phones of one user."""

    def __init__(self) -> None:
        self.server, self.pages = Server(), Pages()
        self.console = Console(Board(), self.pages, self.server, None)
        self.first, self.second = self.pages.open({"kind": "snapshot"}), self.pages.open({"kind": "snapshot"})
        self.first.user_id = self.second.user_id = 434

    def event(self, event: CallEvent) -> None:
        value, headers = encode(Envelope("1", "test", event.call_id, NOW, event))
        self.console.bus_record(Record(CALL_EVENTS.name, 0, 0, event.call_id, value, headers, 1_893_456_000_000))

    async def command(self, page: Page, name: str, **fields: object) -> None:
        await self.console.request(page, json.dumps({"do": "command", "name": name, "call_id": "c1", **fields}))


def last(page: Page) -> dict[str, object]:
    message: dict[str, object] | None = {}
    while not page.outgoing.empty():
        message = page.outgoing.get_nowait()
    return message or {}


async def test_the_first_phone_that_answers_has_the_call_and_the_other_is_told() -> None:
    desk = Desk()
    desk.event(incoming())
    await desk.command(desk.first, "call-accept", sdp="v=0 first")
    await desk.command(desk.second, "call-accept", sdp="v=0 second")
    assert desk.server.commands == [Accept(call_id="c1", sdp="v=0 first")]
    assert last(desk.second) == {"kind": "problem", "text": "answered elsewhere", "call_id": "c1"}


async def test_the_caller_hears_busy_only_when_all_phones_are() -> None:
    desk = Desk()
    desk.event(incoming())
    await desk.command(desk.first, "call-reject", reason="busy")
    assert desk.server.commands == []
    await desk.command(desk.second, "call-reject", reason="busy")
    assert desk.server.commands == [Reject(call_id="c1", reason=EndReason.BUSY)]


async def test_one_phone_declines_for_all() -> None:
    desk = Desk()
    desk.event(incoming())
    await desk.command(desk.first, "call-reject", reason="rejected")
    assert desk.server.commands == [Reject(call_id="c1")]


async def test_a_phone_that_comes_late_still_rings() -> None:
    desk = Desk()
    desk.event(incoming())
    late = desk.pages.open({"kind": "snapshot"})
    await desk.console.request(late, '{"do": "login", "user_id": 434}')
    assert last(late)["name"] == "call-incoming"


async def test_a_refused_start_names_its_call() -> None:
    desk = Desk()
    await desk.command(desk.first, "call-start", user_id=434, to="", sdp="v=0")
    assert last(desk.first)["call_id"] == "c1"
    await desk.command(desk.first, "call-send-dtmf", digits="?")
    assert last(desk.first)["call_id"] is None


def test_a_call_that_is_answered_rings_no_more() -> None:
    desk = Desk()
    desk.event(incoming())
    desk.event(Answered(call_id="c1", **TALKING))
    assert desk.console.ringing.waiting_for(434) == []
    assert not desk.console.ringing.take("c1", desk.first)
    desk.event(ended())
    assert len(desk.console.ringing) == 0


def test_others_are_not_rung() -> None:
    calls = Ringing()
    calls.incoming(incoming())
    assert calls.waiting_for(435) == []


def test_a_call_that_nobody_saw_come_is_for_the_bridge_to_judge() -> None:
    calls = Ringing()
    assert calls.take("c1", "phone")
    assert calls.is_busy("c1", "phone", ["phone", "other"])


def test_of_very_many_calls_the_oldest_is_forgotten() -> None:
    calls = Ringing()
    for number in range(ringing.MOST + 1):
        calls.incoming(incoming(f"c{number}"))
    assert len(calls) == ringing.MOST
    assert calls.waiting_for(434)[0].call_id == "c1"
