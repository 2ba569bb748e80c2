"""Reads passwords for whoever lacks one, in bulk, and again until the table can be read."""

from __future__ import annotations

import asyncio
from itertools import islice
from random import Random

import structlog

from dialog_registrar.handlers import Push
from dialog_registrar.meters import Meters
from dialog_registrar.model.engine import Engine
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
        if self._engine.unread:
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
        unread = self._engine.unread
        wanted = list(islice(unread.values(), AT_A_TIME))
        if not wanted:
            self._some.clear()
            return True
        try:
            found = await self._passwords.fetch(wanted)
        except PasswordsAwayError as error:
            self._note(str(error))
            self._engine.passwords_away(mapping.aor for mapping in wanted)
            self._pump.push()
            return False
        self._note("")
        for mapping in wanted:
            if unread.get(mapping.aor) is mapping:
                del unread[mapping.aor]
            password = found.get(mapping.aor)
            if password is None:
                self._engine.password_missing(mapping.aor, mapping.revision)
            else:
                self._engine.password_read(mapping.aor, mapping.revision, password)
        self._pump.push()
        return True

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
