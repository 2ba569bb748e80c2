"""The table against what ``sip.mappings`` says already: only the difference is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from dialog_runtime.table.check import Checked
from dialog_runtime.table.duplicates import base_of, keys_of, settle
from dialog_runtime.table.rows import Address, Head, Row

Published = Mapping[str, Checked]
"""Key -> the last event on the topic."""


class Change(NamedTuple):
    """One record to publish: an event, or a tombstone where the row is gone."""

    key: str
    event: Checked | None


class Comparison:
    """The heads of the whole table, seen one after another, against what is published.

    Collects the rows that have to be read again: their revision is another, or their AOR stands or stood there more
    than once. What was published and not seen is gone.
    """

    def __init__(self, published: Published) -> None:
        self._published = published
        self._doubled = {base for key in published if (base := base_of(key)) != key}
        self._seen: set[str] = set()
        self.dirty: set[Address] = set()
        """Rows to read again."""

    def see(self, heads: Iterable[Head]) -> None:
        """Take the next heads of the table."""
        for address, revision in heads:
            key = address.aor
            known = self._published.get(key)
            if known is None or known.revision != revision or key in self._seen or key in self._doubled:
                self.dirty.add(address)
            self._seen.add(key)

    def gone(self) -> set[str]:
        """Return the published AORs that no row has, once the whole table was seen."""
        return {base_of(key) for key in self._published} - self._seen


def group(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return AOR -> its rows."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row.address.aor, []).append(row)
    return grouped


def changes(aors: Iterable[str], rows: Iterable[Row], published: Published) -> list[Change]:
    """Return what to publish so that the topic says of ``aors`` what ``rows``, all the rows they have, say."""
    grouped = group(rows)
    found: list[Change] = []
    for aor in aors:
        wanted = settle(grouped.get(aor, ()), published.get(aor))
        found.extend(Change(key, event) for key, event in wanted.items() if published.get(key) != event)
        found.extend(Change(key, None) for key in keys_of(aor, published) if key not in wanted)
    return found
