"""The dialog server's part on the bus."""

from __future__ import annotations

from dialog_runtime.bus.publisher import Publisher
from dialog_schemas.calls import CallCommand
from dialog_schemas.topics import CALL_COMMANDS, USERS
from dialog_schemas.users import UserCreated, UserDeleted


class BusDialogServer:
    """Publishes what a dialog server would."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def user(self, event: UserCreated | UserDeleted) -> None:
        """Publish an event of a user."""
        await self._publisher.publish(USERS, str(event.user_id), event)

    async def command(self, command: CallCommand) -> None:
        """Publish a call command; those of one call share a key, and so keep their order."""
        await self._publisher.publish(CALL_COMMANDS, command.call_id, command)
