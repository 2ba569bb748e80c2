"""Runs one call: gives its machine what happens, and does what the machine says.

Nothing here waits. Messages go to the outbox, which keeps their order, and media operations on the call's line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from dialog_runtime.clock import Clock
from dialog_schemas.calls import CallState, Ended
from dialog_schemas.instances import CallHeld
from dialog_schemas.relay import Relay, RelayKind
from dialog_sip import RemoteProtocolError

from dialog_bridge.media_line import MediaLine
from dialog_bridge.model import actions
from dialog_bridge.model.call import Call, Now
from dialog_bridge.model.inputs import Input, Kind, Signal
from dialog_bridge.model.leg import SipLeg
from dialog_bridge.model.machine import advance
from dialog_bridge.model.parcels import Heard, Parcel
from dialog_bridge.model.phases import ENDING, PUBLIC_STATE, Phase
from dialog_bridge.ports import MediaEngine, Outbox, Registrars

log = structlog.get_logger(__name__)


class Watcher(Protocol):
    """Who counts what happens to calls."""

    def sent(self, call: Call, relay: Relay) -> None:
        """Learn of a SIP message of ours."""

    def ended(self, call: Call, event: Ended) -> None:
        """Learn that a call is over."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What runs need from outside.

    ``finished`` is told when nothing is left of a call; ``incarnation_of`` tells which process an instance is now.
    """

    instance: str
    clock: Clock
    outbox: Outbox
    media: MediaEngine
    registrars: Registrars
    watcher: Watcher
    finished: Callable[[str], None]
    incarnation_of: Callable[[str], str]

    def now(self) -> Now:
        """Return the time."""
        return Now(self.clock.monotonic(), self.clock.utcnow())


class CallRunner:
    """One call. ``epoch`` is that of its directory entry, ``trace`` goes with its events."""

    def __init__(self, outside: Outside, call: Call, leg: SipLeg, *, epoch: int = 1, trace: str | None = None) -> None:
        self._outside = outside
        self._trace = trace
        self._line = MediaLine(outside.media, call.identity.call_id, self.feed)
        self._unacknowledged: set[asyncio.Future[None]] = set()
        self._fenced = False
        self.call = call
        self.leg = leg
        self.epoch = epoch
        self.incarnation = ""
        """Which process of the registrar has the call's transactions; empty while that is not known."""
        self.orphaned = False
        """The call knows that its registrar is dead; no other has the mapping yet."""

    @property
    def is_gone(self) -> bool:
        """True once the call is over and nothing of it is left here."""
        return self.call.phase is Phase.FINISHED and self._line.is_gone and not self._unacknowledged

    def feed(self, event: Input) -> None:
        """Give the call an input and do what comes of it."""
        identity = self.call.identity
        before = self.call.phase
        self._fenced = self._fenced or event.kind is Kind.FENCED
        for action in advance(self.call, event, self._outside.now()):
            self._do(action)
        log.debug(
            "call moved",
            call_id=identity.call_id,
            aor=identity.aor,
            kind=event.kind.value,
            before=before.value,
            phase=self.call.phase.value,
        )
        if self.call.phase is Phase.FINISHED and before is not Phase.FINISHED:
            self._line.close()
            self._outside.finished(identity.call_id)

    def hear(self, relay: Relay) -> None:
        """Give the call a SIP message."""
        if relay.sender == self.leg.registrar and relay.incarnation == self._outside.incarnation_of(relay.sender):
            # Not what comes late from the process before.
            self.incarnation = relay.incarnation
        try:
            heard = self.leg.hear(relay, self._outside.clock.monotonic())
        except RemoteProtocolError as error:
            log.warning("SIP message ignored", call_id=self.call.identity.call_id, error=str(error))
            return
        self._take(heard)

    def tick(self) -> None:
        """Tell call and leg when their deadlines have passed."""
        now = self._outside.clock.monotonic()
        if self.call.deadline is not None and now >= self.call.deadline:
            self.feed(Signal(Kind.DEADLINE))
        if self.leg.timer is not None and now >= self.leg.timer:
            self._take(self.leg.handle_timer(now))

    def _take(self, heard: Heard) -> None:
        for parcel in heard.parcels:
            self._send(parcel)
        for event in heard.events:
            self.feed(event)

    async def delivered(self) -> None:
        """Wait until the bus has everything that the call has said so far."""
        if self._unacknowledged:
            # Not gather: who gives up waiting must not cancel what is on its way.
            await asyncio.wait(self._unacknowledged)

    async def gone(self) -> None:
        """Wait until nothing of the call is left here."""
        await self._line.gone()
        await self.delivered()

    def _do(self, action: actions.Action) -> None:
        match action:
            case actions.Publish(event):
                self._track(self._outside.outbox.tell(event, self._trace))
            case actions.PublishEnded(event):
                self._end(event)
            case actions.Record():
                if not self._fenced:
                    self._track(self._outside.outbox.record(self._entry()))
            case actions.Forget():
                if not self._fenced:
                    self._track(self._outside.outbox.forget(self.call.identity.call_id))
            case actions.OpenMedia(sip_peer):
                self._line.open(sip_peer)
            case actions.CloseMedia():
                self._line.close()
            case _:
                self._do_for_a_leg(action)

    def _do_for_a_leg(self, action: actions.SipAction | actions.MediaAction) -> None:
        if isinstance(action, actions.MediaAction):
            self._line.put(action)
            return
        for parcel in self.leg.render(action, self._outside.clock.monotonic()):
            self._send(parcel)

    def _send(self, parcel: Parcel) -> None:
        relay, call = parcel.relay, self.call
        to = parcel.to or self._outside.registrars.holder_of(call.identity.aor)
        if to is None:
            # The phase's deadline, or the mapping's next registrar, brings the call on.
            log.warning("no registrar has the mapping", call_id=call.identity.call_id, aor=call.identity.aor)
            return
        if relay.kind is not RelayKind.RESPONSE and to != self.leg.registrar:
            self.leg.registrar, self.incarnation = to, ""
        self._track(self._outside.outbox.relay(to, relay))
        self._outside.watcher.sent(call, relay)

    def _end(self, event: Ended) -> None:
        ended = event.model_copy(update={"quality": self._line.quality()})
        self._track(self._outside.outbox.tell(ended, self._trace))
        self._outside.watcher.ended(self.call, ended)

    def _track(self, future: asyncio.Future[None]) -> None:
        self._unacknowledged.add(future)
        future.add_done_callback(self._unacknowledged.discard)

    def _entry(self) -> CallHeld:
        call, identity = self.call, self.call.identity
        # From the 200 on, either way, both talk as far as the SIP dialog is concerned.
        over = call.phase in {*ENDING, Phase.FINISHED}
        answered = call.answered_at is not None
        return CallHeld(
            call_id=identity.call_id,
            instance=self._outside.instance,
            epoch=self.epoch,
            direction=identity.direction,
            aor=identity.aor,
            user_id=identity.user_id,
            state=CallState.TALKING if answered and not over else PUBLIC_STATE[call.phase],
            seq=max(call.seq - 1, 0),
            sip_dialog=self.leg.record,
            transaction=None if answered or call.phase is Phase.CLOSING else self.leg.invite_transaction,
            started_at=identity.started_at,
            answered_at=call.answered_at,
        )
