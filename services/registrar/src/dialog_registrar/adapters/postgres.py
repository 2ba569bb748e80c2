"""Passwords from the table ``sip_user_mappings``, in bulk, into memory and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from dialog_runtime.config.services import Postgresql
from pydantic import SecretStr

from dialog_registrar.model.mapping import Mapping
from dialog_registrar.ports import PasswordsAwayError

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


class PostgresPasswords:
    """The :class:`~dialog_registrar.ports.Passwords` port on one connection, made anew when it breaks."""

    def __init__(self, config: Postgresql, table: str) -> None:
        self._config = config
        # Not quoted: the name is an identifier by its configuration, and folds as it does for the provisioner.
        self._query = _QUERY.format(table=table)
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
        try:
            connection = await self._connect()
            rows = await connection.fetch(self._query, users, hosts, revisions, timeout=_TIMEOUT)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            # The class says enough: a message might repeat the address with its credentials.
            raise PasswordsAwayError(type(error).__name__) from error
        return {mappings[row[0] - 1].aor: SecretStr(row[1] or "") for row in rows}

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
