"""Mappings and registrars as the compacted topics say."""

from __future__ import annotations

from dialog_runtime.bus import Bus, Record, View, event_of
from dialog_schemas.mappings import MappingUpserted, PeerType
from dialog_schemas.registrations import RegistrationState, RegistrationStatus
from dialog_schemas.topics import MAPPINGS, REGISTRATIONS

NO_FLOW = frozenset({RegistrationState.REJECTED})
"""States in which the registrar has no way to the PBX."""


def usable_mapping(record: Record) -> MappingUpserted | None:
    """Read a record of ``sip.mappings``; None for a row that cannot be used."""
    event = record.envelope().event
    return event if isinstance(event, MappingUpserted) else None


class MappingsView:
    """:class:`dialog_bridge.ports.Mappings` on ``sip.mappings``, with an index by user."""

    def __init__(self, bus: Bus) -> None:
        self._of_user: dict[int, dict[str, MappingUpserted]] = {}
        self._users: dict[str, int] = {}
        self.view: View[MappingUpserted | None] = bus.view(MAPPINGS, usable_mapping, self._changed)

    def by_aor(self, aor: str) -> MappingUpserted | None:
        """Return the mapping with this address of record."""
        return self.view.get(aor)

    def of_user(self, user_id: int) -> list[MappingUpserted]:
        """Return the mappings of a user."""
        return list(self._of_user.get(user_id, {}).values())

    def _changed(self, aor: str, mapping: MappingUpserted | None) -> None:
        user = self._users.pop(aor, None)
        if user is not None:
            mappings = self._of_user[user]
            del mappings[aor]
            if not mappings:
                del self._of_user[user]
        if mapping is not None and mapping.peer_type is PeerType.USER:
            self._users[aor] = mapping.peer_id
            self._of_user.setdefault(mapping.peer_id, {})[aor] = mapping


class RegistrarsView:
    """:class:`dialog_bridge.ports.Registrars` on ``sip.registrations``."""

    def __init__(self, bus: Bus) -> None:
        self.view: View[RegistrationStatus] = bus.view(REGISTRATIONS, event_of(RegistrationStatus))

    def holder_of(self, aor: str) -> str | None:
        """Return the registrar that holds the flow. A dead one is named until another takes the mapping over."""
        status = self.view.get(aor)
        return None if status is None or status.state in NO_FLOW else status.owner

    def keeps_address(self, aor: str) -> bool:
        """Tell whether the flow is UDP and its port known: a connection is gone with the process that had it."""
        status = self.view.get(aor)
        return status is not None and status.contact is not None and ";transport=" not in status.contact
