"""How long the timers of RFC 3261 section 17 run, and which of them runs out next."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from dialog_sip.transactions.tables import Action
from dialog_sip.transactions.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Timers:
    """Durations in seconds (RFC 3261 table 4)."""

    t1: float = 0.5
    """Estimate of the round trip; the first retransmission interval."""
    t2: float = 4.0
    """Largest interval between retransmissions of requests other than INVITE, and of responses to INVITE."""
    t4: float = 5.0
    """How long a message may stay in the network."""
    d: float = 32.0
    """Wait for retransmitted failures of an INVITE, over UDP."""
    c: float = 200.0
    """How long an INVITE may ring without news from the peer; more than three minutes (RFC 3261 section 16.6)."""
    u: float = 30.0
    """How long our own TU may take to answer a request."""
    u_invite: float = 600.0
    """The same for INVITE, counted from the last provisional response."""

    @property
    def give_up(self) -> float:
        """``64*T1``: timers B, F, H, J, L and M."""
        return 64 * self.t1

    @property
    def until_t2(self) -> float:
        """How long a client takes until timer E runs for T2 (RFC 4320 section 4.1): 3.5 s."""
        passed, interval = 0.0, self.t1
        while interval < self.t2:
            passed += interval
            interval *= 2
        return passed

    def first_interval(self, action: Action, *, reliable: bool) -> float | None:
        """Return the first retransmission interval; None where the transport makes retransmissions needless."""
        if action is Action.ARM_TRYING:
            return self.until_t2
        return None if reliable and action is not Action.ARM_2XX else self.t1

    def next_interval(self, transaction: Transaction, action: Action) -> float:
        """Return the interval after the present one: doubled, and but for an INVITE request never beyond T2."""
        if action is Action.AGAIN_T2:
            return self.t2
        doubled = 2 * transaction.interval
        return doubled if transaction.is_invite_client else min(doubled, self.t2)

    def deadline(self, action: Action, *, reliable: bool, invite: bool) -> float:
        """Return how long the state may last; 0 ends it at once (timers D, I, J and K on reliable transports)."""
        if action in _ABSORBING and reliable:
            return 0.0
        if action is Action.ARM_U:
            return self.u_invite if invite else self.u
        lasting = {Action.ARM_C: self.c, Action.ARM_D: self.d, Action.ARM_I: self.t4, Action.ARM_K: self.t4}
        return lasting.get(action, self.give_up)


# They only absorb retransmissions, which a reliable transport does not make.
_ABSORBING = frozenset({Action.ARM_D, Action.ARM_I, Action.ARM_J, Action.ARM_K})


class TimerQueue:
    """The timers of all transactions (RFC 3261 table 4), as a heap with about one entry a transaction.

    An entry stands for the moment at which a transaction has to be looked at, no later than its next timer. One whose
    transaction is gone, or has an earlier entry, is dropped when it comes up.
    """

    __slots__ = ("_heap", "_transactions")

    def __init__(self, transactions: dict[str, Transaction]) -> None:
        self._heap: list[tuple[float, str]] = []
        self._transactions = transactions

    def schedule(self, transaction: Transaction) -> None:
        """See to it that the transaction comes up when its next timer is due."""
        due = transaction.next_timer
        if due is not None and (transaction.scheduled is None or due < transaction.scheduled):
            transaction.scheduled = due
            heapq.heappush(self._heap, (due, transaction.id))

    def next(self) -> float | None:
        """Return the time of the earliest entry that counts."""
        while self._heap:
            when, name = self._heap[0]
            if self._counts(when, name):
                return when
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: float) -> Transaction | None:
        """Take out a transaction whose entry is due."""
        when = self.next()
        if when is None or when > now:
            return None
        _, name = heapq.heappop(self._heap)
        transaction = self._transactions[name]
        transaction.scheduled = None
        return transaction

    def _counts(self, when: float, name: str) -> bool:
        transaction = self._transactions.get(name)
        return transaction is not None and transaction.scheduled == when
