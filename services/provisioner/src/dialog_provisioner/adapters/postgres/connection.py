"""Connections to PostgreSQL, and its errors in the words of the ports.

What PostgreSQL says of a failed statement may quote the row, its password included: of such an error only the kind
and the column or constraint are passed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from pydantic import SecretStr

from dialog_provisioner.ports import RowRefusedError, TableUnavailableError

CONNECT_TIMEOUT = 5.0
COMMAND_TIMEOUT = 30.0
"""Seconds until a statement is given up; a large table is read in batches, each of which has this long."""

_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Database:
    """Where PostgreSQL is. An empty password leaves it to ``.pgpass`` or to how the server trusts this host."""

    host: str
    port: int
    db: str
    user: str
    password: SecretStr

    def __str__(self) -> str:
        return f"PostgreSQL {self.db} at {self.host}:{self.port}"

    def arguments(self) -> dict[str, Any]:
        """Return what asyncpg is given; the password is in it."""
        return {
            "host": self.host,
            "port": self.port,
            "database": self.db,
            "user": self.user,
            "password": self.password.get_secret_value() or None,
            "timeout": CONNECT_TIMEOUT,
            "command_timeout": COMMAND_TIMEOUT,
            "server_settings": {"application_name": "dialog-sip provisioner"},
        }

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        """Open a connection of one's own."""
        return await asyncpg.connect(**self.arguments())


class Connections:
    """Owns a pool; a part of the service, stopped after those that use it."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        self._stopping = asyncio.Event()

    @classmethod
    async def prepared(cls, database: Database, size: int) -> Connections:
        """Return a pool that connects when it is first used."""
        return cls(await asyncpg.create_pool(min_size=0, max_size=size, reset=_as_it_was, **database.arguments()))

    def stop(self) -> None:
        """Close the connections and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Keep the pool until stopped."""
        await self._stopping.wait()
        self.pool.terminate()


async def _as_it_was(_connection: object) -> None:
    """Spare the query that cleans a connection up after each use: nothing here outlives its transaction."""


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what goes wrong inside as an error of the ports; ``doing`` says what was being done."""
    try:
        yield
    except _REFUSED as error:
        raise RowRefusedError(f"{doing}: {_kind(error)}") from None
    except _AWAY as error:
        raise TableUnavailableError(f"{doing}: {_kind(error)}") from None


def _kind(error: BaseException) -> str:
    if not isinstance(error, asyncpg.PostgresError):
        return f"{type(error).__name__} {error}".strip()
    words = [type(error).__name__, f"(SQLSTATE {error.sqlstate})"]
    for label in ("column", "constraint", "table"):
        name = getattr(error, f"{label}_name", None)
        if name:
            words.append(f"{label} {name}")
    # These classes speak of accounts, tables and the server, never of a row.
    if isinstance(error, _NO_VALUES) and error.args:
        words.append(str(error.args[0]))
    return " ".join(words)


_NO_VALUES = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
)
