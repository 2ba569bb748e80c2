"""Servers as child processes: what Kafka, PostgreSQL and the services of the stack have in common.

Theory of operation of an :class:`EmbeddedServer`: ``prepare`` may take long and may run in any thread; ``spawn`` must
run in the thread that lives as long as the server (see :mod:`dialog_sandbox.process`); ``ready`` waits, in any thread,
for an answer of the server. The same object can be stopped or killed and started again: port and data stay.
"""

from __future__ import annotations

import asyncio
import signal
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from dialog_sandbox.process import Child

_PAUSE = 0.2
"""Seconds before a start is tried again that met what a former server left."""


class OneChild:
    """The owner of one child process, or of none. ``stop_timeout`` is in seconds, after which it is ended by force."""

    def __init__(self, log: Path, stop_timeout: float, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        self.log = log
        self._stop_timeout = stop_timeout
        self._stop_signal = stop_signal
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child is not None and self._child.returncode() is None else None

    def stop(self) -> None:
        """Ask it to end; after ``stop_timeout`` by force."""
        if self._child is not None:
            self._child.stop(self._stop_timeout, self._stop_signal)

    async def stop_async(self) -> None:
        """Do the same as :meth:`stop` without blocking the event loop."""
        if self._child is not None:
            await self._child.stop_async(self._stop_timeout, self._stop_signal)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._child is not None:
            self._child.kill()


class EmbeddedServer(OneChild, ABC):
    """A context manager, plain or async: inside it the server answers."""

    @abstractmethod
    def prepare(self) -> None:
        """Make what the server needs and does not have yet."""

    @abstractmethod
    def spawn(self) -> None:
        """Start the process after :meth:`prepare`; in the thread that will live as long as it."""

    @abstractmethod
    def ready(self) -> bool:
        """Wait until the server answers; false where it has ended and :meth:`spawn` is to be tried again.

        Else, if it does not start, it is ended and :class:`~dialog_sandbox.errors.SandboxError` raised.
        """

    def start(self) -> None:
        """Start the server and wait until it answers. Raises :class:`~dialog_sandbox.errors.SandboxError`."""
        self.prepare()
        self.spawn()
        while not self.ready():
            time.sleep(_PAUSE)
            self.spawn()

    async def start_async(self) -> None:
        """Do the same as :meth:`start` without blocking the event loop."""
        await asyncio.to_thread(self.prepare)
        self.spawn()
        while not await asyncio.to_thread(self.ready):
            await asyncio.sleep(_PAUSE)
            self.spawn()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        try:
            await self.start_async()
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop_async()
