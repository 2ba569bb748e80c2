"""Autocreate: which row a new dialog user gets, and when an event about a user is too late to count."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from dialog_schemas.mappings import PeerType
from dialog_schemas.users import UserCreated

USER_ID = "{user_id}"
SIP_USER = "{sip_user}"
RANDOM = "{random}"
"""What ``password`` may hold. Anything else in it, other braces included, is the password itself."""


@dataclass(frozen=True, slots=True)
class AutocreateRules:
    """``modules.sip.autocreate``, as the rows need it. ``parameters`` and ``headers`` are JSON."""

    on: bool
    host: str
    port: int
    parameters: str
    headers: str
    register: bool
    can_call: bool
    can_be_called: bool
    user_prefix: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row to insert."""

    sip_user: str
    sip_host: str
    sip_port: int
    sip_parameters: str
    sip_headers: str
    peer_id: int
    register: bool
    can_call: bool
    can_be_called: bool
    sip_password: str = field(repr=False)
    peer_type: int = PeerType.USER


def row_for(event: UserCreated, rules: AutocreateRules, random: str) -> NewRow | None:
    """Return the row of a new user, or None where it gets none.

    ``random`` is a fresh secret, used where the password's template asks for one.
    """
    if not rules.on or event.is_bot:
        return None
    sip_user = f"{rules.user_prefix}{event.user_id}"
    return NewRow(
        sip_user=sip_user,
        sip_host=rules.host,
        sip_port=rules.port,
        sip_parameters=rules.parameters,
        sip_headers=rules.headers,
        peer_id=event.user_id,
        register=rules.register,
        can_call=rules.can_call,
        can_be_called=rules.can_be_called,
        sip_password=rules.password.replace(USER_ID, str(event.user_id))
        .replace(SIP_USER, sip_user)
        .replace(RANDOM, random),
    )


class Standing(StrEnum):
    """What is on record of a user."""

    CREATED = "created"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Origin:
    """The event behind a change: ``source`` and ``event_id`` name it, ``at`` is when it happened (UTC)."""

    source: str
    event_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """The last event about a user that had an effect."""

    standing: Standing
    origin: Origin


def counts(origin: Origin, record: Record | None) -> bool:
    """Tell whether an event about a user may still have an effect.

    Not one that had it already, and none from before the last that had: a user-created that comes late, or again,
    must not bring back what a user-deleted or an administrator has removed since.
    """
    if record is None:
        return True
    known = record.origin
    if (origin.source, origin.event_id) == (known.source, known.event_id):
        return False
    return origin.at >= known.at
