"""Rows that are gone, and a binding that is not: what the owner before us left, or we before a restart.

Its password went with the row. The database keeps it for us until we say that it is no longer needed
(``docs/decisions/136-a-row-removed-while-no-registrar-lives.md``); where it does not, the binding ends by itself.
"""

from __future__ import annotations

from collections.abc import Callable

from dialog_registrar.model import words
from dialog_registrar.model.entry import Entry
from dialog_registrar.model.status import Moment


class Leaving:
    """What has to be read of rows that are gone, and what has to be kept of them no more."""

    __slots__ = ("_moment", "forgotten", "unread")

    def __init__(self, moment: Callable[[], Moment]) -> None:
        self._moment = moment
        self.unread: dict[str, Entry] = {}
        """By AOR: rows that are gone, and left a binding that takes their password to remove."""
        self.forgotten: set[str] = set()
        """AORs of rows that are gone for good: nothing has to be kept of them."""

    def lasts(self, entry: Entry) -> bool:
        """Tell whether a binding of before may be there that was not taken up yet."""
        return entry.registration is None and entry.leaves_binding(self._moment().wall)

    def until(self, entry: Entry) -> float:
        """Return when that binding ends, on the clock of the engine."""
        moment, old = self._moment(), entry.predecessor
        return moment.now if old is None or old.expires_at is None else moment.since(old.expires_at)

    def begin(self, entry: Entry) -> None:
        """Note that the row of an entry is gone."""
        entry.gone = True
        if entry.password is None and self.lasts(entry):
            entry.holdup = words.WAITS_FOR_PASSWORD
            self.unread[entry.aor] = entry

    def drop(self, entry: Entry) -> None:
        """Ask nothing for an entry any more."""
        if self.unread.get(entry.aor) is entry:
            del self.unread[entry.aor]

    def came_back(self, entry: Entry) -> None:
        """Note that there is a row again."""
        if entry.gone:
            entry.gone, entry.holdup = False, ""
            self.drop(entry)
