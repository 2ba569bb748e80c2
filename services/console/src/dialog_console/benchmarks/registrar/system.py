"""What is measured: Kafka, PostgreSQL, one provisioner and one registrar of their own, and a simulated PBX."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from dialog_runtime.bus.kafka import KafkaBus
from dialog_sandbox.postgres import EmbeddedPostgres
from dialog_sandbox.simulator import Simulator
from dialog_sandbox.simulator.process import State
from dialog_sandbox.stack import Options, Ports, Stack
from dialog_sandbox.stack.temporary import temporary_state
from pydantic import SecretStr

from dialog_console.benchmarks.process_stats import cpu_seconds, resident_bytes
from dialog_console.cli.bus import joined, kafka_settings

REGISTRAR = "registrar-1"
TABLE = "sip_user_mappings"
_HOST = "127.0.0.1"
_COLUMNS = (
    "sip_user", "sip_password", "sip_host", "sip_port", "sip_parameters", "sip_headers", "peer_type", "peer_id",
    "peer_str_id", "register", "can_call", "can_be_called",
)  # fmt: skip
_QUIET_FOR = 1.5
"""Seconds without CPU use worth telling after which the last statuses are taken for published."""


@dataclass
class System:
    """A running system."""

    stack: Stack
    pbx: Simulator
    bus: KafkaBus

    @property
    def postgres(self) -> EmbeddedPostgres:
        """The embedded PostgreSQL."""
        if self.stack.postgres is None:
            raise RuntimeError("the stack has no PostgreSQL of its own")
        return self.stack.postgres

    @property
    def pid(self) -> int:
        """The registrar's process id. Raises :class:`ProcessLookupError` while it is down."""
        pid = self.stack.pids().get(REGISTRAR)
        if pid is None:
            raise ProcessLookupError("the registrar does not run")
        return pid

    def cpu(self) -> float:
        """Return the CPU seconds that the registrar has used."""
        return cpu_seconds(self.pid)

    def resident(self) -> int:
        """Return its resident memory in bytes."""
        return resident_bytes(self.pid)

    async def load(self, users: range) -> None:
        """COPY rows into the table, as an administrator in a hurry does."""
        password = self.stack.sip_password
        records = [
            (f"u{number}", password, _HOST, self.pbx.port, "{}", "{}", 1, number, "", True, True, True)
            for number in users
        ]
        connection = await asyncpg.connect(self.postgres.dsn())
        try:
            await connection.copy_records_to_table(TABLE, records=records, columns=_COLUMNS)
        finally:
            await connection.close()

    async def registered(self, count: int, *, within: float) -> State:
        """Wait until so many users are bound at the PBX. Raises :class:`TimeoutError`."""
        return await self.pbx.until_bound(count, within=within)

    async def quiet(self, *, within: float = 30.0) -> None:
        """Wait, bounded, until the registrar has published what it had to."""
        ends = time.monotonic() + within
        before = self.cpu()
        while time.monotonic() < ends:
            await asyncio.sleep(_QUIET_FOR)
            now = self.cpu()
            if now - before < _QUIET_FOR * 0.05:
                return
            before = now

    async def idle(self, seconds: float) -> float:
        """Return the CPU seconds a second that the registrar uses while nothing happens."""
        before = self.cpu()
        await asyncio.sleep(seconds)
        return (self.cpu() - before) / seconds


@asynccontextmanager
async def running(*, granted: int, extra_conf: str = "") -> AsyncIterator[System]:
    """Run a system whose PBX grants ``granted`` seconds; gone with the context."""
    with temporary_state() as state:
        stack = Stack(Options(state=state, without=frozenset({"pbx", "bridge", "console"})))
        async with Simulator(SecretStr(stack.sip_password), state, expires=granted) as pbx:
            stack.options = Options(
                state=state,
                without=stack.options.without,
                ports=Ports(sip=pbx.port),
                extra_conf=extra_conf,
            )
            async with stack, joined(kafka_settings(stack.conf, "", "")) as bus:
                yield System(stack, pbx, bus)
