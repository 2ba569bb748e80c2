"""Port ``Rows``: the table, read. Passwords are not among what is read.

A row's revision is its ``xmin``, the transaction that wrote it, after a number for the database cluster: a change of
anything, the password included, is another revision, and nothing can be learnt from it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import TYPE_CHECKING

import asyncpg
import structlog
from dialog_runtime.table.names import REMOVED, Names
from dialog_runtime.table.rows import Address, Head, Row

from dialog_provisioner.adapters.postgres import catalog, sql
from dialog_provisioner.adapters.postgres.catalog import Table
from dialog_provisioner.adapters.postgres.connection import translated
from dialog_provisioner.ports import Fingerprint, TableUnavailableError

_READ = ("sip_port", "sip_parameters", "sip_headers", "peer_type", "peer_id", "register", "can_call", "can_be_called")
_BATCH = 2_000
_LOCK_TIMEOUT = "3s"

if TYPE_CHECKING:
    from dialog_provisioner.adapters.postgres.catalog import Connection

log = structlog.get_logger()


class PostgresRows:
    """Reads through ``pool``; ``name`` is the table's as the configuration has it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], name: str) -> None:
        self._pool = pool
        self._name = name
        self._cluster = ""
        self._table: Table | None = None

    async def prepare(self) -> bool:
        """Create the table, the ledger, an index and the triggers where they are missing and may be created."""
        with translated(f"preparing table {self._name}"):
            async with self._pool.acquire() as connection:
                self._cluster = await catalog.cluster(connection)
                table = await catalog.find(connection, self._name) or await self._create(connection)
                if not table.has_ledger:
                    await self._allowed(connection, "the record of autocreated rows", [sql.create_ledger(table.names)])
                if not await catalog.has_index(connection, table):
                    await self._allowed(connection, "an index", [sql.create_index(table.names)])
                self._table = await catalog.find(connection, self._name)
                return await catalog.triggers_in_place(connection, table) or await self._allowed(
                    connection, "triggers", _statements(table.names)
                )

    async def _create(self, connection: Connection) -> Table:
        try:
            await connection.execute(sql.create_table(self._name))
        except asyncpg.DuplicateTableError:
            log.info("table made by another", table=self._name)
        except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidSchemaNameError) as error:
            raise TableUnavailableError(
                f"table {self._name} is missing; create it or grant CREATE to this user ({type(error).__name__})"
            ) from None
        table = await catalog.find(connection, self._name)
        if table is None:
            raise TableUnavailableError(f"table {self._name} is gone again")
        return table

    async def _allowed(self, connection: Connection, what: str, statements: Sequence[str]) -> bool:
        """Run DDL that one can do without. Returns False, and logs the reason, where it is refused."""
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                for statement in statements:
                    await connection.execute(statement)
        except asyncpg.PostgresError as error:
            log.warning("doing without", what=what, table=self._name, reason=f"{type(error).__name__}: {error.args[0]}")
            return False
        log.info("created", what=what, table=self._name)
        return True

    async def in_place(self) -> bool:
        """Look whether the table was replaced, or its triggers were disabled."""
        with translated(f"looking at table {self._name}"):
            async with self._pool.acquire() as connection:
                table = await catalog.find(connection, self._name)
                return table is not None and table == self._table and await catalog.triggers_in_place(connection, table)

    async def fingerprint(self) -> Fingerprint:
        """Return rows and the sum of their xmins: what is written later has a larger one, so a change shows."""
        query = f"SELECT count(*), coalesce(sum(xmin::text::bigint), 0)::bigint FROM {self._from()}"  # noqa: S608  quoted
        with translated(f"reading table {self._name}"):
            found = await self._pool.fetchrow(query)
        return Fingerprint(*found) if found is not None else Fingerprint(0, 0)

    async def forget_removed(self) -> None:
        """Drop removed rows that no registrar asked for."""
        if self._table is None:
            return
        with translated(f"tidying beside table {self._name}"):
            try:
                await self._pool.execute(sql.forget_removed(self._table.names))
            except asyncpg.InsufficientPrivilegeError:
                # Another user made the triggers; the watch of the table is none the worse for it.
                log.warning("what is kept of removed rows cannot be dropped: grant SELECT and DELETE", table=REMOVED)

    async def heads(self) -> AsyncIterator[Sequence[Head]]:
        """Yield the heads of all rows, in one snapshot."""
        query = f"SELECT sip_user::text, sip_host::text, xmin::text FROM {self._from()}"  # noqa: S608  quoted
        with translated(f"reading table {self._name}"):
            async with (
                self._pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                cursor = await connection.cursor(query)
                while batch := await cursor.fetch(_BATCH):
                    yield [Head(Address(user, host), self._revision(xmin)) for user, host, xmin in batch]

    async def of(self, addresses: Collection[Address]) -> Sequence[Row]:
        """Return all rows with these addresses; where one of them lacks a part, all rows that do."""
        named = [address for address in addresses if address.user and address.host]
        select = f"SELECT {', '.join(f't.{column}::text' for column in ('sip_user', 'sip_host', 'xmin', *_READ))} "
        records: list[asyncpg.Record] = []
        with translated(f"reading table {self._name}"):
            if named:
                records += await self._pool.fetch(
                    f"{select} FROM unnest($1::text[], $2::text[]) AS w(u, h) "
                    f"JOIN {self._from()} AS t ON t.sip_user::text = w.u AND t.sip_host::text = w.h",
                    [address.user for address in named],
                    [address.host for address in named],
                )
            if len(named) < len(addresses):
                records += await self._pool.fetch(
                    f"{select} FROM {self._from()} AS t "
                    "WHERE coalesce(t.sip_user::text, '') = '' OR coalesce(t.sip_host::text, '') = ''"
                )
        return [Row(user, host, self._revision(xmin), *rest) for user, host, xmin, *rest in records]

    def _from(self) -> str:
        if self._table is None:
            raise TableUnavailableError(f"table {self._name} has not been looked at yet")
        return self._table.names.qualified

    def _revision(self, xmin: str) -> str:
        return f"{self._cluster}.{xmin}"


def _statements(names: Names) -> Sequence[str]:
    removed = [sql.create_removed(names), sql.create_removed_index(names)]
    return [*removed, sql.create_function(names), *sql.create_triggers(names)]
