"""Who may change the session now: INVITEs inside a SIP dialog that meet (RFC 3261 section 14), as a table.

Theory of operation. Only one INVITE runs in a SIP dialog at a time. One of the peer's that meets ours gets 491; one
that comes while its last one has no final response gets 500 with Retry-After (section 14.2). Ours that gets 491 is
sent again after a random time, and who made the SIP dialog waits longer (2.1 to 4 s, in steps of 10 ms) than who did
not (0 to 2 s), so that one of the two comes first (section 14.1). Meanwhile the peer's may come; then ours waits for
the end of it too.

An INVITE of the peer's that we accepted is over with its ACK: before, another of ours might overtake it (RFC 5407
section 3.1.5).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from dialog_sip.errors import LocalProtocolError, RemoteProtocolError

_STEP = 0.01
_OWNER = (2.1, 4.0)
_OTHER = (0.0, 2.0)
MAX_RETRY_AFTER = 10
"""Seconds (RFC 3261 section 14.2)."""


class GuardState(StrEnum):
    """What runs (RFC 3261 section 14)."""

    FREE = "free"
    CALLING = "calling"
    """Ours."""
    ANSWERING = "answering"
    """The peer's."""
    CONFIRMING = "confirming"
    """The peer's was accepted; its ACK is on its way."""
    WAITING = "waiting"
    """Ours met the peer's and is sent again later."""
    WAITING_ANSWERING = "waiting-answering"
    """The same, and the peer's runs."""
    WAITING_CONFIRMING = "waiting-confirming"
    OWING = "owing"
    """Ours would be due, but the peer's runs."""
    OWING_CONFIRMING = "owing-confirming"
    DUE = "due"
    """Ours is to be sent again now."""
    ENDED = "ended"


class GuardEvent(StrEnum):
    """What moves it (RFC 3261 section 14)."""

    SEND = "send"
    FINISH = "finish"
    """The final response to ours came, but 491."""
    GLARE = "glare"
    """491."""
    RECEIVE = "receive"
    ACCEPT = "accept"
    """We answered the peer's with 2xx."""
    REJECT = "reject"
    """We answered it with another final response."""
    ACK = "ack"
    TIMER = "timer"
    END = "end"


_S, _E = GuardState, GuardEvent

TRANSITIONS: Final = {
    (_S.FREE, _E.SEND): _S.CALLING,
    (_S.FREE, _E.RECEIVE): _S.ANSWERING,
    (_S.FREE, _E.ACK): _S.FREE,
    (_S.CALLING, _E.FINISH): _S.FREE,
    (_S.CALLING, _E.GLARE): _S.WAITING,
    (_S.CALLING, _E.ACK): _S.CALLING,
    (_S.ANSWERING, _E.ACCEPT): _S.CONFIRMING,
    (_S.ANSWERING, _E.REJECT): _S.FREE,
    (_S.ANSWERING, _E.ACK): _S.ANSWERING,
    (_S.CONFIRMING, _E.ACK): _S.FREE,
    (_S.CONFIRMING, _E.RECEIVE): _S.ANSWERING,
    (_S.WAITING, _E.TIMER): _S.DUE,
    (_S.WAITING, _E.RECEIVE): _S.WAITING_ANSWERING,
    (_S.WAITING, _E.ACK): _S.WAITING,
    (_S.WAITING_ANSWERING, _E.TIMER): _S.OWING,
    (_S.WAITING_ANSWERING, _E.ACCEPT): _S.WAITING_CONFIRMING,
    (_S.WAITING_ANSWERING, _E.REJECT): _S.WAITING,
    (_S.WAITING_ANSWERING, _E.ACK): _S.WAITING_ANSWERING,
    (_S.WAITING_CONFIRMING, _E.TIMER): _S.OWING_CONFIRMING,
    (_S.WAITING_CONFIRMING, _E.ACK): _S.WAITING,
    (_S.WAITING_CONFIRMING, _E.RECEIVE): _S.WAITING_ANSWERING,
    (_S.OWING, _E.ACCEPT): _S.OWING_CONFIRMING,
    (_S.OWING, _E.REJECT): _S.DUE,
    (_S.OWING, _E.ACK): _S.OWING,
    (_S.OWING_CONFIRMING, _E.ACK): _S.DUE,
    (_S.OWING_CONFIRMING, _E.RECEIVE): _S.OWING,
    (_S.DUE, _E.SEND): _S.CALLING,
    (_S.DUE, _E.RECEIVE): _S.OWING,
    (_S.DUE, _E.ACK): _S.DUE,
    **{(state, _E.END): _S.ENDED for state in GuardState},
    **{(_S.ENDED, event): _S.ENDED for event in GuardEvent if event not in {_E.SEND, _E.RECEIVE}},
}
"""What is missing is an error of ours, but for RECEIVE, which :data:`REFUSALS` answers."""

