"""The calls that this bridge holds: found by call id, SIP dialog and transaction; told of deadlines and registrars."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from dialog_schemas.calls import Hangup
from dialog_schemas.instances import CallHeld

from dialog_bridge.model.inputs import Command, Kind, Signal
from dialog_bridge.model.memory import Memory
from dialog_bridge.ports import Registrars
from dialog_bridge.runner import CallRunner

log = structlog.get_logger(__name__)

TICK = 0.1
"""Seconds between looks at the deadlines."""

REMEMBERED = 20_000
"""Calls that are over and still known: what comes late for them is not news."""

END_WITHIN = 5.0
"""Seconds for calls to end that are hung up because the bridge stops."""


class Switchboard:
    """Holds the calls; a part of the service. ``is_dead`` and ``incarnation_of`` tell of registrars."""

    def __init__(
        self,
        instance: str,
        registrars: Registrars,
        is_dead: Callable[[str], bool],
        incarnation_of: Callable[[str], str],
    ) -> None:
        self._instance = instance
        self._registrars = registrars
        self._is_dead = is_dead
        self._incarnation_of = incarnation_of
        self._runners: dict[str, CallRunner] = {}
        self._by_sip_call_id: dict[str, str] = {}
        self._by_transaction: dict[str, str] = {}
        self._leaving: set[CallRunner] = set()
        self._over: Memory[str, None] = Memory(REMEMBERED)
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._runners)

    def get(self, call_id: str | None) -> CallRunner | None:
        """Return a call that is held here."""
        return None if call_id is None else self._runners.get(call_id)

    def by_sip_call_id(self, sip_call_id: str) -> CallRunner | None:
        """Return the call with this SIP dialog."""
        return self.get(self._by_sip_call_id.get(sip_call_id))

    def by_transaction(self, transaction: str) -> CallRunner | None:
        """Return the call whose INVITE has this relay transaction."""
        return self.get(self._by_transaction.get(transaction))

    def add(self, runner: CallRunner) -> None:
        """Hold a call."""
        call_id = runner.call.identity.call_id
        self._runners[call_id] = runner
        self._by_sip_call_id[runner.leg.sip_call_id] = call_id
        self._by_transaction[runner.leg.invite_transaction] = call_id

    def knows(self, call_id: str) -> bool:
        """Tell whether a call is held here, or is known to be over."""
        return call_id in self._runners or call_id in self._over

    def is_over(self, call_id: str) -> bool:
        """Tell whether a call is known to be over."""
        return call_id in self._over and call_id not in self._runners

    def over(self, call_id: str) -> None:
        """Remember that a call is over, wherever it was held."""
        self._over.put(call_id, None)

    def finished(self, call_id: str) -> None:
        """Let a call go that is over; what its media and the bus still have to do is waited for."""
        runner = self._runners.pop(call_id)
        self._by_sip_call_id.pop(runner.leg.sip_call_id, None)
        self._by_transaction.pop(runner.leg.invite_transaction, None)
        self._leaving.add(runner)
        self.over(call_id)
        self._changed.set()

    def moved(self, entry: CallHeld) -> None:
        """Learn who has a call by the directory. One of ours that is another's by now is let go."""
        runner = self._runners.get(entry.call_id)
        if runner is not None and entry.instance != self._instance:
            log.warning("call let go", call_id=entry.call_id, holder=entry.instance, epoch=entry.epoch)
            runner.feed(Signal(Kind.FENCED))

    def tick(self) -> None:
        """Look at the deadlines and registrars of all calls."""
        for runner in list(self._runners.values()):
            runner.tick()
            self._look_after(runner)
        self._leaving = {runner for runner in self._leaving if not runner.is_gone}
        if not self._runners and not self._leaving:
            self._changed.set()

    async def run(self) -> None:
        """Tick until stopped, then end what is left."""
        while not self._stopping.is_set():
            self.tick()
            try:
                async with asyncio.timeout(TICK):
                    await self._stopping.wait()
            except TimeoutError:
                continue
        await self.end_all()

    def stop(self) -> None:
        """Ask :meth:`run` to end all calls and come back."""
        self._stopping.set()

    async def empty(self) -> None:
        """Wait until no call is held."""
        while self._runners:
            self._changed.clear()
            await self._changed.wait()

    async def drain(self, patience: float) -> None:
        """Let the calls finish, at most for ``patience`` seconds; then end what is left."""
        try:
            async with asyncio.timeout(patience):
                await self.empty()
        except TimeoutError:
            log.warning("calls go on for too long", calls=len(self._runners), patience=patience)
        await self.end_all()

    async def end_all(self) -> None:
        """Hang up every call, and wait a while for both sides to hear of it."""
        for call_id, runner in list(self._runners.items()):
            runner.feed(Command(Kind.HANGUP, Hangup(call_id=call_id)))
        try:
            async with asyncio.timeout(END_WITHIN):
                await self.empty()
                await asyncio.gather(*(runner.gone() for runner in self._leaving))
        except TimeoutError:
            log.warning("calls did not end in time", calls=len(self._runners))

    def _look_after(self, runner: CallRunner) -> None:
        """Tell a call whose registrar died, or was started anew and forgot it, and who has its mapping then."""
        registrar = runner.leg.registrar
        if registrar is None:
            return
        known = runner.incarnation = runner.incarnation or self._incarnation_of(registrar)
        if self._incarnation_of(registrar) == known and not self._is_dead(registrar):
            return
        aor = runner.call.identity.aor
        new, keeps = self._registrars.holder_of(aor), self._registrars.keeps_address(aor)
        if new is None or self._is_dead(new) or (new, self._incarnation_of(new)) == (registrar, known):
            if not runner.orphaned:
                runner.orphaned = True
                runner.feed(Signal(Kind.REGISTRAR_AWAY if keeps and new == registrar else Kind.REGISTRAR_LOST))
            return
        log.info("call goes on at another registrar", call_id=runner.call.identity.call_id, old=registrar, new=new)
        runner.orphaned, runner.leg.registrar, runner.incarnation = False, new, self._incarnation_of(new)
        runner.feed(Signal(Kind.REGISTRAR_ANEW if keeps and new == registrar else Kind.REGISTRAR_MOVED))
