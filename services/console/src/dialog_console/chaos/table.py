"""Reads the table: in the words of the plan, and as the events that it should be on ``sip.mappings``."""

from __future__ import annotations

from collections.abc import Mapping

from dialog_runtime.config.services import Postgresql
from dialog_runtime.table import rows as raw
from dialog_runtime.table.check import Checked, check
from dialog_schemas.mappings import MappingUpserted

from dialog_console.adapters.table import Values, opened
from dialog_console.chaos.model.edits import Pbx, Row, Table

NAME = "sip_user_mappings"
_COPIED = (
    "sip_port", "sip_parameters", "sip_headers", "peer_type", "peer_id", "register", "can_call", "can_be_called",
)  # fmt: skip


async def read(where: Postgresql, ports: Mapping[int, Pbx], password: str) -> tuple[Table, dict[str, Checked]]:
    """Return the rows by user, and their events by AOR. Raises :class:`TableError`."""
    async with opened(where, NAME) as table:
        found = await table.rows(passwords=True)
    rows: Table = {}
    events: dict[str, Checked] = {}
    for values in found:
        event = check(_raw(values))
        user = values["sip_user"] or ""
        events[event.aor] = event
        rows[user] = Row(
            user,
            ports[int(values["sip_port"] or 0)],
            register=values["register"] == "true",
            right=values["sip_password"] == password,
            usable=isinstance(event, MappingUpserted),
            can_call=values["can_call"] == "true",
        )
    return rows, events


def _raw(values: Values) -> raw.Row:
    copied = {column: values[column] for column in _COPIED}
    return raw.Row(values["sip_user"], values["sip_host"], revision=values["xmin"] or "", **copied)
