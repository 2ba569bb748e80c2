"""How often a flow has to be used so that it stays (RFC 5626 section 4.4), and when it counts as dead.

Theory of operation. A ping is due a random part before the time that the registrar gave (Flow-Timer), so that flows
that opened together do not ping together: 80 to 100 % of it. Without one it is 95 to 120 s over connections and 24 to
29 s over UDP, where NATs forget soon. A ping over a connection is two CRLF and gets one, within ten seconds. Over UDP
it is a STUN Binding request, which is sent again as RFC 8489 section 6.2.1 has it, and whose answer says under which
address we are seen: where that changed, a NAT has forgotten the old one, and who sends there reaches nobody. In both
cases the flow is dead: open another, and register anew.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from dialog_sip.errors import LocalProtocolError

PONG_WITHIN = 10.0
"""Seconds over a connection (RFC 5626 section 4.4.1)."""
_SHORTEST_PART = 0.8
_CONNECTION = (95.0, 120.0)
_DATAGRAM = (24.0, 29.0)
_WAITS: Final = {True: (PONG_WITHIN,), False: (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 8.0)}
"""Whether the transport is reliable -> seconds to wait after the first ping, and after each that repeats it."""


def keepalive_delay(*, reliable: bool, flow_timer: int | None, chance: float) -> float:
    """Return how many seconds to wait before the next ping (RFC 5626 section 4.4).

    ``chance`` is a random number from 0 to 1.
    """
    low, high = _CONNECTION if reliable else _DATAGRAM
    if flow_timer is not None and flow_timer > 0:
        low, high = _SHORTEST_PART * flow_timer, float(flow_timer)
    return low + chance * (high - low)


class KeepaliveState(StrEnum):
    """Where a flow stands (RFC 5626 section 4.4)."""

    QUIET = "quiet"
    PINGED = "pinged"
    """An answer is due."""
    DEAD = "dead"


class KeepaliveEvent(StrEnum):
    """What moves it (RFC 5626 section 4.4)."""

    TIMER = "timer"
    HEARD = "heard"
    """Anything came on the flow: a pong, or a message, which shows as much."""
    REPEAT = "repeat"
    """An answer is late, and the ping may have been lost."""
    MOVED = "moved"
    """We are seen under another address than before."""


_S, _E = KeepaliveState, KeepaliveEvent

TRANSITIONS: Final = {
    (_S.QUIET, _E.TIMER): _S.PINGED,
    (_S.QUIET, _E.HEARD): _S.QUIET,
    (_S.PINGED, _E.TIMER): _S.DEAD,
    (_S.PINGED, _E.HEARD): _S.QUIET,
    (_S.PINGED, _E.REPEAT): _S.PINGED,
    (_S.DEAD, _E.HEARD): _S.DEAD,
    (_S.QUIET, _E.MOVED): _S.DEAD,
    (_S.PINGED, _E.MOVED): _S.DEAD,
    (_S.DEAD, _E.MOVED): _S.DEAD,
}
"""State and event -> the state after it."""


class Keepalive:
    """The pings of one flow (RFC 5626 section 4.4). ``chance`` is a random number from 0 to 1 for each next ping."""

    def __init__(self, now: float, chance: float, *, reliable: bool, flow_timer: int | None = None) -> None:
        self._reliable = reliable
        self._flow_timer = flow_timer
        self._state = KeepaliveState.QUIET
        self._mapped: tuple[str, int] | None = None
        self._sent = 0
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
            waits = _WAITS[self._reliable]
            may_repeat = self._state is KeepaliveState.PINGED and self._sent < len(waits)
            self._apply(KeepaliveEvent.REPEAT if may_repeat else KeepaliveEvent.TIMER)
            self.timer = now + waits[self._sent] if self._state is KeepaliveState.PINGED else None
            self._sent += 1
        return self._state

    def heard(self, now: float, chance: float) -> None:
        """Note that something came; it puts the next ping off only as the answer to one.

        ``now`` is from when the time to the next ping counts.
        """
        before = self._state
        self._apply(KeepaliveEvent.HEARD)
        if before is KeepaliveState.PINGED:
            self._plan(now, chance)

    def seen_as(self, mapped: tuple[str, int]) -> KeepaliveState:
        """Take the address that a STUN answer gave, and return the state: ``DEAD`` where it is another than before."""
        if self._mapped not in {None, mapped}:
            self._apply(KeepaliveEvent.MOVED)
            self.timer = None
        self._mapped = mapped
        return self._state

    def _plan(self, now: float, chance: float) -> None:
        self._sent = 0
        self.timer = now + keepalive_delay(reliable=self._reliable, flow_timer=self._flow_timer, chance=chance)

    def _apply(self, event: KeepaliveEvent) -> None:
        following = TRANSITIONS.get((self._state, event))
        if following is None:
            raise LocalProtocolError(f"{event} cannot happen while {self._state}")
        self._state = following
