"""Rows of a file into the table: all of them in one transaction, or none.

Two statements do it, however many rows there are, so that the table's triggers run twice and not 10,000 times. Other
writers wait meanwhile. Where PostgreSQL refuses a row for what its column's type or a constraint allows, the line is
found by halves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from dialog_runtime.table import fields
from dialog_runtime.table.names import quoted

from dialog_console.adapters.table import Table, TableError, refusal, translated
from dialog_console.model.mapping_file import NEEDED, Line

LOCK_WITHIN = "10s"
"""How long other writers may hold the table."""
SHOWN = 10
"""Lines named in one error."""

_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
_SWITCHES = ("register", "can_call", "can_be_called")
_TEXTS = ("text", "character", "varchar")
_NUMBERS = ("smallint", "integer", "bigint", "numeric")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many rows were there before, and how many of them differed."""

    inserted: int
    updated: int
    unchanged: int


async def upsert(table: Table, columns: Sequence[str], lines: Sequence[Line], *, dry_run: bool) -> Outcome:
    """Make the table say of each ``sip_user`` and ``sip_host`` what ``lines`` say.

    A column that is not among ``columns`` stays as it is, and has its default in a new row. With ``dry_run`` all of it
    is done and taken back. Raises :class:`TableError`.
    """
    statements = _Statements(table, columns)
    with translated():
        transaction = table.connection.transaction()
        await transaction.start()
        await table.connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WITHIN}'")
        await table.connection.execute(f"LOCK TABLE {table.names.qualified} IN SHARE ROW EXCLUSIVE MODE")
        await _refuse_doubled(table, lines)
        try:
            outcome = await statements.run(lines)
        except _REFUSED as error:
            line = await _first_refused(statements, lines)
            raise TableError(f"line {line.number}: {refusal(error)}") from None
        await (transaction.rollback() if dry_run else transaction.commit())
    return outcome


class _Statements:
    """The two statements, for one table and the columns of one file."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self._table = table
        self._columns = columns
        names = table.names.qualified
        given = ", ".join(f"${number}::text[]" for number, _ in enumerate(columns, start=1))
        listed = ", ".join(map(quoted, columns))
        source = f"unnest({given}) AS i({listed})"
        same = "t.sip_user::text = i.sip_user AND t.sip_host::text = i.sip_host"
        changed = [column for column in columns if column not in NEEDED] or list(NEEDED)
        sets = ", ".join(f"{quoted(column)} = {self._value(column)}" for column in changed)
        old = ", ".join(f"coalesce(t.{quoted(column)}::text, '')" for column in changed)
        new = ", ".join(f"coalesce(({self._value(column)})::text, '')" for column in changed)
        values = ", ".join(map(self._value, columns))
        self._update = f"UPDATE {names} AS t SET {sets} FROM {source} WHERE {same} AND ({old}) IS DISTINCT FROM ({new})"  # noqa: S608
        self._insert = (
            f"INSERT INTO {names} ({listed}) SELECT {values} FROM {source} "  # noqa: S608  quoted
            f"WHERE NOT EXISTS (SELECT FROM {names} AS t WHERE {same})"
        )

    async def run(self, lines: Sequence[Line]) -> Outcome:
        """Do it for ``lines``, in a savepoint."""
        arrays = [[self._text(column, line.values[column]) for line in lines] for column in self._columns]
        async with self._table.connection.transaction():
            updated = _count(await self._table.connection.execute(self._update, *arrays))
            inserted = _count(await self._table.connection.execute(self._insert, *arrays))
        return Outcome(inserted, updated, len(lines) - inserted - updated)

    def _value(self, column: str) -> str:
        """Return the expression of a column's value. Text has blanks for NULL, which a column may not allow."""
        kind = self._table.types[column]
        text = f"coalesce(i.{quoted(column)}, '')" if kind.startswith(_TEXTS) else f"i.{quoted(column)}"
        return f"CAST({text} AS {kind})"

    def _text(self, column: str, value: str | None) -> str | None:
        if value is not None and column in _SWITCHES and self._table.types[column].startswith(_NUMBERS):
            return str(int(fields.boolean(column, value)))
        return value


async def _refuse_doubled(table: Table, lines: Sequence[Line]) -> None:
    """Refuse what names a row that stands twice in the table: nobody could say which of the two is meant."""
    found = await table.connection.fetch(
        "SELECT i.line FROM unnest($1::int[], $2::text[], $3::text[]) AS i(line, sip_user, sip_host) "  # noqa: S608
        f"JOIN {table.names.qualified} AS t ON t.sip_user::text = i.sip_user AND t.sip_host::text = i.sip_host "
        "GROUP BY i.line HAVING count(*) > 1 ORDER BY i.line",
        [line.number for line in lines],
        [line.values["sip_user"] for line in lines],
        [line.values["sip_host"] for line in lines],
    )
    if found:
        named = ", ".join(f"line {record['line']}" for record in found[:SHOWN])
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise TableError(f"{named}{more}: the table has this sip_user and sip_host twice: delete one of the two rows")


async def _first_refused(statements: _Statements, lines: Sequence[Line]) -> Line:
    while len(lines) > 1:
        half = len(lines) // 2
        try:
            await statements.run(lines[:half])
        except _REFUSED:
            lines = lines[:half]
        else:
            lines = lines[half:]
    return lines[0]


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