REFUSALS: Final = {
    _S.CALLING: (491, "Request Pending"),
    _S.ANSWERING: (500, "Server Internal Error"),
    _S.WAITING_ANSWERING: (500, "Server Internal Error"),
    _S.OWING: (500, "Server Internal Error"),
    _S.ENDED: (481, "Call/Transaction Does Not Exist"),
}
"""What a change of the peer's gets -> status."""
_TIMED = frozenset({_S.WAITING, _S.WAITING_ANSWERING, _S.WAITING_CONFIRMING})


def glare_delay(*, owner: bool, chance: float) -> float:
    """Return how many seconds to wait after a 491 (RFC 3261 section 14.1).

    ``owner``: we made the Call-ID. ``chance``: a random number from 0 to 1.
    """
    low, high = _OWNER if owner else _OTHER
    return low + round(chance * (high - low) / _STEP) * _STEP


def retry_after(chance: float) -> int:
    """Return Retry-After for a 500, 0 to 10 seconds, from a random number from 0 to 1 (RFC 3261 section 14.2)."""
    return round(chance * MAX_RETRY_AFTER)


class InviteGuard:
    """The INVITEs of one SIP dialog (RFC 3261 section 14). ``owner``: we made its Call-ID."""

    def __init__(self, *, owner: bool, state: GuardState = GuardState.FREE) -> None:
        self._owner = owner
        self._state = state
        self.timer: float | None = None
        """When to call :meth:`handle_timer`."""

    @property
    def state(self) -> GuardState:
        """What runs."""
        return self._state

    @property
    def is_free(self) -> bool:
        """Whether an INVITE of ours may be sent now."""
        return (self._state, GuardEvent.SEND) in TRANSITIONS

    def apply(self, event: GuardEvent) -> GuardState:
        """Move on. Raises :class:`LocalProtocolError` for what we may not do now."""
        following = TRANSITIONS.get((self._state, event))
        if following is None:
            raise LocalProtocolError(f"{event} cannot happen while {self._state}")
        self._state = following
        if following not in _TIMED:
            self.timer = None
        return following

    def receive(self) -> None:
        """Take an INVITE of the peer's. Raises :class:`RemoteProtocolError` with 491, 500 or 481 to answer."""
        if self._state in REFUSALS:
            status, reason = REFUSALS[self._state]
            raise RemoteProtocolError("another INVITE runs", status=status, reason=reason)
        self.apply(GuardEvent.RECEIVE)

    def glare(self, now: float, chance: float) -> None:
        """Take a 491 to ours; ``chance`` is a random number from 0 to 1."""
        if self.apply(GuardEvent.GLARE) is GuardState.WAITING:
            self.timer = now + glare_delay(owner=self._owner, chance=chance)

    def handle_timer(self, now: float) -> None:
        """Do what is due: in the state ``DUE`` after it, send ours again if it is still wanted."""
        if self.timer is not None and now >= self.timer:
            self.apply(GuardEvent.TIMER)
