"""Answers of DNS, kept as long as they say, and longer while DNS is away.

See RFC 2308 for answers that say no, RFC 8767 for those that serve after their end.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from dialog_sip.locating import Question, Record

SHORTEST: Final = 5.0
"""Seconds that an answer is kept although it says 0: a burst of registrations asks once."""
LONGEST: Final = 86_400.0
"""Seconds that an answer is kept whatever it says."""
LONGEST_NEGATIVE: Final = 300.0
"""Seconds that a name is not asked for again which DNS does not know: somebody may be about to add it."""
STALE: Final = 86_400.0
"""Seconds after its end that an answer still serves while DNS is away."""
MAX_ANSWERS: Final = 10_000
"""Answers that are kept."""


class Answer(NamedTuple):
    """What DNS says to a question (RFC 1035 section 4.1.3)."""

    records: tuple[Record, ...]
    """Empty: there is no such name, or no such record."""
    ttl: float
    """Seconds that it holds; of an empty answer by the SOA record (RFC 2308 section 5)."""


class _Kept(NamedTuple):
    records: tuple[Record, ...]
    until: float


class DnsCache:
    """Bounded: what was not used for longest goes. Times are seconds of any one clock.

    It is the cache of RFC 1035 section 7.4, kept further by RFC 8767.
    """

    def __init__(self, limit: int = MAX_ANSWERS) -> None:
        self._limit = limit
        self._kept: OrderedDict[Question, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, question: Question, now: float) -> tuple[Record, ...] | None:
        """Return what DNS said, or None where it has to be asked."""
        kept = self._kept.get(question)
        if kept is None or kept.until <= now:
            return None
        self._kept.move_to_end(question)
        return kept.records

    def put(self, question: Question, answer: Answer, now: float) -> None:
        """Keep an answer for its time."""
        longest = LONGEST if answer.records else LONGEST_NEGATIVE
        until = now + max(SHORTEST, min(answer.ttl, longest))
        self._kept[question] = _Kept(answer.records, until)
        self._kept.move_to_end(question)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def stale(self, question: Question, now: float) -> tuple[Record, ...] | None:
        """Return what DNS said last, for when it cannot be asked now."""
        kept = self._kept.get(question)
        return None if kept is None or not kept.records or kept.until + STALE <= now else kept.records
