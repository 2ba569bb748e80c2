"""Passwords from the table ``sip_user_mappings``, in bulk, into memory and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from dialog_runtime.config.services import Postgresql
from dialog_runtime.table.check import check
from dialog_runtime.table.names import REMOVED, REMOVED_COLUMNS
from dialog_runtime.table.rows import Row
from dialog_schemas.mappings import MappingUpserted
from pydantic import SecretStr

from dialog_registrar.model.mapping import Mapping, mapping_of
from dialog_registrar.ports import PasswordsAwayError, Removed

_TIMEOUT = 30.0
_CONNECT_TIMEOUT = 5.0

# Rows of one AOR: that of the wanted revision, which ends in its xmin, first. A row that has changed since gives its
# new password: the event that says so is on its way, and an old password would only cost a refused REGISTER.
_QUERY = """
select distinct on (wanted.place) wanted.place, t.sip_password
from unnest($1::text[], $2::text[], $3::text[]) with ordinality as wanted(sip_user, sip_host, revision, place)
join {table} t on t.sip_user::text = wanted.sip_user and t.sip_host::text = wanted.sip_host
order by wanted.place, ('.' || wanted.revision like '%.' || t.xmin::text) desc
"""

# To lock a row takes the right to update it. Without it a row that another transaction deletes is waited for.
_BESIDE = f"""
select quote_ident(n.nspname) || '.{REMOVED}',
case when has_any_column_privilege(r.oid, 'update') then 'for update skip locked' else '' end
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join pg_class r on r.relnamespace = n.oid and r.relname = '{REMOVED}' where c.oid = to_regclass($1)
and has_table_privilege(r.oid, 'select') and has_table_privilege(r.oid, 'delete')
"""  # noqa: S608  names of ours
_AOR = "sip_user || '@' || sip_host"
_REMOVED = f"select {_AOR}, {', '.join(REMOVED_COLUMNS)} from {{table}} where {_AOR} = any($1) order by removed_at"  # noqa: S608  quoted
# A row that is locked is being deleted, because its AOR is inserted again: whoever does that may take their time.
_FORGET = f"""
delete from {{table}} where ctid = any(array(select ctid from {{table}} where {_AOR} = any($1) {{lock}}))
"""  # noqa: S608  quoted


class PostgresPasswords:
    """The :class:`~dialog_registrar.ports.Passwords` port on one connection, made anew when it breaks."""

    def __init__(self, config: Postgresql, table: str) -> None:
        self._config = config
        # Not quoted: the name is an identifier by its configuration, and folds as it does for the provisioner.
        self._query = _QUERY.format(table=table)
        self._table = table
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    @property
    def connected(self) -> bool:
        """True unless the last attempt failed."""
        return self._connection is not None and not self._connection.is_closed()

    async def fetch(self, mappings: Sequence[Mapping]) -> dict[str, SecretStr]:
        """Return AOR -> password for those that have a row. Raises :class:`PasswordsAwayError`."""
        users = [mapping.user for mapping in mappings]
        hosts = [mapping.host for mapping in mappings]
        revisions = [mapping.revision for mapping in mappings]
        rows = await self._fetch(self._query, users, hosts, revisions)
        return {mappings[row[0] - 1].aor: SecretStr(row[1] or "") for row in rows}

    async def removed(self, aors: Sequence[str]) -> dict[str, Removed]:
        """Return AOR -> what its row was, as the provisioner's trigger kept it. Raises :class:`PasswordsAwayError`."""
        beside = await self._beside()
        rows = [] if beside is None else await self._fetch(_REMOVED.format(table=beside[0]), list(aors))
        found = {}
        for aor, user, host, password, port, parameters, headers in rows:
            event = check(Row(user, host, "", port, parameters, headers))
            if isinstance(event, MappingUpserted):
                found[aor] = Removed(mapping_of(event), SecretStr(password or ""))
        return found

    async def forget(self, aors: Sequence[str]) -> None:
        """Delete what is kept of removed rows. Raises :class:`PasswordsAwayError`."""
        beside = await self._beside()
        if beside is not None:
            table, lock = beside
            await self._fetch(_FORGET.format(table=table, lock=lock), list(aors))

    async def _beside(self) -> tuple[str, str] | None:
        """Return the quoted name of the table of removed rows and how to lock in it; None where we may not use it."""
        found = await self._fetch(_BESIDE, self._table)
        return (found[0][0], found[0][1]) if found else None

    async def _fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            connection = await self._connect()
            return await connection.fetch(query, *arguments, timeout=_TIMEOUT)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            # The class says enough: a message might repeat the address with its credentials.
            raise PasswordsAwayError(type(error).__name__) from error

    async def close(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        if self._connection is None or self._connection.is_closed():
            config = self._config
            self._connection = await asyncpg.connect(
                host=config.host,
                port=config.port,
                database=config.db,
                user=config.user,
                password=config.password.get_secret_value(),
                timeout=_CONNECT_TIMEOUT,
                server_settings={"application_name": "dialog-registrar"},
            )
        return self._connection
