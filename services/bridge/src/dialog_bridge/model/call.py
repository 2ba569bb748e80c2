"""A call as data: what the table's functions read and change. How it moves stands in ``model/table.py``."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import NamedTuple, TypeVar

from dialog_schemas.calls import CallEvent, Ended, EndReason, Held, IceFound
from dialog_schemas.instances import CallDirection

from dialog_bridge.model.actions import Action, CloseMedia, Publish, PublishEnded, Respond
from dialog_bridge.model.inputs import Caller, Input
from dialog_bridge.model.phases import PUBLIC_STATE, Phase

E = TypeVar("E", bound=CallEvent)

MAX_POSTPONED = 16
"""Commands that wait for the call to be settled. More than a person gives in the time of a re-INVITE."""

MAX_CANDIDATES = 64
"""Candidates that wait for the client to have a description."""


class Now(NamedTuple):
    """The time, twice: ``monotonic`` in seconds for deadlines, ``utc`` for records."""

    monotonic: float
    utc: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """What never changes about a call. ``sip_peer`` is the host of the PBX."""

    call_id: str
    direction: CallDirection
    aor: str
    user_id: int
    sip_peer: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, in seconds."""

    media: float = 10.0
    ring: float = 180.0
    confirm: float = 40.0
    call: float = 12 * 3600.0
    request: float = 40.0
    transfer: float = 60.0


@dataclass(slots=True)
class Call:
    """One call. Only :func:`dialog_bridge.model.machine.advance` and the functions in the table change it."""

    identity: Identity
    limits: Limits
    random: Random
    now: Now
    """The time of the input at hand."""
    phase: Phase = Phase.NEW
    deadline: float | None = None
    """When :attr:`Kind.DEADLINE` is due, on the monotonic clock."""
    seq: int = 0
    """``seq`` of the next call event."""
    answered_at: datetime | None = None
    open_transaction: str | None = None
    """The request with an offer that the PBX awaits our final response to."""
    caller: Caller | None = None
    """Who calls, until the dialog server was told."""
    transfer_target: str = ""
    """Where our REFER sends the PBX."""
    left: Phase = Phase.NEW
    """The phase before this one."""
    early_answer: bytes | None = None
    """The last description that came before the 200: a PBX may leave it out there."""
    wants_hold: bool = False
    """What the client asked for last."""
    holds: bool = False
    """What the PBX agreed to."""
    peer_holds: bool = False
    """What the PBX asked for last."""
    told_held: bool = False
    """What the dialog server heard last."""
    postponed: deque[Input] = field(default_factory=lambda: deque(maxlen=MAX_POSTPONED))
    """Inputs that wait for :attr:`Phase.TALKING`."""
    candidates: deque[tuple[str, str | None]] | None = field(default_factory=lambda: deque(maxlen=MAX_CANDIDATES))
    """Candidates for a client that has no description to add them to; None once it has one."""

    def tell(self, kind: type[CallEvent], **fields: object) -> list[Action]:
        """Return the action that publishes the next event of the call."""
        return [Publish(self._event(kind, fields))]

    def describe(self, kind: type[CallEvent], **fields: object) -> list[Action]:
        """Publish an event that gives the client its description, and the candidates that waited for it."""
        actions = self.tell(kind, **fields)
        waiting, self.candidates = self.candidates or (), None
        for candidate, mid in waiting:
            actions += self.tell(IceFound, candidate=candidate, sdp_mid=mid)
        return actions

    def tell_candidate(self, candidate: str, mid: str | None) -> list[Action]:
        """Publish a candidate, once the client has the description that it belongs to (RFC 8838 section 8)."""
        if self.candidates is None:
            return self.tell(IceFound, candidate=candidate, sdp_mid=mid)
        self.candidates.append((candidate, mid))
        return []

    def tell_held(self) -> list[Action]:
        """Publish whether the SIP side is on hold, if that is news. Either side's hold counts."""
        held = self.holds or self.peer_holds
        if held == self.told_held:
            return []
        self.told_held = held
        return self.tell(Held, held=held)

    def end(self, reason: EndReason, detail: str = "", sip_code: int | None = None) -> list[Action]:
        """Tell the dialog server that the call is over, and close its media."""
        fields: dict[str, object] = {
            "reason": reason,
            "detail": detail,
            "sip_code": sip_code,
            "started_at": self.identity.started_at,
            "answered_at": self.answered_at,
            "ended_at": self.now.utc,
        }
        return [PublishEnded(self._event(Ended, fields)), CloseMedia()]

    def answer(self, code: int, sdp: bytes | None = None) -> list[Action]:
        """Answer the request with an offer that the PBX waits for, if there is one, for good."""
        transaction, self.open_transaction = self.open_transaction, None
        return [] if transaction is None else [Respond(transaction, code, sdp)]

    def _event(self, kind: type[E], fields: dict[str, object]) -> E:
        identity, state = self.identity, PUBLIC_STATE[self.phase]
        base = {"call_id": identity.call_id, "user_id": identity.user_id, "seq": self.seq, "state": state}
        self.seq += 1
        return kind.model_validate(base | fields)
