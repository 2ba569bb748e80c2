"""Port ``Leadership``: an advisory lock, held by a session that also hears the notifications.

Theory of operation. The lock belongs to the session: whoever dies, or loses its connection, loses the lock in the
same moment, and LISTEN with it, so a leader that hears nothing can never think that nothing happens. A leader that is
stopped (SIGSTOP, a network cut without a goodbye) keeps its connection, though: so the session asks PostgreSQL to end
it after :data:`IDLE_LIMIT` without a query, and the leader sends one far more often. What a stopped leader still
sends when it wakes, the new one sees on the topic and puts right.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg
import structlog
from dialog_runtime.table.rows import Address

from dialog_provisioner.adapters.postgres import sql
from dialog_provisioner.adapters.postgres.connection import Database, translated
from dialog_provisioner.dirty import Dirty
from dialog_provisioner.ports import LeadershipLostError, TableUnavailableError

TRY_EVERY = 0.4
"""Seconds between attempts to become the leader."""
PROVE_EVERY = 0.6
"""Seconds between two queries of the leader."""
PROVE_WITHIN = 1.5
"""Seconds that such a query may take."""
IDLE_LIMIT = 2.0
"""Seconds until PostgreSQL ends the session of a leader that sends none (from PostgreSQL 14 on)."""

_LOCK_CLASS = 0x6469616C  # "dial"; advisory locks are counted per database.

log = structlog.get_logger()


class PostgresLeadership:
    """Leads the watch of the table ``name``; notifications go to ``dirty``."""

    def __init__(self, database: Database, name: str, dirty: Dirty) -> None:
        self._database = database
        self._name = name
        self._dirty = dirty

    async def lead(self, work: Callable[[], Awaitable[None]], waiting: Callable[[], None]) -> None:
        """Wait for the lock, run ``work`` under it."""
        with translated(f"connecting to {self._database}"):
            connection = await self._database.connect()
        try:
            with translated("waiting to lead the watch"):
                await self._acquire(connection, waiting)
            log.info("leading the watch", table=self._name)
            await self._run(connection, work)
        finally:
            connection.terminate()

    async def _acquire(self, connection: asyncpg.Connection[asyncpg.Record], waiting: Callable[[], None]) -> None:
        with suppress(asyncpg.UndefinedObjectError):
            await connection.execute(f"SET idle_session_timeout = {int(IDLE_LIMIT * 1000)}")
        await connection.add_listener(sql.CHANNEL, self._on_notify)
        attempt = "SELECT pg_try_advisory_lock($1, hashtext($2))"
        while not await connection.fetchval(attempt, _LOCK_CLASS, self._name, timeout=PROVE_WITHIN):
            waiting()
            await asyncio.sleep(TRY_EVERY)

    async def _run(self, connection: asyncpg.Connection[asyncpg.Record], work: Callable[[], Awaitable[None]]) -> None:
        working = asyncio.ensure_future(work())
        proving = asyncio.create_task(self._prove(connection))
        try:
            await asyncio.wait({working, proving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            working.cancel()
            proving.cancel()
            await asyncio.wait({working, proving})
        if not working.cancelled():
            # The watch's own end or error; the lock goes with the connection.
            return working.result()
        return proving.result()

    async def _prove(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Raise as soon as the session, and with it the lock, is gone."""
        gone = asyncio.Event()
        connection.add_termination_listener(lambda _: gone.set())
        while True:
            try:
                with translated("proving to lead the watch"):
                    await connection.fetchval("SELECT 1", timeout=PROVE_WITHIN)
            except TableUnavailableError as error:
                raise LeadershipLostError(str(error)) from None
            with suppress(TimeoutError):
                async with asyncio.timeout(PROVE_EVERY):
                    await gone.wait()

    def _on_notify(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        address = _address(str(payload))
        if address is None:
            self._dirty.mark_everything()
        else:
            self._dirty.mark(address)


def _address(payload: str) -> Address | None:
    """Return the address in a payload, None for everything; anybody may notify anything."""
    try:
        match json.loads(payload):
            case [str() | None as user, str() | None as host]:
                return Address(user, host)
            case _:
                return None
    except ValueError:
        return None
