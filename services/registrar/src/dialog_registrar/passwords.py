"""Reads passwords for whoever lacks one, in bulk, and again until the table can be read.

So too for rows that are gone and left a binding; what is kept of them is dropped once it is not needed any more.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from random import Random

import structlog

from dialog_registrar.handlers import Push
from dialog_registrar.meters import Meters
from dialog_registrar.model.engine import Engine
from dialog_registrar.model.mapping import Mapping
from dialog_registrar.ports import Passwords, PasswordsAwayError

log = structlog.get_logger(__name__)

AT_A_TIME = 5000
"""Passwords that one query reads."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between attempts while the table is away."""


class PasswordReader:
    """Keeps :attr:`Engine.unread` empty; a part of the service."""

    def __init__(self, engine: Engine, passwords: Passwords, pump: Push, meters: Meters, rng: Random) -> None:
        self._engine = engine
        self._passwords = passwords
        self._pump = pump
        self._meters = meters
        self._rng = rng
        self._some = asyncio.Event()
        self._stopping = asyncio.Event()
        self.away: str = ""
        """Why the table cannot be read; empty while it can."""

    def look(self) -> None:
        """See whether there is something to read."""
        leaving = self._engine.leaving
        if self._engine.unread or leaving.unread or leaving.forgotten:
            self._some.set()

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()
        self._some.set()

    async def run(self) -> None:
        """Read until stopped."""
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            await self._some.wait()
            if self._stopping.is_set():
                return
            if await self._read():
                pause = FIRST_PAUSE
            else:
                await self._wait(pause * (0.5 + self._rng.random() / 2))
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _read(self) -> bool:
        wanted = list(islice(self._engine.unread.values(), AT_A_TIME))
        leaving = self._engine.leaving
        gone, forgotten = list(islice(leaving.unread, AT_A_TIME)), list(islice(leaving.forgotten, AT_A_TIME))
        if not wanted and not gone and not forgotten:
            self._some.clear()
            return True
        try:
            await self._read_wanted(wanted)
            await self._read_gone(gone)
            await self._forget(forgotten)
        except PasswordsAwayError as error:
            self._note(str(error))
            self._engine.passwords_away(mapping.aor for mapping in wanted)
            return False
        finally:
            self._pump.push()
        self._note("")
        return True

    async def _read_wanted(self, wanted: list[Mapping]) -> None:
        unread = self._engine.unread
        found = await self._passwords.fetch(wanted) if wanted else {}
        for mapping in wanted:
            if unread.get(mapping.aor) is mapping:
                del unread[mapping.aor]
            password = found.get(mapping.aor)
            if password is None:
                self._engine.password_missing(mapping.aor, mapping.revision)
            else:
                self._engine.password_read(mapping.aor, mapping.revision, password)

    async def _read_gone(self, aors: list[str]) -> None:
        found = await self._passwords.removed(aors) if aors else {}
        for aor in aors:
            if aor not in found:
                log.warning("a row is gone, and with it the password to unregister with", aor=aor)
            self._engine.left_read(aor, found.get(aor))

    async def _forget(self, aors: list[str]) -> None:
        if aors:
            await self._passwords.forget(aors)
            self._engine.leaving.forgotten.difference_update(aors)

    def _note(self, away: str) -> None:
        self._meters.passwords_fetched(ok=not away)
        if away and not self.away:
            log.warning("the table with the passwords cannot be read", reason=away)
        self.away = away

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
