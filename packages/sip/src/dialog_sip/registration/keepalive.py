"""How often a flow has to be used so that it stays (RFC 5626 section 4.4, RFC 6223), and when it counts as dead.

Theory of operation. A ping is due a random part before the time that the registrar gave (Flow-Timer), so that flows
that opened together do not ping together: 80 to 100 % of it. Without one it is 95 to 120 s over connections and 24 to
29 s over UDP, where NATs forget soon. A ping over a connection is two CRLF and gets one; over UDP it is a STUN
binding request. A ping without an answer within ten seconds means that the flow is dead: open another, and register
anew.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from dialog_sip.errors import LocalProtocolError

PONG_WITHIN = 10.0
"""Seconds (RFC 5626 section 4.4.1)."""
_SHORTEST_PART = 0.8
_CONNECTION = (95.0, 120.0)
_DATAGRAM = (24.0, 29.0)


def keepalive_delay(*, reliable: bool, flow_timer: int | None, chance: float) -> float:
    """Return how many seconds to wait before the next ping; ``chance`` is a random number from 0 to 1."""
    low, high = _CONNECTION if reliable else _DATAGRAM
    if flow_timer is not None and flow_timer > 0:
        low, high = _SHORTEST_PART * flow_timer, float(flow_timer)
    return low + chance * (high - low)


class KeepaliveState(StrEnum):
    """Where a flow stands."""

    QUIET = "quiet"
    PINGED = "pinged"
    """An answer is due."""
    DEAD = "dead"


class KeepaliveEvent(StrEnum):
    """What moves it."""

    TIMER = "timer"
    HEARD = "heard"
    """Anything came on the flow: a pong, or a message, which shows as much."""


_S, _E = KeepaliveState, KeepaliveEvent

TRANSITIONS: Final = {
    (_S.QUIET, _E.TIMER): _S.PINGED,
    (_S.QUIET, _E.HEARD): _S.QUIET,
    (_S.PINGED, _E.TIMER): _S.DEAD,
    (_S.PINGED, _E.HEARD): _S.QUIET,
    (_S.DEAD, _E.HEARD): _S.DEAD,
}


class Keepalive:
    """The pings of one flow. ``chance`` is a random number from 0 to 1 for each next ping."""

    def __init__(self, now: float, chance: float, *, reliable: bool, flow_timer: int | None = None) -> None:
        self._reliable = reliable
        self._flow_timer = flow_timer
        self._state = KeepaliveState.QUIET
        self.timer: float | None = None
        """When to call :meth:`handle_timer`; None once the flow is dead."""
        self._plan(now, chance)

    @property
    def state(self) -> KeepaliveState:
        """Where the flow stands."""
        return self._state

    def take_flow_timer(self, seconds: int | None, now: float, chance: float) -> None:
        """Take the Flow-Timer of the last 2xx to a REGISTER."""
        self._flow_timer = seconds
        if self._state is KeepaliveState.QUIET:
            self._plan(now, chance)

    def handle_timer(self, now: float) -> KeepaliveState:
        """Do what is due, and return the state: ``PINGED`` means send a ping now, ``DEAD`` close the flow."""
        if self.timer is not None and now >= self.timer:
            self._apply(KeepaliveEvent.TIMER)
            self.timer = now + PONG_WITHIN if self._state is KeepaliveState.PINGED else None
        return self._state

    def heard(self, now: float, chance: float) -> None:
        """Note that something came; it puts the next ping off only as the answer to one."""
        before = self._state
        self._apply(KeepaliveEvent.HEARD)
        if before is KeepaliveState.PINGED:
            self._plan(now, chance)

    def _plan(self, now: float, chance: float) -> None:
        self.timer = now + keepalive_delay(reliable=self._reliable, flow_timer=self._flow_timer, chance=chance)

    def _apply(self, event: KeepaliveEvent) -> None:
        following = TRANSITIONS.get((self._state, event))
        if following is None:
            raise LocalProtocolError(f"{event} cannot happen while {self._state}")
        self._state = following
