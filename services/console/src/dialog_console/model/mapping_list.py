"""Rows of the table beside what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dialog_runtime.table.duplicates import base_of
from dialog_runtime.table.rows import Address
from dialog_schemas.registrations import RegistrationState, RegistrationStatus

NO_STATUS = "no-status"
"""State of a row of which no registrar has said anything."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One row, without its password, and its status."""

    values: Mapping[str, str | None]
    status: RegistrationStatus | None

    @property
    def aor(self) -> str:
        """``sip_user@sip_host``."""
        return Address(self.values["sip_user"], self.values["sip_host"]).aor

    @property
    def state(self) -> str:
        """A registration's state, or :data:`NO_STATUS`."""
        return NO_STATUS if self.status is None else self.status.state.value

    @property
    def is_current(self) -> bool:
        """False where the status is about the row as it was before its last change.

        The status of a row that was usable once and is rejected now names the revision that was.
        """
        if self.status is None:
            return False
        return self.status.state is RegistrationState.REJECTED or _xmin(self.status) == self.values["xmin"]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        row = {column: value for column, value in self.values.items() if column != "xmin"}
        status = None if self.status is None else self.status.model_dump(mode="json")
        return {"aor": self.aor, "state": self.state, "current": self.is_current, "row": row, "status": status}

    def mentions(self, text: str) -> bool:
        """Tell whether ``text`` is in a column or in the status, in whatever case."""
        words = [self.aor, *self.values.values()]
        if self.status is not None:
            words += [self.status.reason, self.status.last_phrase, self.status.owner]
        return any(text.lower() in word.lower() for word in words if word)


def beside(rows: Sequence[Mapping[str, str | None]], statuses: Iterable[RegistrationStatus]) -> list[Listed]:
    """Return every row with its status. Of several rows with one AOR each has that of its own revision."""
    by_aor: dict[str, dict[str, RegistrationStatus]] = {}
    for status in statuses:
        by_aor.setdefault(base_of(status.aor), {})[_xmin(status)] = status
    listed = [Listed(row, None) for row in rows]
    alike = Counter(row.aor for row in listed)
    return [Listed(row.values, _status(row, by_aor.get(row.aor, {}), alone=alike[row.aor] == 1)) for row in listed]


def _status(row: Listed, found: Mapping[str, RegistrationStatus], *, alone: bool) -> RegistrationStatus | None:
    exact = found.get(row.values["xmin"] or "")
    if exact is None and alone:
        return next((status for status in found.values() if status.aor == row.aor), None)
    return exact


def _xmin(status: RegistrationStatus) -> str:
    """Return the end of a revision: the transaction that wrote the row."""
    return status.mapping_revision.rpartition(".")[2]
