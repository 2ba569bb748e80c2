"""The table ``sip_user_mappings`` as an administrator's command reads it: whole, every column as text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
from dialog_runtime.config.services import Postgresql
from dialog_runtime.table.names import COLUMNS, Names, quoted
from dialog_sandbox.errors import SandboxError

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

CONNECT_WITHIN = 10.0
COMMAND_WITHIN = 300.0
"""Seconds; an import of 100,000 rows takes a few."""

Values = Mapping[str, str | None]
"""Column -> its value as text."""


class TableError(SandboxError):
    """PostgreSQL is away, or will not do what is asked. Its words name no value."""


@dataclass(frozen=True, slots=True)
class Table:
    """The table, and the SQL type of each column of the contract."""

    connection: Connection
    names: Names
    types: Mapping[str, str]

    async def rows(self, *, passwords: bool = False) -> list[Values]:
        """Return every row as text, ordered by AOR; ``xmin`` is its revision."""
        columns = [column for column in COLUMNS if passwords or column != "sip_password"]
        texts = ", ".join(f"{quoted(column)}::text AS {quoted(column)}" for column in columns)
        order = "sip_host::text, length(sip_user::text), sip_user::text"
        query = f"SELECT {texts}, xmin::text AS xmin FROM {self.names.qualified} ORDER BY {order}"  # noqa: S608  quoted
        with translated():
            found = await self.connection.fetch(query)
        return [dict(record) for record in found]


@asynccontextmanager
async def opened(where: Postgresql, name: str) -> AsyncIterator[Table]:
    """Connect and find the table. Raises :class:`TableError`."""
    at = f"PostgreSQL {where.db} at {where.host}:{where.port}"
    try:
        connection = await asyncpg.connect(
            host=where.host,
            port=where.port,
            database=where.db,
            user=where.user,
            password=where.password.get_secret_value() or None,
            timeout=CONNECT_WITHIN,
            command_timeout=COMMAND_WITHIN,
            server_settings={"application_name": "dialog-sip mappings"},
        )
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        raise TableError(f"no {at}: {type(error).__name__} {error}".rstrip()) from None
    try:
        with translated():
            table = await _find(connection, name)
        yield table
    finally:
        connection.terminate()


_TYPES = """
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.oid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped"""


async def _find(connection: Connection, name: str) -> Table:
    found = await connection.fetch(_TYPES, name)
    if not found:
        raise TableError(f"there is no table {name}: start a provisioner, which makes it")
    types = {record["attname"]: record["type"] for record in found}
    if missing := [column for column in COLUMNS if column not in types]:
        raise TableError(f"table {name} has no column {', '.join(missing)}")
    return Table(connection, Names(found[0]["nspname"], found[0]["relname"]), types)


@contextmanager
def translated() -> Iterator[None]:
    """Raise what PostgreSQL says as a :class:`TableError`. Its words may quote a row: only names are passed on."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise TableError(refusal(error)) from None
    except (asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise TableError(f"PostgreSQL went away: {type(error).__name__}") from None


def refusal(error: asyncpg.PostgresError) -> str:
    """Say why PostgreSQL refuses something, without the value that it refuses."""
    names = [(kind, getattr(error, f"{kind}_name", None)) for kind in ("column", "constraint", "table")]
    told = "".join(f", {kind} {name}" for kind, name in names if name)
    return f"PostgreSQL refuses it: {type(error).__name__} (SQLSTATE {error.sqlstate}){told}"
