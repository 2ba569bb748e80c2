"""Does what the engine wants, turn by turn, on one timer of the event loop.

A turn is cheap and never waits. Whatever happens asks for one (:meth:`Pump.push`); many askings make one turn.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dialog_sip import Response
from dialog_sip.registration import Register
from dialog_sip.transactions import Failure

from dialog_registrar.edge.incoming import Incoming
from dialog_registrar.edge.outgoing import Outgoing
from dialog_registrar.meters import Meters
from dialog_registrar.model.attempts import Attempt, Attempts
from dialog_registrar.model.engine import Engine
from dialog_registrar.model.mapping import Server
from dialog_registrar.ports import FlowDownError, Registering

SWEEP_EVERY = 5.0
"""Seconds between looks at what is too old."""
FREEZE_FROM = 1000
"""Mappings from which on they are worth to be kept from the collector of cycles."""
COLLECT_EVERY = 10_000
"""Objects after which the collector looks at the youngest: at the 700 of the default it was a fifteenth of what a
registration cost, and it finds next to nothing."""
TURN_GRAIN = 0.1
"""Seconds at least until a turn that only time asks for: refreshes have seconds to spare, and cost less together."""
REGISTERS_A_TURN = 64
"""REGISTERs that one turn sends; then the answers of the first are read."""


class Flows(Protocol):
    """Opens and closes flows."""

    def open(self, server: Server, port: int | None) -> None:
        """Keep a flow to ``server`` from now on, from local ``port`` where that is free."""

    def close(self, server: Server) -> None:
        """Keep it no longer."""

    def keep_alive(self, server: Server, flow_timer: int | None) -> None:
        """Keep it as outbound has it: the PBX binds flows (RFC 5626)."""


@dataclass(slots=True)
class _Register:
    """Hears the answers to one REGISTER."""

    pump: Pump
    attempt: Attempt

    def received(self, response: Response) -> None:
        """Take the final response."""
        self.pump.answered(self.attempt, response)

    def failed(self, failure: Failure) -> None:
        """Learn that none will come."""
        self.pump.failed(self.attempt, failure)

    def may_repeat(self) -> bool:
        """Tell whether it may be sent again."""
        return self.pump.may_repeat(self.attempt)


class Pump:
    """Turns of one process. ``news`` is called when there may be passwords to read or statuses to publish."""

    def __init__(
        self,
        engine: Engine,
        attempts: Attempts,
        sip: Registering,
        flows: Flows,
        meters: Meters,
        *,
        now: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._attempts = attempts
        self._sip = sip
        self._flows = flows
        self._meters = meters
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._asked = False
        self._stopping = asyncio.Event()
        self._swept_at = now()
        self._frozen = 0
        self.news: list[Callable[[], None]] = []
        """Called after each turn."""
        self.edges: tuple[Incoming, Outgoing] | None = None
        """Whose deadlines are kept as well."""

    def push(self) -> None:
        """Ask for a turn."""
        if not self._asked and not self._stopping.is_set():
            self._asked = True
            self._loop.call_soon(self._turn)

    def stop(self) -> None:
        """Take no more turns."""
        self._stopping.set()

    async def run(self) -> None:
        """Take turns until stopped."""
        gc.set_threshold(COLLECT_EVERY)
        self.push()
        await self._stopping.wait()
        if self._timer is not None:
            self._timer.cancel()

    def answered(self, attempt: Attempt, response: Response) -> None:
        """Take the final response to a REGISTER; a challenge is answered at once."""
        now = self._now()
        self._meters.register_answered(response.code, now - attempt.sent_at)
        again = self._attempts.received(attempt, response, now)
        if again is not None:
            self._send(attempt, again)
        binding = attempt.registration.binding
        if binding is not None and binding.is_outbound:
            self._flows.keep_alive(attempt.entry.server, binding.flow_timer)
        if self._engine.pacer.waiting or self._engine.news.changed:
            self.push()
        else:
            self._plan_timer(now + TURN_GRAIN)

    def may_repeat(self, attempt: Attempt) -> bool:
        """Tell whether a REGISTER may be sent again: its mapping may be another registrar's by now."""
        return self._attempts.may_repeat(attempt)

    def failed(self, attempt: Attempt, failure: Failure) -> None:
        """Learn that a REGISTER gets no response."""
        self._meters.register_failed(failure.name.lower())
        self._attempts.failed(attempt, failure, self._now())
        self.push()

    def _turn(self) -> None:
        self._asked = False
        if self._stopping.is_set():
            return
        now = self._now()
        self._move_flows()
        if self._engine.wake():
            self.push()
        self._send_registers(now)
        self._attempts.hush_stuck()
        self._keep_deadlines(now)
        for tell in self.news:
            tell()
        self._plan(now)

    def _send_registers(self, now: float) -> None:
        for number, attempt in enumerate(self._attempts.take(now), start=1):
            self._send(attempt, attempt.register)
            if number == REGISTERS_A_TURN:
                self.push()
                return
        if self._attempts.more:
            self.push()

    def _send(self, attempt: Attempt, register: Register) -> None:
        self._meters.register_sent()
        try:
            attempt.transaction = self._sip.register(attempt.entry.server, register, _Register(self, attempt))
        except FlowDownError:
            self.failed(attempt, Failure.TRANSPORT)

    def _move_flows(self) -> None:
        book = self._engine.flows
        for server, port in book.wanted.items():
            self._flows.open(server, port)
        for server in book.unwanted:
            self._flows.close(server)
        book.wanted.clear()
        book.unwanted.clear()

    def _keep_deadlines(self, now: float) -> None:
        if self.edges is None:
            return
        incoming, outgoing = self.edges
        incoming.expire(now)
        outgoing.expire(now)
        if now - self._swept_at >= SWEEP_EVERY:
            self._swept_at = now
            incoming.sweep(now)
            outgoing.sweep(now)
            self._engine.holdings.sweep(now)
            self._spare_the_collector(len(self._engine.holdings))

    def _spare_the_collector(self, mappings: int) -> None:
        """Keep the collector of cycles off mappings, which make none: a look at 100,000 of them takes half a second."""
        if mappings >= FREEZE_FROM and mappings > 1.2 * self._frozen:
            self._frozen = mappings
            gc.freeze()

    def _plan(self, now: float) -> None:
        edges = (edge.next() for edge in self.edges or ())
        times = [self._engine.next(), *edges, self._swept_at + SWEEP_EVERY]
        self._plan_timer(max(min(time for time in times if time is not None), now + TURN_GRAIN))

    def _plan_timer(self, due: float) -> None:
        if self._timer is not None:
            if self._timer_due <= due:
                # One turn too early is cheaper than a new timer for each change.
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_later(due - self._now(), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.push()
