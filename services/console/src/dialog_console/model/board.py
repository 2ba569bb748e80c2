"""The board: users, registrations, calls and instances as the page shows them.

*Theory of operation.* Every method takes one event and returns the messages for the pages that are open, so a page is a
snapshot followed by changes. The board remembers a bounded number of calls; what it forgets first is what ended first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dialog_schemas.calls import Answered, CallCommand, CallEvent, CallState, Ended, Incoming, Start
from dialog_schemas.event import Event
from dialog_schemas.instances import CallDirection, CallHeld, Heartbeat
from dialog_schemas.mappings import MappingUpserted, PeerType
from dialog_schemas.registrations import RegistrationStatus
from dialog_schemas.users import UserCreated, UserDeleted, UserUpdated

Message = dict[str, Any]
"""One JSON message for a page; ``kind`` says which."""

MOST_CALLS = 500
"""Calls remembered."""

SILENT_AFTER = timedelta(seconds=3)
"""An instance that has not been heard of for this long is shown as dead."""

UNFINISHED = frozenset(CallState) - {CallState.FINISHED}


def instance_row(beat: Heartbeat, now: datetime) -> Message:
    """Return a heartbeat as JSON values, with ``alive`` as of ``now``."""
    return beat.model_dump(mode="json") | {"alive": now - beat.at < SILENT_AFTER}


@dataclass
class Board:
    """All that the page shows."""

    users: dict[int, Message] = field(default_factory=dict)
    aors: dict[str, int] = field(default_factory=dict)
    registrations: dict[str, Message] = field(default_factory=dict)
    calls: OrderedDict[str, Message] = field(default_factory=OrderedDict)
    instances: dict[str, Heartbeat] = field(default_factory=dict)

    def snapshot(self, now: datetime) -> Message:
        """Return everything, for a page that has just come."""
        return {
            "kind": "snapshot",
            "users": list(self.users.values()),
            "registrations": list(self.registrations.values()),
            "calls": list(self.calls.values()),
            "instances": self.instance_rows(now),
        }

    def user(self, event: UserCreated | UserUpdated | UserDeleted) -> list[Message]:
        """Take an event of topic ``users``."""
        if isinstance(event, UserDeleted):
            user = self.users.pop(event.user_id, None)
            return [{"kind": "user", "user": user, "gone": True}] if user else []
        if event.is_bot:
            return []
        return self._user(event.user_id, name=event.name)

    def mapping(self, aor: str, event: Event | None) -> list[Message]:
        """Take a record of topic ``sip.mappings``: which AOR a user has."""
        owner = event.peer_id if isinstance(event, MappingUpserted) and event.peer_type is PeerType.USER else None
        before = self.aors.pop(aor, None)
        messages = self._left(before, aor) if before != owner else []
        if owner is not None:
            self.aors[aor] = owner
            messages += self._user(owner, aor=aor)
        return messages

    def registration(self, aor: str, status: RegistrationStatus | None) -> list[Message]:
        """Take a record of topic ``sip.registrations``."""
        if status is None:
            self.registrations.pop(aor, None)
            return [{"kind": "registration", "aor": aor, "status": None}]
        row = status.model_dump(mode="json", exclude={"call_id", "cseq", "mapping_revision"})
        self.registrations[aor] = row
        return [{"kind": "registration", "aor": aor, "status": row}]

    def command(self, command: CallCommand, at: datetime | None) -> list[Message]:
        """Take a record of topic ``call.commands``; only a start is news."""
        if not isinstance(command, Start) or command.call_id in self.calls:
            return []
        return self._call(
            command.call_id, direction=CallDirection.OUTGOING, user_id=command.user_id, peer=command.to, at=_text(at)
        )

    def call_event(self, event: CallEvent, at: datetime | None) -> list[Message]:
        """Take a record of topic ``call.events``."""
        changes: Message = {"state": event.state, "user_id": event.user_id}
        if isinstance(event, Incoming):
            changes |= {"direction": CallDirection.INCOMING, "peer": event.from_name or event.from_number}
            changes |= {"at": _text(at)}
        elif isinstance(event, Answered):
            changes |= {"answered_at": _text(at)}
        elif isinstance(event, Ended):
            changes |= {"reason": f"{event.reason}: {event.detail}" if event.detail else event.reason}
        return self._call(event.call_id, **changes)

    def held(self, call_id: str, entry: CallHeld | None) -> list[Message]:
        """Take a record of topic ``call.directory``: how a console that has just started learns of calls."""
        if entry is None:
            known = self.calls.get(call_id)
            return self._call(call_id, state=CallState.FINISHED) if known and known["state"] in UNFINISHED else []
        if call_id in self.calls:
            return []
        return self._call(
            call_id,
            direction=entry.direction,
            user_id=entry.user_id,
            peer=entry.sip_dialog.remote_uri if entry.sip_dialog else "",
            state=entry.state,
            at=_text(entry.started_at),
        )

    def instance(self, name: str, beat: Heartbeat | None) -> None:
        """Take a record of topic ``instances``. Pages hear of it once a second, from :meth:`instance_rows`."""
        if beat is None:
            self.instances.pop(name, None)
        else:
            self.instances[name] = beat

    def instance_rows(self, now: datetime) -> list[Message]:
        """Return the instances with ``alive`` as of ``now``."""
        return [instance_row(beat, now) for beat in self.instances.values()]

    def _left(self, user_id: int | None, aor: str) -> list[Message]:
        """Give a user who loses ``aor`` another one of theirs, where there is one."""
        if user_id not in self.users or self.users[user_id]["aor"] != aor:
            return []
        return self._user(user_id, aor=next((other for other, owner in self.aors.items() if owner == user_id), None))

    def _user(self, user_id: int, **changes: str | None) -> list[Message]:
        user = self.users.setdefault(user_id, {"user_id": user_id, "name": "", "aor": None})
        user |= changes
        return [{"kind": "user", "user": user}]

    def _call(self, call_id: str, **changes: Any) -> list[Message]:  # noqa: ANN401 - JSON values
        blank = {
            "call_id": call_id,
            "direction": "",
            "user_id": None,
            "peer": "",
            "state": CallState.TRYING,
            "at": None,
        }
        call = self.calls.setdefault(call_id, {**blank, "reason": ""})
        call |= changes
        self._forget()
        return [{"kind": "call", "call": call}]

    def _forget(self) -> None:
        while len(self.calls) > MOST_CALLS:
            over = next(_ended(self.calls.items()), next(iter(self.calls)))
            del self.calls[over]


def _ended(calls: Iterable[tuple[str, Message]]) -> Iterator[str]:
    return (call_id for call_id, call in calls if call["state"] == CallState.FINISHED)


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
