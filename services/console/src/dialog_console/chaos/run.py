"""One run, from start to verdict."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress

from dialog_runtime.config import load_settings
from pydantic import SecretStr

from dialog_console.chaos.editor import Editor
from dialog_console.chaos.injector import Injector
from dialog_console.chaos.model import edits, lapses, schedule, verdicts
from dialog_console.chaos.model.edits import Plan
from dialog_console.chaos.model.evidence import Evidence
from dialog_console.chaos.model.schedule import Schedule
from dialog_console.chaos.report import Report
from dialog_console.chaos.size import Size
from dialog_console.chaos.topics import Topics, topics
from dialog_console.chaos.witness import Witness
from dialog_console.chaos.world import Tell, World, world
from dialog_console.cli.bus import joined

_SLACK = 40.0
"""Seconds beyond one grant that the system gets to settle: the longest waits that a fault may have left behind."""
_LOOK_EVERY = 1.0
_TOLD = 240
"""Characters of what is not settled, in one line of the timeline."""


async def run(size: Size, tell: Tell) -> Report:
    """Start a system, let faults and edits happen, and judge. Raises :class:`SandboxError` where it does not start."""
    plot = schedule.generate(size.seed, size.faults, size.seconds, size.granted)
    plan = edits.plan(size.seed, size.mappings, plot.lasts, size.edits_a_second)
    canary = SecretStr(f"canary-{secrets.token_hex(12)}")
    async with world(size, tell, canary) as running:
        return await _Run(running, plot, plan).report()


class _Run:
    def __init__(self, running: World, plot: Schedule, plan: Plan) -> None:
        self._world = running
        self._plot = plot
        self._plan = plan
        self._settings = load_settings(running.stack.conf)
        self._witness = Witness(running, self._settings)
        self._note = running.timeline.note

    async def report(self) -> Report:
        size, plan = self._world.size, self._plan
        async with joined(self._settings.kafka) as bus:
            editor = Editor(self._world, bus.publisher)
            await editor.fill(plan)
            await self._registered(Plan(plan.first, last={row.user: row for row in plan.first}), editor)
            self._note(f"{len(plan.first)} mappings are registered; {len(self._plot.faults)} faults follow")
            await self._trouble(editor)
        calm = time.time()
        async with topics(self._settings.kafka) as read:
            settled = await self._settle(plan, editor, read, size.granted + _SLACK)
            settled_after = time.time() - calm
            self._note(f"settled after {settled_after:.1f} s" if settled else "did not settle")
            # What was granted during the last fault ends by then, or was renewed.
            await asyncio.sleep(max(0.0, calm + size.granted - time.time()))
            evidence = await self._witness.evidence(plan, editor, read)
        await self._witness.search(evidence)
        excused = lapses.excused(evidence)
        found = verdicts.judge(evidence)
        return Report(size, self._plot, plan, evidence, found, self._world.timeline.lines, settled_after, excused)

    async def _registered(self, plan: Plan, editor: Editor) -> None:
        async with topics(self._settings.kafka) as read:
            await self._settle(plan, editor, read, self._world.size.granted)
        await self._world.simulator.reset()

    async def _trouble(self, editor: Editor) -> None:
        """Let faults and edits happen, and look on."""
        looking = asyncio.create_task(self._witness.look_on(), name="look on")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(Injector(self._world).run(self._plot), name="faults")
                group.create_task(editor.run(self._plan), name="edits")
            self._note(f"no more faults and edits; {editor.done} edits were made")
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def _settle(self, plan: Plan, editor: Editor, read: Topics, within: float) -> bool:
        """Wait until all is as the rows say; False where that takes longer."""
        told = ""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            open_checks = await self._open(plan, editor, read)
            if open_checks == "":
                return True
            if open_checks != told:
                self._note(f"not settled: {open_checks[:_TOLD]}")
                told = open_checks
            await asyncio.sleep(_LOOK_EVERY)
        return False

    async def _open(self, plan: Plan, editor: Editor, read: Topics) -> str:
        """Say what does not hold yet."""
        try:
            evidence: Evidence = await self._witness.evidence(plan, editor, read)
        except (OSError, TimeoutError) as error:
            return f"{type(error).__name__} while looking"
        return "; ".join(f"{it.name}: {it.count}, {it.problems[0]}" for it in verdicts.unsettled(evidence))
