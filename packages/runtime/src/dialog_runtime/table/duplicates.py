"""Several rows with one AOR: one of them is used, each other is reported under a key of its own.

A second row must not disturb the first, and one AOR is one key on the topics. So the row in use stays in use,
recognised by its revision or else by its peer; where none was in use the oldest usable row is taken. The others
become rejected mappings whose key is the AOR with the row's number behind it, which no usable AOR can look like: it
holds a blank.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence

from dialog_schemas.mappings import MappingRejected, MappingUpserted

from dialog_runtime.table.check import Checked, check
from dialog_runtime.table.rows import Row

_NUMBER = re.compile(r" \(row \d+\)$")


def settle(rows: Sequence[Row], incumbent: Checked | None) -> dict[str, Checked]:
    """Return key -> event for all rows of one AOR; none for no rows."""
    if not rows:
        return {}
    if len(rows) == 1:
        only = check(rows[0])
        return {only.aor: only}
    checked = sorted(map(check, rows), key=lambda event: _precedence(event, incumbent))
    used, others = checked[0], checked[1:]
    settled = {used.aor: used}
    for number, other in enumerate(others, start=2):
        key = spare_key(used.aor, number)
        settled[key] = MappingRejected(aor=key, reason=_reason(other, used), revision=other.revision)
    return settled


def spare_key(aor: str, number: int) -> str:
    """Return the key of the ``number``-th row of an AOR, counted from 2."""
    return f"{aor} (row {number})"


def keys_of(aor: str, published: Container[str]) -> Iterable[str]:
    """Return the published keys of the rows of ``aor``; they are numbered without a gap."""
    if aor in published:
        yield aor
    number = 2
    while (key := spare_key(aor, number)) in published:
        yield key
        number += 1


def base_of(key: str) -> str:
    """Return the AOR of a key, be it that of a second row."""
    return _NUMBER.sub("", key)


def _precedence(event: Checked, incumbent: Checked | None) -> tuple[bool, bool, bool, int, str]:
    return (
        isinstance(event, MappingRejected),
        incumbent is None or event.revision != incumbent.revision,
        not _same_peer(event, incumbent),
        len(event.revision),
        event.revision,
    )


def _same_peer(event: Checked, incumbent: Checked | None) -> bool:
    return (
        isinstance(event, MappingUpserted)
        and isinstance(incumbent, MappingUpserted)
        and (event.peer_type, event.peer_id) == (incumbent.peer_type, incumbent.peer_id)
    )


def _reason(other: Checked, used: Checked) -> str:
    peer = f" (the one with peer_id {used.peer_id})" if isinstance(used, MappingUpserted) else ""
    reason = f"another row{peer} has the same sip_user and sip_host and is the one in use: delete one of the two"
    if isinstance(other, MappingRejected):
        return f"{reason}; besides, {other.reason}"
    return f"{reason}; this one has peer_id {other.peer_id}"
