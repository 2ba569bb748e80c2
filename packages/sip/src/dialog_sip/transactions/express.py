"""Client transactions of requests that come by the thousand and ask for one answer: REGISTER.

Theory of operation. This is the non-INVITE client transaction (RFC 3261 section 17.1.2) without what a REGISTER has
no use for: no copy of the request, no events, no state beyond *under way*. A response is known by the branch in its
bytes, before anything is parsed; timers E and F are one entry in one heap. Timer K needs no state at all: a final
response that comes again finds nothing here.

    what happens               | then
    ---------------------------+-------------------------------------------------------------------------------
    begin                      | the bytes go out; timer E in T1, timer F in 64*T1
    timer E                    | the bytes go out again; timer E in twice the time, T2 at most; none where the
                               | transport is reliable
    provisional response       | timer E in T2 from now on
    final response             | over, given to the owner
    timer F                    | over, without an answer
"""

from __future__ import annotations

import heapq
import secrets
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from dialog_sip.transactions.timers import Timers

COOKIE: Final = "z9hG4bKx"
"""What branches of this kind begin with: the cookie of RFC 3261 section 8.1.1.7, and a letter of our own."""
_COOKIE: Final = COOKIE.encode()
_RANDOM: Final = 6
"""Random bytes of a branch, the same for all of a process: nobody off the path can guess them."""
_LENGTH: Final = len(COOKIE) + 2 * _RANDOM + 8

F = TypeVar("F", bound=Hashable)
"""A flow."""
T = TypeVar("T")
"""Whoever waits for the answer."""


class Pending(Generic[F, T]):
    """A request on its way (RFC 3261 section 17.1.2)."""

    __slots__ = ("data", "due", "ends_at", "flow", "interval", "key", "over", "owner")

    def __init__(self, key: bytes, data: bytes, flow: F, owner: T, interval: float, ends_at: float) -> None:
        self.key = key
        """Its branch."""
        self.data = data
        self.flow = flow
        self.owner = owner
        self.interval = interval
        """Until the next retransmission; 0: none."""
        self.ends_at = ends_at
        self.due = 0.0
        self.over = False


class ExpressTransactions(Generic[F, T]):
    """All that are under way (RFC 3261 section 17.1.2). Times are seconds of the caller's clock."""

    __slots__ = ("_branches", "_heap", "_pending", "_prefix", "_serial", "_timers")

    def __init__(self, timers: Timers | None = None) -> None:
        self._timers = timers or Timers()
        self._pending: dict[bytes, Pending[F, T]] = {}
        self._heap: list[tuple[float, int, Pending[F, T]]] = []
        self._serial = self._branches = 0
        self._prefix = COOKIE + secrets.token_hex(_RANDOM)

    def __len__(self) -> int:
        return len(self._pending)

    def new_branch(self) -> str:
        """Return a branch that no other request has."""
        self._branches += 1
        return f"{self._prefix}{self._branches & 0xFFFFFFFF:08x}"

    def begin(self, branch: str, data: bytes, flow: F, owner: T, now: float, *, reliable: bool) -> Pending[F, T]:
        """Remember a request that is sent now."""
        interval = 0.0 if reliable else self._timers.t1
        key = branch.encode()
        pending = self._pending[key] = Pending(key, data, flow, owner, interval, now + self._timers.give_up)
        self._plan(pending, now)
        return pending

    def find(self, data: bytes) -> Pending[F, T] | None:
        """Return the request that a response is for, None where it is none of these."""
        start = data.find(_COOKIE)
        return None if start < 0 else self._pending.get(data[start : start + _LENGTH])

    def provisional(self, pending: Pending[F, T], now: float) -> None:
        """Note that the server has the request (RFC 3261 section 17.1.2.2, *Proceeding*)."""
        # Another one changes nothing: a peer that repeats it must not fill the heap.
        if 0 < pending.interval < self._timers.t2:
            pending.interval = self._timers.t2
            self._plan(pending, now)

    def hush(self, pending: Pending[F, T]) -> None:
        """Send it no more; a response is still taken, until timer F."""
        if pending.interval and not pending.over:
            pending.interval = 0.0
            self._plan(pending, pending.ends_at)

    def end(self, pending: Pending[F, T]) -> None:
        """Forget a request: it is answered, or nobody waits for it any more."""
        if not pending.over:
            pending.over = True
            del self._pending[pending.key]

    def on(self, flow: F) -> list[Pending[F, T]]:
        """Return those of one flow."""
        return [pending for pending in self._pending.values() if pending.flow is flow]

    def next(self) -> float | None:
        """Return when :meth:`pop` has something, or None."""
        heap = self._heap
        while heap and (heap[0][2].over or heap[0][2].due != heap[0][0]):
            # Answered since, or planned anew.
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop(self, now: float) -> Pending[F, T] | None:
        """Take one that is due, or None: to be sent again, or, where it is over now, given up."""
        due = self.next()
        if due is None or due > now:
            return None
        pending = heapq.heappop(self._heap)[2]
        if now >= pending.ends_at:
            self.end(pending)
        else:
            pending.interval = min(2 * pending.interval, self._timers.t2)
            self._plan(pending, now)
        return pending

    def _plan(self, pending: Pending[F, T], now: float) -> None:
        due = min(now + pending.interval, pending.ends_at) if pending.interval else pending.ends_at
        pending.due = due
        self._serial += 1
        heapq.heappush(self._heap, (due, self._serial, pending))
