"""Does the faults of a schedule, one task each, and takes them back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dialog_sandbox.simulator import Challenge, Faults

from dialog_console.chaos.model.faults import Act, Fault, Target
from dialog_console.chaos.model.schedule import INSTANCES, Schedule
from dialog_console.chaos.world import World

LOSS = 0.05
_PATIENCE = 60.0
"""Seconds that a fault waits for its part, and for the other registrar, to be back from the one before."""
_POLL = 0.1
_SIGNALS = {Act.KILL: signal.SIGKILL, Act.TERMINATE: signal.SIGTERM}

_OF_SIMULATOR: dict[Act, dict[str, Any]] = {
    Act.RESTART: {"away": True},
    Act.AWAY: {"away": True},
    Act.LOSS: {"loss": LOSS},
    Act.UNAVAILABLE: {"code": 503, "retry_after": 1},
    Act.STALE: {"challenge": Challenge.ONE_USE},
    Act.WRONG_NONCE: {"challenge": Challenge.REFUSE},
}
"""What the simulator does wrong; the 423 depends on what it grants."""


class Injector:
    """Does faults to a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._timeline = world.timeline
        self._wrong: list[Fault] = []
        """What the simulator does wrong now."""

    async def run(self, schedule: Schedule) -> None:
        """Do all of them, each at its time from now."""
        async with asyncio.TaskGroup() as group:
            for fault in schedule.faults:
                group.create_task(self._when_due(fault), name=f"fault {fault.number}")

    async def _when_due(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at)
        if not fault.sort.is_of_pbx and not await self._can_begin(fault):
            self._timeline.note(f"fault {fault.number}: {fault} left out, what it needs is not back")
            return
        self._timeline.note(f"fault {fault.number}: {fault}")
        if fault.sort.target is Target.SIMULATOR:
            await self._simulator(fault)
        elif fault.sort.target is Target.KAMAILIO:
            await self._kamailio(fault)
        elif fault.sort.act is Act.STOP:
            await self._stop(fault)
        else:
            self._end(fault)

    async def _can_begin(self, fault: Fault) -> bool:
        """Wait until the parts are back that the guard counts on."""
        others = INSTANCES[Target.REGISTRAR] if fault.sort.target is Target.REGISTRAR else ()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while any(map(self._timeline.is_down, {fault.instance, *others})):  # noqa: ASYNC110  spans set no Event
                    await asyncio.sleep(_POLL)
                return True
        return False

    def _end(self, fault: Fault) -> None:
        pid = self._world.stack.pids().get(fault.instance)
        if pid is None:
            return
        self._timeline.down(fault.instance)
        # PostgreSQL takes SIGTERM for the wish to end once its last client has; SIGINT is what a service manager sends.
        polite = signal.SIGINT if fault.sort.target is Target.TABLE else signal.SIGTERM
        send([pid], polite if fault.sort.act is Act.TERMINATE else _SIGNALS[fault.sort.act])

    async def _stop(self, fault: Fault) -> None:
        pid = self._world.stack.pids().get(fault.instance)
        if pid is None:
            return
        family = [pid, *descendants(pid)]
        self._timeline.down(fault.instance)
        send(family, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.lasts)
        finally:
            send(family, signal.SIGCONT)
            self._timeline.note(f"fault {fault.number}: SIGCONT {fault.instance}")
            self._timeline.up(fault.instance)

    async def _kamailio(self, fault: Fault) -> None:
        kamailio = self._world.kamailio
        self._timeline.down(fault.instance)
        if fault.sort.act is Act.RESTART:
            await kamailio.kill()
            await kamailio.start()
        else:
            kamailio.send(signal.SIGSTOP)
            try:
                await asyncio.sleep(fault.lasts)
            finally:
                kamailio.send(signal.SIGCONT)
        self._timeline.up(fault.instance)

    async def _simulator(self, fault: Fault) -> None:
        self._wrong.append(fault)
        if fault.sort.blocks:
            self._timeline.down(fault.instance)
        if fault.sort.act is Act.RESTART:
            await self._world.simulator.forget()
        await self._switch()
        await asyncio.sleep(fault.lasts)
        self._wrong.remove(fault)
        await self._switch()
        if fault.sort.blocks:
            self._timeline.up(fault.instance)
        self._timeline.note(f"fault {fault.number}: {fault.sort.act} of the simulator is over")

    async def _switch(self) -> None:
        await self._world.simulator.set(faults_of(self._wrong, self._world.size.granted))


def faults_of(wrong: Iterable[Fault], granted: int) -> Faults:
    """Return what the simulator is told to do wrong."""
    told: dict[str, Any] = {}
    for fault in wrong:
        # Twice of what it grants is what it wants to be asked for.
        told |= {"min_expires": 2 * granted} if fault.sort.act is Act.BRIEF else _OF_SIMULATOR[fault.sort.act]
    return Faults(**told)


def send(pids: Iterable[int], signum: signal.Signals) -> None:
    """Send a signal to processes that may have ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


def descendants(pid: int) -> list[int]:
    """Return the children of a process, and theirs."""
    with suppress(OSError):
        own = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [*own, *(further for child in own for further in descendants(child))]
    return []
