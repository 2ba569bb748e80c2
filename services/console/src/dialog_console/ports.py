"""What the console needs from outside."""

from __future__ import annotations

from typing import Protocol

from dialog_schemas.calls import CallCommand
from dialog_schemas.users import UserCreated, UserDeleted


class DialogServer(Protocol):
    """The dialog server's part on the bus, which the console plays in the sandbox."""

    async def user(self, event: UserCreated | UserDeleted) -> None:
        """Publish an event of a user."""

    async def command(self, command: CallCommand) -> None:
        """Publish a call command; those of one call keep their order."""


class PbxUnavailableError(Exception):
    """The sandbox PBX is not there, or does not do what was asked; the words say which."""


class PbxPhones(Protocol):
    """The phones of the sandbox PBX."""

    async def call(self, user: str) -> None:
        """Let a phone call the SIP user ``user``. Raises :class:`PbxUnavailableError`."""
