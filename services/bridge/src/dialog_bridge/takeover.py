"""Clears away what dead bridges leave: their calls end on both sides, and the dialog server hears why.

Every live bridge looks at the directory once a second. Of a call whose bridge is dead all agree on who adopts it
(``model/routing.py``); that one claims it with a higher epoch, and acts once the directory shows its claim. A bridge
that was only asleep reads the claim when it wakes up, and lets go (``docs/takeover.md``).
"""

from __future__ import annotations

import asyncio

import structlog
from dialog_schemas.calls import CallState
from dialog_schemas.instances import CallDirection, CallHeld

from dialog_bridge.desk import Desk
from dialog_bridge.model import routing
from dialog_bridge.model.call import Call, Identity
from dialog_bridge.model.inputs import Kind, Signal
from dialog_bridge.model.leg import SipLeg
from dialog_bridge.model.parcels import Names
from dialog_bridge.runner import CallRunner

log = structlog.get_logger(__name__)

LOOK = 1.0
"""Seconds between looks at the directory."""

CLAIM_WITHIN = 10.0
"""Seconds for a claim to show in the directory; after that it is made again."""

SEQ_GAP = 1000
"""``seq`` goes on this far above the last one recorded: the dead bridge may have said more than it recorded."""


class Takeover:
    """Looks and adopts; a part of the service."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish what is in hand and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Look until stopped."""
        while not self._stopping.is_set():
            await self.look()
            try:
                async with asyncio.timeout(LOOK):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Adopt every call that falls to us."""
        self._desk.liveness.forget(self._desk.clock.monotonic())
        for entry in self._desk.directory.entries():
            if self._falls_to_us(entry):
                await self._adopt(entry)

    def _falls_to_us(self, entry: CallHeld) -> bool:
        desk = self._desk
        if entry.instance == desk.instance:
            # Ours from before we were started anew; or over, and its tombstone on the way.
            return not desk.switchboard.knows(entry.call_id)
        if not desk.is_dead(entry.instance):
            return False
        bridges = [bridge.instance for bridge in desk.bridges()]
        return routing.adopter(entry.call_id, bridges) == desk.instance

    async def _adopt(self, entry: CallHeld) -> None:
        desk = self._desk
        claim = entry.model_copy(update={"instance": desk.instance, "epoch": entry.epoch + 1})
        await desk.outbox.record(claim)
        shown = await desk.directory.appears(entry.call_id, CLAIM_WITHIN, epoch=claim.epoch)
        if shown != claim or desk.switchboard.knows(entry.call_id):
            log.info("call adopted by another bridge", call_id=entry.call_id)
            return
        runner = _runner(desk, entry, claim.epoch)
        desk.switchboard.add(runner)
        desk.meters.adopted(runner.call, entry.instance)
        runner.feed(Signal(_kind(entry), entry.transaction or ""))
        await runner.delivered()


def _kind(entry: CallHeld) -> Kind:
    ended = entry.state is CallState.FINISHED
    if entry.transaction is None:
        return Kind.ADOPT_ENDED if ended else Kind.ADOPT_CONFIRMED
    if entry.direction is CallDirection.INCOMING:
        return Kind.ADOPT_INCOMING
    return Kind.ADOPT_CANCELLED if ended else Kind.ADOPT_OUTGOING


def _runner(desk: Desk, entry: CallHeld, epoch: int) -> CallRunner:
    peer = entry.aor.rpartition("@")[2]
    identity = Identity(entry.call_id, entry.direction, entry.aor, entry.user_id, peer, entry.started_at)
    call = Call(identity, desk.limits, desk.random, desk.outside.now(), seq=entry.seq + SEQ_GAP)
    call.answered_at = entry.answered_at
    open_invite = _kind(entry) is Kind.ADOPT_INCOMING
    speaker = entry.instance if open_invite else desk.instance
    names = Names(entry.call_id, entry.aor, speaker, f"{entry.call_id}.{epoch}")
    record = entry.sip_dialog
    leg = SipLeg(names) if record is None else SipLeg.adopted(names, record, entry.transaction, settings=desk.legs)
    return CallRunner(desk.outside, call, leg, epoch=epoch)
