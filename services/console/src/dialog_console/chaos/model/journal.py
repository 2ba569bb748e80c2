"""Kamailio's journal: which bindings it took and which ran out, as lines of its log.

A Contact that ran out is no lapse where the user had another by then: that of the registrar that took over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dialog_sandbox.kamailio import JOURNAL

from dialog_console.chaos.model.edits import Pbx
from dialog_console.chaos.model.evidence import Lapse

_LINE = re.compile(rf"{JOURNAL} (bound|expired) ([\d.]+) (\S+) (.+)")
_URI = re.compile(r"<?(sip:[^>,;\s]+)")


def lapses(lines: Iterable[str], granted: float) -> Iterator[Lapse]:
    """Yield the bindings that ran out, of users who had no other, in the order of the lines."""
    bound: dict[str, dict[str, float]] = {}
    for line in lines:
        found = _LINE.search(line)
        if found is None or (uri := _URI.search(found[4])) is None:
            continue
        at, user, contact = float(found[2]), found[3].partition("@")[0], uri[1]
        if found[1] == "bound":
            bound.setdefault(user, {})[contact] = at
            continue
        of_user = bound.get(user, {})
        of_user.pop(contact, None)
        if not any(since + granted > at for since in of_user.values()):
            yield Lapse(user, Pbx.KAMAILIO, at, granted)
