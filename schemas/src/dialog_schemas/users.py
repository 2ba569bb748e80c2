"""Topic ``users``: what the dialog server says of its users. Key: the user id."""

from __future__ import annotations

from typing import ClassVar

from dialog_schemas.event import Event, UserId


class UserCreated(Event):
    """A user has come to be. Autocreate gives it a row in ``sip_user_mappings``, unless it is a bot."""

    NAME: ClassVar[str] = "user-created"
    user_id: UserId
    name: str = ""
    is_bot: bool = False


class UserUpdated(Event):
    """A user's profile has changed. Touches no row: an administrator may have edited it."""

    NAME: ClassVar[str] = "user-updated"
    user_id: UserId
    name: str = ""
    is_bot: bool = False


class UserDeleted(Event):
    """A user is gone. Its autocreated row goes with it, and so does its registration."""

    NAME: ClassVar[str] = "user-deleted"
    user_id: UserId
