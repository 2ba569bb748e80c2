"""Keeps one process running: reports its end, starts it again after a pause that grows while it keeps ending."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dialog_sandbox.errors import SandboxError

_POLL = 0.1

FIRST_PAUSE = 0.5
"""Seconds before the first restart; doubled for each further one, up to :data:`LONGEST_PAUSE`."""
LONGEST_PAUSE = 10.0
CALM = 30.0
"""Seconds of running after which the pause is short again."""


class Server(Protocol):
    """What a supervisor needs of a process; the embedded servers and the services have it."""

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""

    @property
    def log(self) -> Path:
        """Where its output goes."""

    async def start_async(self) -> None:
        """Start and wait until ready; raise :class:`SandboxError`."""

    async def stop_async(self) -> None:
        """End it, bounded in time."""

    def kill(self) -> None:
        """End it at once."""


@dataclass(frozen=True, slots=True)
class Report:
    """One line of progress for a person."""

    name: str
    text: str
    ms: float | None = None
    """How long it took, where that is what is told."""
    ok: bool = True


Reporter = Callable[[Report], None]
Sleep = Callable[[float], Awaitable[None]]


def pause_after(failures: int) -> float:
    """Return the seconds to wait before a restart when ``failures`` ends came one after another."""
    return min(FIRST_PAUSE * 2.0 ** max(0, failures - 1), LONGEST_PAUSE)


class Supervisor:
    """Owns one server from its first start to its end."""

    def __init__(self, name: str, server: Server, report: Reporter, sleep: Sleep = asyncio.sleep) -> None:
        self.name = name
        self.server = server
        self.restarts = 0
        self._report = report
        self._sleep = sleep

    async def start(self) -> None:
        """Start it for the first time. Raises :class:`SandboxError`: a first start that fails is not tried again."""
        began = time.monotonic()
        await self.server.start_async()
        self._report(Report(self.name, "ready", (time.monotonic() - began) * 1000))

    async def watch(self) -> None:
        """Restart it whenever it ends, until cancelled."""
        failures, up_since = 0, time.monotonic()
        while True:
            while self.server.pid is not None:
                await self._sleep(_POLL)
            failures = 1 if time.monotonic() - up_since > CALM else failures + 1
            pause = pause_after(failures)
            self._report(Report(self.name, f"ended by itself, restart in {pause:g} s", ok=False))
            await self._sleep(pause)
            await self._restart()
            up_since = time.monotonic()

    async def _restart(self) -> None:
        began = time.monotonic()
        self.restarts += 1
        try:
            await self.server.start_async()
        except SandboxError as error:
            self._report(Report(self.name, str(error), ok=False))
        else:
            self._report(Report(self.name, "ready again", (time.monotonic() - began) * 1000))
