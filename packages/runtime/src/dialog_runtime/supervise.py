"""Every background task has an owner that awaits it.

A *part* is a piece of a service with a life of its own: ``run()`` does its work until it is told to ``stop()``, and
then comes back by itself with what it had in hand done. The :class:`Supervisor` starts parts in order and stops them in
reverse; one that fails, or comes back unasked, ends the service (:meth:`Supervisor.wait` raises), because a process
that runs without one of its parts is worse than one that is restarted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

log = structlog.get_logger(__name__)


class Part(Protocol):
    """A piece of a service with a life of its own."""

    async def run(self) -> None:
        """Work until told to stop. Raising ends the service."""

    def stop(self) -> None:
        """Ask :meth:`run` to finish what it has in hand and come back."""


class PartFailedError(Exception):
    """A part of the service failed; the cause is its error."""


@dataclass(frozen=True, slots=True)
class _Owned:
    name: str
    task: asyncio.Task[None]
    part: Part | None


class Supervisor:
    """Owner of every task of a service."""

    def __init__(self) -> None:
        self._owned: list[_Owned] = []
        self._failed: asyncio.Future[PartFailedError] | None = None
        self._stopping = False

    def start(self, name: str, part: Part) -> None:
        """Run ``part`` until :meth:`stop`."""
        self._own(_Owned(name, asyncio.create_task(part.run(), name=name), part))

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work``, which may end by itself; at :meth:`stop` it is cancelled."""
        self._own(_Owned(name, asyncio.create_task(work, name=name), None))

    async def wait(self) -> None:
        """Wait until a part fails, and raise :class:`PartFailedError` from its error. Otherwise wait for ever."""
        raise await asyncio.shield(self._failure())

    async def stop(self, within: float) -> None:
        """Stop all in reverse order, in ``within`` seconds; what is not done by then is cancelled."""
        self._stopping = True
        deadline = asyncio.get_running_loop().time() + within
        for owned in reversed(self._owned):
            await _end(owned, deadline)
        self._owned.clear()

    def _own(self, owned: _Owned) -> None:
        self._owned.append(owned)
        owned.task.add_done_callback(lambda task: self._ended(owned, task))

    def _failure(self) -> asyncio.Future[PartFailedError]:
        if self._failed is None:
            self._failed = asyncio.get_running_loop().create_future()
        return self._failed

    def _ended(self, owned: _Owned, task: asyncio.Task[None]) -> None:
        cause = None if task.cancelled() else task.exception()
        if self._stopping or (cause is None and owned.part is None):
            if cause is None and owned in self._owned and not self._stopping:
                self._owned.remove(owned)
            return
        error = PartFailedError(f"{owned.name} {'ended' if cause is None else 'failed'}")
        error.__cause__ = cause
        if not self._failure().done():
            self._failure().set_result(error)


async def _end(owned: _Owned, deadline: float) -> None:
    if owned.part is None:
        owned.task.cancel()
    elif not owned.task.done():
        owned.part.stop()
    left = deadline - asyncio.get_running_loop().time()
    done, _ = await asyncio.wait({owned.task}, timeout=max(left, 0))
    if not done:
        log.warning("part did not stop in time", part=owned.name)
        owned.task.cancel()
        await asyncio.wait({owned.task}, timeout=1)
    elif not owned.task.cancelled() and (error := owned.task.exception()) is not None:
        log.error("part failed while it stopped", part=owned.name, error=repr(error))
