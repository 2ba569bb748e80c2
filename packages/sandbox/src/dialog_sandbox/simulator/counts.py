"""What a simulated PBX counts: how many, how fast at most, what lapsed and how late."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

BUCKET = 0.1
"""Seconds over which the shortest peak is taken."""
_A_SECOND = 10
SERIES_LIMIT = 7200
"""Seconds of history that are kept."""
LAPSES_LIMIT = 10_000
"""Lapses that are told one by one."""
ODDITIES_LIMIT = 1000
STORM = 6
"""REGISTER transactions of one user within 20 seconds, of which more are told one by one."""


@dataclass(slots=True)
class Rate:
    """Peak rates of one kind of event, over :data:`BUCKET` and over any ten buckets in a row."""

    peak_100ms: int = 0
    peak_1s: int = 0
    _bucket: int = -1
    _count: int = 0
    _last: deque[tuple[int, int]] = field(default_factory=deque)
    _sum: int = 0

    def note(self, now: float) -> None:
        """Count one event."""
        bucket = int(now / BUCKET)
        if bucket != self._bucket:
            self._turn(bucket)
        self._count += 1
        self._sum += 1
        if self._count > self.peak_100ms:
            self.peak_100ms = self._count
        if self._sum > self.peak_1s:
            self.peak_1s = self._sum

    def _turn(self, bucket: int) -> None:
        if self._count:
            self._last.append((self._bucket, self._count))
        self._bucket, self._count = bucket, 0
        while self._last and self._last[0][0] <= bucket - _A_SECOND:
            self._sum -= self._last.popleft()[1]


class Lapse(NamedTuple):
    """One binding whose time ran out."""

    user: str
    ended: float
    """When it ended, on the simulator's clock."""
    late: float
    """Seconds until the refresh, or until now where there was none."""
    granted: int
    """Seconds."""


class Oddity(NamedTuple):
    """One REGISTER that should not have come."""

    user: str
    at: float
    """When, on the simulator's clock."""
    what: str
    """In words, with what was sent."""


@dataclass(slots=True)
class Lapses:
    """Bindings whose time ran out without a refresh."""

    count: int = 0
    longest: float = 0.0
    """Seconds that the latest refresh came late."""
    last: deque[Lapse] = field(default_factory=lambda: deque(maxlen=LAPSES_LIMIT))

    def note(self, lapse: Lapse) -> None:
        """Count one that was refreshed late."""
        self.count += 1
        self.longest = max(self.longest, lapse.late)
        self.last.append(lapse)


@dataclass(slots=True)
class Counts:
    """Everything since the last reset."""

    registers: int = 0
    """REGISTERs, those with credentials included, retransmissions not."""
    duplicates: int = 0
    """Retransmissions."""
    unheard: int = 0
    """What came while nothing is answered, or was lost."""
    challenges: int = 0
    registrations: int = 0
    """200s to users without a binding."""
    refreshes: int = 0
    early: int = 0
    """Refreshes of a binding that had more than half of its time left."""
    unregistrations: int = 0
    refused: int = 0
    """Answers of a fault, 423 among them."""
    malformed: int = 0
    """What was no REGISTER."""
    wrong_credentials: int = 0
    cseq_back: int = 0
    """REGISTERs whose CSeq was not above the last of the same Call-ID."""
    call_ids_changed: int = 0
    most_in_20_s: int = 0
    """REGISTER transactions of one user within 20 seconds, of whoever had most."""
    oddities: deque[Oddity] = field(default_factory=lambda: deque(maxlen=ODDITIES_LIMIT))
    """The last REGISTERs that made ``cseq_back`` or ``most_in_20_s`` what they are."""
    lapses: Lapses = field(default_factory=Lapses)
    rate: Rate = field(default_factory=Rate)
    """Of all REGISTERs."""
    accepted_rate: Rate = field(default_factory=Rate)
    """Of those that bind, one each a user as long as nobody refreshes twice a second."""

    def as_json(self) -> dict[str, Any]:
        """Return everything that can be told."""
        told = {name: value for name, value in asdict(self).items() if isinstance(value, int)}
        rates = {
            "peak_100ms": self.rate.peak_100ms, "peak_1s": self.rate.peak_1s,
            "accepted_peak_1s": self.accepted_rate.peak_1s,
        }  # fmt: skip
        return told | rates | {"lapses": self.lapses.count, "latest_lapse": round(self.lapses.longest, 3)}


@dataclass(frozen=True, slots=True)
class Sample:
    """One second of history; the numbers are totals up to then."""

    at: float
    """Seconds of the wall clock."""
    registers: int
    bound: int
    """Bindings that are good."""
    lapses: int
    """Bindings that ended unrefreshed, those that nobody came for again included."""


Series = deque[Sample]


def new_series() -> Series:
    """Return an empty history."""
    return deque(maxlen=SERIES_LIMIT)
