"""What a page may ask for: one JSON object a message, told apart by ``do``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from dialog_schemas.calls import Accept, CallCommand, Start
from dialog_schemas.event import TYPE_PREFIX, CallId, UserId
from dialog_schemas.topics import CALL_COMMANDS
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

COMMANDS: dict[str, type[CallCommand]] = {
    event.type().removeprefix(TYPE_PREFIX): event for event in CALL_COMMANDS.events if issubclass(event, CallCommand)
}
"""Name -> call command."""


class BadRequestError(ValueError):
    """A page asked for something that is not there; the words go back to it.

    ``refused_call`` is the call that the page cannot have, where the words are about its start or its answer.
    """

    def __init__(self, words: str, refused_call: str | None = None) -> None:
        super().__init__(words)
        self.refused_call = refused_call


class Request(BaseModel):
    """What all requests share."""

    model_config = ConfigDict(frozen=True, extra="allow")


class CreateUser(Request):
    """Say on topic ``users`` that there is a new user."""

    do: Literal["create-user"]
    user_id: UserId
    name: Annotated[str, Field(max_length=200)] = ""


class DeleteUser(Request):
    """Say on topic ``users`` that a user is gone."""

    do: Literal["delete-user"]
    user_id: UserId


class Login(Request):
    """Make the page a phone of ``user_id``: its call events come here."""

    do: Literal["login"]
    user_id: UserId


class Command(Request):
    """A call command; its own fields stand beside ``name``."""

    do: Literal["command"]
    name: str
    call_id: CallId

    def event(self) -> CallCommand:
        """Return the command. Raises :class:`BadRequestError`."""
        model = COMMANDS.get(self.name)
        if model is None:
            raise BadRequestError(f"no command {self.name!r}; there are {', '.join(COMMANDS)}")
        try:
            return model.model_validate({"call_id": self.call_id, **(self.model_extra or {})})
        except ValidationError as error:
            refused = self.call_id if issubclass(model, Start | Accept) else None
            raise BadRequestError(f"{self.name}: {_in_words(error)}", refused) from error


class CallMe(Request):
    """Let a phone of the sandbox PBX call the page's user."""

    do: Literal["call-me"]


PageRequest = Annotated[CreateUser | DeleteUser | Login | Command | CallMe, Field(discriminator="do")]
_adapter: TypeAdapter[CreateUser | DeleteUser | Login | Command | CallMe] = TypeAdapter(PageRequest)


def parse_request(text: str) -> CreateUser | DeleteUser | Login | Command | CallMe:
    """Read a message of a page. Raises :class:`BadRequestError`."""
    try:
        return _adapter.validate_json(text)
    except ValidationError as error:
        raise BadRequestError(_in_words(error)) from error


def _in_words(error: ValidationError) -> str:
    problems: list[Any] = error.errors(include_input=False, include_url=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
