"""What PostgreSQL's catalogue says of the table: is it there, which types, may we, are the triggers in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
from dialog_runtime.table.names import COLUMNS, REMOVED, Names

from dialog_provisioner.adapters.postgres import sql
from dialog_provisioner.ports import TableUnavailableError

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]


@dataclass(frozen=True, slots=True)
class Table:
    """The table as it is: ``types`` has the SQL type of each column of the contract."""

    oid: int
    names: Names
    types: Mapping[str, str]
    has_ledger: bool


_TABLE = """
SELECT c.oid, n.nspname, c.relname, c.relkind = ANY('{r,p}') AS plain,
       to_regclass(quote_ident(n.nspname) || '.' || $2) IS NOT NULL AS ledger
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)"""

_TYPES = """
SELECT attname, format_type(atttypid, NULL) AS type FROM pg_attribute
WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped"""


async def find(connection: Connection, name: str) -> Table | None:
    """Return the table of that name or None. Raises :class:`TableUnavailableError` where it cannot be used."""
    found = await connection.fetchrow(_TABLE, name, sql.LEDGER)
    if found is None:
        return None
    if not found["plain"]:
        raise TableUnavailableError(f"{name} is no table but a view or the like: name the table itself")
    types = {row["attname"]: row["type"] for row in await connection.fetch(_TYPES, found["oid"])}
    missing = [column for column in COLUMNS if column not in types]
    if missing:
        raise TableUnavailableError(f"table {name} has no column {', '.join(missing)}: add it")
    return Table(
        oid=found["oid"],
        names=Names(found["nspname"], found["relname"]),
        types={column: types[column] for column in COLUMNS},
        has_ledger=found["ledger"],
    )


_TRIGGERS = """
SELECT count(*) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE t.tgrelid = $1 AND t.tgname = ANY($2) AND t.tgenabled IN ('O', 'A') AND p.prosrc = $3
AND to_regclass($4) IS NOT NULL"""


async def triggers_in_place(connection: Connection, table: Table) -> bool:
    """Tell whether every trigger is there, enabled and of this version, and what it writes to."""
    names = table.names
    count = await connection.fetchval(
        _TRIGGERS, table.oid, list(sql.TRIGGERS), sql.function_body(names), names.beside(REMOVED)
    )
    return bool(count == len(sql.TRIGGERS))


_INDEXES = """
SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND
    (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
     WHERE a.attrelid = $1 AND a.attnum IN (i.indkey[0], i.indkey[1])) = '{sip_host,sip_user}')"""


async def has_index(connection: Connection, table: Table) -> bool:
    """Tell whether some index finds a row by its AOR."""
    return bool(await connection.fetchval(_INDEXES, table.oid))


async def cluster(connection: Connection) -> str:
    """Return what tells this database from another that may count its transactions alike."""
    try:
        number = await connection.fetchval("SELECT system_identifier FROM pg_control_system()")
    except asyncpg.InsufficientPrivilegeError:
        number = await connection.fetchval("SELECT oid::bigint FROM pg_database WHERE datname = current_database()")
    return f"{int(number):x}"
