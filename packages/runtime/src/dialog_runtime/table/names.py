"""Columns of the contract, and names as SQL has them."""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS = (
    "sip_user", "sip_password", "sip_host", "sip_port", "sip_parameters", "sip_headers", "peer_type", "peer_id",
    "peer_str_id", "register", "can_call", "can_be_called",
)  # fmt: skip
"""Columns of the contract; the table may have more."""

REMOVED = "dialog_sip_removed"
"""Table beside it: what it takes to unregister a row that is gone, until that is done, or for a day."""
REMOVED_COLUMNS = ("sip_user", "sip_host", "sip_password", "sip_port", "sip_parameters", "sip_headers")
"""Columns that are kept there, as text."""


def quoted(identifier: str) -> str:
    """Quote an SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Names:
    """Quoted names of a table and of what stands beside it in its schema."""

    schema: str
    table: str

    @property
    def qualified(self) -> str:
        """The table."""
        return f"{quoted(self.schema)}.{quoted(self.table)}"

    def beside(self, name: str) -> str:
        """Something else in the same schema."""
        return f"{quoted(self.schema)}.{quoted(name)}"
