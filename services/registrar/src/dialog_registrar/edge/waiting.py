"""Requests of bridges that came before there was a way to the PBX: they wait for it, for a bounded time.

A registrar that was started anew is in its inbox before it has its mappings, their passwords and flows back, and the
statuses that bridges go by name it all that while. A mapping that is in none of its partitions does not come: nothing
waits for that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dialog_schemas.relay import Relay
from dialog_sip import Request

PATIENCE = 5.0
"""Seconds that a request waits. A restart takes one or two, a takeover three at most."""
LIMIT = 1000
"""Requests that wait at a time."""


@dataclass(frozen=True, slots=True)
class Waiter:
    """A request, and until when it waits."""

    relay: Relay
    request: Request
    until: float


@dataclass(slots=True)
class Waiting:
    """The requests that wait, the oldest first. Those of one SIP dialog keep their order."""

    _waiters: deque[Waiter] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._waiters)

    def __contains__(self, transaction: object) -> bool:
        return any(waiter.relay.transaction == transaction for waiter in self._waiters)

    @property
    def is_full(self) -> bool:
        """True where no more are taken."""
        return len(self._waiters) >= LIMIT

    def has_of(self, call_id: str) -> bool:
        """Tell whether an earlier request with this Call-ID waits."""
        return any(waiter.request.call_id == call_id for waiter in self._waiters)

    def put(self, relay: Relay, request: Request, now: float) -> None:
        """Let a request wait."""
        self._waiters.append(Waiter(relay, request, now + PATIENCE))

    def take(self, transaction: str) -> Waiter | None:
        """Take the request of this transaction out, if it waits."""
        found = next((waiter for waiter in self._waiters if waiter.relay.transaction == transaction), None)
        if found is not None:
            self._waiters.remove(found)
        return found

    def next(self) -> float | None:
        """Return when the oldest has waited long enough."""
        return self._waiters[0].until if self._waiters else None

    def over(self, now: float, is_due: Callable[[Relay, Request], bool]) -> Iterator[Waiter]:
        """Take out, in order, who has nothing to wait for by now, and who has waited long enough."""
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if now >= waiter.until or is_due(waiter.relay, waiter.request):
                yield waiter
            else:
                self._waiters.append(waiter)
