"""Which bridge holds a SIP dialog, by its Call-ID.

Two sources. ``call.directory`` is the truth, the epoch in it decides between two bridges; but its record of a new
call comes a moment later than the first messages of that call. For that moment, and where the directory cannot be
read, there is what was learnt from the messages that bridges sent through here.
"""

from __future__ import annotations

from dialog_schemas.instances import CallHeld

from dialog_registrar.model.expiring import Expiring

LEARNT_LIFETIME = 3600.0
"""Seconds that a route outlives the last message of its SIP dialog."""
LEARNT_LIMIT = 100_000


class Routes:
    """SIP Call-ID -> instance id of the bridge."""

    __slots__ = ("_calls", "_held", "_learnt")

    def __init__(self, lifetime: float = LEARNT_LIFETIME, limit: int = LEARNT_LIMIT) -> None:
        self._learnt: Expiring[str, str] = Expiring(lifetime, limit)
        self._held: dict[str, str] = {}
        self._calls: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._learnt) + len(self._held)

    def learn(self, sip_call_id: str, bridge: str, now: float) -> None:
        """Remember that ``bridge`` sent something in this SIP dialog."""
        self._learnt.put(sip_call_id, bridge, now)

    def held(self, call: str, record: CallHeld | None) -> None:
        """Take a record of ``call.directory``; None: the call has ended."""
        old = self._calls.pop(call, None)
        if old is not None:
            self._held.pop(old, None)
        if record is not None and record.sip_dialog is not None:
            self._calls[call] = record.sip_dialog.call_id
            self._held[record.sip_dialog.call_id] = record.instance

    def find(self, sip_call_id: str, now: float) -> str | None:
        """Return the bridge that holds the SIP dialog, or None."""
        return self._held.get(sip_call_id) or self._learnt.get(sip_call_id, now)

    def sweep(self, now: float) -> None:
        """Forget what is too old."""
        for _ in self._learnt.expired(now):
            pass
