"""How long it takes from a user, or a row, to the PBX's 200."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg
from dialog_schemas.topics import USERS
from dialog_schemas.users import UserCreated

from dialog_console.benchmarks.registrar.system import System
from dialog_console.benchmarks.row import Aim, Row, percentile

CREATED_FROM = 10_000_000
EDITED_FROM = 20_000_000
"""Numbers of the first users, away from those of other phases."""
WITHIN = 20.0

Cause = Callable[[int], Awaitable[str]]
"""Makes one user; returns its ``sip_user``."""


async def created(system: System, rate: float, seconds: float) -> list[Row]:
    """Create users as the dialog server does, once a first one has come through: the start-up is no part of it."""

    async def create(number: int) -> str:
        user = CREATED_FROM + number
        await system.bus.publisher.publish(USERS, str(user), UserCreated(user_id=user, name=f"User {user}"))
        return str(user)

    await _measure(system, lambda _: create(-1), 1, 1)
    times = await _measure(system, create, rate, seconds)
    return [
        Row("user-created to REGISTERED p50", percentile(times, 50) * 1000, "ms", Aim(50)),
        Row("user-created to REGISTERED p99", percentile(times, 99) * 1000, "ms", Aim(250)),
    ]


async def edited(system: System, rate: float, seconds: float) -> list[Row]:
    """Write rows one by one as an administrator does with psql."""
    connection = await asyncpg.connect(system.postgres.dsn())
    lock = asyncio.Lock()

    async def insert(number: int) -> str:
        async with lock:
            await connection.execute(
                "insert into sip_user_mappings (sip_user, sip_password, sip_host, sip_port, sip_parameters, "
                "sip_headers, peer_type, peer_id, peer_str_id, register, can_call, can_be_called) "
                "values ($1, $2, '127.0.0.1', $3, '{}', '{}', 1, $4, '', true, true, true)",
                f"e{number}", system.stack.sip_password, system.pbx.port, EDITED_FROM + number,
            )  # fmt: skip
        return f"e{number}"

    try:
        times = await _measure(system, insert, rate, seconds)
    finally:
        await connection.close()
    return [
        Row("row written to REGISTERED p50", percentile(times, 50) * 1000, "ms"),
        Row("row written to REGISTERED p99", percentile(times, 99) * 1000, "ms", Aim(1000)),
    ]


async def _measure(system: System, cause: Cause, rate: float, seconds: float) -> list[float]:
    """Return the seconds from each cause to its binding at the PBX; one that never came counts as all of the wait."""
    began: dict[str, float] = {}

    async def one(number: int) -> None:
        now = time.monotonic()
        began[await cause(number)] = now

    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(start + number / rate - time.monotonic(), 0))
            group.create_task(one(number))
    bound = await _bound(system, set(began))
    return [bound[user] - at if user in bound else WITHIN for user, at in began.items()]


async def _bound(system: System, users: set[str]) -> dict[str, float]:
    """Wait, bounded, until all of ``users`` are bound; return when each was, on the clock of all processes."""
    ends = time.monotonic() + WITHIN
    while True:
        page = await system.pbx.users()
        bound = {user: page[user]["bound_at"] for user in users if user in page and page[user]["bound"]}
        if len(bound) == len(users) or time.monotonic() > ends:
            return bound
        await asyncio.sleep(0.2)
