"""Port ``Users``: the rows of autocreate, written.

One transaction does it all: it looks into the ledger (``dialog_sip_users``) whether the event still counts, changes
the table, writes the ledger and notifies the watch, trigger or not. Where the database let nobody create the ledger,
a row of autocreate is known by what it holds alone, and an event that comes again long after a deletion is not known
as old.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import asyncpg
from dialog_runtime.table.rows import Address

from dialog_provisioner.adapters.postgres import catalog, sql
from dialog_provisioner.adapters.postgres.catalog import Table
from dialog_provisioner.adapters.postgres.connection import translated
from dialog_provisioner.model.autocreate import NewRow, Origin, Record, Standing, counts
from dialog_provisioner.ports import TableUnavailableError

if TYPE_CHECKING:
    from dialog_provisioner.adapters.postgres.catalog import Connection

_LOCK_CLASS = 0x64736970  # "dsip"
_NOTHING = Address(None, None)


class _Recorded(NamedTuple):
    """What the ledger has of a user: the last event that counted, and the row that autocreate made and still owns."""

    last: Record | None = None
    made: Address = _NOTHING


class PostgresUsers:
    """Writes through ``pool``; ``name`` is the table's as the configuration has it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], name: str) -> None:
        self._pool = pool
        self._name = name
        self._known: Table | None = None

    async def create(self, row: NewRow, origin: Origin) -> bool:
        """Insert ``row`` unless its AOR is there or the event does not count any more."""
        with self._translated("inserting into"):
            async with self._pool.acquire() as connection, connection.transaction():
                table = await self._locked(connection, row.peer_id)
                if not counts(origin, (await _recorded(connection, table, row.peer_id)).last):
                    return False
                inserted = await _insert(connection, table, row)
                address = Address(row.sip_user, row.sip_host) if inserted else _NOTHING
                await _record(connection, table, row.peer_id, Standing.CREATED, address, origin)
                return inserted

    async def delete(self, user_id: int, sip_user: str, sip_host: str, origin: Origin) -> int:
        """Delete the row on record, or the one that autocreate would write today where there is no record."""
        with self._translated("deleting from"):
            async with self._pool.acquire() as connection, connection.transaction():
                table = await self._locked(connection, user_id)
                recorded = await _recorded(connection, table, user_id)
                if not counts(origin, recorded.last):
                    return 0
                address = recorded.made if recorded.last is not None else Address(sip_user, sip_host)
                deleted = await _delete(connection, table, user_id, address)
                await _record(connection, table, user_id, Standing.DELETED, _NOTHING, origin)
                return deleted

    async def _locked(self, connection: Connection, user_id: int) -> Table:
        # While partitions move, two provisioners may have the same user's event in hand.
        await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", _LOCK_CLASS, user_id)
        # A ledger that was missing may have been made meanwhile.
        if self._known is None or not self._known.has_ledger:
            self._known = await catalog.find(connection, self._name)
        if self._known is None:
            raise TableUnavailableError(f"table {self._name} is missing: the leading provisioner creates it if it may")
        return self._known

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        """Translate errors; after one, look at the table anew, because it may have been the reason."""
        try:
            with translated(f"{doing} table {self._name}"):
                yield
        except BaseException:
            self._known = None
            raise


async def _insert(connection: Connection, table: Table, row: NewRow) -> bool:
    values = {
        "sip_user": row.sip_user,
        "sip_password": row.sip_password,
        "sip_host": row.sip_host,
        "sip_port": str(row.sip_port),
        "sip_parameters": row.sip_parameters,
        "sip_headers": row.sip_headers,
        "peer_type": str(row.peer_type),
        "peer_id": str(row.peer_id),
        "peer_str_id": "",
        # 1 and 0 are what a boolean, a number and a text column all take.
        "register": str(int(row.register)),
        "can_call": str(int(row.can_call)),
        "can_be_called": str(int(row.can_be_called)),
    }
    casts = ", ".join(f"CAST(${n}::text AS {table.types[column]})" for n, column in enumerate(values, start=1))
    inserted = await connection.fetch(
        f"INSERT INTO {table.names.qualified} ({', '.join(values)}) SELECT {casts} WHERE NOT EXISTS "  # noqa: S608  quoted
        f"(SELECT FROM {table.names.qualified} WHERE sip_user::text = $1 AND sip_host::text = $3) "
        "RETURNING pg_notify($13, $14)",
        *values.values(),
        sql.CHANNEL,
        _payload(Address(row.sip_user, row.sip_host)),
    )
    return bool(inserted)


async def _delete(connection: Connection, table: Table, user_id: int, address: Address) -> int:
    deleted = await connection.fetch(
        f"DELETE FROM {table.names.qualified} WHERE sip_user::text = $1 AND sip_host::text = $2 "  # noqa: S608  quoted
        "AND peer_type::text = '1' AND peer_id::text = $3 RETURNING pg_notify($4, $5)",
        address.user,
        address.host,
        str(user_id),
        sql.CHANNEL,
        _payload(address),
    )
    return len(deleted)


async def _recorded(connection: Connection, table: Table, user_id: int) -> _Recorded:
    if not table.has_ledger:
        return _Recorded()
    ledger = table.names.beside(sql.LEDGER)
    found = await connection.fetchrow(
        f"SELECT standing, event_source, event_id, event_time, sip_user, sip_host FROM {ledger} WHERE user_id = $1",  # noqa: S608
        user_id,
    )
    if found is None:
        return _Recorded()
    standing, source, event_id, at, user, host = found
    return _Recorded(Record(Standing(standing), Origin(source, event_id, at)), Address(user, host))


async def _record(
    connection: Connection, table: Table, user_id: int, standing: Standing, address: Address, origin: Origin
) -> None:
    if not table.has_ledger:
        return
    ledger = table.names.beside(sql.LEDGER)
    # A second user-created finds the row there; it is autocreate's all the same.
    kept = "coalesce(excluded.{0}, l.{0})" if standing is Standing.CREATED else "excluded.{0}"
    await connection.execute(
        f"INSERT INTO {ledger} AS l (user_id, standing, sip_user, sip_host, event_source, event_id, event_time) "  # noqa: S608
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (user_id) DO UPDATE SET standing = excluded.standing, "
        f"sip_user = {kept.format('sip_user')}, sip_host = {kept.format('sip_host')}, "
        "event_source = excluded.event_source, event_id = excluded.event_id, event_time = excluded.event_time",
        user_id,
        standing.value,
        address.user,
        address.host,
        origin.source,
        origin.event_id,
        origin.at,
    )


def _payload(address: Address) -> str:
    named = json.dumps([address.user, address.host], ensure_ascii=False)  # as json_build_array writes it
    return named if len(named.encode()) <= sql.PAYLOAD_MAX else sql.EVERYTHING
