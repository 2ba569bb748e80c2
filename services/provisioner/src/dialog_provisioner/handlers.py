"""What the provisioner does about each event of topic ``users``: one function an event.

They write rows and nothing else. The watch of the table publishes what they wrote, as it does for an administrator's
rows, so ``sip.mappings`` has a single writer.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC

from dialog_runtime.bus.errors import PermanentError
from dialog_runtime.bus.record import Record
from dialog_schemas.event import Event
from dialog_schemas.users import UserCreated, UserDeleted, UserUpdated

from dialog_provisioner.model.autocreate import AutocreateRules, Origin, row_for
from dialog_provisioner.ports import Users


class UnexpectedEventError(PermanentError):
    """An event of ours that has no place on topic ``users``."""


class Handlers:
    """Handlers of the events, by their kind. ``random`` gives a fresh secret for generated passwords."""

    def __init__(
        self, users: Users, rules: AutocreateRules, random: Callable[[], str] = lambda: secrets.token_urlsafe(18)
    ) -> None:
        self._users = users
        self._rules = rules
        self._random = random

    async def handle_record(self, record: Record) -> None:
        """Handle a record of the topic. Raises :class:`~dialog_schemas.cloudevents.MalformedEventError`."""
        envelope = record.envelope()
        at = envelope.time or record.time
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        await self.handle(envelope.event, Origin(envelope.source, envelope.id, at))

    async def handle(self, event: Event, origin: Origin) -> None:
        """Handle an event. Handled twice, it changes nothing the second time."""
        match event:
            case UserCreated():
                await self.user_created(event, origin)
            case UserUpdated():
                await self.user_updated(event)
            case UserDeleted():
                await self.user_deleted(event, origin)
            case _:
                raise UnexpectedEventError(f"{event.type()} is no event about a user")

    async def user_created(self, event: UserCreated, origin: Origin) -> None:
        """Give the user a row, where autocreate is on and it is no bot."""
        row = row_for(event, self._rules, self._random())
        if row is not None:
            await self._users.create(row, origin)

    async def user_updated(self, event: UserUpdated) -> None:
        """Change nothing: a row does not depend on a user's profile, and an administrator may have edited it."""

    async def user_deleted(self, event: UserDeleted, origin: Origin) -> None:
        """Take back the row that autocreate gave, also where autocreate is off by now."""
        await self._users.delete(event.user_id, f"{self._rules.user_prefix}{event.user_id}", self._rules.host, origin)
