"""What the console does: one function a request of a page, one a record of the bus."""

from __future__ import annotations

from dataclasses import dataclass, field

from dialog_runtime.bus.record import Record
from dialog_schemas.calls import (
    Accept,
    Answered,
    CallCommand,
    CallEvent,
    Ended,
    EndReason,
    Incoming,
    Reject,
    SdpChanged,
)
from dialog_schemas.event import TYPE_PREFIX
from dialog_schemas.topics import CALL_COMMANDS, USERS
from dialog_schemas.users import UserCreated, UserDeleted, UserUpdated

from dialog_console.model.board import Board, Message
from dialog_console.model.requests import BadRequestError, CallMe, Command, CreateUser, DeleteUser, Login, parse_request
from dialog_console.model.ringing import Ringing
from dialog_console.pages import Page, Pages
from dialog_console.ports import DialogServer, PbxPhones, PbxUnavailableError

_HIDDEN_FROM_LOG = {"sdp", "candidate"}
"""Fields that only the phone itself needs."""


@dataclass
class Console:
    """What the handlers work on."""

    board: Board
    pages: Pages
    dialog_server: DialogServer
    pbx: PbxPhones | None
    ringing: Ringing = field(default_factory=Ringing)

    async def request(self, page: Page, text: str) -> None:
        """Do what a page asks for; what goes wrong is said on that page alone."""
        try:
            await self._do(page, parse_request(text))
        except BadRequestError as error:
            page.tell({"kind": "problem", "text": str(error), "call_id": error.refused_call})
        except PbxUnavailableError as error:
            page.tell({"kind": "problem", "text": str(error), "call_id": None})

    async def _do(self, page: Page, request: CreateUser | DeleteUser | Login | Command | CallMe) -> None:
        match request:
            case CreateUser():
                await self.dialog_server.user(UserCreated(user_id=request.user_id, name=request.name))
            case DeleteUser():
                await self.dialog_server.user(UserDeleted(user_id=request.user_id))
            case Login():
                self._login(page, request.user_id)
            case Command():
                await self._command(page, request.event())
            case CallMe():
                await self._call_me(page)

    def _login(self, page: Page, user_id: int) -> None:
        page.user_id = user_id
        for event in self.ringing.waiting_for(user_id):
            page.tell(_mine(event))

    async def _command(self, page: Page, command: CallCommand) -> None:
        """Pass a command on, unless another phone of the same user decides."""
        match command:
            case Accept() if not self.ringing.take(command.call_id, page):
                raise BadRequestError("answered elsewhere", refused_call=command.call_id)
            case Reject(reason=EndReason.BUSY) if not self.ringing.is_busy(
                command.call_id, page, self.pages.of_user(page.user_id)
            ):
                return
            case _:
                await self.dialog_server.command(command)

    async def _call_me(self, page: Page) -> None:
        if self.pbx is None:
            raise PbxUnavailableError("there is no sandbox PBX here")
        user = self.board.users.get(page.user_id or -1)
        if user is None or user["aor"] is None:
            raise BadRequestError("this page is nobody's phone yet")
        await self.pbx.call(user["aor"].partition("@")[0])

    def bus_record(self, record: Record) -> None:
        """Take a record of ``users``, ``call.commands`` or ``call.events``."""
        event = record.envelope().event
        match event:
            case UserCreated() | UserUpdated() | UserDeleted() if record.topic == USERS.name:
                self.pages.tell_all(self.board.user(event))
            case CallCommand() if record.topic == CALL_COMMANDS.name:
                self.pages.tell_all(self.board.command(event, record.time))
            case CallEvent():
                self._call_event(event, record)
            case _:
                pass

    def _call_event(self, event: CallEvent, record: Record) -> None:
        self._remember(event)
        mine = _mine(event)
        self.pages.tell_all(self.board.call_event(event, record.time))
        self.pages.tell_user(event.user_id, mine)
        if not isinstance(event, SdpChanged) and "candidate" not in mine["event"]:
            self.pages.tell_all([_log_line(mine["name"], mine["event"], record)])

    def _remember(self, event: CallEvent) -> None:
        match event:
            case Incoming():
                self.ringing.incoming(event)
            case Answered():
                self.ringing.answered(event.call_id)
            case Ended():
                self.ringing.ended(event.call_id)
            case _:
                pass


def _mine(event: CallEvent) -> Message:
    """Return the message of a call event for the phones of its user."""
    return {
        "kind": "mine",
        "name": event.type().removeprefix(TYPE_PREFIX),
        "event": event.model_dump(mode="json"),
    }


def _log_line(name: str, event: Message, record: Record) -> Message:
    shown = {key: value for key, value in event.items() if key not in _HIDDEN_FROM_LOG}
    return {"kind": "event", "name": name, "event": shown, "time": record.time.isoformat()}
