"""Requests of pages: done, or answered on that page alone; pages that sleep are let go."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from dialog_console.handlers import Console
from dialog_console.model.board import Board
from dialog_console.model.requests import BadRequestError, Command, parse_request
from dialog_console.pages import MOST_WAITING, Page, Pages
from dialog_console.ports import PbxUnavailableError
from dialog_runtime.bus.record import Record
from dialog_schemas.calls import CallCommand, CallState, IceFound, RemoteRinging, SendDtmf, Start
from dialog_schemas.cloudevents import Envelope, encode
from dialog_schemas.event import Event
from dialog_schemas.mappings import MappingUpserted, PeerType, Transport
from dialog_schemas.topics import CALL_EVENTS, USERS
from dialog_schemas.users import UserCreated, UserDeleted


class Server:
    def __init__(self) -> None:
        self.published: list[Event] = []

    async def user(self, event: UserCreated | UserDeleted) -> None:
        self.published.append(event)

    async def command(self, command: CallCommand) -> None:
        self.published.append(command)


class Pbx:
    def __init__(self, *, answers: bool = True) -> None:
        self.answers = answers
        self.called: list[str] = []

    async def call(self, user: str) -> None:
        if not self.answers:
            raise PbxUnavailableError("no sandbox PBX at http://pbx")
        self.called.append(user)


def console(pbx: Pbx | None = None) -> tuple[Console, Server, Page]:
    server, pages = Server(), Pages()
    page = pages.open({"kind": "snapshot"})
    return Console(Board(), pages, server, pbx), server, page


def told(page: Page) -> list[dict[str, object]]:
    messages = []
    while not page.outgoing.empty():
        message = page.outgoing.get_nowait()
        messages.append(message or {"kind": "end"})
    return messages


def record(topic: str, event: Event, key: str = "c1") -> Record:
    value, headers = encode(Envelope("1", "test", key, datetime(2030, 1, 1, tzinfo=UTC), event))
    return Record(topic, 0, 0, key, value, headers, 1_893_456_000_000)


async def ask(it: Console, page: Page, **request: object) -> None:
    await it.request(page, json.dumps(request))


async def test_a_page_creates_and_deletes_a_user() -> None:
    it, server, page = console()
    await ask(it, page, do="create-user", user_id=434, name="Ann")
    await ask(it, page, do="delete-user", user_id=434)
    assert server.published == [UserCreated(user_id=434, name="Ann"), UserDeleted(user_id=434)]


async def test_a_page_starts_a_call() -> None:
    it, server, page = console()
    await ask(it, page, do="command", name="call-start", call_id="c1", user_id=434, to="echo", sdp="v=0")
    assert server.published == [Start(call_id="c1", user_id=434, to="echo", sdp="v=0")]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"do": "fly"}, "fly"),
        ({"do": "create-user", "user_id": -1}, "user_id"),
        ({"do": "command", "name": "call-fly", "call_id": "c1"}, "no command 'call-fly'"),
        ({"do": "command", "name": "call-start", "call_id": "c1", "user_id": 1, "to": ""}, "to"),
        ({"do": "command", "name": "call-send-dtmf", "call_id": "bad id!", "digits": "1"}, "call_id"),
    ],
)
async def test_a_bad_request_is_said_on_its_page(request_: dict[str, object], words: str) -> None:
    it, server, page = console()
    await ask(it, page, **request_)
    problem = told(page)[-1]
    assert problem["kind"] == "problem"
    assert words in str(problem["text"])
    assert server.published == []


def test_a_message_that_is_no_json_is_a_bad_request() -> None:
    with pytest.raises(BadRequestError):
        parse_request("{")


def test_a_command_takes_its_own_fields() -> None:
    request = parse_request('{"do": "command", "name": "call-send-dtmf", "call_id": "c1", "digits": "12#"}')
    assert isinstance(request, Command)
    assert request.event() == SendDtmf(call_id="c1", digits="12#")


async def test_the_pbx_calls_the_user_of_the_page() -> None:
    pbx = Pbx()
    it, _, page = console(pbx)
    row = MappingUpserted(
        aor="dialog434@pbx", sip_user="dialog434", sip_host="pbx", sip_port=5060, transport=Transport.UDP,
        peer_type=PeerType.USER, peer_id=434, registers=True, can_call=True, can_be_called=True, revision="1",
    )  # fmt: skip
    it.board.mapping(row.aor, row)
    await ask(it, page, do="call-me")
    assert told(page)[-1]["text"] == "this page is nobody's phone yet"
    await ask(it, page, do="login", user_id=434)
    await ask(it, page, do="call-me")
    assert pbx.called == ["dialog434"]


@pytest.mark.parametrize("pbx", [None, Pbx(answers=False)])
async def test_a_pbx_that_is_not_there_is_said(pbx: Pbx | None) -> None:
    it, _, page = console(pbx)
    await ask(it, page, do="login", user_id=434)
    it.board.users[434] = {"user_id": 434, "name": "", "aor": "434@pbx"}
    await ask(it, page, do="call-me")
    assert "PBX" in str(told(page)[-1]["text"])


async def test_call_events_reach_the_phone_of_their_user_alone() -> None:
    it, _, mine = console()
    other = it.pages.open({"kind": "snapshot"})
    mine.user_id, other.user_id = 434, 435
    it.bus_record(record(CALL_EVENTS.name, RemoteRinging(call_id="c1", seq=1, state=CallState.RINGING, user_id=434)))
    assert [message["kind"] for message in told(mine)] == ["snapshot", "call", "mine", "event"]
    assert [message["kind"] for message in told(other)] == ["snapshot", "call", "event"]


async def test_candidates_are_for_the_phone_and_not_for_the_log() -> None:
    it, _, page = console()
    page.user_id = 434
    event = IceFound(call_id="c1", seq=1, state=CallState.RINGING, user_id=434, candidate="candidate:1")
    it.bus_record(record(CALL_EVENTS.name, event))
    assert [message["kind"] for message in told(page)] == ["snapshot", "call", "mine"]


async def test_users_of_the_bus_reach_every_page() -> None:
    it, _, page = console()
    it.bus_record(record(USERS.name, UserCreated(user_id=7, name="Bo"), "7"))
    assert told(page)[-1]["user"] == {"user_id": 7, "name": "Bo", "aor": None}


def test_a_page_that_sleeps_is_ended_and_holds_nothing() -> None:
    pages = Pages()
    page = pages.open({"kind": "snapshot"})
    for number in range(MOST_WAITING + 5):
        pages.tell_all([{"kind": "user", "number": number}])
    assert told(page) == [{"kind": "end"}]
    pages.close(page)
    assert len(pages) == 0
