"""Edits the table as an administrator does with psql, and makes and deletes dialog users, after the plan.

An edit whose connection breaks is done once more: it says how rows are to be, not how they change.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncpg
from dialog_runtime.bus import BusError
from dialog_runtime.bus.publisher import Publisher
from dialog_schemas.topics import USERS
from dialog_schemas.users import UserCreated, UserDeleted

from dialog_console.chaos.model.edits import Deed, Edit, Plan, Row
from dialog_console.chaos.model.evidence import RowWas
from dialog_console.chaos.model.verdicts import HOST
from dialog_console.chaos.world import World

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

_CONNECT_WITHIN = 5.0
_COMMAND_WITHIN = 30.0
"""Seconds: longer than PostgreSQL is ever stopped, or a late statement could undo the next one."""
_TABLE_WITHIN = 30.0
_PAUSE = 0.2
_WRONG = "-but-wrong"
"""What stands behind the right password to make a wrong one: it is as secret as the right one."""

_COLUMNS = (
    "sip_user", "sip_password", "sip_host", "sip_port", "sip_parameters", "sip_headers", "peer_type", "peer_id",
    "register", "can_call", "can_be_called",
)  # fmt: skip
_CHANGED = {
    Deed.PASSWORD: "sip_password",
    Deed.REGISTER: "register",
    Deed.TOUCH: "can_call",
    Deed.MOVE: "sip_port",
    Deed.SPOIL: "sip_parameters",
}
"""The column that an edit writes."""
_LOST = (
    asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError, OSError, TimeoutError,
)  # fmt: skip
_HAS_TABLE = "SELECT to_regclass('sip_user_mappings') IS NOT NULL"
_DELETE = "DELETE FROM sip_user_mappings WHERE sip_host = $1 AND sip_user = ANY($2)"


class Editor:
    """One administrator, and the dialog server."""

    def __init__(self, world: World, publisher: Publisher) -> None:
        self._world = world
        self._publisher = publisher
        self._connection: Connection | None = None
        self.rows: dict[str, list[RowWas]] = defaultdict(list)
        """User -> what its row became when."""
        self.done = 0

    async def fill(self, plan: Plan) -> None:
        """Fill the table, once it is there: a provisioner is ready a moment before it has made it."""
        async with asyncio.timeout(_TABLE_WITHIN):
            while not await (await self._connected()).fetchval(_HAS_TABLE):  # noqa: ASYNC110  nobody could tell us
                await asyncio.sleep(_PAUSE)
        await self._do(Edit(0, Deed.COPY, plan.first))

    async def run(self, plan: Plan) -> None:
        """Do all edits, each at its time from now, or as soon as the ones before are done."""
        began = time.monotonic()
        for edit in plan.edits:
            await asyncio.sleep(max(0.0, began + edit.at - time.monotonic()))
            await self._do(edit)
        await self.close()

    async def close(self) -> None:
        """Leave."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _do(self, edit: Edit) -> None:
        begun = time.time()
        await (self._publish(edit) if edit.dialog_user else self._commit(edit))
        done = time.time()
        for row in edit.rows:
            self.rows[row.user].append(RowWas(begun, done, row))
        for user in edit.gone:
            self.rows[user].append(RowWas(begun, done, None))
        self.done += 1

    async def _publish(self, edit: Edit) -> None:
        created = edit.deed is Deed.CREATE_USER
        event = (UserCreated if created else UserDeleted)(user_id=edit.dialog_user)
        while True:
            try:
                await self._publisher.publish(USERS, str(edit.dialog_user), event)
            except BusError:
                await asyncio.sleep(_PAUSE)
            else:
                return

    async def _commit(self, edit: Edit) -> None:
        while True:
            try:
                connection = await self._connected()
                async with connection.transaction():
                    await self._execute(connection, edit)
            except _LOST:
                await self.close()
                await asyncio.sleep(_PAUSE)
            else:
                return

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            postgres = self._world.stack.postgres
            if postgres is None:
                raise ConnectionRefusedError("there is no PostgreSQL")
            self._connection = await asyncpg.connect(
                postgres.dsn(), timeout=_CONNECT_WITHIN, command_timeout=_COMMAND_WITHIN
            )
        return self._connection

    async def _execute(self, connection: Connection, edit: Edit) -> None:
        if (column := _CHANGED.get(edit.deed)) is not None:
            await self._update(connection, column, edit.rows[0])
            return
        await connection.execute(_DELETE, HOST, list(edit.users))
        if edit.rows:
            await self._copy(connection, edit.rows)

    async def _copy(self, connection: Connection, rows: Sequence[Row]) -> None:
        records = [[self._values(row)[column] for column in _COLUMNS] for row in rows]
        await connection.copy_records_to_table("sip_user_mappings", records=records, columns=_COLUMNS)

    async def _update(self, connection: Connection, column: str, row: Row) -> None:
        query = f"UPDATE sip_user_mappings SET {column} = $3 WHERE sip_user = $1 AND sip_host = $2"  # noqa: S608  ours
        await connection.execute(query, row.user, HOST, self._values(row)[column])

    def _values(self, row: Row) -> dict[str, object]:
        password = self._world.password.get_secret_value()
        return {
            "sip_user": row.user,
            "sip_password": password if row.right else password + _WRONG,
            "sip_host": HOST,
            "sip_port": self._world.port(row.pbx),
            "sip_parameters": '{"transport": "udp"}' if row.usable else '{"transport": "pigeon"}',
            "sip_headers": "{}",
            "peer_type": 1,
            "peer_id": int(row.user[1:]),
            "register": row.register,
            "can_call": row.can_call,
            "can_be_called": True,
        }
