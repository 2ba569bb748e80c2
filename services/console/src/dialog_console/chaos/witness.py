"""Collects the evidence: how the system stands now, and what became known on the way."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from dialog_runtime.config import Settings

from dialog_console.chaos import table
from dialog_console.chaos.canary import Canary
from dialog_console.chaos.editor import Editor
from dialog_console.chaos.model import journal
from dialog_console.chaos.model.edits import Pbx, Plan
from dialog_console.chaos.model.evidence import Evidence, Lapse, State
from dialog_console.chaos.topics import Topics, records
from dialog_console.chaos.world import World

LOOK_EVERY = 10.0
"""Seconds between looks at the pages and the process list while faults happen."""
_PAGES = ("/metrics", "/healthz", "/readyz")
_ANSWER = 2.0
_AT_A_TIME = 50


class Witness:
    """Looks at one world."""

    def __init__(self, world: World, settings: Settings) -> None:
        self._world = world
        self._settings = settings
        secrets = {"the SIP password": world.password.get_secret_value()}
        if world.stack.postgres is not None:
            secrets["the password of PostgreSQL"] = world.stack.postgres.password.get_secret_value()
        self.canary = Canary(secrets)

    async def look_on(self) -> None:
        """Look at pages and processes now and then, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Look at the pages of every service, and at the process list."""
        await asyncio.to_thread(self.canary.look_at_processes)
        for name, base in self._world.stack.pages().items():
            for page in _PAGES:
                self.canary.look("pages", f"{page} of {name}", await asyncio.to_thread(_fetch, base + page))

    async def state(self, topics: Topics) -> State:
        """Look at table, topics and PBXs."""
        world = self._world
        ports = {world.port(pbx): pbx for pbx in Pbx}
        rows, events = await table.read(self._settings.postgresql, ports, world.password.get_secret_value())
        await topics.read_on()
        bindings = {Pbx.SIMULATOR: await self._at_simulator(), Pbx.KAMAILIO: await self._at_kamailio()}
        return State(time.time(), rows, events, dict(topics.mappings), dict(topics.statuses), bindings)

    async def evidence(self, plan: Plan, editor: Editor, topics: Topics) -> Evidence:
        """Collect everything but what takes a search."""
        world = self._world
        counts = (await world.simulator.state()).counts
        return Evidence(
            plan.last,
            await self.state(topics),
            world.size.granted,
            topics.history,
            editor.rows,
            world.timeline.blocked(),
            [*await self._lapses(), *journal.lapses(world.kamailio.log.splitlines(), world.size.granted)],
            oddities=[f"{_clock(odd.at)} {odd.user}: {odd.what}" for odd in await world.simulator.oddities()],
            cseq_back=counts["cseq_back"],
            most_in_20_s=counts["most_in_20_s"],
            ended_by_themselves=world.timeline.ended_by_themselves,
        )

    async def search(self, evidence: Evidence) -> None:
        """Look for secrets in every topic and log, and for core dumps."""
        async for topic, data in records(self._settings.kafka):
            self.canary.look("topics", f"topic {topic}", data)
        for log in self._world.logs:
            await asyncio.to_thread(self.canary.look_in_file, "logs", log)
        await self.look()
        evidence.leaks, evidence.searched = list(self.canary.leaks.values()), dict(self.canary.searched)
        evidence.cores = cores([self._world.stack.state, self._world.kamailio.folder, Path.cwd()])

    async def _lapses(self) -> list[Lapse]:
        told = await self._world.simulator.lapses()
        return [Lapse(it.user, Pbx.SIMULATOR, it.ended, it.granted) for it in told]

    async def _at_simulator(self) -> Mapping[str, Sequence[str]]:
        users = await self._world.simulator.users()
        return {name: (user["contact"],) for name, user in users.items() if user["bound"]}

    async def _at_kamailio(self) -> Mapping[str, Sequence[str]]:
        kamailio = self._world.kamailio
        domains = (await kamailio.rpc("ul.dump", "brief"))["Domains"]
        users = [user["AoR"] for domain in domains for user in domain["Domain"]["AoRs"]]
        found: dict[str, Sequence[str]] = {}
        for begin in range(0, len(users), _AT_A_TIME):
            some = users[begin : begin + _AT_A_TIME]
            for user, contacts in zip(some, await asyncio.gather(*map(kamailio.contacts, some)), strict=True):
                if contacts:
                    found[user] = tuple(contact["Address"] for contact in contacts)
        return found


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f}"[:-3]


def cores(folders: Sequence[Path]) -> list[str]:
    """Return the core dumps in some folders."""
    found: list[str] = []
    for folder in folders:
        with suppress(OSError):
            found += [str(path) for path in folder.glob("core*") if path.is_file()]
    return found


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER) as answer:  # noqa: S310  of our own
            body: bytes = answer.read()
            return body
    except OSError:
        return b""
