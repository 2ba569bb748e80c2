"""Calls that come in, while several phones of one user may take them.

*Theory of operation.* The first phone to accept has the call; another that accepts it too is told so. A phone that is
busy says nothing about the others: only when every phone of the user is busy is the caller told. A phone that comes
later, such as a page that was loaded anew, still rings. A call is remembered until it ends, and of very many the oldest
is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from dialog_schemas.calls import Incoming

MOST = 500
"""Calls remembered."""


@dataclass
class _Ringing:
    event: Incoming
    busy: set[Hashable] = field(default_factory=set)
    taken_by: Hashable | None = None
    is_answered: bool = False


class Ringing:
    """The incoming calls that have not ended. Phones are told apart by equality."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _Ringing] = OrderedDict()

    def __len__(self) -> int:
        return len(self._calls)

    def incoming(self, event: Incoming) -> None:
        """Remember a call."""
        self._calls.setdefault(event.call_id, _Ringing(event))
        while len(self._calls) > MOST:
            self._calls.popitem(last=False)

    def answered(self, call_id: str) -> None:
        """Ring no further phone."""
        if call_id in self._calls:
            self._calls[call_id].is_answered = True

    def ended(self, call_id: str) -> None:
        """Forget a call."""
        self._calls.pop(call_id, None)

    def waiting_for(self, user_id: int) -> list[Incoming]:
        """Return the calls that ring for ``user_id``."""
        return [
            call.event
            for call in self._calls.values()
            if call.event.user_id == user_id and call.taken_by is None and not call.is_answered
        ]

    def take(self, call_id: str, phone: Hashable) -> bool:
        """Give the call to ``phone``; False if another has it."""
        call = self._calls.get(call_id)
        if call is None:
            return True  # Nobody here saw it come: the bridge knows.
        if call.taken_by is None and not call.is_answered:
            call.taken_by = phone
        return call.taken_by == phone

    def is_busy(self, call_id: str, phone: Hashable, phones: Iterable[Hashable]) -> bool:
        """Hear that ``phone`` is busy; True if now all of the user's ``phones`` are."""
        call = self._calls.get(call_id)
        if call is None:
            return True
        call.busy.add(phone)
        return call.taken_by is None and call.busy.issuperset(phones)
