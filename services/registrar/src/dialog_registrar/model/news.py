"""Which statuses are to be published, and how soon.

=============================================  =====================================================================
what happened                                  is told
=============================================  =====================================================================
another state, reason, Contact or revision     at once
a first REGISTER waits for its turn or answer  some time: mostly it has its answer before
a binding was renewed as always                some time
the same, and more than a challenge was needed  at once: who takes over has to count the REGISTERs
a REGISTER is on its way for a good binding    not at all
=============================================  =====================================================================
"""

from __future__ import annotations

from dialog_sip.registration import RegistrationState
from dialog_sip.registration.timing import ATTEMPT

from dialog_registrar.model.entry import Entry

Waiting = dict[int, dict[str, Entry | None]]
"""By partition and AOR; None is a tombstone."""


class News:
    """What the publisher has to do. Whoever is told of again is told of once, as it is then."""

    __slots__ = ("changed", "unhurried")

    def __init__(self) -> None:
        self.changed: Waiting = {}
        """To be published at once."""
        self.unhurried: Waiting = {}
        """To be published some time: nobody waits for it."""

    def tell(self, entry: Entry) -> None:
        """Have an entry told of at once."""
        entry.told = None
        self._at_once(entry.partition, entry.aor, entry)

    def tell_some_time(self, entry: Entry) -> None:
        """Have an entry told of with others, or with what is to be told of it at once."""
        changed = self.changed.get(entry.partition, {})
        # A tombstone that waits is of the row before this one, and goes first.
        waiting = changed if changed.get(entry.aor) else self.unhurried.setdefault(entry.partition, {})
        waiting[entry.aor] = entry

    def tell_gone(self, aor: str, partition: int) -> None:
        """Have it told that there is no such mapping any more, and nothing after that."""
        self._at_once(partition, aor, None)

    def _at_once(self, partition: int, aor: str, entry: Entry | None) -> None:
        self.changed.setdefault(partition, {})[aor] = entry
        if unhurried := self.unhurried.get(partition):
            unhurried.pop(aor, None)

    def drop(self, partition: int) -> None:
        """Tell nothing of a partition: it is somebody else's."""
        self.changed.pop(partition, None)
        self.unhurried.pop(partition, None)

    def look(self, entry: Entry, now: float) -> None:
        """Look an entry up in the table above."""
        registration = entry.registration
        if registration is None or entry.holdup:
            self.tell(entry)
        elif entry.told is None:
            begins = entry.published is None and registration.is_beginning
            (self.tell_some_time if begins else self.tell)(entry)
        elif entry.told != registration.contact or not registration.is_steady(now):
            self.tell(entry)
        elif registration.state is RegistrationState.REGISTERED:
            (self.tell_some_time if len(registration.sent_lately(now)) <= ATTEMPT else self.tell)(entry)
